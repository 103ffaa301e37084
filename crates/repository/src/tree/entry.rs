//! Files, directories and links of a snapshot.

use std::ops::ControlFlow;
use std::sync::Arc;

use kopia_format::directory::{self, EntryKind, Refused, Summary};
use kopia_format::stub::{MAX_STUB, Stub};
use kopia_format::{ObjectId, Timestamp};

use super::Listing;
use super::listing::summary_size;
use super::source::{DirectorySource, Placed};
use crate::object::ObjectReader;
use crate::{Error, Repository, Result};

/// A file, directory or link, with the repository that it can be read from.
#[derive(Debug, Clone)]
pub struct Entry {
    repository: Repository,
    entry: directory::Entry<'static>,
    implied: bool,
    guessed: bool,
    /// What the names of other entries put into this directory.
    pub(super) placed: Option<Arc<Vec<Placed>>>,
}

/// A directory's entries.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The entries, in the order in which kopia wrote them: directories first, then the rest, each by name.
    pub entries: Vec<Entry>,
    /// Entries that cannot be restored, for example because their names would leave the directory.
    pub refused: Vec<Refused>,
    /// Totals of what is below.
    pub summary: Option<Summary>,
}

impl Entry {
    pub(crate) fn new(repository: &Repository, entry: directory::Entry<'static>) -> Self {
        Self { repository: repository.clone(), entry, implied: false, guessed: false, placed: None }
    }

    /// Marks its attributes as a guess.
    pub(crate) fn guessed(self) -> Self {
        Self { guessed: true, ..self }
    }

    /// Makes a directory that only the name of an entry implies. It has the entry's owner and time.
    pub(super) fn implied(
        repository: &Repository,
        object: ObjectId,
        name: &str,
        entry: &directory::Entry<'_>,
    ) -> Self {
        let mut directory = Self::of_directory(repository, object);
        directory.entry.name = name.to_owned().into();
        directory.entry.modified = entry.modified;
        (directory.entry.uid, directory.entry.gid) = (entry.uid, entry.gid);
        Self { implied: true, ..directory }
    }

    /// Makes the entry of an object that is known by its id alone: a directory if the id says so, otherwise a
    /// file.
    ///
    /// It has no name, mode 0755 or 0644, and the owner and time that the caller gives.
    ///
    /// # Errors
    /// As for [`ObjectReader::open`]: a file's size must be found out.
    pub fn of_object(
        repository: &Repository,
        object: ObjectId,
        owner: (u32, u32),
        now: Timestamp,
    ) -> Result<Self> {
        let mut entry = Self::of_directory(repository, object);
        entry.entry.modified = now;
        (entry.entry.uid, entry.entry.gid) = owner;
        if !object.is_directory() {
            entry.entry.kind = EntryKind::File;
            entry.entry.mode = 0o644;
            entry.entry.size = ObjectReader::open(repository, object)?.length();
        }
        Ok(entry)
    }

    /// Makes the entry of a directory object, without name and attributes of its own.
    pub fn of_directory(repository: &Repository, object: ObjectId) -> Self {
        let entry = directory::Entry {
            name: "".into(),
            kind: EntryKind::Directory,
            mode: 0o755,
            size: 0,
            modified: Timestamp::default(),
            uid: 0,
            gid: 0,
            object,
            summary: None,
        };
        Self::new(repository, entry)
    }

    /// Returns the repository that it is read from.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns its name; that of a snapshot's root is a label, and may be anything.
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Returns what it is.
    pub fn kind(&self) -> EntryKind {
        self.entry.kind
    }

    /// Returns its Unix permission bits, `0o7777` at most.
    pub fn mode(&self) -> u32 {
        self.entry.mode
    }

    /// Returns the size of a file in bytes, and of a link's target.
    pub fn size(&self) -> u64 {
        self.entry.size
    }

    /// Returns when it was modified.
    pub fn modified(&self) -> Timestamp {
        self.entry.modified
    }

    /// Returns the numbers of its owner and group.
    pub fn owner(&self) -> (u32, u32) {
        (self.entry.uid, self.entry.gid)
    }

    /// Returns the object that holds its bytes. That of an implied directory is the directory whose entries
    /// imply it.
    pub fn object(&self) -> ObjectId {
        self.entry.object
    }

    /// Returns whether it is a directory that only the name of an entry implies, such as `var/lib/db.tar`.
    ///
    /// It has mode 0755, and owner and time of that entry.
    pub fn is_implied(&self) -> bool {
        self.implied
    }

    /// Returns whether its owner, permissions and time are a guess.
    ///
    /// They are for the roots of snapshots of which a server tells only what is in them, as the REST API of
    /// Kopia's server does of all but the newest one of each source. A restore does not set them.
    pub fn is_guessed(&self) -> bool {
        self.guessed
    }

    /// Returns whether its object alone says what is in a directory.
    ///
    /// Names of other entries may put something into it.
    pub fn is_whole(&self) -> bool {
        self.source().is_whole()
    }

    /// Returns the entries that names of other entries put into a directory, or below it, by these names.
    pub(crate) fn placed_entries(&self) -> Vec<Self> {
        self.source().placed_entries(&self.repository).collect()
    }

    /// Returns what the entries of a directory are read from.
    pub(super) fn source(&self) -> DirectorySource {
        let (object, implied, placed) = (self.entry.object, self.implied, self.placed.clone());
        DirectorySource { object, implied, placed }
    }

    /// Returns a directory's totals.
    pub fn summary(&self) -> Option<&Summary> {
        self.entry.summary.as_deref()
    }

    /// Returns about how many bytes of memory it takes, some 200 for most.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.entry.name.len() + self.summary().map_or(0, summary_size)
    }

    /// Returns how many entries lie below a directory, as far as it says.
    pub fn entries_below(&self) -> u64 {
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let sum = |summary: &Summary| {
            let all = [summary.files, summary.symlinks, summary.dirs].map(number);
            // It counts itself as well.
            all.into_iter().fold(0, u64::saturating_add).saturating_sub(1)
        };
        self.summary().map_or(0, sum)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for directories; [`Error::CorruptObject`] if its object has another size than the
    /// entry says; as for [`ObjectReader::open`].
    pub fn open(&self) -> Result<ObjectReader> {
        if self.entry.kind == EntryKind::Directory {
            return Err(self.wrong_kind("file"));
        }
        let reader = ObjectReader::open(&self.repository, self.entry.object)?;
        if reader.length() != self.entry.size {
            let why = format!("it has {} bytes, its entry says {}", reader.length(), self.entry.size);
            return Err(Error::object(self.entry.object, why));
        }
        Ok(reader)
    }

    /// Reads the target of a link, which may be any bytes.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for files and directories; as for [`Repository::read_object`].
    pub fn target(&self) -> Result<Vec<u8>> {
        match self.entry.kind {
            EntryKind::Symlink => self.repository.read_object(self.entry.object),
            EntryKind::File | EntryKind::Directory => Err(self.wrong_kind("link")),
        }
    }

    /// Returns what a file stands for, if it is a stub: `kopia snapshot fix` puts one in place of what it
    /// cannot read, and `kopia restore --shallow` in place of what it does not restore.
    ///
    /// One that cannot be read is none, see [`Self::read_stub`].
    pub fn stub(&self) -> Option<Stub> {
        self.read_stub().ok().flatten()
    }

    /// As [`Self::stub`], for those who have to know whether a file by the name of a stub may be one.
    ///
    /// # Errors
    /// As for [`Self::open`] and [`ObjectReader::read_full_at`], where the name and the size are those of a
    /// stub.
    pub fn read_stub(&self) -> Result<Option<Stub>> {
        let may_be = self.kind() == EntryKind::File && self.size() <= MAX_STUB;
        if !may_be || Stub::kind_of(self.name()).is_none() {
            return Ok(None);
        }
        let reader = self.open()?;
        let mut bytes = vec![0; usize::try_from(reader.length()).unwrap_or_default()];
        let count = reader.read_full_at(&mut bytes, 0)?;
        bytes.truncate(count);
        Ok(Stub::parse(self.name(), &bytes))
    }

    /// Reads a directory.
    ///
    /// # Errors
    /// As for [`Self::for_each`].
    pub fn directory(&self) -> Result<Directory> {
        let mut directory = Directory::default();
        let read = self.for_each(|entry| {
            match entry {
                Ok(entry) => directory.entries.push(entry),
                Err(refused) => directory.refused.push(refused),
            }
            ControlFlow::Continue(())
        })?;
        directory.summary = read.continue_value().flatten();
        Ok(directory)
    }

    /// Calls `visit` for each entry of a directory as it is parsed, until that stops; returns the totals of
    /// what is below.
    ///
    /// Every name is a single component. An entry whose name leads into directories, such as
    /// `var/lib/db.tar`, is visited there: they are visited as directories of this one,
    /// [implied](Self::is_implied) where the snapshot does not have them. Of several entries of one name the
    /// first is visited; the others are refused.
    ///
    /// # Errors
    /// [`Error::WrongKind`] if it is none, [`Error::CorruptObject`] if it is damaged (entries before that
    /// place were visited), and as for [`Repository::read_object`].
    pub fn for_each(
        &self,
        mut visit: impl FnMut(Result<Entry, Refused>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), Option<Summary>>> {
        match Listing::kept(self) {
            Some(listing) => listing.for_each(&self.repository, visit),
            None => self.fetch().for_each(&mut visit),
        }
    }

    /// Returns the entry at a path below this one; empty components are skipped.
    ///
    /// Directories that are asked for again are kept, as by [`Self::lookup`].
    ///
    /// # Errors
    /// [`Error::NotFound`] naming the path, [`Error::WrongKind`] if it leads through a file, and as for
    /// [`Self::for_each`].
    pub fn at(&self, path: &str) -> Result<Self> {
        match self.lookup(path)? {
            Some(entry) => Ok(entry),
            None => Err(self.missing(path)?),
        }
    }

    /// Makes the error of a path that leads nowhere: it names the first component that is not there.
    fn missing(&self, path: &str) -> Result<Error> {
        let mut walked = String::new();
        for component in path.split('/').filter(|component| !component.is_empty()) {
            walked = format!("{walked}/{component}");
            if self.lookup(&walked)?.is_none() {
                break;
            }
        }
        Ok(Error::NotFound { what: format!("path {walked}"), candidates: Vec::new() })
    }

    /// Makes the error of a path that leads on from what is no directory; `walked` leads to it.
    pub(super) fn passed_through(&self, walked: &str) -> Error {
        let components = walked.split('/').filter(|component| !component.is_empty());
        let path: String = components.flat_map(|component| ["/", component]).collect();
        if path.is_empty() {
            return self.wrong_kind("folder");
        }
        Error::WrongKind { path, wanted: "folder" }
    }

    /// Returns it without the repository, unless names of other entries have a part in it.
    pub(super) fn into_plain(self) -> Option<directory::Entry<'static>> {
        (!self.implied && self.placed.is_none()).then_some(self.entry)
    }

    pub(super) fn wrong_kind(&self, wanted: &'static str) -> Error {
        let path = match self.name() {
            "" => self.object().to_string(),
            name => name.to_string(),
        };
        Error::WrongKind { path, wanted }
    }
}
