//! `browse [REPOSITORY] [WHAT]`: snapshots on the terminal.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use kopia_rs::EntryKind;
use kopia_rs::browse::{self, Browser, Error, Leave, Options, Picked};
use kopia_rs::connection::Environment;
use signal_hook::consts::SIGINT;

use super::restore;
use crate::args::{self, Args, Command, Global, What};
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::colour;
use crate::terminal::signals::Interrupt;
use crate::terminal::time;

/// What does without a terminal.
const INSTEAD: &str =
    "`kopia-rs ls latest` lists a folder without one; `cat`, `restore` and `export` need none either";

pub(super) fn run(
    global: &Global,
    args: &args::Browser,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    if global.json {
        return Err(Failure::usage("browse is for people at a terminal; --json has no meaning here")
            .hint("`kopia-rs ls WHAT --json` lists a folder for programs"));
    }
    let (repository, what) = args.places(global).map_err(Failure::usage)?;
    let term = std::env::var("TERM").ok();
    browse::check(term.as_deref()).map_err(failure)?;
    let named = repository.map(|place| Global { repository: Some(place.to_owned()), ..global.clone() });
    let session = Session::open(named.as_ref().unwrap_or(global), "browse WHAT")?;
    let exit = walk(&session, args, what, interrupt)?;
    Ok(session.conclude(exit))
}

/// Shows what there is, and does what is asked for, until the person leaves.
fn walk(
    session: &Session,
    args: &args::Browser,
    what: Option<What>,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    let mut options = Options::default();
    options.time = Box::new(|instant| time::local(instant, "%Y-%m-%d %H:%M:%S"));
    options.colour = colour::is_shown_on(&io::stdout());
    session.warn_of_gaps(None);
    let snapshots = session.admitted(&args.only)?;
    let mut browser = Browser::new(&snapshots, options).map_err(failure)?;
    if let Some(what) = what {
        begin(session, &mut browser, &what)?;
    }
    let mut exit = Exit::Complete;
    loop {
        let (ended, said) = match browser.run().map_err(failure)? {
            Leave::Restore { picked, target } => (restore(session, &picked, &target, interrupt), "restored"),
            Leave::Export { picked, file } => (export(session, &picked, &file, interrupt), "exported"),
            Leave::Interrupt => return Err(Failure::stopped(SIGINT, None, "nothing is under way")),
            _ => return Ok(exit),
        };
        let is_complete = matches!(ended, Ok(Exit::Complete));
        if let Err(failure) = ended {
            if interrupt.signal().is_some() {
                return Err(failure);
            }
            failure.report();
        }
        interrupt.will_not_ask();
        if !is_complete {
            exit = Exit::Partial;
        }
        let said = if is_complete {
            format!("{said}; nothing is marked any more")
        } else {
            format!("not all was {said}")
        };
        browser.done(&said, is_complete);
        if !wait_for_enter().map_err(Failure::output)? {
            return Ok(exit);
        }
    }
}

/// Goes to what is named.
fn begin(session: &Session, browser: &mut Browser, what: &What) -> Result<(), Failure> {
    let selection = session.select(what)?;
    let Some(snapshot) = &selection.snapshot else {
        return Err(Failure::failed("an object has no snapshot around it that could be browsed")
            .hint(format!("`kopia-rs ls {}` lists it", what.what)));
    };
    let path = selection.path.trim_matches('/');
    match path.rsplit_once('/') {
        _ if selection.entry.kind() == EntryKind::Directory || path.is_empty() => {
            browser.open(snapshot.id(), path, None);
        }
        Some((folder, name)) => browser.open(snapshot.id(), folder, Some(name)),
        None => browser.open(snapshot.id(), "", Some(path)),
    }
    Ok(())
}

/// Returns the name by which commands take what was picked.
fn name(picked: &Picked) -> String {
    match &*picked.path {
        "" => picked.snapshot.clone(),
        path => format!("{}/{path}", picked.snapshot),
    }
}

/// Restores as `restore` does; all of it gets into the folder by its own name, but for a whole snapshot.
fn restore(
    session: &Session,
    picked: &[Picked],
    target: &str,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    let Some(Command::Restore(mut args)) = command(&["restore", "WHAT", "TARGET"]) else {
        return Err(Failure::failed("restore is not there"));
    };
    let mut target = Environment::of_process().expand(target);
    match picked {
        [one] if one.is_folder => {
            let own = one.path.rsplit('/').next().unwrap_or_default();
            if !own.is_empty() {
                target.push(own);
            }
        }
        // With a slash at its end it is a folder.
        _ => target.push(""),
    }
    args.places.what = picked.iter().map(name).collect();
    args.places.target = target;
    restore::target::refuse_stream(&args.places.target)?;
    restore::run(session, &args, &restore::metrics::Metrics::none(), interrupt)
}

/// Writes an archive as `export` does.
#[cfg(feature = "export")]
fn export(
    session: &Session,
    picked: &[Picked],
    file: &str,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    let Some(Command::Export(mut args)) = command(&["export", "WHAT", "FILE"]) else {
        return Err(Failure::failed("export is not there"));
    };
    args.places.what = picked.iter().map(name).collect();
    args.places.file = Some(Environment::of_process().expand(file));
    let format = super::export::format(&args)?;
    super::export::run(session, &args, format, interrupt)
}

#[cfg(not(feature = "export"))]
fn export(_: &Session, _: &[Picked], _: &str, _: &Arc<Interrupt>) -> Result<Exit, Failure> {
    Err(Failure::failed("this build writes no archives; the feature `export` adds it"))
}

/// Returns a command with all that is usual, in which names are replaced.
fn command(words: &[&str]) -> Option<Command> {
    let line: Vec<OsString> = ["kopia-rs"].iter().chain(words).map(Into::into).collect();
    Args::parse_line(&line).ok()?.command
}

/// Waits until what was printed has been read; returns whether to go on.
fn wait_for_enter() -> io::Result<bool> {
    let mut err = io::stderr().lock();
    write!(err, "press Enter to go on browsing ")?;
    err.flush()?;
    drop(err);
    let mut line = Vec::new();
    Ok(io::stdin().lock().read_until(b'\n', &mut line)? > 0)
}

fn failure(error: Error) -> Failure {
    let failure = Failure::failed(error.to_string());
    match error {
        Error::NoTerminal { .. } => {
            failure.hint(INSTEAD).hint("ssh gives a terminal with -t, docker and kubectl exec with -it")
        }
        Error::Dumb { .. } => failure.hint(INSTEAD).hint("any other kind does, as in TERM=xterm"),
        _ => failure,
    }
}
