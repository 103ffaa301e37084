//! What hardly differs between contents, kept once for all that have it in common.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::lock::{into_inner, lock};

/// What rows have in common: a repository has a few dozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// The prefix of the content id, 0 for none.
    pub(super) prefix: u8,
    /// The bytes of the hash.
    pub(super) length: u8,
    /// Kopia's number of the compression.
    pub(super) compression: u16,
    /// The highest bytes of the packed length, the original length and the pack number: all 0 for contents of
    /// less than 16 MiB, in the first 16 million packs.
    pub(super) high: [u8; 3],
}

impl Form {
    /// Returns what rows of one hash are ordered by.
    pub(super) fn key(&self) -> (u8, u8) {
        (self.prefix, self.length)
    }
}

/// Numbers the forms that many threads come by.
#[derive(Default)]
pub(super) struct Forms(Mutex<Numbered>);

#[derive(Default)]
struct Numbered {
    numbers: HashMap<Form, u16>,
    forms: Vec<Form>,
}

impl Forms {
    fn number(&self, form: Form) -> Result<u16, String> {
        let mut numbered = lock(&self.0);
        if let Some(number) = numbered.numbers.get(&form) {
            return Ok(*number);
        }
        let number = u16::try_from(numbered.forms.len())
            .map_err(|_| "contents of more than 65,536 kinds and compressions".to_owned())?;
        numbered.forms.push(form);
        numbered.numbers.insert(form, number);
        Ok(number)
    }

    /// Returns all forms by number.
    pub(super) fn into_list(self) -> Vec<Form> {
        into_inner(self.0).forms
    }
}

/// The forms that one thread came by last: nearly all contents have one of a few.
pub(super) struct RecentForms<'f> {
    forms: &'f Forms,
    recent: [Option<(Form, u16)>; 8],
    oldest: usize,
}

impl<'f> RecentForms<'f> {
    pub(super) fn new(forms: &'f Forms) -> Self {
        Self { forms, recent: [None; 8], oldest: 0 }
    }

    /// Returns the number of a form.
    ///
    /// # Errors
    /// A sentence if there are too many.
    pub(super) fn number(&mut self, form: Form) -> Result<u16, String> {
        let known = self.recent.iter().flatten().find(|(known, _)| *known == form);
        if let Some((_, number)) = known {
            return Ok(*number);
        }
        let number = self.forms.number(form)?;
        self.recent[self.oldest] = Some((form, number));
        self.oldest = (self.oldest + 1) % self.recent.len();
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_one_number_and_there_are_not_too_many() {
        let forms = Forms::default();
        let form = |number: u32| Form {
            prefix: b'k',
            length: 16,
            compression: number as u16,
            high: [(number >> 16) as u8, 0, 0],
        };
        let (mut one, mut other) = (RecentForms::new(&forms), RecentForms::new(&forms));
        for number in 0..=65_535 {
            assert_eq!(one.number(form(number)), Ok(number as u16));
            assert_eq!(other.number(form(number / 2)), Ok((number / 2) as u16));
        }
        assert_eq!(one.number(form(3)), Ok(3));
        assert!(one.number(form(65_536)).unwrap_err().contains("65,536 kinds"));
        assert_eq!(forms.into_list()[7], form(7));
    }
}
