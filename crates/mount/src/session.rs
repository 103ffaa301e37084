//! Mounting.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fuser::{Config, FileType, INodeNo, MountOption, Session, SessionACL};
use kopia_repository::Repository;
use nix::errno::Errno;

use crate::attributes;
use crate::filesystem::SnapshotFs;
use crate::folder::{Folder, Item};
use crate::mounted::{End, Ended, HELPERS, Mounted};
use crate::mounts::device_at;
use crate::primer::Primer;
use crate::problem::Tell;
use crate::shared::Shared;
use crate::{Error, Options, Result};

const DEVICE: &str = "/dev/fuse";

/// What is mounted, as lists of mounts show it.
const NAME: &str = "kopia-rs";

/// How many requests are answered at once where each read takes long.
const FAR_THREADS: usize = 32;

/// How many small files are read ahead at once where each read takes long, and at most elsewhere: whoever copies
/// them is one thread, which four outrun.
const FAR_AHEAD: usize = 16;
const MOST_AHEAD: usize = 4;

/// How far the kernel reads ahead in one file, in KiB, where it can be told.
const READ_AHEAD: &str = "4096";

/// How often readers are looked through.
const TIDYING: Duration = Duration::from_secs(1);

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
    let is_far = repository(&root).is_some_and(|repository| repository.contents().is_far());
    let threads = options.threads.unwrap_or_else(|| threads_for(is_far)).max(1);
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
    let ahead = if is_far { FAR_AHEAD } else { cores().min(MOST_AHEAD) };
    Primer::start(&mounted.shared, &notifier, ahead).map_err(threads)?;
    if let Some(device) = &mounted.device {
        read_ahead(device);
    }
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

/// Lets the kernel read further ahead than it does by itself, which it lets root do.
fn read_ahead(device: &[u8]) {
    let Ok(device) = std::str::from_utf8(device) else { return };
    let _ = fs::write(format!("/sys/class/bdi/{device}/read_ahead_kb"), READ_AHEAD);
}

/// Returns how many requests are answered at once.
fn threads_for(is_far: bool) -> usize {
    if is_far { FAR_THREADS } else { cores().saturating_mul(4).min(FAR_THREADS) }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn repository(item: &Item) -> Option<&Repository> {
    match item {
        Item::Entry(entry) => Some(entry.repository()),
        Item::Folder(folder) => folder.items().find_map(|(_, item)| repository(item)),
        Item::Link(_) => None,
    }
}
