//! `snapshot verify`.
//!
//! kopia looks in its indexes for every content of every file, and whether the store has their packs; with
//! `--verify-files-percent` it reads so many files. Here the same is looked for, and so many of the packs are read.

use std::hash::{BuildHasher, Hasher, RandomState};

use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::escape;
use kopia_rs::verify::{Options, Report, Subject};
use kopia_rs::{Entry, EntryKind, Repository, Snapshots};
use serde::Serialize;

use super::call::{Call, info};
use super::objects;
use super::snapshots::source;
use super::trouble::{self, Flaw, Trouble};
use super::words;

/// How many errors are named at most.
const SHOWN: usize = 1000;

/// What `--json` prints. Here packs are read, and no files: of the files that were looked at, that share counts as
/// read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    stats: Stats,
    error_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error_strings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    processed_object_count: u64,
    processed_bytes: u64,
    read_file_count: u64,
    read_bytes: u64,
    expected_total_object_count: i64,
    expected_total_file_count: i64,
    expected_total_bytes: i64,
}

pub(super) fn run(call: &Call) -> Result<(), Trouble> {
    let line = &call.line;
    let repository = call.open()?;
    let doing = "unable to load snapshot manifests";
    let snapshots = repository.snapshots().map_err(|error| Trouble::reading(&error, doing))?;
    let mut options = Options::default();
    let percent = line.text("verify-files-percent").unwrap_or_else(|| "0".into());
    let odd =
        || Trouble::failed(format!("kopia: error: strconv.ParseFloat: parsing {percent:?}: invalid syntax"));
    let percent: f64 = percent.parse().ok().filter(|percent: &f64| percent.is_finite()).ok_or_else(odd)?;
    if percent < 100.0 {
        options.part.percent = Some(percent.max(0.0));
        options.start = random();
    }
    let most = line.text("max-errors").unwrap_or_else(|| "0".into());
    let odd = || Trouble::failed(format!("kopia: error: strconv.ParseInt: parsing {most:?}: invalid syntax"));
    let most: i64 = most.parse().map_err(|_| odd())?;
    let subjects = subjects(call, &repository, &snapshots)?;
    let failed = |error| Trouble::reading(&error, "error verifying");
    let is_whole = subjects.is_empty();
    let verified = match is_whole {
        true => repository.verify(&options, &()),
        false => repository.verify_entries(&subjects, &options, &()),
    };
    let verified = verified.map_err(failed)?;
    let missing = if is_whole && repository.server().is_none() {
        repository.missing_packs().map_err(failed)?
    } else {
        Vec::new()
    };
    let mut errors: Vec<Flaw> = missing
        .iter()
        .map(|pack| Flaw {
            place: pack.id.to_string(),
            class: Class::Damaged,
            why: format!("{} contents are backed by missing blob {}", pack.contents, pack.id),
        })
        .collect();
    errors.extend(affected(&verified));
    let count = verified.affected_count.max(verified.damage_count).saturating_add(missing.len() as u64);
    // kopia stops once it has met so many.
    let count = if most < 0 { count } else { count.min(most.unsigned_abs().max(1)) };
    errors.truncate(usize::try_from(count).unwrap_or(SHOWN).min(SHOWN));
    let json = Json {
        stats: stats(&verified, &snapshots, &subjects, percent),
        error_count: count,
        error_strings: errors.iter().map(|error| error.why.clone()).collect(),
    };
    if line.is_on("json", false) {
        words::print_json(line, &json)?;
    } else {
        let Stats { processed_object_count: objects, read_file_count: files, .. } = json.stats;
        let (processed, read) = (words::size(json.stats.processed_bytes), words::size(json.stats.read_bytes));
        info(format_args!(
            "Finished processing {objects} objects ({processed}). Read {files} files ({read})."
        ));
    }
    let Some(first) = errors.first().filter(|_| count > 0) else { return Ok(()) };
    Err(failure(&errors, first, count))
}

/// Makes the failure of what is wrong, with its names as far as they do not mislead.
fn failure(flaws: &[Flaw], first: &Flaw, count: u64) -> Trouble {
    let last = match count {
        1 => escape(&first.why).into_owned(),
        _ => first.begin(&format!("encountered {count} errors")),
    };
    let named =
        flaws.iter().map(|flaw| format!("error processing {}: {}", escape(&flaw.place), escape(&flaw.why)));
    let mut lines = trouble::named(&last, named, count);
    lines.push(last);
    Trouble::Failed(lines)
}

/// Returns what is named; nothing stands for everything.
fn subjects(call: &Call, repository: &Repository, snapshots: &Snapshots) -> Result<Vec<Subject>, Trouble> {
    let line = &call.line;
    let failed = |error| Trouble::reading(&error, "unable to get snapshot root");
    let mut chosen = Vec::new();
    for number in 0..line.arguments.len() {
        let id = line.argument(number);
        let found = snapshots.iter().find(|snapshot| snapshot.id() == id);
        let (of, all) = (line.arguments.len() - 1, line.arguments.len());
        let none = || {
            let lines = [
                format!("unable to parse snapshot manifest {}: snapshot not found", escape(&id)),
                format!("found {of} of the {all} requested snapshot IDs to verify"),
            ];
            Trouble::Failed(lines.into())
        };
        chosen.push(found.ok_or_else(none)?);
    }
    for name in line.all("sources") {
        let source = source(&name.to_string_lossy(), &call.owner())?;
        chosen.extend(snapshots.iter().filter(|snapshot| *snapshot.source() == source));
    }
    let mut subjects = Vec::new();
    for snapshot in &chosen {
        let entry = snapshot.root().map_err(failed)?;
        subjects.push(Subject { snapshot: Some((*snapshot).clone()), entry, path: String::new() });
    }
    for name in line.all("directory-id").chain(line.all("file-id")) {
        let name = name.to_string_lossy();
        let entry = objects::entry(repository, snapshots, &name, &format!("unable to parse: {name:?}"))?;
        subjects.push(Subject { snapshot: None, entry, path: name.into_owned() });
    }
    let is_named = line.all("sources").next().is_some();
    if subjects.is_empty() && is_named {
        return Err(Trouble::failed("no snapshots found for the provided sources"));
    }
    Ok(subjects)
}

fn affected(verified: &Report) -> impl Iterator<Item = Flaw> {
    let damage = verified.damage.iter().map(|damage| Flaw {
        place: damage.content.to_string(),
        class: Class::of(&damage.error),
        why: damage.error.to_string(),
    });
    let affected = verified.affected.iter().map(|entry| {
        let source = entry.snapshot.as_ref().map(|snapshot| format!("{}@", snapshot.source()));
        let place = format!("{}{}", source.unwrap_or_default(), entry.path);
        Flaw { place, class: Class::of_defect(&entry.reason), why: entry.reason.to_string() }
    });
    if verified.affected.is_empty() { damage.collect::<Vec<_>>() } else { affected.collect() }.into_iter()
}

fn stats(verified: &Report, snapshots: &Snapshots, subjects: &[Subject], percent: f64) -> Stats {
    let share = (percent / 100.0).clamp(0.0, 1.0);
    // kopia expects something of folders alone.
    let summary = |root: &Entry| root.summary().filter(|_| root.kind() == EntryKind::Directory).cloned();
    let of_all = || snapshots.iter().filter_map(|snapshot| summary(&snapshot.root().ok()?));
    let of_some = || subjects.iter().filter_map(|subject| summary(&subject.entry));
    let summaries: Vec<_> = if subjects.is_empty() { of_all().collect() } else { of_some().collect() };
    let sum = |count: fn(&kopia_rs::Summary) -> i64| summaries.iter().map(count).fold(0, i64::saturating_add);
    Stats {
        processed_object_count: verified.directories.saturating_add(verified.files),
        processed_bytes: verified.file_bytes,
        read_file_count: (verified.files as f64 * share).round() as u64,
        read_bytes: verified.plain_bytes,
        expected_total_object_count: sum(|one| {
            one.files.saturating_add(one.dirs).saturating_add(one.symlinks)
        }),
        expected_total_file_count: sum(|one| one.files),
        expected_total_bytes: sum(|one| one.size),
    }
}

/// Returns a random number from 0 to below 1.
fn random() -> f64 {
    // The standard library seeds its hashers at random. 53 bits are what a float holds.
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
