//! `mount [WHAT…] MOUNTPOINT`: snapshots as a file system.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, panic};

use kopia_rs::Snapshot;
use kopia_rs::diagnosis::Class;
use kopia_rs::mount::{self, Error, Folder, Item, Mounted, Options, Problem};
use kopia_rs::restore::is_outside;
use serde_json::json;

use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{self, count, escape, log_last, log_line};
use crate::terminal::signals::{self, Interrupt};
use crate::terminal::time;

/// How often signals and idleness are looked for.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// How long unmounting may take after a signal: the kernel frees what it has kept of the files, some GiB perhaps.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How many problems are named.
pub(crate) const SHOWN: u64 = 100;

/// Refuses a place where nothing can be mounted, before anything is opened or asked.
pub(super) fn refuse(args: &args::Mount) -> Result<(), Failure> {
    if args.each().is_empty() && args.at.is_some() {
        return Err(Failure::usage("--at chooses one snapshot, and none is named")
            .hint("name what it is of, as in `kopia-rs mount user@host:/path MOUNTPOINT`"));
    }
    mount::check(args.point()).map(drop).map_err(|error| failure(&error))
}

pub(super) fn run(
    session: &Session,
    args: &args::Mount,
    cache: Option<&Path>,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    let point = args.point();
    apart(session, point, cache)?;
    let root = root(session, args)?;
    let mut options = Options::default();
    options.allow_other = args.allow_other;
    let problems = Arc::new(AtomicU64::new(0));
    let tell = {
        let problems = problems.clone();
        Arc::new(move |problem: &Problem| tell(problem, problems.fetch_add(1, Ordering::Relaxed)))
    };
    if fs::read_dir(point).is_ok_and(|mut entries| entries.next().is_some()) {
        session.note(&format!("{} is not empty; what is in it is hidden meanwhile", point.display()));
    }
    let shown = point.display().to_string();
    interrupt.be_patient(PATIENCE);
    interrupt.say_at_the_end(move |signal, _| {
        log_last(format_args!("error: {}", escape(&cut_short(signal, &shown))));
    });
    interrupt.will_ask();
    let mounted = mount::mount(root, point, &options, tell).map_err(|error| failure(&error))?;
    let mounted = Arc::new(mounted);
    detach_at_panic(&mounted);
    announce(session, &mounted).map_err(Failure::output)?;
    wait(session, &mounted, args.idle, interrupt)?;
    match problems.load(Ordering::Relaxed) {
        0 => Ok(Exit::Complete),
        number => {
            let problems = count(number, "entry", "entries");
            log_line(format_args!("error: {problems} could not be shown or read"));
            Ok(Exit::Partial)
        }
    }
}

/// Returns the last words of a process that does not wait until all is unmounted.
pub(crate) fn cut_short(signal: i32, point: &str) -> String {
    format!("{}: ended while {point} was being unmounted; `umount` frees it", signals::name(signal))
}

/// Refuses a mount point that has the repository, or the cache, to do with itself: whoever reads would wait for
/// itself.
fn apart(session: &Session, point: &Path, cache: Option<&Path>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::system(point.display(), &error);
    let shown = point.display();
    if let Some(repository) = session.repository.store().directory() {
        if !is_outside(point, &repository).map_err(failed)? {
            return Err(Failure::failed(format!("{shown} lies in the repository: give another folder"))
                .with_class(Class::Usage));
        }
        if !is_outside(&repository, point).map_err(failed)? {
            return Err(Failure::failed(format!("the repository lies in {shown}: give another folder"))
                .with_class(Class::Usage));
        }
    }
    match cache {
        Some(cache) if !is_outside(cache, point).map_err(failed)? => {
            Err(Failure::usage(format!("--cache {} lies in {shown}: give another folder", cache.display())))
        }
        _ => Ok(()),
    }
}

/// Finds what is shown.
fn root(session: &Session, args: &args::Mount) -> Result<Item, Failure> {
    let named = args.each();
    if let [what] = &named[..] {
        return Ok(session.select(what)?.entry.into());
    }
    if !named.is_empty() {
        let mut folder = Folder::default();
        for what in named {
            folder.add(&what.what, session.select(&what)?.entry);
        }
        return Ok(folder.into());
    }
    session.warn_of_gaps(None);
    let snapshots = session.snapshots()?.some_admitted(&args.only.filter())?;
    let name = |snapshot: &Snapshot| time::local(snapshot.start_time(), "%Y%m%d-%H%M%S");
    let folder = Folder::of_snapshots(&snapshots, &name);
    if folder.is_empty() {
        return Err(Failure::failed("the repository holds no snapshots, so that there is nothing to show")
            .with_class(Class::NotFound));
    }
    Ok(folder.into())
}

/// Names a problem, unless many were named before.
fn tell(problem: &Problem, before: u64) {
    match before {
        ..SHOWN => log_line(format_args!("error: {}", escape(&problem.to_string()))),
        SHOWN => log_line("error: more could not be shown or read, which is not named"),
        _ => {}
    }
}

/// Has a panic leave no mount behind that nobody answers for.
pub(crate) fn detach_at_panic(mounted: &Arc<Mounted>) {
    let before = panic::take_hook();
    let mounted = Arc::downgrade(mounted);
    panic::set_hook(Box::new(move |panic| {
        if let Some(mounted) = mounted.upgrade() {
            let _ = mounted.detach();
        }
        before(panic);
    }));
}

fn announce(session: &Session, mounted: &Mounted) -> io::Result<()> {
    use std::io::Write;

    let point = mounted.point();
    if session.json {
        return output::json(&json!({ "mounted": point.to_string_lossy() }));
    }
    let shown = point.to_string_lossy();
    let by = if rustix::process::geteuid().is_root() { "umount" } else { "fusermount3 -u" };
    let mut stdout = io::stdout().lock();
    let quoted = if shown.contains([' ', '\'', '"']) { format!("{shown:?}") } else { shown.to_string() };
    writeln!(stdout, "mounted at {}; unmount with ^C or `{by} {}`", escape(&shown), escape(&quoted))?;
    stdout.flush()
}

/// Waits until it is unmounted, by whoever that wants.
fn wait(
    session: &Session,
    mounted: &Mounted,
    idle: Option<Duration>,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let mut since = Instant::now();
    loop {
        if mounted.wait(LOOK) {
            session.note("unmounted");
            return Ok(());
        }
        if let Some(signal) = interrupt.signal() {
            return end(session, mounted, signal);
        }
        if let Some(idle) = idle
            && mounted.idle() >= idle
            && since.elapsed() >= idle
        {
            if mounted.unmount().map_err(|error| failure(&error))? {
                session.note("unmounted, as nothing was read for a while");
                return Ok(());
            }
            // Somebody is in there all the same, who may read on at any time.
            since = Instant::now();
        }
    }
}

/// Unmounts after a signal, which is how a person ends it.
fn end(session: &Session, mounted: &Mounted, signal: i32) -> Result<(), Failure> {
    let is_unused = mounted.unmount().or_else(|_| mounted.detach().map(|()| false));
    match is_unused.map_err(|error| failure(&error))? {
        true => session.note(&format!("{}: unmounted", signals::name(signal))),
        false => {
            mounted.detach().map_err(|error| failure(&error))?;
            session.note(&format!(
                "{}: unmounted; what was still in use there cannot be read on",
                signals::name(signal)
            ));
        }
    }
    Ok(())
}

/// Says why nothing can be mounted, and what to do instead.
fn failure(error: &Error) -> Failure {
    let failure = Failure::failed(error.to_string()).with_class_of_source(error);
    let instead = "`restore`, `export`, `ls` and `cat` need no mount";
    match error {
        Error::NoDevice => failure
            .hint(format!("load it by `modprobe fuse`; a container needs --device /dev/fuse; {instead}")),
        Error::Device { .. } => failure.hint(format!("be root, or have the right to open it; {instead}")),
        Error::NoHelper => failure
            .hint(format!("install fuse3 (Debian, Fedora, Alpine: package fuse3), or be root; {instead}")),
        Error::NotForOthers => failure.hint("leave out --allow-other, or be root"),
        Error::Dead { point } => {
            failure.hint(format!("`fusermount3 -u {0}` or `umount {0}` frees it", point.display()))
        }
        Error::Refused { .. } => {
            failure.hint(format!("root, or a user with fuse3's fusermount3, may mount; {instead}"))
        }
        Error::Point { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            failure.hint("make the folder first")
        }
        _ => failure,
    }
}
