//! Contents that begin with a compression header of their own, as objects with `Z` do.
//!
//! That such a content is what was written says nothing of what is in it: only unpacking it tells whether a
//! restore gets the bytes, and as many as are expected.

use std::collections::HashMap;
use std::sync::Arc;

use kopia_format::ContentId;

use crate::object::Extent;
use crate::{Error, Repository};

/// What is expected of contents that have a header.
pub(super) type Headed = HashMap<ContentId, Stated>;

/// How many bytes a content is expected to have, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stated {
    /// Nobody says.
    #[default]
    Nowhere,
    /// As many as the entry of a file says.
    Entry(u64),
    /// As many as a list says.
    List(u64),
    /// Not everybody says the same.
    Differently,
}

/// Why a content is not fit for all that need it.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It cannot be unpacked.
    Unreadable(Arc<Error>),
    /// It has this many bytes, and others are expected by some.
    Length(u64),
}

impl Stated {
    /// Returns what is expected of an extent's content.
    pub(super) fn of_list(extent: &Extent) -> Self {
        extent.length.map_or(Self::Nowhere, Self::List)
    }

    /// Adds what somebody else says.
    pub(super) fn add(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::Nowhere, stated) | (stated, Self::Nowhere) => stated,
            (one, other) if one == other => one,
            // A file may be a piece of another.
            (Self::Entry(one), Self::List(other)) | (Self::List(other), Self::Entry(one)) if one == other => {
                Self::Entry(one)
            }
            _ => Self::Differently,
        };
    }

    /// Unpacks a content as a restore does, and returns why it is not fit, if that is so.
    pub(super) fn check(self, repository: &Repository, content: &ContentId, bytes: &[u8]) -> Option<Unfit> {
        let most = match self {
            Self::List(length) => Some(length),
            Self::Nowhere | Self::Entry(_) | Self::Differently => None,
        };
        let unpacked =
            repository.contents().decompress_headed(content, bytes, most, |plain| plain.len() as u64);
        match (unpacked, self) {
            (Err(error), _) => Some(Unfit::Unreadable(error.into())),
            (Ok(_), Self::Nowhere) => None,
            (Ok(found), Self::Entry(stated) | Self::List(stated)) if found == stated => None,
            (Ok(found), _) => Some(Unfit::Length(found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_is_one_length_or_several() {
        let sum = |all: &[Stated]| {
            let mut sum = Stated::default();
            all.iter().for_each(|&stated| sum.add(stated));
            sum
        };
        assert_eq!(sum(&[Stated::Nowhere, Stated::Entry(5), Stated::Nowhere]), Stated::Entry(5));
        assert_eq!(sum(&[Stated::List(5), Stated::List(5)]), Stated::List(5));
        assert_eq!(sum(&[Stated::List(5), Stated::List(6), Stated::List(5)]), Stated::Differently);
        assert_eq!(sum(&[Stated::Entry(5), Stated::List(5)]), Stated::Entry(5));
        assert_eq!(sum(&[Stated::List(5), Stated::Entry(5), Stated::List(5)]), Stated::Entry(5));
        assert_eq!(sum(&[Stated::List(5), Stated::Entry(6)]), Stated::Differently);
        assert_eq!(sum(&[Stated::Differently, Stated::Nowhere]), Stated::Differently);
    }
}
