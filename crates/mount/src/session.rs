//! From mounting to unmounting.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fuser::{Config, FileType, INodeNo, MountOption, Session, SessionACL};
use kopia_repository::Repository;
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use crate::attributes;
use crate::filesystem::SnapshotFs;
use crate::folder::{Folder, Item};
use crate::lock::lock;
use crate::mounts::device_at;
use crate::problem::Tell;
use crate::shared::Shared;
use crate::{Error, Options, Result};

const DEVICE: &str = "/dev/fuse";

/// What is mounted, as lists of mounts show it.
const NAME: &str = "kopia-rs";

/// How many requests are answered at once where each read takes long.
const FAR_THREADS: usize = 32;

/// How often readers are looked through.
const TIDYING: Duration = Duration::from_secs(1);

/// The helpers that mount for ordinary users: of fuse3, and of its predecessor.
const HELPERS: [&str; 2] = ["fusermount3", "fusermount"];

/// Something that is mounted. It is detached when this is dropped.
pub struct Mounted {
    point: PathBuf,
    /// The number of its device, so that nothing else is unmounted that lies at the same place.
    device: Option<Vec<u8>>,
    shared: Arc<Shared>,
    ended: Arc<Ended>,
}

/// Whether the mount has ended.
#[derive(Debug, Default)]
struct Ended {
    has: Mutex<bool>,
    changed: Condvar,
}

/// Looks whether something can be mounted at a directory; returns its path without links.
///
/// # Errors
/// As for [`mount`]. What only the system knows, mounting says.
pub fn check(point: &Path) -> Result<PathBuf> {
    let failed = |source: io::Error| match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOTCONN) => Error::Dead { point: point.into() },
        _ => Error::Point { point: point.into(), source },
    };
    if !fs::metadata(point).map_err(failed)?.is_dir() {
        return Err(Error::NotAFolder { point: point.into() });
    }
    may_mount()?;
    point.canonicalize().map_err(failed)
}

/// Mounts something at a directory, which should be empty: what is in it cannot be seen meanwhile.
///
/// A file or link is shown in a folder of its own. The directory must not be that of the repository, nor one
/// above or in it.
///
/// # Errors
/// That the directory is none, and that there is no FUSE, or no right to use it.
pub fn mount(root: Item, point: &Path, options: &Options, tell: Tell) -> Result<Mounted> {
    let point = check(point)?;
    let root = match attributes::kind(&root) {
        FileType::Directory => root,
        _ => alone(root),
    };
    let threads = options.threads.unwrap_or_else(|| threads_for(&root)).max(1);
    let shared = Arc::new(Shared::new(root, options.directory_cache, tell));
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoAtime,
        MountOption::FSName(NAME.into()),
        MountOption::Subtype(NAME.into()),
    ];
    if options.allow_other {
        config.mount_options.push(MountOption::DefaultPermissions);
        config.acl = SessionACL::All;
    }
    config.n_threads = Some(threads);
    config.clone_fd = true;
    let session = Session::new(SnapshotFs::new(shared.clone()), &point, &config);
    let session = session.map_err(|error| refused(&point, &error))?;
    let ended = Arc::<Ended>::default();
    // From here on it is unmounted whatever happens.
    let device = device_at(&point);
    let mounted = Mounted { point, device, shared, ended: ended.clone() };
    let threads = |source| Error::Threads { source };
    let notifier = session.notifier();
    mounted.shared.primer.start(notifier.clone()).map_err(threads)?;
    let run = move || {
        let _end = End(ended);
        // How it ended makes no difference: it is not mounted any more.
        let _ = session.run();
    };
    thread::Builder::new().name("mount".into()).spawn(run).map_err(threads)?;
    let weak = Arc::downgrade(&mounted.shared);
    let tidy = move || {
        while let Some(shared) = weak.upgrade() {
            shared.readers.drop_unused();
            let surplus = shared.nodes.surplus();
            drop(shared);
            // The kernel tells then which of them it has forgotten: those that are not in use.
            for (folder, name) in surplus {
                let _ = notifier.inval_entry(INodeNo(folder), OsStr::new(&*name));
            }
            thread::sleep(TIDYING);
        }
    };
    thread::Builder::new().name("tidying".into()).spawn(tidy).map_err(threads)?;
    Ok(mounted)
}

/// Tells that the mount has ended, even should a thread have panicked.
struct End(Arc<Ended>);

impl Drop for End {
    fn drop(&mut self) {
        *lock(&self.0.has) = true;
        self.0.changed.notify_all();
    }
}

/// Returns why this process may not mount, as far as that can be told beforehand.
fn may_mount() -> Result<()> {
    match OpenOptions::new().read(true).write(true).open(DEVICE) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NoDevice),
        Err(source) => return Err(Error::Device { source }),
    }
    let is_there = |name: &&str| Command::new(name).arg("-V").output().is_ok();
    if rustix::process::geteuid().is_root() || HELPERS.iter().any(is_there) {
        return Ok(());
    }
    Err(Error::NoHelper)
}

/// Makes an error of what was said when it could not be mounted.
fn refused(point: &Path, error: &io::Error) -> Error {
    let text = error.to_string();
    if error.kind() == io::ErrorKind::NotFound {
        // The helper is tried where the system does not let us.
        return Error::NoHelper;
    }
    if text.contains("user_allow_other") {
        return Error::NotForOthers;
    }
    // What comes before are options and file descriptors.
    let why = if text.starts_with("Error calling mount()") { text.rsplit(": ").next() } else { None };
    let why =
        why.unwrap_or(&text).trim().trim_start_matches("fusermount3: ").trim_start_matches("fusermount: ");
    Error::Refused { point: point.into(), why: why.to_owned() }
}

/// Puts a file or link into a folder of its own.
fn alone(item: Item) -> Item {
    let name = match &item {
        Item::Entry(entry) => entry.name().to_owned(),
        Item::Link(target) => target.clone(),
        Item::Folder(_) => String::new(),
    };
    let mut folder = Folder::default();
    folder.add(name, item);
    folder.into()
}

/// Returns how many requests are answered at once.
fn threads_for(root: &Item) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let is_far = repository(root).is_some_and(|repository| repository.contents().is_far());
    if is_far { FAR_THREADS } else { cores.saturating_mul(4).min(FAR_THREADS) }
}

fn repository(item: &Item) -> Option<&Repository> {
    match item {
        Item::Entry(entry) => Some(entry.repository()),
        Item::Folder(folder) => folder.items().find_map(|(_, item)| repository(item)),
        Item::Link(_) => None,
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
