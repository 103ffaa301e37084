//! What is mounted, until it is unmounted.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use crate::lock::lock;
use crate::mounts::device_at;
use crate::shared::Shared;
use crate::{Error, Result};

/// The helpers that mount for ordinary users: of fuse3, and of its predecessor.
pub(crate) const HELPERS: [&str; 2] = ["fusermount3", "fusermount"];

/// Something that is mounted. It is detached when this is dropped.
pub struct Mounted {
    pub(crate) point: PathBuf,
    /// The number of its device, so that nothing else is unmounted that lies at the same place.
    pub(crate) device: Option<Vec<u8>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) ended: Arc<Ended>,
}

/// Whether the mount has ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    has: Mutex<bool>,
    changed: Condvar,
}

/// Tells that the mount has ended, even should a thread have panicked.
pub(crate) struct End(pub(crate) Arc<Ended>);

impl Drop for End {
    fn drop(&mut self) {
        *lock(&self.0.has) = true;
        self.0.changed.notify_all();
    }
}

impl Mounted {
    /// Returns where it is mounted, without links.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Returns for how long nothing was asked for. What the kernel answers by itself does not count, such as
    /// reads of what is in the page cache.
    pub fn idle(&self) -> Duration {
        self.shared.idle()
    }

    /// Waits until it is mounted no more, but not longer than this; returns whether that is so.
    pub fn wait(&self, longest: Duration) -> bool {
        let ended = lock(&self.ended.has);
        let waited = self.ended.changed.wait_timeout_while(ended, longest, |ended| !*ended);
        let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *ended
    }

    /// Unmounts it unless it is in use: a file is open, or some process is in a folder there. Returns whether it
    /// is unmounted.
    ///
    /// # Errors
    /// That the system refuses.
    pub fn unmount(&self) -> Result<bool> {
        if !self.is_there() {
            return Ok(true);
        }
        match umount2(&self.point, MntFlags::empty()) {
            Ok(()) | Err(Errno::EINVAL) => Ok(true),
            Err(Errno::EBUSY) => Ok(false),
            Err(Errno::EPERM) => self.by_helper(&[]),
            Err(error) => Err(self.refused(&io::Error::from(error).to_string())),
        }
    }

    /// Takes it out of the file system at once. What is in use can be read as long as this process lives.
    ///
    /// # Errors
    /// That the system refuses.
    pub fn detach(&self) -> Result<()> {
        if !self.is_there() {
            return Ok(());
        }
        match umount2(&self.point, MntFlags::MNT_DETACH) {
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(Errno::EPERM) => self.by_helper(&["-z"]).map(drop),
            Err(error) => Err(self.refused(&io::Error::from(error).to_string())),
        }
    }

    /// Returns whether it is what is mounted there now; where the kernel does not say, it is taken to be.
    fn is_there(&self) -> bool {
        !self.wait(Duration::ZERO) && (self.device.is_none() || device_at(&self.point) == self.device)
    }

    /// Has the helper unmount it, which may do that for ordinary users; returns whether it is not in use.
    fn by_helper(&self, options: &[&str]) -> Result<bool> {
        let run =
            |name: &&str| Command::new(name).arg("-u").args(options).arg("--").arg(&self.point).output().ok();
        let Some(Output { status, stderr, .. }) = HELPERS.iter().find_map(run) else {
            return Err(Error::NoHelper);
        };
        let said = String::from_utf8_lossy(&stderr);
        if status.success() || !self.is_there() {
            return Ok(true);
        }
        if said.contains("busy") { Ok(false) } else { Err(self.refused(said.trim())) }
    }

    fn refused(&self, why: &str) -> Error {
        Error::Refused { point: self.point.clone(), why: why.to_owned() }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Who wants to know calls it.
        let _ = self.detach();
    }
}

impl std::fmt::Debug for Mounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mounted").field("point", &self.point).finish_non_exhaustive()
    }
}
