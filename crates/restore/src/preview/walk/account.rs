//! Adds up what would happen, and tells the caller of each entry.

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use super::DryRun;
use crate::Problem;
use crate::destination::metadata::keep::Creator;
use crate::outcome::{KEPT, KEPT_BYTES};
use crate::preview::{Action, Change};
use crate::reason::{NotDeleted, Reason};
use crate::space::Space;

impl<V: FnMut(&Change)> DryRun<'_, V> {
    /// Counts what cannot be restored exactly of an entry.
    pub(super) fn note(&mut self, entry: &Entry) {
        self.preview.notes.names += u64::from(entry.name().contains('\u{fffd}'));
        let Creator { uid, gid, may_give, .. } = self.creator;
        let (wanted, group) = self.options.owners.of(entry);
        let may_have_group = group == gid || self.groups.contains(&group);
        let is_settable = may_give || (wanted == uid && may_have_group);
        if self.options.skip_owners || is_settable {
            return;
        }
        self.preview.notes.owners += 1;
        // A directory of the right group keeps setgid, whoever owns it.
        let lending = match entry.kind() {
            EntryKind::Symlink => 0,
            EntryKind::Directory if may_have_group => 0o4000,
            EntryKind::Directory | EntryKind::File => 0o6000,
        };
        let lends = self.options.owners.mode(entry) & lending != 0;
        self.preview.notes.special_bits += u64::from(lends && !self.options.skip_permissions);
    }

    /// Counts a directory that is made.
    pub(super) fn made(&mut self, path: String, action: Action, frees: u64) {
        self.preview.directories += 1;
        // Some file systems keep a small directory with its attributes.
        self.takes(self.block, 0, frees);
        self.inodes_in_turn.add(1, u64::from(action == Action::Replace));
        self.tell(path, action, true, 0);
    }

    pub(in crate::preview) fn written(&mut self, path: String, action: Action, entry: &Entry, frees: u64) {
        let takes = Space::of(entry.size(), self.block).bytes;
        // File systems keep short targets of links with the attributes.
        let least = if entry.kind() == EntryKind::File { takes } else { 0 };
        match action {
            // It grows where it is.
            Action::Change => self.takes(takes.saturating_sub(frees), least.saturating_sub(frees), 0),
            _ => self.takes(takes, least, frees),
        }
        if action != Action::Change {
            self.inodes_in_turn.add(1, u64::from(action == Action::Replace));
        }
        let bytes = if entry.kind() == EntryKind::File { entry.size() } else { 0 };
        self.preview.written += 1;
        self.preview.bytes += bytes;
        self.tell(path, action, false, bytes);
    }

    /// Counts the room that something takes at most and at least, and frees later.
    pub(super) fn takes(&mut self, most: u64, least: u64, frees: u64) {
        self.preview.room = self.preview.room.saturating_add(most);
        self.in_turn.add(least, frees);
    }

    pub(in crate::preview) fn deleted(&mut self, path: String) {
        self.preview.deleted += 1;
        self.tell(path, Action::Delete, false, 0);
    }

    pub(super) fn kept(&mut self, path: String, entry: &Entry) {
        self.preview.kept += 1;
        self.tell(path, Action::Keep, false, entry.size());
    }

    /// Counts a file or link of the target that stays because the snapshot's is not newer.
    pub(super) fn left_as_new(&mut self, path: String, entry: &Entry) {
        self.preview.left_as_new += 1;
        self.tell(path, Action::Leave, false, entry.size());
    }

    pub(super) fn tell(&mut self, path: String, action: Action, directory: bool, bytes: u64) {
        (self.visit)(&Change { path, action, directory, bytes });
    }

    /// As [`Self::problem`], of what the snapshot does not have.
    pub(in crate::preview) fn extra_problem(&mut self, path: String, reason: NotDeleted) {
        self.extras.problems += 1;
        self.preview.undeleted += 1;
        self.problem(path, reason.into());
    }

    /// As [`Self::problem`], of an entry with all below it.
    pub(super) fn lost(&mut self, path: String, reason: Reason, entry: &Entry) {
        let below = entry.entries_below();
        if matches!(reason, Reason::Unfit { .. } | Reason::NameTaken { .. }) {
            self.preview.unfit_below = self.preview.unfit_below.saturating_add(below);
        }
        self.problem(path, reason);
        self.preview.problem_count = self.preview.problem_count.saturating_add(below);
    }

    pub(in crate::preview) fn problem(&mut self, path: String, reason: Reason) {
        self.preview.problem_count += 1;
        if self.preview.problems.len() < KEPT && self.kept_bytes < KEPT_BYTES {
            self.kept_bytes += path.len();
            self.preview.problems.push(Problem { path, reason, salvaged: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kopia_testkit::writer::RepositoryWriter;
    use rustix::fs::{Gid, Mode};
    use serde_json::json;

    use super::*;
    use crate::testing::only_root;
    use crate::{Options, Preview};

    /// Makes an entry of this owner and group, with a mode in Go's bits, and of this kind.
    fn entry((uid, gid, mode, kind): (u32, u32, &str, &str)) -> Entry {
        let mut writer = RepositoryWriter::new();
        let object = if kind == "d" { writer.directory(&[]) } else { writer.file(b"") };
        let root =
            json!({"name": "n\u{fffd}", "type": kind, "mode": mode, "uid": uid, "gid": gid, "obj": object});
        writer.snapshot("app@host:/data", root);
        only_root(writer)
    }

    /// What user 1000 of the groups 100 and 200 cannot restore of an entry: owners, special bits.
    fn noted(options: &Options, entry: &Entry) -> (u64, u64) {
        let mut dry_run = DryRun::new(options, (Path::new("/"), None), |_: &Change| ());
        let creator = Creator::of_process();
        dry_run.creator = Creator { user: 1000, uid: 1000, gid: 100, may_give: false, ..creator };
        dry_run.groups = vec![200];
        dry_run.note(entry);
        let Preview { notes, .. } = dry_run.preview;
        assert_eq!(notes.names, 1);
        (notes.owners, notes.special_bits)
    }

    #[test]
    fn whose_files_become_is_foreseen_where_the_target_is_to_be_made() {
        let place = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(place.path()).unwrap();
        let groups = rustix::process::getgroups().unwrap();
        let own = rustix::process::getegid();
        // Root may give any, everybody else one of theirs.
        let is_root = rustix::process::geteuid().is_root();
        let other =
            groups.into_iter().chain(is_root.then_some(Gid::from_raw(4242))).find(|group| *group != own);
        let Some(other) = other else {
            return kopia_testkit::facilities::left_out("this user has no other group");
        };
        rustix::fs::fchown(&directory, None, Some(other)).unwrap();
        let gid = |mode| {
            rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)).unwrap();
            let options = Options::default();
            let target = place.path().join("new/target");
            DryRun::new(&options, (&*target, None), |_: &Change| ()).creator.gid
        };
        assert_eq!((gid(0o755), gid(0o2755)), (own.as_raw(), other.as_raw()));
    }

    #[test]
    fn what_lies_below_directories_that_the_target_cannot_hold_is_counted_by_itself() {
        let mut writer = RepositoryWriter::new();
        let object = writer.directory(&[]);
        let summary =
            json!({"size": 2, "files": 2, "symlinks": 0, "dirs": 1, "maxTime": "2026-01-01T00:00:00Z"});
        let root = json!({"name": "d", "type": "d", "mode": "0755", "obj": object, "summ": summary});
        writer.snapshot("app@host:/data", root);
        let (entry, options) = (only_root(writer), Options::default());
        let mut dry_run = DryRun::new(&options, (Path::new("/"), None), |_: &Change| ());
        for (reason, expected) in
            [(Reason::KeptName, (3, 0)), (Reason::Mounted, (6, 0)), (Reason::NameTaken { by: None }, (9, 2))]
        {
            dry_run.lost("d".into(), reason, &entry);
            assert_eq!((dry_run.preview.problem_count, dry_run.preview.unfit_below), expected);
        }
    }

    #[test]
    fn owners_and_the_bits_that_lend_their_rights_are_counted_together() {
        for (of, expected) in [
            ((1000, 100, "060000755", "f"), (0, 0)),
            ((1000, 200, "060000755", "f"), (0, 0)),
            ((1000, 300, "0755", "f"), (1, 0)),
            ((1000, 300, "020000755", "f"), (1, 1)),
            ((0, 100, "040000755", "f"), (1, 1)),
            ((0, 100, "020000755", "f"), (1, 1)),
            ((0, 100, "04000755", "f"), (1, 0)),
            // A directory of the right group keeps setgid.
            ((0, 200, "020000755", "d"), (1, 0)),
            ((0, 200, "040000755", "d"), (1, 1)),
            ((0, 300, "020000755", "d"), (1, 1)),
            ((0, 300, "060000777", "s"), (1, 0)),
        ] {
            let entry = entry(of);
            assert_eq!(noted(&Options::default(), &entry), expected, "{of:?}");
            let mut options = Options { skip_permissions: true, ..Options::default() };
            assert_eq!(noted(&options, &entry), (expected.0, 0), "{of:?}");
            options.skip_owners = true;
            assert_eq!(noted(&options, &entry), (0, 0), "{of:?}");
        }
    }
}
