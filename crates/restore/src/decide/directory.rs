//! What happens to a directory, from what the target has by its name.

use std::io;

use kopia_format::Timestamp;
use rustix::fs::Stat;

use crate::destination::is_directory;
use crate::destination::metadata::is_newer;
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
    /// Decides about a directory of this modification time, in one that the target has.
    ///
    /// # Errors
    /// Why it cannot be restored: it is a mount point or subvolume of the target, or must not replace what is
    /// there.
    pub(crate) fn decide(
        found: Option<&Stat>,
        modified: Timestamp,
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
            Some(stat) if options.newer && !is_newer(modified, stat) => Err(Reason::NotNewer),
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
            let decided = DirectoryPolicy::decide(found, Timestamp::default(), |_| boundary, &options);
            decided.map_err(|reason| reason.to_string())
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
    #[test]
    fn a_file_that_is_as_new_is_no_folders_to_replace() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), b"").unwrap();
        let file = stat(place.path().join("file")).unwrap();
        let options = Options { newer: true, ..Options::default() };
        let decide = |seconds: i64| {
            let modified = Timestamp::new(file.st_mtime + seconds, file.st_mtime_nsec as u32).unwrap();
            DirectoryPolicy::decide(Some(&file), modified, |_| Ok(false), &options)
        };
        assert!(matches!(decide(0), Err(Reason::NotNewer)) && matches!(decide(-1), Err(Reason::NotNewer)));
        assert_eq!(decide(1).unwrap(), DirectoryPolicy::Replace);
    }
}
