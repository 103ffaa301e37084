//! Attributes of one entry that are not as in the snapshot.

use rustix::fs::Stat;

use super::{Attributes, SPECIAL, has_owner, has_time};
use crate::outcome::Unset;

impl Unset {
    /// Compares the mode that an entry has with the one that it should have.
    pub(crate) fn of_mode(has: u32, wanted: u32) -> Self {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attribute;

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
