//! Attributes of one entry that are not as in the snapshot.

use rustix::fs::Stat;

use super::{Attributes, SPECIAL, has_owner, has_time};
use crate::Attribute;

/// Which attributes of an entry could not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub(crate) struct Unset {
    pub(crate) owner: bool,
    pub(crate) special_bits: bool,
    pub(crate) mode: bool,
    pub(crate) time: bool,
}

impl Unset {
    /// Compares the mode that an entry has with the one that it should have.
    pub(super) fn of_mode(has: u32, wanted: u32) -> Self {
        let surplus = has & !wanted & SPECIAL;
        Self {
            special_bits: wanted & !has & SPECIAL != 0,
            mode: (has ^ wanted) & 0o777 | surplus != 0,
            ..Self::default()
        }
    }

    /// Compares all attributes of an entry with those that it should have.
    pub(crate) fn of(stat: &Stat, wanted: &Attributes) -> Self {
        Self {
            owner: !has_owner(stat, wanted),
            time: !has_time(stat, wanted),
            ..Self::of_mode(stat.st_mode & 0o7777, wanted.mode)
        }
    }

    /// Lists them.
    pub(crate) fn attributes(self) -> impl Iterator<Item = Attribute> {
        let all = [
            (self.owner, Attribute::Owner),
            (self.special_bits, Attribute::SpecialBits),
            (self.mode, Attribute::Mode),
            (self.time, Attribute::Time),
        ];
        all.into_iter().filter_map(|(unset, attribute)| unset.then_some(attribute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_special_bits_are_told_apart() {
        let told = |has, wanted| Unset::of_mode(has, wanted).attributes().collect::<Vec<_>>();
        use Attribute::{Mode, SpecialBits};
        assert_eq!(told(0o4755, 0o4755), []);
        assert_eq!(told(0o755, 0o4755), [SpecialBits]);
        assert_eq!(told(0o644, 0o755), [Mode]);
        assert_eq!(told(0o600, 0o1777), [SpecialBits, Mode]);
        // A bit too many is a wrong mode: nothing was lost.
        assert_eq!(told(0o2755, 0o755), [Mode]);
    }
}
