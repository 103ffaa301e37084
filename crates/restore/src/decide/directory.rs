//! What happens to a directory, from what the target has by its name.

use std::io;

use rustix::fs::Stat;

use crate::destination::is_directory;
use crate::reason::Reason;
use crate::{Existing, Options};

/// What happens to a directory of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirectoryPolicy {
    /// The target has it: its entries go into it.
    Fill,
    /// The target has something else by its name, which it replaces.
    Replace,
    /// The target has nothing by its name.
    Make,
}

impl DirectoryPolicy {
    /// Decides about a directory in one that the target has.
    ///
    /// # Errors
    /// Why it cannot be restored: it is a mount point or subvolume of the target, or must not replace what is
    /// there.
    pub(crate) fn decide(
        found: Option<&Stat>,
        is_boundary: impl FnOnce(&Stat) -> io::Result<bool>,
        options: &Options,
    ) -> Result<Self, Reason> {
        match found {
            None => Ok(Self::Make),
            // Nothing can be moved to another file system, nor to another mount of the same.
            Some(stat) if is_directory(stat) => {
                if is_boundary(stat)? {
                    Err(Reason::Mounted)
                } else {
                    Ok(Self::Fill)
                }
            }
            Some(_) if options.existing == Existing::Error => Err(Reason::Exists),
            Some(_) => Ok(Self::Replace),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::stat;

    use super::*;

    #[test]
    fn only_what_is_no_directory_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), b"").unwrap();
        let (directory, file) = (stat(place.path()).unwrap(), stat(place.path().join("file")).unwrap());
        let decide = |found, boundary, existing| {
            let options = Options { existing, ..Options::default() };
            DirectoryPolicy::decide(found, |_| boundary, &options).map_err(|reason| reason.to_string())
        };
        assert_eq!(decide(None, Ok(true), Existing::Error), Ok(DirectoryPolicy::Make));
        assert_eq!(decide(Some(&directory), Ok(false), Existing::Error), Ok(DirectoryPolicy::Fill));
        assert!(
            decide(Some(&directory), Ok(true), Existing::Verify).unwrap_err().contains("another file system")
        );
        assert!(decide(Some(&directory), Err(rustix::io::Errno::IO.into()), Existing::Verify).is_err());
        assert_eq!(decide(Some(&file), Ok(true), Existing::Verify), Ok(DirectoryPolicy::Replace));
        assert_eq!(decide(Some(&file), Ok(false), Existing::Error).unwrap_err(), Reason::Exists.to_string());
    }
}
