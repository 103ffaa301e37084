//! The restores themselves, round by round.
//!
//! In each round every contestant restores once, so that whatever changes on the machine meanwhile hits all;
//! each round begins with another one. Restored folders stay until the end where there is room, as some file
//! systems are slow after many files were removed. Outside its time, what a contestant reads is brought into
//! the page cache before, as far as that can hold it, and what it wrote is forced to disk afterwards, so that
//! it does not slow the next one down.

use std::fs::{self, File};
use std::path::Path;

use crate::Result;
use crate::args::Args;
use crate::backup::Repositories;
use crate::contestants::{Contestant, Place};
use crate::figures::{Row, SetFigures, Trouble};
use crate::same;
use crate::sets::{Set, count};
use crate::step::Taken;
use crate::tools::{Tool, Tools};
use crate::turns::order;

/// How many times the tree's bytes a restore may need: kopia keeps every content in its cache as well.
const ROOM: u64 = 2;

/// Room for all else, in bytes.
const SPARE: u64 = 1 << 30;

/// What all sets share.
pub(crate) struct Comparison<'a> {
    pub(crate) args: &'a Args,
    pub(crate) work: &'a Path,
    pub(crate) tools: &'a Tools,
    pub(crate) contestants: &'a [Contestant],
}

impl Comparison<'_> {
    /// Has all contestants restore a set.
    pub(crate) fn set(&self, set: Set) -> Result<SetFigures> {
        let tree = set.tree(self.work, self.args.scale, self.args.tree.as_deref())?;
        let (files, bytes) = count(&tree)?;
        let folder = self.work.join("repositories").join(self.folder_of(set, &tree));
        let repositories = Repositories::make(self.tools, &tree, &folder, &Tool::OF_BACKUPS)?;
        self.flush()?;
        let row = |contestant: &Contestant| Row::new(contestant.name(), contestant.label());
        let mut rows: Vec<Row> = self.contestants.iter().map(row).collect();
        for round in 0..self.args.rounds {
            for number in order(round, rows.len()) {
                let (contestant, row) = (self.contestants[number], &mut rows[number]);
                if row.trouble.is_some() {
                    continue;
                }
                self.make_room(set, files, bytes)?;
                let restored = self.restored();
                let folder = restored.join(format!("{}-{round}-{}", set.name(), contestant.name()));
                let place = Place {
                    tools: self.tools,
                    repositories: &repositories,
                    target: folder.join("restored"),
                    folder,
                    kept: restored.join(format!("{}-kept-{}", set.name(), contestant.name())),
                };
                let head =
                    format!("{}, round {} of {}: {}", set.name(), round + 1, self.args.rounds, row.label);
                match run(contestant, &place, round == 0) {
                    Ok(Ran::Whole(taken)) => {
                        eprintln!("{head}: {:.2} s, {:.2} CPU s", taken.wall_s, taken.cpu_s);
                        row.runs.push(taken);
                    }
                    Ok(Ran::Different(differences)) => {
                        eprintln!("{head}: incomplete: {}", differences.join("; "));
                        row.trouble = Some(Trouble::Incomplete(differences.join("; ")));
                    }
                    Err(error) => {
                        eprintln!("{head}: failed: {error}");
                        row.trouble = Some(Trouble::Failed(error.to_string()));
                    }
                }
                self.flush()?;
            }
        }
        Ok(SetFigures { name: set.name().into(), files, bytes, rows })
    }

    /// Removes what was restored.
    pub(crate) fn clean(&self) -> Result<()> {
        match fs::remove_dir_all(self.restored()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What was made from another tree, or from sets of another size, is not used again.
    pub(crate) fn folder_of(&self, set: Set, tree: &Path) -> String {
        match set {
            Set::Real => {
                let path = tree.display().to_string();
                format!("real{}", path.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"))
            }
            _ => format!("{}-{}", set.name(), self.args.scale),
        }
    }

    /// Returns where restored folders go.
    pub(crate) fn restored(&self) -> std::path::PathBuf {
        self.work.join("restored")
    }

    /// Removes what was restored if there is little room for more.
    pub(crate) fn make_room(&self, set: Set, files: u64, bytes: u64) -> Result<()> {
        let stat = rustix::fs::statvfs(self.work)?;
        let bytes_fit =
            stat.f_bavail.saturating_mul(stat.f_frsize) >= bytes.saturating_mul(ROOM).saturating_add(SPARE);
        // Some file systems have no fixed number of files, and state none.
        let files_fit = stat.f_files == 0 || stat.f_favail >= files.saturating_mul(ROOM);
        if !bytes_fit || !files_fit {
            eprintln!("warning: too little room to keep what was restored; it is removed now");
            let kept = format!("{}-kept-", set.name());
            for entry in fs::read_dir(self.restored())? {
                let entry = entry?;
                if !entry.file_name().to_string_lossy().starts_with(&kept) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Forces what was written to disk.
    pub(crate) fn flush(&self) -> Result<()> {
        Ok(rustix::fs::syncfs(File::open(self.work)?)?)
    }
}

enum Ran {
    Whole(Taken),
    Different(Vec<String>),
}

/// Has one contestant restore once. The first time it may prepare itself, and what it restored is looked at.
fn run(contestant: Contestant, place: &Place<'_>, first: bool) -> Result<Ran> {
    fs::create_dir_all(&place.folder)?;
    if first {
        let steps = contestant.preparation(place)?;
        if !steps.is_empty() {
            fs::create_dir_all(&place.kept)?;
        }
        for (number, step) in steps.iter().enumerate() {
            step.run(&place.kept.join(format!("step-{number}.log")))?;
        }
    }
    warm(&contestant.input(place.repositories))?;
    let mut taken: Option<Taken> = None;
    for (number, step) in contestant.steps(place)?.iter().enumerate() {
        let (mut step_taken, output) = step.run(&place.folder.join(format!("step-{number}.log")))?;
        if contestant.measures_itself() {
            step_taken = serde_json::from_str(&output)?;
        }
        taken = Some(taken.map_or(step_taken, |taken| taken.and(step_taken)));
    }
    let taken = taken.ok_or("nothing to measure")?;
    if first && contestant.restores() {
        let differences = same::differences(&place.repositories.tree, &place.target)?;
        if !differences.is_empty() {
            return Ok(Ran::Different(differences));
        }
    }
    Ok(Ran::Whole(taken))
}

/// Compares what was restored with what was backed up.
pub(crate) fn is_whole(repositories: &Repositories, target: &Path) -> Result<()> {
    let differences = same::differences(&repositories.tree, target)?;
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("incomplete: {}", differences.join("; ")).into())
}

/// Reads everything below a folder, so that it lies in the page cache.
pub(crate) fn warm(folder: &Path) -> Result<()> {
    let mut ahead = vec![folder.to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                ahead.push(entry.path());
            } else if kind.is_file() {
                std::io::copy(&mut File::open(entry.path())?, &mut std::io::sink())?;
            }
        }
    }
    Ok(())
}
