//! What file systems of other systems do not take.

use std::ffi::OsStr;
use std::io;

use rustix::io::Errno;

use crate::Refuses;

/// What is refused.
pub(crate) struct Refused {
    names: bool,
    links: bool,
}

impl Refused {
    pub(crate) fn new(refuses: &[Refuses]) -> Self {
        Self { names: refuses.contains(&Refuses::Names), links: refuses.contains(&Refuses::Links) }
    }

    /// Refuses a name that Windows does not take, whatever is to be done with it.
    pub(crate) fn check_name(&self, name: &OsStr) -> io::Result<()> {
        let is_refused = |byte: &u8| *byte < b' ' || br#"\:*?"<>|"#.contains(byte);
        let name = name.as_encoded_bytes();
        let ends_wrong = name.ends_with(b".") || name.ends_with(b" ");
        if self.names && (ends_wrong || name.iter().any(is_refused)) {
            Err(Errno::INVAL.into())
        } else {
            Ok(())
        }
    }

    /// Refuses a symlink.
    pub(crate) fn check_link(&self) -> io::Result<()> {
        if self.links { Err(Errno::PERM.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_refused() {
        let [all, none] = [&[Refuses::Names, Refuses::Links][..], &[]].map(Refused::new);
        for name in ["a:b", "a\\b", "what?", "end.", "end ", "\n"] {
            assert!(all.check_name(name.as_ref()).is_err(), "{name:?}");
            assert!(none.check_name(name.as_ref()).is_ok(), "{name:?}");
        }
        for name in ["a", ".hidden", "a b", "é"] {
            assert!(all.check_name(name.as_ref()).is_ok(), "{name:?}");
        }
        assert!(all.check_link().is_err() && none.check_link().is_ok());
    }
}
