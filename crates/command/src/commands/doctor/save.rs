//! Saves what was found, in a new file outside the repository.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::is_outside;
use rustix::fs::{Mode, OFlags};

use crate::error::Failure;
use crate::terminal::replace;

/// Writes bytes to a new file. Nothing is ever written to a repository, so the file may not lie in its
/// directory.
pub(super) fn save(path: &Path, bytes: &[u8], repository: Option<&Path>) -> Result<(), Failure> {
    let what = format!("{} cannot be written", path.display());
    let refused = |why: &str| Failure::failed(format!("{what}: {why}")).with_class(Class::Usage);
    let failed = |error: io::Error| Failure::system(&what, &error);
    let name = path.file_name().ok_or_else(|| refused("it names no file"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(replace::directory(path), flags, Mode::empty());
    let directory = directory.map_err(|errno| failed(errno.into()))?;
    // The directory is open, so what is checked is what is written to.
    let place = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
    let opened = fs::canonicalize(&place).map_err(failed)?;
    let is_outside = repository.map_or(Ok(true), |repository| is_outside(&opened, repository));
    if !is_outside.map_err(failed)? {
        return Err(refused("it would lie in the repository"));
    }
    // An existing name is never followed or replaced, and nothing gets a name that is not whole: the next run
    // would find that it exists.
    replace::create(&place.join(name), bytes, 0o600).map_err(failed)
}
