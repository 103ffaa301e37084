//! Files and links of the target that have the right bytes and get other attributes, where what they had is
//! kept: the journal says so, and is on disk, before any of them changes. Each time costs as much for many as
//! for one, so they wait for each other.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{OFlags, Stat};

use super::{Worker, is_fatal};
use crate::destination::compare::open_file;
use crate::destination::{Identity, Side, handles, look};
use crate::kept::{Keeping, Noted, path_in};
use crate::outcome::Unset;
use crate::plan::items::SmallEntry;
use crate::reason::{Operation, Reason};

/// How many a worker notes at once.
const NOTED: usize = if cfg!(test) { 2 } else { 1024 };

/// How many bytes the paths of these may have.
const NOTED_BYTES: usize = 1 << 20;

/// A file or link that waits for its attributes.
pub(super) struct Waiting {
    entry: SmallEntry,
    /// What it was like when its bytes were found to be right.
    found: Stat,
}

impl Worker<'_> {
    /// Leaves a file or link of the target to [`Self::correct_waiting`], if what it has is kept and is to
    /// change; returns whether it did.
    pub(super) fn correct_later(&mut self, entry: &SmallEntry, found: &Stat) -> bool {
        if self.shared.kept.is_none() {
            return false;
        }
        let unset = Unset::of(found, &self.metadata.adjusted(&entry.attributes, found));
        // The mode of a link means nothing.
        if !unset.owner && !unset.time && (entry.symlink || unset == Unset::default()) {
            return false;
        }
        self.waiting_bytes += entry.path().len();
        self.waiting.push(Waiting { entry: entry.clone(), found: *found });
        if self.waiting.len() >= NOTED || self.waiting_bytes >= NOTED_BYTES {
            self.correct_waiting();
        }
        true
    }

    /// Sets the attributes of all that wait for them, once the journal says what they had.
    pub(super) fn correct_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if let Some(kept) = self.shared.kept.filter(|_| !waiting.is_empty() && !self.shared.stopped()) {
            self.correct_noted(kept, waiting);
        }
    }

    fn correct_noted(&mut self, kept: &Keeping, waiting: Vec<Waiting>) {
        let noted = |Waiting { entry, found }: &Waiting| {
            let modified = self.metadata.adjusted(&entry.attributes, found).modified;
            let then = (modified.seconds(), modified.nanoseconds());
            Noted { path: path_in(&entry.directory, &entry.name), found: *found, then }
        };
        let noted: Vec<_> = waiting.iter().map(noted).collect();
        match kept.attributes(&noted) {
            Ok(()) => {
                for Waiting { entry, found } in waiting {
                    if let Err(error) = self.correct_found(kept, &entry, &found) {
                        self.attributes_failed(&entry, error);
                    }
                }
            }
            // One of them has too long a path.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && waiting.len() > 1 => {
                waiting.into_iter().for_each(|one| self.correct_noted(kept, vec![one]));
            }
            Err(error) if is_fatal(&error) => {
                self.shared.give_up(self.shared.target.error("what is replaced cannot be kept", error));
            }
            Err(error) => {
                waiting.iter().for_each(|one| self.attributes_failed(&one.entry, handles::copy(&error)));
            }
        }
    }

    fn attributes_failed(&self, entry: &SmallEntry, error: io::Error) {
        self.shared.tally.problem(entry.path(), Reason::of(Operation::SetAttributes, error));
    }

    /// Sets the attributes of a file or link that is still what was compared.
    fn correct_found(&mut self, kept: &Keeping, entry: &SmallEntry, found: &Stat) -> io::Result<()> {
        let directory = self.in_target.open(self.shared.target.directory.as_fd(), &entry.directory)?;
        let (directory, name) = (directory.as_fd(), &*entry.name);
        let unset = if entry.symlink {
            let stat = look(directory, name)?.ok_or(io::ErrorKind::NotFound)?;
            unless_changed(&stat, found)?;
            let wanted = &entry.attributes;
            let unset = self.metadata.correct_symlink(directory, name, &stat, wanted, Side::Target)?;
            note_change(kept, found, look(directory, name).ok().flatten());
            unset
        } else {
            let (file, stat) = open_file(directory, name, OFlags::RDONLY)?;
            unless_changed(&stat, found)?;
            let corrected = self.metadata.correct_file(file.as_fd(), &entry.attributes, Side::Target);
            note_change(kept, found, rustix::fs::fstat(&file).ok());
            let unset = corrected?;
            self.sync(&file)?;
            unset
        };
        self.shared.tally.unset(unset, || entry.path());
        Ok(())
    }
}

/// Refuses what took the place of what was compared, or was changed since.
fn unless_changed(stat: &Stat, found: &Stat) -> io::Result<()> {
    let of = |stat: &Stat| (Identity::from(stat), stat.st_ctime, stat.st_ctime_nsec);
    if of(stat) == of(found) {
        return Ok(());
    }
    Err(io::Error::other("it was changed while the restore ran"))
}

/// Notes that something got other attributes. Who may not give files away changes nothing where only the owner
/// is another one.
fn note_change(kept: &Keeping, before: &Stat, now: Option<Stat>) {
    let of = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime, stat.st_mtime_nsec);
    if now.is_none_or(|now| of(&now) != of(before)) {
        kept.note_change();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::num::NonZeroUsize;
    use std::os::unix::fs::PermissionsExt;

    use kopia_testkit::writer::RepositoryWriter;
    use serde_json::json;

    use crate::Options;
    use crate::testing::root_of;

    #[test]
    fn a_path_that_is_too_long_for_the_journal_costs_its_own_attributes_alone() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        // Each of these letters takes six bytes there.
        let [folder, long] = [120, 60].map(|count| "é".repeat(count));
        let at = |name: &str| target.join(&folder).join(name);
        fs::create_dir_all(target.join(&folder)).unwrap();
        for name in ["short", &*long] {
            fs::write(at(name), "text").unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(0o600)).unwrap();
        }
        let mut writer = RepositoryWriter::new();
        let text = writer.file(b"text");
        let file = |name: &str| {
            json!({"name": name, "type": "f", "mode": "0644", "size": 4, "mtime": "2020-01-02T03:04:05Z",
                "obj": text})
        };
        let inner = writer.directory(&[file("short"), file(&long)]);
        let root = root_of(writer, &[json!({"name": folder, "type": "d", "mode": "0755", "obj": inner})]);
        // Both are noted together.
        let parallel = NonZeroUsize::new(1);
        let options = Options { keep_replaced: true, parallel, root_attributes: false, ..Options::default() };
        let outcome = crate::restore(&root, &target, &options).unwrap();
        let [problem] = &outcome.problems[..] else { panic!("{:?}", outcome.problems) };
        assert_eq!(problem.path, format!("{folder}/{long}"));
        assert!(problem.to_string().contains("too long for the journal"), "{problem}");
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((outcome.kept, mode("short"), mode(&long)), (2, 0o644, 0o600));
    }
}
