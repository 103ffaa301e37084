//! A file that is written without a name, or under one of its own, and gets the one that it is to have once it is
//! whole.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, RenameFlags};
use rustix::io::Errno;

use super::output::check_close;

/// A new file; it is gone where it did not get its name.
///
/// Most local file systems have files without a name, of which a killed process leaves nothing. Elsewhere what it
/// left stays: it cannot be told from what another one is writing at this moment. Numbers of
/// processes are the same in many containers, and locks are not known to every machine that has a folder of the
/// network. So the name is random, and nothing is removed, or given another name, that is not this file.
#[derive(Debug)]
pub(crate) struct Unfinished {
    file: File,
    name: OwnName,
    /// Whether it has that name from the beginning. If not, it is only the one under which it replaces another.
    is_named: bool,
}

/// The name of an unfinished file, as long as it is that file's.
#[derive(Debug, Clone)]
pub(crate) struct OwnName {
    path: PathBuf,
    /// The device and the inode. The inode is not given to another file while this one is open.
    identity: (u64, u64),
}

impl Unfinished {
    /// Makes a file in a folder; if it needs a name, that begins with `prefix`.
    pub(crate) fn create(directory: &Path, prefix: &str, mode: u32) -> io::Result<Self> {
        match unnamed(directory, prefix, mode) {
            Some(file) => Self::of(file, random_name(directory, prefix), false),
            None => Self::named(directory, prefix, mode),
        }
    }

    fn named(directory: &Path, prefix: &str, mode: u32) -> io::Result<Self> {
        let path = random_name(directory, prefix);
        let file = File::options().write(true).create_new(true).mode(mode).open(&path)?;
        Self::of(file, path, true)
    }

    fn of(file: File, path: PathBuf, is_named: bool) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { file, name: OwnName { path, identity }, is_named })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    #[cfg(feature = "export")]
    pub(crate) fn name(&self) -> &OwnName {
        &self.name
    }

    /// Forces the file to disk, and gives it its name.
    ///
    /// # Errors
    /// As [`Self::give_name`].
    pub(crate) fn finish(&self, path: &Path, overwrite: bool) -> io::Result<()> {
        self.file.sync_all()?;
        self.give_name(path, overwrite)
    }

    /// Gives the file its name. Some file systems say only where it is closed that they have no room, and others
    /// only where it is forced to disk.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::AlreadyExists`] if something has that name and is not to be
    /// replaced.
    pub(crate) fn give_name(&self, path: &Path, overwrite: bool) -> io::Result<()> {
        check_close(&self.file)?;
        if !self.is_named {
            match link(&self.file, path) {
                // A name can be given, but not replaced: it is renamed, as any other file.
                Err(error) if overwrite && error.kind() == io::ErrorKind::AlreadyExists => {
                    link(&self.file, &self.name.path)?;
                }
                linked => return linked,
            }
        }
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

/// Makes a file without a name in a folder, if it can get one later.
#[cfg(target_os = "linux")]
fn unnamed(directory: &Path, prefix: &str, mode: u32) -> Option<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let make = || openat(CWD, directory, flags, Mode::from(mode)).ok().map(File::from);
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    let umask = u32::from_str_radix(umask.trim(), 8).ok()?;
    // Some systems have such files, but give them no name, or show them as others by it; that would be known only
    // once all is written.
    let probe = Unfinished::of(make()?, random_name(directory, prefix), false).ok()?;
    link(&probe.file, &probe.name.path).ok()?;
    let is_shown = probe.name.is_own().unwrap_or(false);
    fs::remove_file(&probe.name.path).ok().filter(|()| is_shown)?;
    // Before Linux 5.19, some file systems forget the umask here.
    make().filter(|file| file.metadata().is_ok_and(|metadata| metadata.mode() & umask == 0))
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path, _: &str, _: u32) -> Option<File> {
    None
}

/// Gives a name to a file that has none.
fn link(file: &File, name: &Path) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, own, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

fn random_name(directory: &Path, prefix: &str) -> PathBuf {
    // The standard library seeds its hashers at random.
    let random = RandomState::new().build_hasher().finish();
    directory.join(format!("{prefix}{random:016x}"))
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

    type Create = fn(&Path, &str, u32) -> io::Result<Unfinished>;

    fn unfinished(create: Create, folder: &Path, bytes: &[u8]) -> Unfinished {
        let unfinished = create(folder, ".x-", 0o600).unwrap();
        unfinished.file().write_all(bytes).unwrap();
        unfinished
    }

    #[test]
    fn two_of_one_process_number_keep_out_of_each_others_way() {
        for create in [Unfinished::create as Create, Unfinished::named] {
            let place = tempfile::tempdir().unwrap();
            let make = |bytes: &[u8]| unfinished(create, place.path(), bytes);
            let [one, other] = [&b"one"[..], b"other"].map(make);
            let [first, second] = ["first", "second"].map(|name| place.path().join(name));
            one.finish(&first, false).unwrap();
            let taken = other.finish(&first, false).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
            other.finish(&second, false).unwrap();
            drop([one, other]);
            assert_eq!([&first, &second].map(|path| fs::read(path).unwrap()), [&b"one"[..], b"other"]);
            make(b"new").finish(&first, true).unwrap();
            drop(make(b"never finished"));
            let folder = place.path().join("folder");
            fs::create_dir(&folder).unwrap();
            make(b"in the way").finish(&folder, true).unwrap_err();
            assert_eq!(fs::read(&first).unwrap(), b"new");
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3);
        }
    }

    #[test]
    fn with_and_without_a_name_its_mode_is_as_the_umask_says() {
        let place = tempfile::tempdir().unwrap();
        let plain = File::create(place.path().join("plain")).unwrap().metadata().unwrap().mode();
        for create in [Unfinished::create as Create, Unfinished::named] {
            let unfinished = create(place.path(), ".x-", 0o666).unwrap();
            assert_eq!(unfinished.file().metadata().unwrap().mode(), plain);
        }
    }

    #[test]
    fn what_took_its_place_is_neither_removed_nor_renamed() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        for overwrite in [false, true] {
            let own = unfinished(Unfinished::named, place.path(), b"own");
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
