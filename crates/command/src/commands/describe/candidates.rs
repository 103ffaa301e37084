//! What a word may become that names something in the repository: sources, snapshots, and paths in them.

use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use clap_complete::engine::CompletionCandidate;
use kopia_rs::connection::Environment;
use kopia_rs::{EntryKind, Snapshot, Snapshots, Source};

use crate::args::{Archive, Args, Global, What};
use crate::session::{Choice, Session};
use crate::terminal::output::{count, short, size};
use crate::terminal::time::{self, When};

/// How long somebody waits who pressed a key; what has not come by then does not come.
const LONGEST: Duration = Duration::from_secs(4);

/// The variable that says so for those whose repository takes longer, in seconds.
const SECONDS: &str = "KOPIA_RS_COMPLETION_SECONDS";

/// How many candidates are of use; more than that nobody reads.
const MOST: usize = 1000;

/// The fewest digits of an id that are completed.
const DIGITS: usize = 1;

/// Finds what the beginning of a word may become. Nothing is found where the repository does not open
/// without a question, or takes too long.
pub(super) fn find(words: &[OsString], current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str().map(str::to_owned) else { return Vec::new() };
    // Folders of this machine, with which snapshots are compared.
    if current.starts_with('.') {
        return Vec::new();
    }
    let longest = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    let longest = longest.map_or(LONGEST, Duration::from_secs);
    let words = words.to_vec();
    let (found, all) = mpsc::channel();
    // What it still does when nobody waits any more ends with the process.
    let look = move || found.send(look(&words, &current).unwrap_or_default());
    let started = thread::Builder::new().name("candidates".into()).spawn(look);
    started.ok().and_then(|_| all.recv_timeout(longest).ok()).unwrap_or_default()
}

fn look(words: &[OsString], current: &str) -> Option<Vec<CompletionCandidate>> {
    // The line is not finished, and may be wrong as it stands.
    let command = Args::command().ignore_errors(true);
    let matches = command.try_get_matches_from(words).ok()?;
    let mut global = Global::from_arg_matches(&matches).ok()?;
    global.quiet = true;
    // While somebody types, nothing is fetched for money, and no command runs that may ask something.
    global.archive = Archive { thaw: None, days: Archive::DAYS, wait: false };
    global.password_command = None;
    global.token_stdin = false;
    let environment = Environment::of_process();
    let choice = Choice::of(&global, &environment).ok()?;
    let session = Session::open_chosen(&choice, environment, &global, "ls WHAT").ok()?;
    Some(match current.rfind('/') {
        Some(slash) => below(&session, &matches, current, slash),
        None => named(&session.snapshots().ok()?, current),
    })
}

/// Sources, ids and words that begin like this.
fn named(snapshots: &Snapshots, current: &str) -> Vec<CompletionCandidate> {
    let mut all = of_sources(snapshots, current);
    let word = |word: &'static str, help: &'static str| {
        word.starts_with(current).then(|| candidate(word.into(), help.into()))
    };
    all.extend(word("latest", "the newest snapshot"));
    all.extend(word("oldest", "the oldest snapshot"));
    let is_id = current.len() >= DIGITS && current.bytes().all(|byte| byte.is_ascii_hexdigit());
    let ids = snapshots.iter().filter(|one| is_id && one.id().starts_with(current) && one.is_complete());
    all.extend(ids.take(MOST).map(of_id));
    all
}

fn of_sources(snapshots: &Snapshots, current: &str) -> Vec<CompletionCandidate> {
    let of = |source: &Source| {
        let own = || snapshots.iter().filter(|snapshot| snapshot.source() == source);
        let newest = own().map(Snapshot::start_time).max().unwrap_or_default();
        let number = count(own().count() as u64, "snapshot", "snapshots");
        format!("{number}, newest {}", time::local(newest, "%Y-%m-%d %H:%M"))
    };
    let sources = snapshots.sources().into_iter().map(|source| (source.to_string(), source));
    let wanted = sources.filter(|(name, _)| name.starts_with(current)).take(MOST);
    wanted.map(|(name, source)| candidate(name, of(source))).collect()
}

fn of_id(snapshot: &Snapshot) -> CompletionCandidate {
    let time = time::local(snapshot.start_time(), "%Y-%m-%d %H:%M");
    candidate(short(snapshot.id()).into(), format!("{}, {time}", snapshot.source()))
}

/// What lies in a folder of a snapshot and begins like this; and sources that do.
fn below(session: &Session, matches: &ArgMatches, current: &str, slash: usize) -> Vec<CompletionCandidate> {
    let (folder, start) = current.split_at(slash + 1);
    let mut all = session.snapshots().map(|all| of_sources(&all, current)).unwrap_or_default();
    let options = matches.subcommand().map(|(_, matches)| matches);
    let when = options.and_then(|options| options.try_get_one::<When>("at").ok().flatten());
    // The folder of a source may be `/` itself.
    let name = if folder.ends_with(":/") { folder } else { folder.trim_end_matches('/') };
    let what = What { what: name.into(), at: when.cloned(), ..What::default() };
    let Ok(selection) = session.find(&what) else { return all };
    let _ = selection.entry.for_each(|entry| {
        let Ok(entry) = entry else { return ControlFlow::Continue(()) };
        if entry.name().starts_with(start) {
            let path = format!("{folder}{}", entry.name());
            all.push(match entry.kind() {
                EntryKind::Directory => candidate(path + "/", "folder".into()),
                EntryKind::File => candidate(path, size(entry.size())),
                EntryKind::Symlink => candidate(path, "link".into()),
            });
        }
        if all.len() < MOST { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    all
}

fn candidate(value: String, help: String) -> CompletionCandidate {
    CompletionCandidate::new(value).help(Some(help.into()))
}
