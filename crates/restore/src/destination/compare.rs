//! Compares a file that is there already with the contents that it should have.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use kopia_repository::Repository;
use kopia_repository::object::Extent;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::path::Arg;

use super::FILE;

/// The longest content that is compared: more than kopia's longest piece. A longer one is restored without
/// being compared.
const LONGEST: u64 = 64 << 20;

/// Reads where a piece belongs and says whether it is there; its bytes are in `bytes` then.
pub(crate) fn is_right(
    repository: &Repository,
    file: BorrowedFd<'_>,
    extent: &Extent,
    bytes: &mut Vec<u8>,
) -> bool {
    // What an object names by its compressed bytes cannot be compared.
    let Some(length) = extent.length.filter(|&length| length <= LONGEST && !extent.compressed) else {
        return false;
    };
    bytes.resize(length as usize, 0);
    read_exact(file, bytes, extent.start).is_ok() && repository.contents().matches(&extent.content, bytes)
}

/// Returns whether a link has the target that it should have.
pub(crate) fn link_is_right(
    repository: &Repository,
    directory: BorrowedFd<'_>,
    name: &[u8],
    extent: &Extent,
) -> io::Result<bool> {
    let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
    Ok(repository.contents().matches(&extent.content, target.to_bytes()))
}

/// Opens a file that was there before. Fails unless it is a regular file with a single hard link.
pub(crate) fn open_file(
    directory: BorrowedFd<'_>,
    name: impl Arg,
    access: OFlags,
) -> io::Result<(OwnedFd, Stat)> {
    let file = rustix::fs::openat(directory, name, access.union(FILE), Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok((file, stat))
}

/// Returns the size of a file in bytes.
pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// Fills memory from an offset of a file.
pub(crate) fn read_exact(file: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    match read_up_to(file, bytes, offset)? {
        count if count == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Fills memory from an offset of a file, as far as that goes; returns how many bytes were read.
pub(crate) fn read_up_to(file: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(file, rest, offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use kopia_codec::key::Password;
    use kopia_repository::object::Extents;
    use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_regular_file_of_one_name_is_opened() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["file", "linked"] {
            fs::write(at(name), b"four").unwrap();
        }
        fs::hard_link(at("linked"), at("other name")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        symlink("file", at("symlink")).unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        rustix::fs::mknodat(&directory, "pipe", FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let (file, stat) = open_file(directory.as_fd(), "file", OFlags::RDWR).unwrap();
        assert_eq!((size(&stat), rustix::io::pwrite(&file, b"4", 0)), (4, Ok(1)));
        for name in ["symlink", "linked", "other name", "directory", "pipe"] {
            assert!(open_file(directory.as_fd(), name, OFlags::RDONLY).is_err(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_not_right() {
        let place = tempfile::tempdir().unwrap();
        let mut writer = RepositoryWriter::new();
        let object = writer.file(b"right");
        let root = writer.directory(&[]);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
        writer.finish_in(&place.path().join("repository")).unwrap();
        let store = kopia_storage::FilesystemStore::open(place.path().join("repository")).unwrap();
        let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
        let extent = Extents::new(&repository, object.parse().unwrap()).next().unwrap().unwrap();
        fs::write(place.path().join("file"), b"right").unwrap();
        let file = fs::File::open(place.path().join("file")).unwrap();
        let is_right = |extent| is_right(&repository, file.as_fd(), &extent, &mut Vec::new());
        assert!(is_right(extent));
        assert!(!is_right(Extent { start: 1, ..extent }) && !is_right(Extent { length: None, ..extent }));
        assert!(!is_right(Extent { compressed: true, ..extent }), "its hash is of other bytes");
        // A list says what it likes: no memory is taken for that.
        assert!(!is_right(Extent { length: Some(u64::MAX), ..extent }));
    }

    #[test]
    fn a_file_that_ends_early_is_not_read_as_what_was_read_before() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, b"abc").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let mut bytes = *b"abcabc";
        assert!(read_exact(file.as_fd(), &mut bytes, 0).is_err());
        assert!(read_exact(file.as_fd(), &mut bytes[..3], 3).is_err());
        read_exact(file.as_fd(), &mut bytes[..2], 1).unwrap();
        assert_eq!(&bytes[..2], b"bc");
    }
}
