//! Names for files of which pieces are lost.
//!
//! They get theirs when all others of the directory have it, so that nothing that is whole is in their way or
//! they in its.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::directory::{Directory, Partial};
use super::look;
use crate::outcome::Salvaged;
use crate::tally::Tally;

/// What temporary names begin with.
const PREFIX: &str = ".kopia-rs-partial-";

/// The longest name that file systems take, in bytes.
const LONGEST: usize = 255;

/// Returns the name that such a file has at first.
///
/// It keeps that if no better one is to be had: made from its path, so that the next restore of it replaces
/// it.
pub(crate) fn temporary(path: &str) -> String {
    // FNV-1a: it only has to tell files of one directory apart, and to be the same tomorrow.
    let hash =
        path.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{PREFIX}{hash:08x}")
}

/// Returns whether a name is one that [`temporary`] makes.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

/// Names what is left in a directory of files of which pieces are lost, and reports each.
pub(crate) fn name_all(handle: BorrowedFd<'_>, directory: &Arc<Directory>, tally: &Tally<'_>) {
    for partial in directory.take_partial() {
        let Partial { name, temporary, reason, lost } = partial;
        let path = directory.path_of(&name);
        let wanted = format!("{name}.partial");
        let salvaged = match rename(handle, &temporary, &wanted) {
            Ok(()) => Some(wanted),
            Err(_) if look(handle, &*temporary).is_ok_and(|stat| stat.is_some()) => Some(temporary),
            // Somebody else took it away.
            Err(_) => None,
        };
        let salvaged = salvaged.map(|name| Salvaged { path: directory.path_of(&name), lost });
        tally.salvaged(path, reason, salvaged);
    }
}

/// Gives a file another name, unless that is taken or too long.
fn rename(directory: BorrowedFd<'_>, from: &str, to: &str) -> rustix::io::Result<()> {
    if to.len() > LONGEST {
        return Err(Errno::NAMETOOLONG);
    }
    match rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
        // Old file systems cannot refuse to replace.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match look(directory, to) {
            Ok(None) => rustix::fs::renameat(directory, from, directory, to),
            _ => Err(Errno::EXIST),
        },
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use kopia_testkit::refuse::{Call, refusing};

    use super::*;

    #[test]
    fn a_temporary_name_has_the_hash_of_its_path() {
        // Vectors of FNV-1a, 32 bits.
        for (path, hash) in [("", "811c9dc5"), ("a", "e40c292c"), ("foobar", "bf9cf968")] {
            assert_eq!(temporary(path), format!(".kopia-rs-partial-{hash}"), "{path}");
            assert!(is_temporary(temporary(path).as_bytes()));
        }
        assert!(!is_temporary(b"a.partial"));
    }

    #[test]
    fn a_name_that_is_taken_stays_so_on_old_file_systems_too() {
        let place = tempfile::tempdir().unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        for errno in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP] {
            for name in ["file", "taken"] {
                fs::write(place.path().join(name), name).unwrap();
            }
            let rename = |to: &str| rename(directory.as_fd(), "file", to);
            let ran = refusing(&[(Call::RenameIf, Some(errno))], || [rename("taken"), rename("free")]);
            let Some(renamed) = ran else { return };
            assert_eq!(renamed, [Err(Errno::EXIST), Ok(())], "{errno}");
            let read = |name: &str| fs::read(place.path().join(name)).unwrap();
            assert_eq!((read("taken"), read("free")), (b"taken".to_vec(), b"file".to_vec()));
            fs::remove_file(place.path().join("free")).unwrap();
        }
    }
}
