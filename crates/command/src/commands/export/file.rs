//! Where an archive goes: a file that gets its name once it is whole, or a stream.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::is_outside;

use crate::error::Failure;
use crate::terminal::output::{check_close, count, log_last};
use crate::terminal::replace::directory;
use crate::terminal::signals::{self, Interrupt};
use crate::terminal::unfinished::{OwnName, Unfinished};

/// How the name of an unfinished archive begins.
const UNFINISHED: &str = ".kopia-rs-export-";

/// Where an archive goes.
pub(super) enum Destination {
    /// Standard output, a pipe, a device.
    Stream(File),
    /// A file beside the one that it becomes.
    File { unfinished: Unfinished, path: PathBuf, overwrite: bool },
}

/// Refuses a file that may not be written, before anything is read for it.
pub(super) fn refuse(file: Option<&Path>, overwrite: bool, repository: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let refuse = |error: io::Error| Failure::system(file.display(), &error);
    let parent = directory(file).canonicalize().map_err(refuse)?;
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

/// Says what other exports left where a file goes, of which nothing is removed: whether they were killed, or still
/// write, is not known.
pub(super) fn leftovers(file: &Path) -> Option<String> {
    let directory = directory(file);
    let entries = fs::read_dir(&directory).ok().filter(|_| !is_stream(file))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let left = names.filter(|name| name.as_bytes().starts_with(UNFINISHED.as_bytes())).count();
    let files = count(left as u64, "unfinished archive", "unfinished archives");
    (left > 0).then(|| {
        format!("{} has {files} ({UNFINISHED}…); delete what no export writes any more", directory.display())
    })
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
        let unfinished = Unfinished::create(&directory(path), UNFINISHED, 0o666).map_err(failed)?;
        Ok(Self::File { unfinished, path: path.into(), overwrite })
    }

    pub(super) fn writer(&self) -> &File {
        match self {
            Self::Stream(file) => file,
            Self::File { unfinished, .. } => unfinished.file(),
        }
    }

    /// Has the unfinished file removed also where a signal ends the process at once.
    pub(super) fn remove_at_a_signal(&self, interrupt: &Interrupt) {
        let own = match self {
            Self::Stream(_) => None,
            Self::File { unfinished, .. } => Some(unfinished.name().clone()),
        };
        let left = self.left_behind();
        interrupt.say_at_the_end(move |signal, _| {
            own.iter().for_each(OwnName::remove);
            log_last(format_args!("error: stopped by {}; {left}", signals::name(signal)));
        });
    }

    /// Says what there is of the archive if it does not come to its end.
    pub(super) fn left_behind(&self) -> &'static str {
        match self {
            Self::Stream(_) => "the archive is not whole",
            Self::File { .. } => "nothing was written",
        }
    }

    /// Makes the failure of what the system said while the archive was written.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        match self {
            Self::Stream(_) => Failure::output(io::Error::new(error.kind(), error.to_string())),
            Self::File { path, .. } => Failure::system(path.display(), error),
        }
    }

    /// Gives the file its name.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        match self {
            Self::Stream(stream) => check_close(stream).map_err(|error| self.failure(&error)),
            Self::File { unfinished, path, overwrite } => {
                unfinished.finish(path, *overwrite).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists if !overwrite => exists(path),
                    _ => self.failure(&error),
                })
            }
        }
    }
}
