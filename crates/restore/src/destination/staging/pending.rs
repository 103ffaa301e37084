//! What directories of the target were like before the restore changed them, noted where a later run could not
//! tell any more.
//!
//! A run that is killed while entries get to their place leaves directories with a mode of its own and the time
//! of its last change. Where the snapshot's attributes are set anyway, the next run puts them right. But some
//! directories keep what they had: with [`Options::newer`](crate::Options::newer) they would look newer than
//! the snapshot's from then on, and with [`Options::skip_permissions`](crate::Options::skip_permissions) one that
//! was opened up would stay so.
//!
//! The notes stand in the file that has the staging directory's own name: no entry of the snapshot may have that,
//! and it goes last. Each is `MODE UID GID SECONDS NANOSECONDS PATH`, `new PATH`, `made PATH` or `back PATH`, and
//! ends in NUL; of several for one path the last counts, unless it is of what a run had left by then that has noted
//! an older time: shards note the target side by side. What a directory gets is not noted: the options of the next
//! run may be others. So a run without them notes as well which directories it opens up, and what it is about to
//! change, before the first entry gets to its place: it needs no notes itself, but the next may. What changes
//! before that gets its time back at once, or after some entries, as a note takes room
//! ([`put_time_back`](crate::destination::metadata::put_time_back)): the target, when the staging directory is made
//! in it, and directories that entries are moved into because room is short. Of a target that others may change
//! meanwhile, as shards do, that takes no times, or that was opened up, there is a note. Where a run that ends
//! before its end leaves the target, or a directory that it has closed again, just as that says, it takes the note
//! back.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use kopia_format::Timestamp;
use rustix::fs::{Mode, OFlags, Stat};

use super::super::target::Target;
use super::Staging;
use crate::destination::directory::Directory;
use crate::destination::existing::look_into;
use crate::destination::leftover::Leftover;
use crate::destination::metadata::{Attributes, SETGID};

/// What is noted of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// The target had none.
    New,
    /// The target had none, and a run that was interrupted has moved it there.
    Made,
    /// It had these.
    Had(Attributes),
    /// It had what was noted, and a run has left it so: what it has now is somebody else's.
    Back,
}

/// The notes of this restore, and of runs of it that were interrupted.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    noted: HashMap<String, Noted>,
    /// Where more are added; nothing once that has failed, as on a full disk.
    file: Option<File>,
    /// What is to be added.
    unwritten: String,
}

/// How many bytes are added at once.
const AT_ONCE: usize = 1 << 16;

/// Notes what the target was like before the staging directory was made in it.
pub(crate) fn note_target(target: &Target, staging: &Staging) {
    if let Some(found) = target.found_as_root() {
        Pending::open(staging).before("", Some(&found), (Leftover::Usable, 0), true);
    }
}

/// As [`take_back`], of a target that had to be opened up.
pub(crate) fn take_back_target(target: &Target, staging: &Staging) {
    if target.opened_up_from().is_some()
        && let Ok(now) = rustix::fs::fstat(&target.directory)
    {
        take_back(staging, &[(String::new(), now)]);
    }
}

/// Takes back what was noted of directories that had to be opened up and are just as they were again, where a run ends
/// before its end: whoever opens one up from then on, or puts something in it, means that.
pub(crate) fn take_back(staging: &Staging, closed: &[(String, Stat)]) {
    if !closed.is_empty()
        && let Ok(mut pending) = Pending::open_with(staging, OFlags::empty())
    {
        pending.take_back(closed);
    }
}

/// Notes what directories of the target are like that entries are moved into, or that lose some, and which are
/// moved there as a whole.
pub(crate) fn note_all(
    target: &Target,
    staging: &Staging,
    existing: &[Arc<Directory>],
    moved: &[Arc<Directory>],
) {
    let is_changed = |directory: &Arc<Directory>| {
        let loses = || directory.extras().is_some() || !directory.placeholders().is_empty();
        !directory.is_unseen() && (directory.parent.is_none() || directory.is_in_staging() || loses())
    };
    // What is beside a single file keeps what it has.
    let changed = existing.iter().filter(|directory| target.name.is_none() && is_changed(directory));
    let mut moved = moved.iter().filter(|directory| directory.identity().is_some()).peekable();
    let stat = |directory: &Arc<Directory>| match directory.parent {
        // The unfinished directory in it has changed it already.
        None => target.found_as_root(),
        // It may have been opened up.
        Some(_) => directory.found().copied().or_else(|| {
            let opened = look_into(target.directory.as_fd(), directory, true).ok()?;
            rustix::fs::fstat(opened).ok()
        }),
    };
    let mut found = changed.filter_map(|directory| Some((directory, stat(directory)?))).peekable();
    if found.peek().is_none() && moved.peek().is_none() {
        return;
    }
    let mut pending = Pending::open(staging);
    let all = found.map(|(directory, stat)| (directory, Some(stat)));
    for (directory, found) in all.chain(moved.map(|directory| (directory, None))) {
        let made = (directory.left, directory.attributes.mode);
        pending.add(&directory.path_of(""), found.as_ref(), made, true);
    }
    pending.write();
}

/// Forgets what was noted, where the staging directory cannot be removed or a note takes the last room.
pub(crate) fn forget(staging: &Staging) {
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Where nothing was noted there is no such file.
    let _ = rustix::fs::openat(staging.handle(), staging.name(), flags, Mode::empty());
}

impl Pending {
    /// Reads what runs that were interrupted have noted.
    pub(crate) fn open(staging: &Staging) -> Self {
        Self::open_with(staging, OFlags::CREATE).unwrap_or_else(|error| {
            tracing::warn!(%error, "what an interrupted run noted of folders cannot be read");
            Self::default()
        })
    }

    fn open_with(staging: &Staging, more: OFlags) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
        let mode = Mode::RUSR | Mode::WUSR;
        Self::of(rustix::fs::openat(staging.handle(), staging.name(), flags, mode)?.into())
    }

    fn of(mut file: File) -> io::Result<Self> {
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // A note that was not written whole, as on a full disk, would become part of the next one.
        let whole = text.iter().rposition(|byte| *byte == 0).map_or(0, |last| last + 1);
        if whole < text.len() {
            file.set_len(whole as u64)?;
            text.truncate(whole);
        }
        Ok(Self { noted: parse(&text), file: Some(file), unwritten: String::new() })
    }

    /// Returns what a directory of the target was like before the first run of this restore changed it; nothing
    /// if there was none. That is what is `found` now, unless a run that was interrupted has noted something else
    /// and what is found may be what that run has left. What is found is noted then if it `may_mislead` the next
    /// run.
    ///
    /// Of one that the restore has made, `made` says what is left of it in the staging tree, which is nothing once
    /// it was moved, and which mode it gets at the end.
    pub(crate) fn before(
        &mut self,
        path: &str,
        found: Option<&Stat>,
        made: (Leftover, u32),
        may_mislead: bool,
    ) -> Option<Stat> {
        let before = self.add(path, found, made, may_mislead);
        self.write();
        before
    }

    /// As [`Self::before`], but leaves the note to be written by [`Self::write`], unless there are many.
    pub(crate) fn add(
        &mut self,
        path: &str,
        found: Option<&Stat>,
        made: (Leftover, u32),
        may_mislead: bool,
    ) -> Option<Stat> {
        match (self.noted.get(path).copied(), found) {
            (Some(Noted::New), None) => return None,
            (Some(Noted::New), Some(stat)) if made.0 == Leftover::Nothing && may_be_made(made.1, stat) => {
                self.unwritten += &format!("made {path}\0");
                return None;
            }
            (Some(Noted::Made), Some(stat)) if may_be_made(made.1, stat) => return None,
            (Some(Noted::Had(had)), Some(stat)) if may_be_left(&had, stat) => {
                return Some(as_it_was(&had, stat));
            }
            _ => {}
        }
        if may_mislead {
            self.unwritten += &found.map_or_else(
                || format!("new {path}\0"),
                |stat| {
                    let Attributes { mode, uid, gid, modified } = Attributes::found(stat);
                    let (seconds, nanoseconds) = (modified.seconds(), modified.nanoseconds());
                    format!("{mode:o} {uid} {gid} {seconds} {nanoseconds} {path}\0")
                },
            );
            if self.unwritten.len() >= AT_ONCE {
                self.write();
            }
        }
        found.copied()
    }

    /// Takes back what was noted of directories that are just as that says.
    fn take_back(&mut self, all: &[(String, Stat)]) {
        for (path, now) in all {
            if self.noted.get(path) == Some(&Noted::Had(Attributes::found(now))) {
                self.unwritten += &format!("back {path}\0");
            }
        }
        self.write();
    }

    /// Writes what was left to be.
    pub(crate) fn write(&mut self) {
        let unwritten = std::mem::take(&mut self.unwritten);
        let Some(file) = self.file.as_mut().filter(|_| !unwritten.is_empty()) else { return };
        if let Err(error) = file.write_all(unwritten.as_bytes()) {
            tracing::debug!(%error, "what folders were like is not noted any more");
            self.file = None;
        }
    }
}

/// Returns whether a run that was interrupted may have left a directory like this that it had moved to its place:
/// without its attributes, of which `mode` is the first that it gets. Where the target has setgid, so has what is made
/// in the staging directory.
fn may_be_made(mode: u32, stat: &Stat) -> bool {
    let has = stat.st_mode & 0o7777;
    [0o700, mode, mode & 0o777 | 0o700].iter().any(|made| has == *made || has == *made | SETGID)
}

/// Returns whether a run that was interrupted may have left a directory like this that had these attributes: with
/// its owner, and opened up at most. What somebody else has made of it since is to stay.
fn may_be_left(had: &Attributes, stat: &Stat) -> bool {
    may_be_left_with(had, (stat.st_uid, stat.st_gid), stat.st_mode & 0o7777)
}

/// As [`may_be_left`], by owner, group and mode.
fn may_be_left_with(had: &Attributes, owner: (u32, u32), mode: u32) -> bool {
    owner == (had.uid, had.gid) && [had.mode, had.mode | 0o700, 0o700].contains(&mode)
}

/// Returns what a directory of the target was like when it had these attributes.
fn as_it_was(had: &Attributes, stat: &Stat) -> Stat {
    let mut before = *stat;
    before.st_mode = before.st_mode & !0o7777 | had.mode;
    (before.st_mtime, before.st_mtime_nsec) = (had.modified.seconds(), had.modified.nanoseconds().into());
    before
}

/// Reads notes. One that was not written whole stands for nothing.
fn parse(text: &[u8]) -> HashMap<String, Noted> {
    let whole = text.split_inclusive(|byte| *byte == 0).filter_map(|note| note.strip_suffix(b"\0"));
    let mut all: HashMap<String, Noted> = HashMap::new();
    for (path, noted) in whole.filter_map(|note| parse_note(std::str::from_utf8(note).ok()?)) {
        if all.get(&path).is_none_or(|before| !stays(before, &noted)) {
            all.insert(path, noted);
        }
    }
    all
}

/// Returns whether a note counts although another one follows, of one who did not know it.
fn stays(before: &Noted, next: &Noted) -> bool {
    match (before, next) {
        (Noted::Had(before), Noted::Had(next)) => {
            before.modified <= next.modified && may_be_left_with(before, (next.uid, next.gid), next.mode)
        }
        _ => false,
    }
}

fn parse_note(note: &str) -> Option<(String, Noted)> {
    let (first, rest) = note.split_once(' ')?;
    let noted = match first {
        "new" => Noted::New,
        "made" => Noted::Made,
        "back" => Noted::Back,
        mode => return parse_attributes(mode, rest),
    };
    Some((rest.to_owned(), noted))
}

fn parse_attributes(mode: &str, rest: &str) -> Option<(String, Noted)> {
    let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777)?;
    let mut fields = rest.splitn(5, ' ');
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let modified = Timestamp::new(fields.next()?.parse().ok()?, fields.next()?.parse().ok()?).ok()?;
    Some((fields.next()?.to_owned(), Noted::Had(Attributes { mode, uid, gid, modified })))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn pending(path: &Path) -> Pending {
        Pending::of(File::options().read(true).append(true).create(true).open(path).unwrap()).unwrap()
    }

    /// What a directory would be like with this mode, modified so many seconds after 1970.
    fn stat(mode: u32, seconds: i64) -> Stat {
        let mut stat = rustix::fs::stat(std::env::temp_dir()).unwrap();
        stat.st_mode = stat.st_mode & !0o7777 | mode;
        (stat.st_mtime, stat.st_mtime_nsec) = (seconds, 0);
        stat
    }

    /// The mode, and when it was modified.
    fn brief(stat: Option<Stat>) -> Option<(u32, i64)> {
        stat.map(|stat| (stat.st_mode & 0o7777, stat.st_mtime))
    }

    #[test]
    fn notes_are_read_as_they_were_written_and_parts_of_them_are_none() {
        let text = b"2755 1 2 -3 4 a b/c\nd\x00700 0 0 5 6 \0nonsense\x00700 0 0 1 1000000000 x\0\
            new a b\0new c\0made c\x00755 1 1 1 1 cut";
        let noted = parse(text);
        let time = |seconds, nanoseconds| Timestamp::new(seconds, nanoseconds).unwrap();
        let first = Attributes { mode: 0o2755, uid: 1, gid: 2, modified: time(-3, 4) };
        let root = Attributes { mode: 0o700, uid: 0, gid: 0, modified: time(5, 6) };
        let expected = [
            ("a b/c\nd", Noted::Had(first)),
            ("", Noted::Had(root)),
            ("a b", Noted::New),
            ("c", Noted::Made),
        ];
        let expected = expected.map(|(path, noted)| (path.to_owned(), noted));
        assert_eq!(noted, HashMap::from(expected));
    }

    #[test]
    fn of_notes_that_were_written_side_by_side_the_oldest_time_counts() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notes");
        let (usable, now) = ((Leftover::Usable, 0), stat(0o755, 9));
        // Who finds the target opened up by another finds it as new as that one has made it.
        for order in [[(0o555, 1), (0o755, 5)], [(0o755, 5), (0o555, 1)], [(0o755, 1), (0o755, 5)]] {
            fs::write(&path, "").unwrap();
            let mut notes = order.map(|(mode, seconds)| (pending(&path), stat(mode, seconds)));
            for (pending, found) in &mut notes {
                assert_eq!(brief(pending.before("", Some(&*found), usable, true)), brief(Some(*found)));
            }
            let oldest = order.into_iter().min_by_key(|(_, seconds)| *seconds);
            assert_eq!(brief(pending(&path).before("", Some(&now), usable, false)), oldest, "{order:?}");
        }
        // What somebody else has made of it since is another one, however much older the first was.
        fs::write(&path, "").unwrap();
        for found in [stat(0o711, 1), stat(0o750, 5), stat(0o711, 7)] {
            pending(&path).before("", Some(&found), usable, true);
        }
        let found = stat(0o711, 9);
        assert_eq!(brief(pending(&path).before("", Some(&found), usable, false)), Some((0o711, 7)));
    }

    #[test]
    fn a_note_that_is_cut_off_is_no_part_of_the_next() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notes");
        for (left, kept) in [("new a\x007", "new a\0"), ("7", ""), ("new a\0", "new a\0")] {
            fs::write(&path, left).unwrap();
            pending(&path).before("b", None, (Leftover::Nothing, 0o755), true);
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kept}new b\0"));
        }
    }

    #[test]
    fn a_note_counts_as_long_as_an_interrupted_run_may_have_left_what_is_found() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notes");
        let nothing = (Leftover::Nothing, 0o755);
        assert_eq!(brief(pending(&path).before("d", Some(&stat(0o550, 1)), nothing, true)), Some((0o550, 1)));
        for (mode, expected) in
            [(0o550, (0o550, 1)), (0o750, (0o550, 1)), (0o700, (0o550, 1)), (0o500, (0o500, 2))]
        {
            let before = pending(&path).before("d", Some(&stat(mode, 2)), nothing, false);
            assert_eq!(brief(before), Some(expected), "{mode:o}");
        }
        let mut other = stat(0o550, 2);
        other.st_uid ^= 1;
        assert_eq!(brief(pending(&path).before("d", Some(&other), nothing, false)), Some((0o550, 2)));
    }

    #[test]
    fn what_is_taken_back_says_nothing_of_what_is_found_later() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notes");
        let usable = (Leftover::Usable, 0);
        let found = |stat: &Stat, notes| brief(pending(&path).before("", Some(stat), usable, notes));
        let (was, since) = (stat(0o555, 1), stat(0o755, 2));
        assert_eq!(found(&was, true), Some((0o555, 1)));
        // As long as it is not as it was, a run may have left it so.
        for now in [stat(0o755, 1), stat(0o555, 2)] {
            pending(&path).take_back(&[(String::new(), now)]);
            assert_eq!(found(&since, false), Some((0o555, 1)));
        }
        pending(&path).take_back(&[(String::new(), was)]);
        assert_eq!(found(&since, false), Some((0o755, 2)));
        assert_eq!(found(&stat(0o555, 2), false), Some((0o555, 2)));
        // The next run notes it anew.
        assert_eq!(found(&was, true), Some((0o555, 1)));
        assert_eq!(found(&since, false), Some((0o555, 1)));
    }

    #[test]
    fn what_was_moved_is_known_by_each_mode_that_a_run_may_have_left_it_with() {
        let is_ours = |mode| may_be_made(0o3550, &stat(mode, 2));
        // Made, made where no mode can be set later, and with its first one; the first two also where setgid is
        // inherited.
        for mode in [0o700, 0o750, 0o2700, 0o2750, 0o3550] {
            assert!(is_ours(mode), "{mode:o}");
        }
        for mode in [0, 0o550, 0o755, 0o1550, 0o2755, 0o3700, 0o3750, 0o3777] {
            assert!(!is_ours(mode), "{mode:o}");
        }
        // Nobody else is likely to set just this bit.
        assert!(may_be_made(0o550, &stat(0o2550, 2)) && !may_be_made(0o550, &stat(0o2755, 2)));
    }

    #[test]
    fn what_was_not_there_is_the_restores_once_it_was_moved() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notes");
        let (staged, moved) = ((Leftover::Usable, 0o755), (Leftover::Nothing, 0o755));
        assert!(pending(&path).before("d", None, moved, true).is_none());
        // Somebody has made it while the restore's is staged still.
        assert_eq!(brief(pending(&path).before("d", Some(&stat(0o700, 2)), staged, false)), Some((0o700, 2)));
        assert_eq!(brief(pending(&path).before("d", Some(&stat(0o711, 2)), moved, false)), Some((0o711, 2)));
        assert!(pending(&path).before("d", Some(&stat(0o700, 2)), moved, false).is_none());
        // From then on it is known, whatever is staged for it.
        assert!(pending(&path).before("d", Some(&stat(0o700, 2)), staged, false).is_none());
    }
}
