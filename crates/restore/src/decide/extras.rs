//! What the target has in a directory and the snapshot has not: that alone may be deleted, if it is known to
//! be that.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::BorrowedFd;

use kopia_format::directory::{EntryKind, Summary};
use kopia_format::stub::{INVALID_PREFIX, PLACEHOLDER_SUFFIX, Stub, StubKind};
use kopia_repository::Entry;
use kopia_repository::choice::Scope;
use rustix::fs::{Dir, FileType};

use crate::Options;
use crate::destination::remove::Spared;
use crate::destination::{is_no_name, look, staging};
use crate::kept;
use crate::reason::NotDeleted;

/// The names in a directory, of which those that the snapshot has are taken away.
#[derive(Default)]
pub(crate) struct DirNames {
    /// What each name stands for: its kind and inode.
    pub(super) names: HashMap<Box<[u8]>, (FileType, u64)>,
    /// The inodes of those that were taken away.
    taken: Vec<u64>,
    /// Whether the file system finds entries by other names than theirs, and it is not known by which.
    folds: bool,
}

impl DirNames {
    /// Lists a directory.
    pub(crate) fn read(directory: BorrowedFd<'_>) -> io::Result<Self> {
        let mut names = HashMap::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Not every file system says it here.
                FileType::Unknown => match look(directory, name)? {
                    Some(stat) => FileType::from_raw_mode(stat.st_mode),
                    None => continue,
                },
                kind => kind,
            };
            names.insert(name.to_bytes().into(), (kind, entry.ino()));
        }
        Ok(Self { names, ..Self::default() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Takes a name away and returns what has it.
    pub(crate) fn take(&mut self, name: &str) -> Option<FileType> {
        let (kind, inode) = self.names.remove(name.as_bytes())?;
        self.taken.push(inode);
        Some(kind)
    }

    /// Takes away the name of an entry that the snapshot has. If it is not listed and there all the same, as
    /// where upper and lower case are one, the inode says by which name it is listed; where it does not,
    /// nobody can say.
    pub(crate) fn take_or_look(&mut self, directory: BorrowedFd<'_>, name: &str) {
        if self.take(name).is_some() || self.folds || self.is_empty() {
            return;
        }
        let inode = match look(directory, name) {
            Ok(Some(stat)) => stat.st_ino,
            Ok(None) => return,
            // What the file system does not take as a name, nothing in it has.
            Err(error) if is_no_name(&error) => return,
            Err(_) => return self.folds = true,
        };
        match self.take_by_inode(inode) {
            Ok(Some(_)) => {}
            Ok(None) => self.folds = !self.taken.contains(&inode),
            Err(()) => self.folds = true,
        }
    }

    /// Takes away the only name of an inode; an error if there are several, any of which may be meant.
    pub(super) fn take_by_inode(&mut self, inode: u64) -> Result<Option<FileType>, ()> {
        let mut same = self.names.iter().filter(|(_, found)| found.1 == inode).map(|(name, _)| name);
        match (same.next().cloned(), same.next()) {
            (Some(_), Some(_)) => Err(()),
            (None, _) => Ok(None),
            (Some(listed), None) => {
                self.taken.push(inode);
                Ok(self.names.remove(&listed).map(|(kind, _)| kind))
            }
        }
    }

    /// Takes away what is not chosen: it stays, and there is nothing to be told of it.
    pub(crate) fn take_unchosen(&mut self, options: &Options, scope: &Scope) {
        let Some(chosen) = &options.chosen else { return };
        let spared = Spared { chosen, scope };
        let is_chosen =
            |name: &[u8], kind: FileType| spared.below(name, kind == FileType::Directory).is_some();
        let unchosen = self.names.extract_if(|name, found| !is_chosen(name, found.0));
        self.taken.extend(unchosen.map(|(_, (_, inode))| inode));
    }

    /// Takes away what the snapshot has only stubs of, and returns what was there: it may be the only copy.
    pub(crate) fn take_originals(
        &mut self,
        directory: BorrowedFd<'_>,
        originals: Vec<String>,
    ) -> Vec<String> {
        let inexact = self.take_inexact(originals.iter().map(|name| &**name));
        let mut is_taken = |name: &String| {
            let before = self.names.len();
            self.take_or_look(directory, name);
            self.names.len() < before
        };
        originals.into_iter().filter(|name| is_taken(name)).chain(inexact).collect()
    }

    /// Takes away names that are not UTF-8 and that a backup stores as one of these; returns them as they are
    /// stored.
    pub(crate) fn take_inexact<'n>(&mut self, stored: impl Iterator<Item = &'n str>) -> Vec<String> {
        let stored: HashSet<&str> =
            stored.filter(|name| name.contains(char::REPLACEMENT_CHARACTER)).collect();
        let mut taken = Vec::new();
        if !stored.is_empty() {
            self.names.retain(|name, _| {
                let form = stored_forms(name).into_iter().flatten().find(|form| stored.contains(&**form));
                let stays = form.is_none();
                taken.extend(form);
                stays
            });
            taken.sort_unstable();
        }
        taken
    }

    /// Takes away what the backup could not read, and returns it: that the snapshot does not have it says
    /// nothing.
    ///
    /// # Errors
    /// Why nothing may be deleted: if it is not known what the backup did not read, or which names are those
    /// of the snapshot.
    pub(crate) fn take_unread(&mut self, summary: Option<&Summary>) -> Result<Vec<String>, NotDeleted> {
        if self.folds && !self.names.is_empty() {
            return Err(NotDeleted::NamesClash);
        }
        let Some(summary) = summary else { return Ok(Vec::new()) };
        if !summary.incomplete.is_empty() {
            return Err(NotDeleted::IncompleteBackup);
        }
        let lost = summary.failed.saturating_add(summary.ignored_errors);
        if !self.names.is_empty() && i64::try_from(summary.errors.len()).is_ok_and(|named| named < lost) {
            return Err(NotDeleted::UnnamedErrors);
        }
        // Paths begin at the snapshot's root, which need not be the root of this restore: the last name has
        // to do.
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
        let names: Vec<String> = summary.errors.iter().map(|error| last(&error.path)).collect();
        let inexact = self.take_inexact(names.iter().map(|name| &**name));
        Ok(names.into_iter().filter(|name| self.take(name).is_some()).chain(inexact).collect())
    }

    /// Returns what the snapshot does not have and is chosen, but for what is kept in the root of the target:
    /// unfinished directories, markers of shards, and `lost+found` on request.
    pub(crate) fn into_extras(self, is_root: bool, options: &Options, scope: &Scope) -> Vec<Box<[u8]>> {
        let spared = options.chosen.as_ref().map(|chosen| Spared { chosen, scope });
        let stays = |name: &[u8], kind| {
            let is_directory = kind == FileType::Directory;
            let is_ours =
                name.starts_with(staging::PREFIX.as_bytes()) && is_directory || staging::is_marker(name);
            // What a restore has kept is not for another one to delete.
            let is_kept = name.starts_with(kept::PREFIX.as_bytes()) && is_directory;
            is_kept
                || is_root && (is_ours || options.keep_lost_found && is_directory && name == b"lost+found")
        };
        let is_chosen = |name: &[u8], kind| {
            spared.is_none_or(|spared| spared.below(name, kind == FileType::Directory).is_some())
        };
        let mut names: Vec<_> = self
            .names
            .into_iter()
            .filter(|(name, found)| !stays(name, found.0))
            .filter(|(name, found)| is_chosen(name, found.0))
            .map(|(name, _)| name)
            .collect();
        names.sort_unstable();
        names
    }
}

/// Returns the names of an entry's original, if it is a stub or may be one: what has the name of a stub and
/// cannot be read stands for the original that it is named after.
///
/// A placeholder of a directory is a directory as well.
pub(crate) fn originals(entry: &Entry) -> Vec<String> {
    let name = entry.name();
    let Some(kind) = Stub::kind_of(name) else { return Vec::new() };
    let named = match kind {
        StubKind::Unreadable => name.strip_prefix(INVALID_PREFIX),
        StubKind::Placeholder => name.strip_suffix(PLACEHOLDER_SUFFIX),
    };
    // The file in a placeholder of a directory has nothing but the suffix, and stands for no neighbour.
    let Some(named) = named.filter(|named| !named.is_empty()) else { return Vec::new() };
    let stub = match entry.kind() {
        EntryKind::File => entry.read_stub(),
        EntryKind::Directory if kind == StubKind::Placeholder => entry
            .lookup(PLACEHOLDER_SUFFIX)
            .and_then(|inner| inner.map_or(Ok(None), |inner| inner.read_stub())),
        EntryKind::Directory | EntryKind::Symlink => Ok(None),
    };
    let is_name = |name: &String| !matches!(&**name, "" | "." | "..") && !name.contains(['/', '\0']);
    let stated = match stub {
        Ok(Some(stub)) => Some(stub.name).filter(|name| is_name(name) && *name != named),
        Ok(None) => return Vec::new(),
        Err(error) => {
            tracing::debug!(%error, name, "what may be a stub cannot be read");
            None
        }
    };
    let mut names = vec![named.to_owned()];
    names.extend(stated);
    names
}

/// Returns how a name is stored that is not UTF-8: with U+FFFD for every byte of what is none, as Go has it, or
/// for all of a character that is cut off, as most others have it.
fn stored_forms(name: &[u8]) -> Option<[String; 2]> {
    match String::from_utf8_lossy(name) {
        Cow::Borrowed(_) => None,
        Cow::Owned(of_all) => Some([kopia_format::text::as_stored(name), of_all]),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use kopia_format::stub::MAX_STUB;
    use kopia_testkit::writer::RepositoryWriter;
    use serde_json::json;

    use super::*;
    use crate::testing::root_of;

    #[test]
    fn another_name_of_a_file_is_too_much_and_what_can_be_no_name_says_nothing() {
        let place = tempfile::tempdir().unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        fs::write(place.path().join("file"), b"").unwrap();
        fs::hard_link(place.path().join("file"), place.path().join("second")).unwrap();
        std::os::unix::fs::symlink("loop", place.path().join("loop")).unwrap();
        let taken = |name: &str| {
            let mut names = DirNames::read(directory.as_fd()).unwrap();
            names.take_or_look(directory.as_fd(), name);
            names
                .take_unread(None)
                .map(|_| names.into_extras(true, &Options::default(), &Scope::default()).len())
        };
        assert_eq!(taken("file").unwrap(), 2);
        assert_eq!(taken(&"x".repeat(300)).unwrap(), 3, "the file system cannot have it");
        assert!(taken("loop/x").is_err(), "it may have it");
    }

    #[test]
    fn a_name_that_is_not_utf8_is_known_by_how_it_is_stored() {
        let forms =
            |name: &[u8]| stored_forms(name).map(|forms| forms.map(|form| form.replace('\u{fffd}', "?")));
        assert_eq!(forms(b"caf\xe9"), Some(["caf?".into(), "caf?".into()]));
        assert_eq!(forms(b"\xe2\x82a\xff"), Some(["??a?".into(), "?a?".into()]));
        assert_eq!((forms("café".as_bytes()), forms("\u{fffd}".as_bytes())), (None, None));
        let names: [&[u8]; 5] = [b"caf\xe9", b"\xe2\x82", b"\xe2\x83a", b"\xe9", "caf\u{fffd}".as_bytes()];
        let listed = names.map(|name| (Box::from(name), (FileType::RegularFile, 1)));
        let mut names = DirNames { names: HashMap::from(listed), ..DirNames::default() };
        let stored = ["caf\u{fffd}", "\u{fffd}\u{fffd}", "\u{fffd}a", "plain"];
        assert_eq!(names.take_inexact(stored.into_iter()), ["caf\u{fffd}", "\u{fffd}a", "\u{fffd}\u{fffd}"]);
        let left = names.into_extras(true, &Options::default(), &Scope::default());
        assert_eq!(left, [Box::from("caf\u{fffd}".as_bytes()), Box::from(b"\xe9".as_slice())]);
    }

    #[test]
    fn what_restores_left_is_no_extra_and_lost_and_found_on_request() {
        let (file, directory) = (FileType::RegularFile, FileType::Directory);
        // In the root, in the root without being asked to keep `lost+found`, and below.
        for (name, kind, stays) in [
            (".kopia-rs-restore-kaa", directory, [true, true, false]),
            (".kopia-rs-restore-kaa", file, [false; 3]),
            (".kopia-rs-restore-kaa.shard-0-of-2", file, [true, true, false]),
            (".kopia-rs-undo-data", directory, [true; 3]),
            (".kopia-rs-undo-data", file, [false; 3]),
            ("lost+found", directory, [true, false, false]),
            ("lost+found", file, [false; 3]),
            ("directory", directory, [false; 3]),
            ("file", file, [false; 3]),
        ] {
            let is_extra = |is_root, keep_lost_found| {
                let listed = HashMap::from([(Box::from(name.as_bytes()), (kind, 1))]);
                let names = DirNames { names: listed, ..DirNames::default() };
                let options = Options { keep_lost_found, ..Options::default() };
                !names.into_extras(is_root, &options, &Scope::default()).is_empty()
            };
            let found = [is_extra(true, true), is_extra(true, false), is_extra(false, true)];
            assert_eq!(found, stays.map(|stays| !stays), "{name}, {kind:?}");
        }
    }

    #[test]
    fn the_originals_of_stubs_are_those_that_can_be_names() {
        let mut writer = RepositoryWriter::new();
        let entry = |name: &str| json!({"name": name, "type": "f", "mode": "0644", "obj": "0a1b"});
        let unreadable = |name: &str| json!({"info": "i", "error": "e", "entry": entry(name)});
        let mut entries = Vec::new();
        let mut add = |name: &str, stub: serde_json::Value| {
            let text = stub.to_string();
            let object = writer.file(text.as_bytes());
            entries.push(json!({"name": name, "type": "f", "size": text.len(), "obj": object}));
        };
        add(".INVALID.a", unreadable("a"));
        add(".INVALID.cut", unreadable("a longer name"));
        for (file, name) in [("1", ""), ("2", "."), ("3", ".."), ("4", "x/y"), ("5", "x\0y")] {
            add(&format!(".INVALID.{file}"), unreadable(name));
        }
        add("p.kopia-entry", entry("p"));
        let inner = entry("d").to_string();
        let object = writer.file(inner.as_bytes());
        let inner = [json!({"name": ".kopia-entry", "type": "f", "size": inner.len(), "obj": object})];
        let object = writer.directory(&inner);
        for name in ["d.kopia-entry", ".INVALID.d"] {
            entries.push(json!({"name": name, "type": "d", "obj": object}));
        }
        let root = root_of(writer, &entries);
        let of = |name: &str| originals(&root.at(name).unwrap());
        assert_eq!(of(".INVALID.a"), ["a"], "once");
        assert_eq!(of(".INVALID.cut"), ["cut", "a longer name"]);
        for name in ["1", "2", "3", "4", "5"] {
            assert_eq!(of(&format!(".INVALID.{name}")), [name]);
        }
        assert_eq!(of("p.kopia-entry"), ["p"]);
        assert_eq!(of("d.kopia-entry"), ["d"]);
        assert_eq!(of(".INVALID.d"), [""; 0], "kopia leaves no such folder");
    }

    #[test]
    fn what_may_be_a_stub_and_cannot_be_read_has_the_original_that_it_is_named_after() {
        let mut writer = RepositoryWriter::new();
        let lost = "00112233445566778899aabbccddeeff";
        let file = |name: &str, size: u64| json!({"name": name, "type": "f", "size": size, "obj": lost});
        let directory = writer.directory(&[file(".kopia-entry", 100)]);
        let nothing = writer.directory(&[]);
        let folder = |name: &str, object: &str| json!({"name": name, "type": "d", "obj": object});
        let entries = [
            folder("d.kopia-entry", &directory),
            folder("lost.kopia-entry", &format!("k{lost}")),
            folder("none.kopia-entry", &nothing),
            file(".INVALID.a", 100),
            file(".INVALID.large", MAX_STUB + 1),
            file(".kopia-entry", 100),
            file("file", 100),
            file("p.kopia-entry", 100),
        ];
        let root = root_of(writer, &entries);
        for (name, original) in [
            ("d.kopia-entry", Some("d")),
            ("lost.kopia-entry", Some("lost")),
            ("none.kopia-entry", None),
            (".INVALID.a", Some("a")),
            (".INVALID.large", None),
            (".kopia-entry", None),
            ("file", None),
            ("p.kopia-entry", Some("p")),
        ] {
            let found = originals(&root.at(name).unwrap());
            assert_eq!(found, original.into_iter().collect::<Vec<_>>(), "{name}");
        }
    }

    #[test]
    fn nothing_is_too_much_where_names_are_taken_for_others() {
        let place = tempfile::tempdir().unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        let directory = directory.as_fd();
        fs::write(place.path().join("FOO"), b"").unwrap();
        let mut names = DirNames::read(directory).unwrap();
        names.take_or_look(directory, "foo");
        assert_eq!(names.take_unread(None).unwrap(), [""; 0]);
        assert_eq!(
            names.into_extras(true, &Options::default(), &Scope::default()),
            [b"FOO".as_slice().into()]
        );
        // It was not listed by this name, and is there: as on a file system that has it by both.
        let mut names = DirNames::read(directory).unwrap();
        fs::rename(place.path().join("FOO"), place.path().join("foo")).unwrap();
        names.take_or_look(directory, "foo");
        assert_eq!(names.take_unread(None).unwrap(), [""; 0]);
        assert!(names.into_extras(true, &Options::default(), &Scope::default()).is_empty());
        // The inode says nothing where another one has come, or where two names have one.
        fs::write(place.path().join("other"), b"").unwrap();
        let mut names = DirNames::read(directory).unwrap();
        fs::write(place.path().join("new"), b"").unwrap();
        names.take_or_look(directory, "new");
        assert!(names.take_unread(None).is_err());
        // Nor does it become known by what has been taken already.
        for _ in 0..2 {
            names.take_or_look(directory, "foo");
        }
        assert!(names.take_unread(None).is_err());
        fs::hard_link(place.path().join("foo"), place.path().join("link")).unwrap();
        let mut names = DirNames::read(directory).unwrap();
        fs::hard_link(place.path().join("foo"), place.path().join("Link")).unwrap();
        names.take_or_look(directory, "Link");
        assert!(names.take_unread(None).is_err());
        fs::remove_file(place.path().join("other")).unwrap();
        for name in ["link", "Link", "new"] {
            fs::remove_file(place.path().join(name)).unwrap();
        }
        // A second name of what was taken already.
        let mut names = DirNames::read(directory).unwrap();
        names.take("foo").unwrap();
        fs::write(place.path().join("extra"), b"").unwrap();
        let mut names = DirNames { names: DirNames::read(directory).unwrap().names, ..names };
        names.names.remove(b"foo".as_slice());
        fs::rename(place.path().join("foo"), place.path().join("Foo")).unwrap();
        names.take_or_look(directory, "Foo");
        assert_eq!(names.take_unread(None).unwrap(), [""; 0]);
        fs::remove_file(place.path().join("extra")).unwrap();
        fs::rename(place.path().join("Foo"), place.path().join("foo")).unwrap();
        // Where nothing is left over, it does not matter.
        let mut names = DirNames::read(directory).unwrap();
        names.take_or_look(directory, "foo");
        assert_eq!(names.take_unread(None).unwrap(), [""; 0]);
    }
}
