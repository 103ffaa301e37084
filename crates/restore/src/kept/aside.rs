//! Moves entries without ever replacing one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, Mode, RenameFlags};
use rustix::io::Errno;

use super::ASIDE;
use crate::destination::{DIRECTORY, is_directory, look, open_to_change};

/// How many names are tried for what is put aside.
const TRIES: u32 = 1000;

/// Moves an entry to a name that nothing has.
///
/// A directory that its owner may not write in is opened up for that, and stays so.
///
/// # Errors
/// What the system says, EEXIST if something has the name.
pub(super) fn move_entry(
    from: BorrowedFd<'_>,
    name: &[u8],
    to: BorrowedFd<'_>,
    new: &[u8],
) -> io::Result<()> {
    match rename_new(from, name, to, new) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // It is changed itself, as `..` in it leads elsewhere then.
            let stat = look(from, name)?.filter(is_directory).ok_or(error)?;
            let opened = open_to_change(from, name)?;
            rename_new(from, name, to, new).inspect_err(|_| {
                let _ = rustix::fs::fchmod(&opened, Mode::from_raw_mode(stat.st_mode & 0o7777));
            })
        }
        moved => moved,
    }
}

fn rename_new(from: BorrowedFd<'_>, name: &[u8], to: BorrowedFd<'_>, new: &[u8]) -> io::Result<()> {
    match rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
        // Old file systems cannot refuse to replace.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match look(to, new)? {
            Some(_) => Err(Errno::EXIST.into()),
            None => Ok(rustix::fs::renameat(from, name, to, new)?),
        },
        moved => Ok(moved?),
    }
}

/// Where things are put aside, by their paths.
pub(super) struct Aside<'a> {
    /// The folder that has the directory for them.
    folder: BorrowedFd<'a>,
    /// How many there are.
    pub(super) count: u64,
    /// The first paths.
    pub(super) paths: Vec<String>,
}

impl<'a> Aside<'a> {
    /// How many paths are kept in mind.
    const NAMED: usize = 100;

    pub(super) fn new(folder: BorrowedFd<'a>) -> Self {
        Self { folder, count: 0, paths: Vec::new() }
    }

    /// Puts an entry aside, whose path below the target is `path`.
    pub(super) fn put(&mut self, parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> io::Result<()> {
        let mut directory = make(self.folder, ASIDE.as_bytes())?;
        let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let last = names.pop().unwrap_or_default();
        for name in names {
            directory = make(directory.as_fd(), name)?;
        }
        for number in 0..TRIES {
            let new =
                if number == 0 { last.to_vec() } else { [last, format!(".{number}").as_bytes()].concat() };
            match move_entry(parent, name, directory.as_fd(), &new) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                moved => {
                    moved?;
                    self.count += 1;
                    if self.paths.len() < Self::NAMED {
                        self.paths.push(String::from_utf8_lossy(path).into_owned());
                    }
                    return Ok(());
                }
            }
        }
        Err(Errno::EXIST.into())
    }
}

/// Opens a directory, and makes it if there is none; a name that something else has gets a number.
fn make(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    for number in 0..TRIES {
        let new = if number == 0 { name.to_vec() } else { [name, format!(".{number}").as_bytes()].concat() };
        match rustix::fs::mkdirat(parent, &*new, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        if let Some(stat) = look(parent, &*new)?
            && is_directory(&stat)
        {
            return open_to_change(parent, &new);
        }
    }
    Err(Errno::EXIST.into())
}

/// Returns whether a directory has nothing in it.
pub(crate) fn is_empty(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<bool> {
    for entry in Dir::read_from(rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing::without_capabilities;

    #[test]
    fn a_directory_that_is_opened_up_and_cannot_be_moved_gets_its_mode_back() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["from/closed", "to"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        let set = |name: &str, mode| fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
        let [from, to] = ["from", "to"].map(|name| File::open(at(name)).unwrap());
        let moves =
            || without_capabilities(|| move_entry(from.as_fd(), b"closed", to.as_fd(), b"moved here"));
        // Nothing may be taken out of the one that it lies in, either.
        set("from/closed", 0o555);
        set("from", 0o555);
        assert_eq!(moves().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(mode("from/closed"), 0o555);
        set("from", 0o755);
        moves().unwrap();
        assert_eq!(mode("to/moved here"), 0o755);
    }

    #[test]
    fn what_has_the_path_of_something_that_lies_aside_gets_a_number() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        let mut aside = Aside::new(folder.as_fd());
        let mut put = |path: &[u8]| aside.put(folder.as_fd(), b"file", path);
        for text in ["first", "second"] {
            fs::write(place.path().join("file"), text).unwrap();
            put(b"deep/file").unwrap();
        }
        // Nothing else is tried again.
        assert_eq!(put(b"deep/gone").unwrap_err().kind(), io::ErrorKind::NotFound);
        let read = |name: &str| fs::read_to_string(place.path().join(ASIDE).join("deep").join(name)).unwrap();
        assert_eq!(["file", "file.1"].map(read), ["first", "second"]);
        assert_eq!((aside.count, &aside.paths[..]), (2, &["deep/file", "deep/file"].map(String::from)[..]));
    }
}
