//! `restore WHAT --in-original-place`: to where it was backed up, with a preview and a question before.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::{self, Action, Change, KeptFolder, KeptState, Preview, find_kept};
use kopia_rs::select::Selection;
use kopia_rs::{Entry, EntryKind, Timestamp};

use super::dry_run::tell_problems;
use super::job::Job;
use crate::args::{self, What};
use crate::error::Failure;
use crate::session::Session;
use crate::terminal::output::{count, for_terminal, size, thousands};
use crate::terminal::question;

/// How many entries a preview names.
const SHOWN: u64 = 100;

/// Refuses several things: each has a place of its own.
pub(super) fn refuse_several(args: &args::Restore, whats: &[What]) -> Result<(), Failure> {
    if !args.in_original_place || whats.len() == 1 {
        return Ok(());
    }
    Err(Failure::usage("--in-original-place restores one WHAT, and takes no TARGET")
        .hint("run it once for each WHAT; to a TARGET, several go together"))
}

/// Returns the options with the target that they mean.
pub(super) fn with_target<'a>(
    session: &Session,
    args: &'a args::Restore,
    selection: &Selection,
) -> Result<Cow<'a, args::Restore>, Failure> {
    if !args.in_original_place {
        return Ok(Cow::Borrowed(args));
    }
    let mut args = args.clone();
    args.places.target = original(session, selection, args.from_host.as_deref())?;
    Ok(Cow::Owned(args))
}

/// Returns where an entry was when it was backed up, on this machine.
fn original(session: &Session, selection: &Selection, host: Option<&str>) -> Result<PathBuf, Failure> {
    const ADVICE: &str = "give a TARGET instead of --in-original-place";
    let Some(snapshot) = &selection.snapshot else {
        return Err(Failure::usage("an object has no original place; name a snapshot").hint(ADVICE));
    };
    let (source, here) = (snapshot.source(), session.host());
    let is_here = host.unwrap_or(here).eq_ignore_ascii_case(&source.host);
    if !is_here {
        let this = if host.is_some() { "not on that host" } else { "and this is" };
        let name = host.unwrap_or(here);
        let text = format!("{source} was backed up on {}, {this} {name}", source.host);
        return Err(Failure::usage(text)
            .hint(format!("--from-host {} restores it here all the same, to {}", source.host, source.path))
            .hint(ADVICE));
    }
    if !source.path.starts_with('/') {
        let text = format!("{:?} is no place on this machine", source.path);
        return Err(Failure::usage(text).hint(ADVICE));
    }
    let below = Path::new(&selection.path);
    if !below.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Failure::usage(format!("{:?} is no place below {source}", selection.path)).hint(ADVICE));
    }
    let path = Path::new(&source.path).join(below);
    if selection.entry.kind() == EntryKind::Directory {
        return Ok(path);
    }
    in_its_folder(&path, &selection.entry).ok_or_else(|| {
        let text = format!("{} and {:?} are different names", path.display(), selection.entry.name());
        Failure::usage(text).hint(ADVICE)
    })
}

/// Returns the folder that a file or link goes into by its name, so that a folder of that name is no target.
fn in_its_folder(path: &Path, entry: &Entry) -> Option<PathBuf> {
    let name = path.file_name().filter(|name| entry.name().rsplit('/').next() == name.to_str())?;
    let text = path.to_str()?;
    Some(text.strip_suffix(name.to_str()?)?.into())
}

/// Shows what would happen, and asks whether it is to.
pub(super) fn confirm(session: &Session, args: &args::Restore, jobs: &[Job]) -> Result<(), Failure> {
    let target = &*args.places.target;
    if !args.in_original_place || args.yes {
        return Ok(());
    }
    if !question::can_ask() {
        return Err(Failure::usage(
            "this is no terminal, on which could be asked before anything is replaced",
        )
        .hint("--dry-run shows what would be; --yes restores without being asked"));
    }
    let mut lines = Lines { shown: 0, more: 0, replaced: 0, out: io::stderr() };
    let mut preview = Preview::default();
    for (entry, options) in jobs.iter().flat_map(|job| &job.parts) {
        preview.add(restore::preview(entry, target, options, |change| lines.add(change))?);
    }
    lines.end(&preview, target).map_err(Failure::output)?;
    tell_problems(session, &preview, "");
    if preview.written + preview.directories + preview.deleted == 0 {
        return Ok(());
    }
    match question::ask("Go on? What is replaced is kept until it is forgotten.").map_err(Failure::output)? {
        true => Ok(()),
        false => Err(Failure::failed("nothing was restored").with_class(Class::Stopped)),
    }
}

/// Names what changes, up to a number.
struct Lines {
    shown: u64,
    more: u64,
    replaced: u64,
    out: io::Stderr,
}

impl Lines {
    fn add(&mut self, change: &Change) {
        let sign = match change.action {
            Action::Write => '+',
            Action::Replace | Action::Change => '~',
            Action::Delete => '-',
            _ => return,
        };
        self.replaced += u64::from(sign == '~');
        if self.shown >= SHOWN {
            self.more += 1;
            return;
        }
        self.shown += 1;
        let path = for_terminal(&change.path);
        let (slash, bytes) = if change.directory { ("/", String::new()) } else { ("", size(change.bytes)) };
        let bytes = if sign == '-' { String::new() } else { bytes };
        let _ = writeln!(self.out, "{sign} {bytes:>10}  {path}{slash}");
    }

    fn end(&mut self, preview: &Preview, target: &Path) -> io::Result<()> {
        if self.more > 0 {
            writeln!(self.out, "  … and {} more; --dry-run lists all", thousands(self.more))?;
        }
        let Preview { written, bytes, directories, kept, deleted, .. } = preview;
        let target = target.display().to_string();
        writeln!(
            self.out,
            "{}: {} to write ({}), {} of them in the place of others; {} to make, {} to delete; {} stay",
            for_terminal(&target),
            count(*written, "file or link", "files and links"),
            size(*bytes),
            thousands(self.replaced),
            count(*directories, "folder", "folders"),
            thousands(*deleted),
            thousands(*kept + preview.left_as_new),
        )
    }
}

/// Says where lies what was replaced so far, after a restore that began then and failed.
pub(super) fn note_unfinished(session: &Session, target: &Path, began: Timestamp) {
    let of = fs::canonicalize(target).unwrap_or_else(|_| target.into());
    let kept = find_kept(target).into_iter().find(|folder| folder.target() == of);
    // It is done if nothing failed but the removal of the unfinished folder.
    let is_of_this = |folder: &KeptFolder| match folder.state() {
        KeptState::Unfinished => true,
        KeptState::Done => folder.began().seconds() >= began.seconds(),
        _ => false,
    };
    if let Some(folder) = kept.filter(is_of_this) {
        let path = folder.path().display().to_string();
        session.note(&format!("what was replaced is kept: `kopia-rs undo {path}` puts it back"));
    }
}
