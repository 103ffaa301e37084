//! `undo [FOLDER]`: puts back what a restore replaced.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::restore::{self, KeptFolder, KeptState, Preceding, Undone, all_kept, find_kept};
use serde::Serialize;

use super::restore::result::NotesJson;
use crate::args;
use crate::error::{Exit, Failure};
use crate::terminal::output::{self, count, for_terminal, log_line, size, thousands};
use crate::terminal::{question, time};
use crate::wording::advice::audience;
use crate::wording::attributes;

/// One folder, a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    folder: String,
    /// Where the restore went.
    target: String,
    began: String,
    /// `unfinished`, `done`, `undone` or `forgotten`.
    state: &'static str,
    object: String,
    kept: u64,
    written: u64,
    bytes: u64,
}

/// What `--json` prints of an undo.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Done<'a> {
    target: String,
    restored: u64,
    removed: u64,
    aside: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aside_in: Option<String>,
    aside_paths: &'a [String],
    changed_since: u64,
    problem_count: u64,
    notes: NotesJson,
}

pub(super) fn run(args: &args::Undo, json: bool, quiet: bool) -> Result<Exit, Failure> {
    let here = env::current_dir().map_err(|error| Failure::system("the current folder", &error))?;
    let near = args.folder.as_deref().unwrap_or(&here);
    if args.list {
        return list(near, json);
    }
    let folder = choose(near, args.forget)?;
    let path = folder.path().to_owned();
    if !quiet && args.folder.as_ref().is_none_or(|named| *named != path) {
        log_line(format_args!("note: {}", described(&folder)));
    }
    if args.forget { forget(folder, args.yes, json) } else { undo(folder, json, quiet) }
}

/// Finds the folder that is meant.
fn choose(near: &Path, forget: bool) -> Result<KeptFolder, Failure> {
    if let Some(folder) = itself(near) {
        let folder = folder?;
        let later = find_kept(folder.path()).into_iter().find(|other| is_later(other, &folder));
        return match later {
            Some(later) if !forget => {
                let (later, path) = (later.path().display().to_string(), folder.target());
                let failure =
                    Failure::failed(format!("a later restore to {} is to be undone first", path.display()));
                Err(failure.hint(format!("kopia-rs undo {}", for_terminal(&later))))
            }
            _ => Ok(folder),
        };
    }
    let place = fs::canonicalize(near).unwrap_or_else(|_| near.into());
    let wanted = |folder: &KeptFolder| {
        let target = folder.target();
        let concerns = place.starts_with(&target) || target.starts_with(&place);
        concerns && (forget || is_undoable(folder))
    };
    let (found, unusable) = all_kept(near);
    let mut found: Vec<_> = found.into_iter().filter(wanted).collect();
    if found.is_empty() {
        return Err(nothing_kept(&place, &unusable));
    }
    // One to that very folder goes before a newer one to a folder above, which may be of another thing there.
    let exact = found.iter().position(|folder| folder.target() == place);
    let folder = found.swap_remove(exact.unwrap_or(0));
    let before =
        unusable.iter().find_map(|error| Some((error, folder.may_precede(path_of(error)?, &place)?)));
    match before {
        // Of one place, any may be deleted first.
        Some((error, before)) if !forget || exact.is_none() => {
            Err(unusable_before(&folder, error, &before, forget))
        }
        _ => Ok(folder),
    }
}

/// Says that a folder which cannot be used may be of a restore that goes before another one. That need not be
/// the later one if it was to the very place that was asked for.
fn unusable_before(folder: &KeptFolder, error: &restore::Error, before: &Preceding, forget: bool) -> Failure {
    let [restored, path] = [&*before.path, folder.path()].map(|path| path.display().to_string());
    let (restored, path) = (for_terminal(&restored), for_terminal(&path));
    let later = if before.is_later { "later " } else { "" };
    let failure = format!(
        "a folder that cannot be used may be of a {later}restore to {restored}, which goes before {path}"
    );
    let failure = Failure::failed(failure).candidates(vec![chain(error)]);
    let failure = hints_on([error].into_iter(), failure);
    let (option, does) = if forget { ("--forget ", "deletes") } else { ("", "undoes") };
    failure.hint(format!("`kopia-rs undo {option}{path}` {does} that one all the same"))
}

/// Adds what can be done about folders that cannot be used.
fn hints_on<'e>(unusable: impl Iterator<Item = &'e restore::Error>, failure: Failure) -> Failure {
    let found = unusable.filter_map(|error| fs::symlink_metadata(path_of(error)?).ok());
    let (others, own): (Vec<_>, Vec<_>) =
        found.partition(|found| found.uid() != rustix::process::geteuid().as_raw());
    let failure = if others.is_empty() {
        failure
    } else {
        failure.hint("a folder that belongs to another user is for that user to undo")
    };
    if own.iter().all(|found| found.mode() & 0o022 == 0) {
        return failure;
    }
    failure.hint(
        "a folder that others may write in is used after `chmod 700`; do so if nobody else has written there",
    )
}

/// Returns which folder an error is of.
fn path_of(error: &restore::Error) -> Option<&Path> {
    match error {
        restore::Error::Target { path, .. } => Some(path),
        _ => None,
    }
}

/// Says that nothing is kept, or which folders were found and cannot be used.
fn nothing_kept(place: &Path, unusable: &[restore::Error]) -> Failure {
    let shown = place.display().to_string();
    let failure = format!("no restore has kept anything in {} or above it", for_terminal(&shown));
    if unusable.is_empty() {
        return Failure::failed(failure)
            .with_class(Class::NotFound)
            .hint("give the folder that the restore named, .kopia-rs-undo-…, or what was restored");
    }
    let failure = Failure::failed(format!("{failure} that can be used")).with_class(Class::NotFound);
    let failure = failure.candidates(unusable.iter().map(|error| chain(error)).collect());
    hints_on(unusable.iter(), failure)
}

/// Opens a folder that is named itself.
fn itself(path: &Path) -> Option<Result<KeptFolder, Failure>> {
    let name = path.components().next_back()?.as_os_str().to_string_lossy().into_owned();
    name.starts_with(".kopia-rs-undo-").then(|| Ok(KeptFolder::open(path)?))
}

fn is_undoable(folder: &KeptFolder) -> bool {
    matches!(folder.state(), KeptState::Done | KeptState::Unfinished)
}

fn is_later(other: &KeptFolder, folder: &KeptFolder) -> bool {
    is_undoable(other) && other.target() == folder.target() && other.is_later_than(folder)
}

fn undo(folder: KeptFolder, json: bool, quiet: bool) -> Result<Exit, Failure> {
    let (target, path) = (folder.target(), folder.path().to_owned());
    let undone = folder.undo()?;
    for problem in &undone.problems {
        log_line(format_args!("error: {}", output::escape(&problem.to_string())));
    }
    for note in attributes::sentences(&undone.notes, audience()).iter().filter(|_| !quiet) {
        log_line(format_args!("note: {note}"));
    }
    let written = if json { output::json(&done(&undone, &target)) } else { text(&undone, &target) };
    Failure::unless_shown(written)?;
    if undone.problem_count == 0 {
        return Ok(Exit::Complete);
    }
    let problems = count(undone.problem_count, "entry", "entries");
    log_line(format_args!(
        "error: {problems} could not be put back, and what was kept of them still lies in {}",
        for_terminal(&path.display().to_string())
    ));
    log_line("hint: once that is mended, run the same command again");
    Ok(Exit::Partial)
}

fn done<'a>(undone: &'a Undone, target: &Path) -> Done<'a> {
    Done {
        target: target.display().to_string(),
        restored: undone.restored,
        removed: undone.removed,
        aside: undone.aside,
        aside_in: undone.aside_in.as_ref().map(|path| path.display().to_string()),
        aside_paths: &undone.aside_paths,
        changed_since: undone.changed_since,
        problem_count: undone.problem_count,
        notes: NotesJson::from(&undone.notes),
    }
}

fn text(undone: &Undone, target: &Path) -> io::Result<()> {
    let mut out = output::out();
    let target = target.display().to_string();
    let (restored, removed) = (count(undone.restored, "entry", "entries"), thousands(undone.removed));
    writeln!(
        out,
        "put back {restored} of {}, and removed {removed} that the restore had written",
        for_terminal(&target)
    )?;
    if let Some(aside) = undone.aside_in.as_ref().filter(|_| undone.aside > 0) {
        let verb = if undone.aside == 1 { "was" } else { "were" };
        let number = count(undone.aside, "entry", "entries");
        let aside = aside.display().to_string();
        writeln!(
            out,
            "{number} {verb} changed or made after the restore, and now {} in {}:",
            if undone.aside == 1 { "lies" } else { "lie" },
            for_terminal(&aside)
        )?;
        for path in &undone.aside_paths {
            writeln!(out, "  {}", for_terminal(path))?;
        }
        let more = undone.aside.saturating_sub(undone.aside_paths.len() as u64);
        if more > 0 {
            writeln!(out, "  … and {} more", thousands(more))?;
        }
    }
    if undone.changed_since > 0 {
        let verb = if undone.changed_since == 1 { "was" } else { "were" };
        let number = count(
            undone.changed_since,
            "file that the restore had not replaced",
            "files that the restore had not replaced",
        );
        writeln!(out, "{number} {verb} changed after it, and left as they are")?;
    }
    out.flush()
}

fn forget(folder: KeptFolder, yes: bool, json: bool) -> Result<Exit, Failure> {
    let what = format!(
        "{} ({}) in {}",
        count(folder.kept(), "entry", "entries"),
        size(folder.bytes()),
        folder.path().display()
    );
    let what = for_terminal(&what).into_owned();
    if !yes {
        if !question::can_ask() {
            return Err(Failure::usage(format!("{what} cannot be put back any more once that is deleted"))
                .hint("give --yes to delete it without being asked"));
        }
        if !question::ask(&format!("Delete {what}?")).map_err(Failure::output)? {
            return Err(Failure::failed("nothing was deleted").with_class(Class::Stopped));
        }
    }
    let line = line(&folder);
    folder.forget()?;
    let written = if json {
        output::json(&Json { state: "forgotten", ..line })
    } else {
        let mut out = output::out();
        writeln!(out, "deleted {what}").and_then(|()| out.flush())
    };
    Failure::unless_shown(written)?;
    Ok(Exit::Complete)
}

fn word(folder: &KeptFolder) -> &'static str {
    match folder.state() {
        KeptState::Unfinished => "unfinished",
        KeptState::Done => "done",
        KeptState::Undone => "undone",
        _ => "forgotten",
    }
}

/// Says in one line what a folder is of.
fn described(folder: &KeptFolder) -> String {
    let began = time::local(folder.began(), "%Y-%m-%d %H:%M:%S %Z");
    let target = folder.target().display().to_string();
    let kept = count(folder.kept(), "entry", "entries");
    let state = match folder.state() {
        KeptState::Unfinished => ", which did not come to its end",
        KeptState::Undone => ", which was undone",
        _ => "",
    };
    let (bytes, path) = (size(folder.bytes()), folder.path().display().to_string());
    format!(
        "restore to {} of {began}{state}: {kept} kept ({bytes}) in {}",
        for_terminal(&target),
        for_terminal(&path)
    )
}

fn list(near: &Path, json: bool) -> Result<Exit, Failure> {
    let (folders, unusable) = match itself(near) {
        Some(folder) => (vec![folder?], Vec::new()),
        None => all_kept(near),
    };
    let mut out = output::out();
    let written = folders.iter().try_for_each(|folder| {
        if !json {
            return writeln!(out, "{}", described(folder));
        }
        serde_json::to_writer(&mut out, &line(folder))?;
        writeln!(out)
    });
    Failure::unless_shown(written.and_then(|()| out.flush()))?;
    for error in &unusable {
        log_line(format_args!("note: {}", output::escape(&chain(error))));
    }
    if folders.is_empty() && unusable.is_empty() {
        log_line("note: no restore has kept anything here, or in a folder above");
    }
    Ok(Exit::Complete)
}

fn line(folder: &KeptFolder) -> Json {
    let text = |path: &Path| path.display().to_string();
    let target: PathBuf = folder.target();
    Json {
        folder: text(folder.path()),
        target: text(&target),
        began: folder.began().to_string(),
        state: word(folder),
        object: folder.object().into(),
        kept: folder.kept(),
        written: folder.written(),
        bytes: folder.bytes(),
    }
}
