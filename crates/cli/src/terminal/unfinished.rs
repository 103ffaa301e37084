//! A file that is written under a name of its own, and gets the one that it is to have once it is whole.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::output::check_close;

/// A new file; it is removed where it did not get its name.
///
/// What a killed process left stays: it cannot be told from what another one is writing at this moment. Numbers
/// of processes are the same in many containers, and locks are not known to every machine that has a folder of the
/// network. So the name is random, and nothing is removed, or given another name, that is not this file.
#[derive(Debug)]
pub(crate) struct Unfinished {
    file: File,
    name: OwnName,
}

/// The name of an unfinished file, as long as it is that file's.
#[derive(Debug, Clone)]
pub(crate) struct OwnName {
    path: PathBuf,
    /// The device and the inode. The inode is not given to another file while this one is open.
    identity: (u64, u64),
}

impl Unfinished {
    /// Makes a file in a folder; its name begins with `prefix`.
    pub(crate) fn create(directory: &Path, prefix: &str, mode: u32) -> io::Result<Self> {
        // The standard library seeds its hashers at random.
        let random = RandomState::new().build_hasher().finish();
        let path = directory.join(format!("{prefix}{random:016x}"));
        let file = File::options().write(true).create_new(true).mode(mode).open(&path)?;
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { file, name: OwnName { path, identity } })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    #[cfg(feature = "export")]
    pub(crate) fn name(&self) -> &OwnName {
        &self.name
    }

    /// Gives the file its name. It is forced to disk first: some file systems say only then, or where it is
    /// closed, that they have no room.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::AlreadyExists`] if something has that name and is not to be
    /// replaced.
    pub(crate) fn finish(&self, path: &Path, overwrite: bool) -> io::Result<()> {
        self.file.sync_all()?;
        check_close(&self.file)?;
        if !self.name.is_own()? {
            return Err(io::Error::other("another program removed or replaced the unfinished file"));
        }
        let own = &self.name.path;
        if overwrite {
            return fs::rename(own, path);
        }
        match rustix::fs::renameat_with(CWD, own, CWD, path, RenameFlags::NOREPLACE) {
            // The file system does not know how.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match path.symlink_metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(own, path),
                Err(error) => Err(error),
                Ok(_) => Err(Errno::EXIST.into()),
            },
            renamed => Ok(renamed?),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.name.remove();
    }
}

impl OwnName {
    /// Returns whether it is still the name of the file that it was made for.
    fn is_own(&self) -> io::Result<bool> {
        match self.path.symlink_metadata() {
            Ok(metadata) => Ok((metadata.dev(), metadata.ino()) == self.identity),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the file, if it has not got the name that it is to have.
    pub(crate) fn remove(&self) {
        if matches!(self.is_own(), Ok(true)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn unfinished(folder: &Path, bytes: &[u8]) -> Unfinished {
        let unfinished = Unfinished::create(folder, ".x-", 0o600).unwrap();
        unfinished.file().write_all(bytes).unwrap();
        unfinished
    }

    #[test]
    fn two_of_one_process_number_keep_out_of_each_others_way() {
        let place = tempfile::tempdir().unwrap();
        let [one, other] = [&b"one"[..], b"other"].map(|bytes| unfinished(place.path(), bytes));
        let [first, second] = ["first", "second"].map(|name| place.path().join(name));
        one.finish(&first, false).unwrap();
        let taken = other.finish(&first, false).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        other.finish(&second, false).unwrap();
        drop([one, other]);
        assert_eq!([&first, &second].map(|path| fs::read(path).unwrap()), [&b"one"[..], b"other"]);
        unfinished(place.path(), b"new").finish(&first, true).unwrap();
        drop(unfinished(place.path(), b"never finished"));
        assert_eq!(fs::read(&first).unwrap(), b"new");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_took_its_place_is_neither_removed_nor_renamed() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        for overwrite in [false, true] {
            let own = unfinished(place.path(), b"own");
            let name = own.name.path.clone();
            fs::remove_file(&name).unwrap();
            own.finish(&target, overwrite).unwrap_err();
            fs::write(&name, "another's").unwrap();
            own.finish(&target, overwrite).unwrap_err();
            own.name.remove();
            drop(own);
            assert_eq!(fs::read(&name).unwrap(), b"another's");
            assert!(!target.exists());
        }
    }
}
