//! `diff`: what differs between two folders. Authority: Kopia's `internal/diff/diff.go` and `cli/command_diff.go`.

mod files;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;

use kopia_rs::{Entry, EntryKind, Snapshots, Timestamp};
use serde::Serialize;

use super::call::{Call, info};
use super::objects;
use super::snapshots::mode;
use super::trouble::Trouble;
use crate::terminal::output::{self, Out};
use crate::terminal::{signals, time};
use files::Files;
use kopia_rs::diagnosis::text::escape;

/// How deep folders may lie, so that a damaged repository ends somewhere.
const DEEPEST: usize = 1000;

/// What was counted of files and of folders, in kopia's order.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    file_entries: Counts,
    directory_entries: Counts,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    added: u32,
    removed: u32,
    modified: u32,
    same_content_but_different_metadata: u32,
    same_content_but_different_mode: u32,
    same_content_but_different_modification_time: u32,
    same_content_but_different_user_owner: u32,
    same_content_but_different_group_owner: u32,
}

/// An entry with the attributes that kopia sees.
#[derive(Clone)]
struct Side {
    entry: Entry,
    mode: String,
    size: i64,
    modified: Timestamp,
    owner: (u32, u32),
}

impl Side {
    /// Takes an entry as it stands in a folder: of a folder, kopia takes the sum and the newest time of what is in it.
    fn below(entry: Entry) -> Self {
        let summary = entry.summary().filter(|_| entry.kind() == EntryKind::Directory).cloned();
        let mut side = Self::root(entry);
        if let Some(summary) = summary {
            (side.size, side.modified) = (summary.size, summary.max_time);
        }
        side
    }

    /// Takes the root of a snapshot.
    fn root(entry: Entry) -> Self {
        Self {
            mode: mode(entry.kind(), entry.mode()),
            size: i64::try_from(entry.size()).unwrap_or(i64::MAX),
            modified: entry.modified(),
            owner: entry.owner(),
            entry,
        }
    }

    /// Takes an object of which nothing else is known.
    fn bare(entry: Entry) -> Self {
        let mode = mode(entry.kind(), 0o555);
        Self { entry, mode, size: 0, modified: Timestamp::default(), owner: (0, 0) }
    }

    fn is_directory(&self) -> bool {
        self.entry.kind() == EntryKind::Directory
    }
}

pub(super) fn run(call: &Call) -> Result<(), Trouble> {
    let repository = call.open()?;
    let loading = "unable to load snapshots";
    let snapshots = repository.snapshots().map_err(|error| Trouble::reading(&error, loading))?;
    let side = |number| {
        let name = call.line.argument(number);
        let doing = format!("error getting filesystem entry for {name}");
        let entry = objects::entry(&repository, &snapshots, &name, &doing)?;
        Ok::<_, Trouble>(match name.trim_end_matches('/').contains('/') {
            true => Side::below(entry),
            false if is_root(&snapshots, &name, &entry) => Side::root(entry),
            false => Side::bare(entry),
        })
    };
    let (old, new) = (side(0)?, side(1)?);
    match (old.is_directory(), new.is_directory()) {
        (true, true) => {}
        (false, false) => return Err(Trouble::failed("comparing files not implemented yet")),
        _ => {
            return Err(Trouble::failed(
                "arguments to diff must both be directories or both non-directories",
            ));
        }
    }
    let files = if call.line.is_on("files", false) { Files::of(call)? } else { None };
    let is_quiet = call.line.is_on("stats-only", false);
    let mut comparing = Comparing { call, out: output::out(), is_quiet, stats: Stats::default(), files };
    comparing.entries(Some(&old), Some(&new), ".", 0)?;
    let stats = serde_json::to_string(&comparing.stats).expect("plain values");
    comparing.out.write_all(stats.as_bytes())?;
    Ok(comparing.out.flush()?)
}

fn is_root(snapshots: &Snapshots, name: &str, entry: &Entry) -> bool {
    let has_it = |root: Entry| root.object() == entry.object();
    snapshots.iter().any(|snapshot| snapshot.id() == name || snapshot.root().is_ok_and(has_it))
}

struct Comparing<'a, 'c> {
    call: &'a Call<'c>,
    out: Out,
    is_quiet: bool,
    stats: Stats,
    /// Where files are compared, if they are.
    files: Option<Files>,
}

impl Comparing<'_, '_> {
    fn say(&mut self, words: std::fmt::Arguments) -> Result<(), Trouble> {
        match self.is_quiet {
            true => Ok(()),
            false => Ok(writeln!(self.out, "{}", output::for_terminal(&words.to_string()))?),
        }
    }

    /// Compares two entries; at least one is there.
    fn entries(
        &mut self,
        old: Option<&Side>,
        new: Option<&Side>,
        path: &str,
        depth: usize,
    ) -> Result<(), Trouble> {
        if let Some(signal) = self.call.interrupt.signal() {
            return Err(Trouble::failed(stopped(signal)));
        }
        match (old, new) {
            (Some(old), Some(new)) if old.entry.object() == new.entry.object() => {
                self.count_metadata(old, new);
                Ok(())
            }
            (Some(old), Some(new)) => self.both(old, new, path, depth),
            (None, Some(one)) | (Some(one), None) => {
                let (is_new, size) = (new.is_some(), one.size);
                let verb = if is_new { "added" } else { "removed" };
                if one.is_directory() {
                    self.say(format_args!("{verb} directory {path}"))?;
                    *self.counter(true, is_new) += 1;
                    return self.directories(old, new, path, depth);
                }
                self.say(format_args!("{verb} file {path} ({size} bytes)"))?;
                *self.counter(false, is_new) += 1;
                self.compare_files(old, new, path)
            }
            (None, None) => Ok(()),
        }
    }

    fn counter(&mut self, is_directory: bool, is_new: bool) -> &mut u32 {
        let counts =
            if is_directory { &mut self.stats.directory_entries } else { &mut self.stats.file_entries };
        if is_new { &mut counts.added } else { &mut counts.removed }
    }

    fn both(&mut self, old: &Side, new: &Side, path: &str, depth: usize) -> Result<(), Trouble> {
        self.metadata(old, new, path)?;
        match (old.is_directory(), new.is_directory()) {
            (true, true) => self.directories(Some(old), Some(new), path, depth),
            (true, false) => self.say(format_args!("changed {path} from directory to non-directory")),
            (false, true) => self.say(format_args!("changed {path} from non-directory to a directory")),
            (false, false) => {
                if old.entry.kind() != EntryKind::File || new.entry.kind() != EntryKind::File {
                    return Ok(());
                }
                let (time, before, after) = (instant(new.modified), old.size, new.size);
                self.say(format_args!("changed {path} at {time} (size {before} -> {after})"))?;
                self.stats.file_entries.modified += 1;
                self.compare_files(Some(old), Some(new), path)
            }
        }
    }

    fn compare_files(&mut self, old: Option<&Side>, new: Option<&Side>, path: &str) -> Result<(), Trouble> {
        let file = |side: Option<&Side>| side.map(|side| side.entry.clone());
        let is_file = |side: Option<&Side>| side.is_none_or(|side| side.entry.kind() == EntryKind::File);
        match &self.files {
            Some(files) if is_file(old) && is_file(new) => {
                self.out.flush()?;
                files.compare(file(old).as_ref(), file(new).as_ref(), path)
            }
            _ => Ok(()),
        }
    }

    fn directories(
        &mut self,
        old: Option<&Side>,
        new: Option<&Side>,
        path: &str,
        depth: usize,
    ) -> Result<(), Trouble> {
        if depth > DEEPEST {
            return Err(Trouble::failed("error comparing directories: folders lie too deep"));
        }
        let read = |side: Option<&Side>, which: &str| match side {
            None => Ok(BTreeMap::new()),
            Some(side) => listed(&side.entry, &format!("unable to read {which} directory {path}")),
        };
        let (mut old, new) = (read(old, "first")?, read(new, "second")?);
        for (name, new) in &new {
            let old = old.remove(name);
            self.entries(old.as_ref(), Some(new), &format!("{path}/{name}"), depth + 1)?;
        }
        for (name, old) in &old {
            self.entries(Some(old), None, &format!("{path}/{name}"), depth + 1)?;
        }
        Ok(())
    }

    /// Counts what differs where the bytes are the same.
    fn count_metadata(&mut self, old: &Side, new: &Side) {
        let counts = match old.is_directory() {
            true => &mut self.stats.directory_entries,
            false => &mut self.stats.file_entries,
        };
        let mut is_changed = false;
        for (differs, count) in [
            (old.mode != new.mode, &mut counts.same_content_but_different_mode),
            (old.modified != new.modified, &mut counts.same_content_but_different_modification_time),
            (old.owner.0 != new.owner.0, &mut counts.same_content_but_different_user_owner),
            (old.owner.1 != new.owner.1, &mut counts.same_content_but_different_group_owner),
        ] {
            *count += u32::from(differs);
            is_changed |= differs;
        }
        counts.same_content_but_different_metadata += u32::from(is_changed);
    }

    fn metadata(&mut self, old: &Side, new: &Side, path: &str) -> Result<(), Trouble> {
        let lines = [
            (old.mode != new.mode).then(|| format!("modes differ: {} {}", old.mode, new.mode)),
            (old.size != new.size).then(|| format!("sizes differ: {} {}", old.size, new.size)),
            (old.modified != new.modified).then(|| {
                format!("modification times differ: {} {}", instant(old.modified), instant(new.modified))
            }),
            (old.owner.0 != new.owner.0)
                .then(|| format!("owner users differ: {} {}", old.owner.0, new.owner.0)),
            (old.owner.1 != new.owner.1)
                .then(|| format!("owner groups differ: {} {}", old.owner.1, new.owner.1)),
        ];
        let mut is_changed = false;
        for line in lines.into_iter().flatten() {
            self.say(format_args!("{path} {line}"))?;
            is_changed = true;
        }
        let counts = match old.is_directory() && new.is_directory() {
            true => &mut self.stats.directory_entries,
            false => &mut self.stats.file_entries,
        };
        counts.modified += u32::from(is_changed);
        Ok(())
    }
}

/// Words that a signal came.
fn stopped(signal: i32) -> String {
    format!("error comparing directories: stopped by {}", signals::name(signal))
}

/// Returns what a folder holds, by name. kopia has it in any order.
fn listed(directory: &Entry, doing: &str) -> Result<BTreeMap<String, Side>, Trouble> {
    let mut entries = BTreeMap::new();
    let ended = directory.for_each(|entry| {
        match entry {
            Ok(entry) => {
                entries.entry(entry.name().to_owned()).or_insert_with(|| Side::below(entry));
            }
            Err(one) => info(format_args!("{} is not compared: {}", escape(&one.name), one.why)),
        }
        ControlFlow::Continue(())
    });
    let _ = ended.map_err(|error| Trouble::reading(&error, doing))?;
    Ok(entries)
}

/// Writes a time as Go does where nobody asks for a format.
fn instant(time: Timestamp) -> String {
    time::in_local(time, "%Y-%m-%d %H:%M:%S%.f %z %Z")
}
