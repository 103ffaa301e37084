//! Where an archive goes: a file that gets its name once it is whole, or a stream.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::is_outside;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::error::Failure;
use crate::terminal::output::{check_close, log_last};
use crate::terminal::signals::{self, Interrupt};

/// Where an archive goes.
pub(super) enum Destination {
    /// Standard output, a pipe, a device.
    Stream(File),
    File(Unfinished),
}

/// A file under a name of its own, beside the one that it is to have; removed unless it gets that.
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
    temporary: PathBuf,
    overwrite: bool,
    is_finished: Cell<bool>,
}

/// Refuses a file that may not be written, before anything is read for it.
pub(super) fn refuse(file: Option<&Path>, overwrite: bool, repository: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let refuse = |error: io::Error| Failure::system(file.display(), &error);
    let parent = parent(file).canonicalize().map_err(refuse)?;
    if let Some(repository) = repository
        && !is_outside(&parent, repository).map_err(refuse)?
    {
        return Err(Failure::failed(format!("{} would lie in the repository", file.display()))
            .with_class(Class::Usage));
    }
    if is_stream(file) {
        return Ok(());
    }
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refuse(error)),
        Ok(metadata) if metadata.is_file() && overwrite => Ok(()),
        Ok(metadata) if metadata.is_file() => Err(exists(file)),
        Ok(metadata) if metadata.is_dir() => Err(Failure::failed(format!("{} is a folder", file.display()))
            .with_class(Class::Usage)
            .hint("name a file in it")),
        Ok(_) => Err(Failure::failed(format!(
            "{} is a link, which is not followed: give the file itself",
            file.display()
        ))
        .with_class(Class::Usage)),
    }
}

fn exists(file: &Path) -> Failure {
    Failure::failed(format!("{} exists already", file.display()))
        .with_class(Class::Usage)
        .hint("--overwrite replaces it")
}

fn parent(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns whether it is there and no regular file: a pipe, or a device.
fn is_stream(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_block_device()
    })
}

impl Destination {
    /// Opens a stream, or begins with a file.
    pub(super) fn create(path: &Path, overwrite: bool) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::system(path.display(), &error);
        if is_stream(path) {
            return File::options().write(true).open(path).map(Self::Stream).map_err(failed);
        }
        let temporary = parent(path).join(format!(".kopia-rs-export-{}", std::process::id()));
        let open = || File::options().write(true).create_new(true).open(&temporary);
        let opened = open().or_else(|error| match error.kind() {
            // An earlier process of this number was killed.
            io::ErrorKind::AlreadyExists => fs::remove_file(&temporary).and_then(|()| open()),
            _ => Err(error),
        });
        let file = opened.map_err(failed)?;
        let path = path.into();
        Ok(Self::File(Unfinished { file, path, temporary, overwrite, is_finished: Cell::new(false) }))
    }

    pub(super) fn writer(&self) -> &File {
        match self {
            Self::Stream(file) | Self::File(Unfinished { file, .. }) => file,
        }
    }

    /// Has the unfinished file removed also where a signal ends the process at once.
    pub(super) fn remove_at_a_signal(&self, interrupt: &Interrupt) {
        let temporary = match self {
            Self::Stream(_) => None,
            Self::File(file) => Some(file.temporary.clone()),
        };
        let left = self.left_behind();
        interrupt.say_at_the_end(move |signal, _| {
            temporary.iter().for_each(|temporary| drop(fs::remove_file(temporary)));
            log_last(format_args!("error: stopped by {}; {left}", signals::name(signal)));
        });
    }

    /// Says what there is of the archive if it does not come to its end.
    pub(super) fn left_behind(&self) -> &'static str {
        match self {
            Self::Stream(_) => "the archive is not whole",
            Self::File(_) => "nothing was written",
        }
    }

    /// Makes the failure of what the system said while the archive was written.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        match self {
            Self::Stream(_) => Failure::output(io::Error::new(error.kind(), error.to_string())),
            Self::File(file) => Failure::system(file.path.display(), error),
        }
    }

    /// Gives the file its name. It is forced to disk first: some file systems say only then, or where it is
    /// closed, that they have no room.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let file = match self {
            Self::Stream(stream) => return check_close(stream).map_err(|error| self.failure(&error)),
            Self::File(file) => file,
        };
        let whole = file.file.sync_all().and_then(|()| check_close(&file.file));
        whole.map_err(|error| self.failure(&error))?;
        let flags = if file.overwrite { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        let renamed = match rustix::fs::renameat_with(CWD, &file.temporary, CWD, &file.path, flags) {
            // The file system does not know how.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !file.path.exists() => {
                rustix::fs::rename(&file.temporary, &file.path)
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(Errno::EXIST),
            renamed => renamed,
        };
        match renamed {
            Ok(()) => {
                file.is_finished.set(true);
                Ok(())
            }
            Err(Errno::EXIST) if !file.overwrite => Err(exists(&file.path)),
            Err(errno) => Err(self.failure(&errno.into())),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished.get() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
