//! From mounting to unmounting.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use fuser::{Config, MountOption, Session, SessionACL, SessionUnmounter};
use kopia_rs_benches::operations::{Counters, Operation};
use nix::mount::{MntFlags, umount2};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::backing::Backing;
use crate::filesystem::{DelayedFs, Settings};
use crate::refused::Refused;
use crate::same_name::SameName;
use crate::{Args, Result};

/// How many threads take requests from the kernel: they only copy, unless there is no delay.
const READERS: usize = 4;

/// How long files may stay open after unmounting before they are cut off.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most files that a process of root's may have open by default (`fs.nr_open`).
const MOST_OPEN: u64 = 1 << 20;

/// Why the file system ends.
enum End {
    /// By a signal, or because whoever started it does not want it any longer.
    Asked,
    /// It is not mounted any longer.
    Unmounted(io::Result<()>),
}

/// Mounts the file system, waits for its end, and says what was asked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    // The kernel has applied that of whoever creates a file.
    umask(Mode::empty());
    allow_handles();
    let named = |error: io::Error| format!("{}: {error}", args.source.display());
    let (same, refused) = (SameName::new(&args.folds), Refused::new(&args.refuses));
    let backing = Backing::open(&args.source, same, refused).map_err(named)?;
    let counters = Arc::new(Counters::default());
    let milliseconds = |number: f64| Duration::from_secs_f64(number / 1000.0);
    let settings = Settings {
        delay: milliseconds(args.delay_ms),
        free: args.free.clone(),
        cached: milliseconds(args.cached_ms),
        max_write: args.max_write * 1024,
        threads: args.threads.into(),
    };
    let filesystem = DelayedFs::new(backing, counters.clone(), settings);
    let mountpoint = args.mountpoint.canonicalize();
    let mountpoint = mountpoint.map_err(|error| format!("{}: {error}", args.mountpoint.display()))?;
    let session = Session::new(filesystem, &mountpoint, &config(args.for_all));
    let mut session =
        session.map_err(|error| format!("{} cannot be mounted: {error}", args.mountpoint.display()))?;
    let unmounter = session.unmount_callable();
    let (sender, ends) = mpsc::channel();
    watch(args.attached.then(|| counters.clone()), &sender)?;
    thread::spawn(move || sender.send(End::Unmounted(session.run())));
    announce(args)?;
    wait(&ends, unmounter, &mountpoint)?;

    if args.attached {
        return tell(&counters);
    }
    let counts = counters.counts();
    let created = counts.of(Operation::Create);
    let files = if created > 0 { created } else { counts.of(Operation::Open) };
    print!("{}", counts.markdown(files));
    println!("\n{} files {}", files, if created > 0 { "created" } else { "opened" });
    println!("{} bytes read, {} written", counts.bytes_read, counts.bytes_written);
    println!("{} round trips at the same time at most", counts.most_at_once);
    Ok(())
}

/// Where permissions are checked, the kernel asks for a folder's attributes before each file that it creates in
/// there. Otherwise only this user is let in, whose permissions are those of this process.
fn config(for_all: bool) -> Config {
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName("delayed-fs".into()), MountOption::Subtype("delayed-fs".into())];
    if for_all {
        config.mount_options.push(MountOption::DefaultPermissions);
        config.acl = SessionACL::All;
    }
    config.n_threads = Some(READERS);
    config.clone_fd = true;
    config
}

/// Raises the limit of open files as far as it goes: each file that the kernel knows takes one.
fn allow_handles() {
    let limit = getrlimit(Resource::Nofile);
    let most = Some(limit.maximum.unwrap_or(u64::MAX).max(MOST_OPEN));
    if setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).is_err() {
        // What it cannot have, small trees do without.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Tells when to end. Of whom it is attached to each line asks for the counts so far.
fn watch(attached: Option<Arc<Counters>>, ends: &Sender<End>) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let sender = ends.clone();
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            drop(sender.send(End::Asked));
        }
    });
    if let Some(counters) = attached {
        let sender = ends.clone();
        thread::spawn(move || {
            for line in io::stdin().lines() {
                if line.is_err() || tell(&counters).is_err() {
                    break;
                }
            }
            drop(sender.send(End::Asked));
        });
    }
    Ok(())
}

/// Writes the counts so far as a line of JSON.
fn tell(counters: &Counters) -> Result<()> {
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string(&counters.counts())?)?)
}

fn announce(args: &Args) -> io::Result<()> {
    let mut output = io::stdout();
    if args.attached {
        writeln!(output, "mounted")?;
    } else {
        let (source, mountpoint) = (args.source.display(), args.mountpoint.display());
        writeln!(output, "{source} is at {mountpoint}, {} ms away", args.delay_ms)?;
    }
    output.flush()
}

/// Waits for the end, and unmounts if that is asked for.
fn wait(ends: &Receiver<End>, mut unmounter: SessionUnmounter, mountpoint: &Path) -> Result<()> {
    if let End::Unmounted(result) = ends.recv()? {
        return ended(result);
    }
    // Files that are still open end with this process. Ordinary users need a helper.
    if umount2(mountpoint, MntFlags::MNT_DETACH).is_err() {
        unmounter.unmount().map_err(|error| format!("{}: {error}", mountpoint.display()))?;
    }
    loop {
        match ends.recv_timeout(PATIENCE) {
            Ok(End::Unmounted(result)) => return ended(result),
            Ok(End::Asked) => {}
            Err(_) => {
                eprintln!("warning: some files were still open");
                return Ok(());
            }
        }
    }
}

/// Takes it for an end that the kernel cut off a request that was on its way as the last file was closed.
fn ended(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(Errno::CONNABORTED.raw_os_error()) => Ok(()),
        result => Ok(result?),
    }
}
