//! Files, folders and links of a snapshot.

use std::sync::OnceLock;

use kopia_format::directory::{self, EntryKind, Refused, Summary};
use kopia_format::{ContentId, ObjectId, Timestamp};

use crate::object::ObjectReader;
use crate::{Error, Repository, Result};

/// Directories longer than this are parsed as a stream, so that a folder of a million files takes no memory of its own.
const STREAMED: u64 = 16 << 20;

/// How many folders are read at once, and how many bytes of them are in memory.
const FOLDERS: usize = 256;
const FOLDER_BYTES: u64 = 8 << 20;

/// A file, folder or link, with the repository that it can be read from.
#[derive(Debug, Clone)]
pub struct Entry {
    repository: Repository,
    entry: directory::Entry<'static>,
}

/// A folder's entries.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The entries, in the order in which kopia wrote them: folders first, then the rest, each by name.
    pub entries: Vec<Entry>,
    /// Entries that cannot be restored, for example because their names would leave the folder.
    pub refused: Vec<Refused>,
    /// Totals of what is below.
    pub summary: Option<Summary>,
}

/// A folder whose JSON is in memory, or is yet to be read because it is long.
#[derive(Debug)]
pub struct Fetched {
    repository: Repository,
    object: ObjectId,
    json: Option<Result<Vec<u8>>>,
}

impl Entry {
    pub(crate) fn new(repository: &Repository, entry: directory::Entry<'static>) -> Self {
        Self { repository: repository.clone(), entry }
    }

    /// Makes the entry of an object that is known by its id alone: a folder if the id says so, otherwise a file.
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

    /// Returns the object that holds its bytes.
    pub fn object(&self) -> ObjectId {
        self.entry.object
    }

    /// Returns a folder's totals.
    pub fn summary(&self) -> Option<&Summary> {
        self.entry.summary.as_deref()
    }

    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for folders; [`Error::CorruptObject`] if its object has another size than the entry says; as
    /// for [`ObjectReader::open`].
    pub fn open(&self) -> Result<ObjectReader> {
        if self.entry.kind == EntryKind::Directory {
            return Err(self.wrong_kind("file"));
        }
        let reader = ObjectReader::open(&self.repository, self.entry.object)?;
        match reader.length() == self.entry.size {
            true => Ok(reader),
            false => {
                let why = format!("it has {} bytes, its entry says {}", reader.length(), self.entry.size);
                Err(Error::object(self.entry.object, why))
            }
        }
    }

    /// Reads the target of a link, which may be any bytes.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for files and folders; as for [`Repository::read_object`].
    pub fn target(&self) -> Result<Vec<u8>> {
        match self.entry.kind {
            EntryKind::Symlink => self.repository.read_object(self.entry.object),
            EntryKind::File | EntryKind::Directory => Err(self.wrong_kind("link")),
        }
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// As for [`Self::for_each`].
    pub fn directory(&self) -> Result<Directory> {
        let mut directory = Directory::default();
        directory.summary = self.for_each(|entry| match entry {
            Ok(entry) => directory.entries.push(entry),
            Err(refused) => directory.refused.push(refused),
        })?;
        Ok(directory)
    }

    /// Calls `visit` for each entry of a folder as it is parsed, and returns the totals of what is below.
    ///
    /// # Errors
    /// [`Error::WrongKind`] if it is none, [`Error::CorruptObject`] if it is damaged (entries before that place were
    /// visited), and as for [`Repository::read_object`].
    pub fn for_each(&self, visit: impl FnMut(Result<Entry, Refused>)) -> Result<Option<Summary>> {
        self.fetch().for_each(visit)
    }

    /// Reads and decodes a folder's JSON, so that parsing it later waits for nothing; many may be fetched at once.
    ///
    /// A long one is left to be read as it is parsed.
    pub fn fetch(&self) -> Fetched {
        let object = self.entry.object;
        let json = match self.entry.kind {
            EntryKind::Directory if object.indirection() == 0 && !object.is_compressed() => {
                Some(self.repository.read_object(object))
            }
            EntryKind::Directory => None,
            EntryKind::File | EntryKind::Symlink => Some(Err(self.wrong_kind("folder"))),
        };
        Fetched { repository: self.repository.clone(), object, json }
    }

    /// As [`Self::fetch`], of the first of many folders: as many as are short together, but at least one. Their contents are
    /// read pack by pack, neighbours at once.
    pub fn fetch_some(repository: &Repository, folders: impl Iterator<Item = ObjectId>) -> Vec<Fetched> {
        let mut bytes = 0;
        let mut folders: Vec<ObjectId> = folders.take(FOLDERS).collect();
        let short = folders.iter().take_while(|folder| {
            let place = repository.find(&folder.content());
            bytes += place.map_or(0, |place| u64::from(place.original_length));
            bytes <= FOLDER_BYTES
        });
        let count = short.count().max(1);
        folders.truncate(count);
        // Lists of pieces, compressed objects and what fails are read when they are parsed, one by one.
        let plain = |object: &&ObjectId| object.indirection() == 0 && !object.is_compressed();
        let contents: Vec<ContentId> = folders.iter().filter(plain).map(ObjectId::content).collect();
        let slots: Vec<OnceLock<Vec<u8>>> = contents.iter().map(|_| OnceLock::new()).collect();
        repository.read_many(&contents, |number, bytes| {
            if let Ok(bytes) = bytes {
                slots[number].get_or_init(|| bytes.to_vec());
            }
        });
        let mut slots = slots.into_iter();
        let fetch = |object: &ObjectId| {
            let read = plain(&object).then(|| slots.next()?.into_inner()).flatten();
            Fetched { repository: repository.clone(), object: *object, json: read.map(Ok) }
        };
        folders.iter().map(fetch).collect()
    }

    /// Returns the entry at a path below this one; empty components are skipped.
    ///
    /// # Errors
    /// [`Error::NotFound`] naming the path, [`Error::WrongKind`] if it leads through a file, and as for
    /// [`Self::for_each`].
    pub fn at(&self, path: &str) -> Result<Self> {
        let mut entry = self.clone();
        let mut walked = String::new();
        for component in path.split('/').filter(|component| !component.is_empty()) {
            if entry.kind() != EntryKind::Directory {
                return Err(Error::WrongKind { path: walked, wanted: "folder" });
            }
            walked = format!("{walked}/{component}");
            let mut found = None;
            entry.for_each(|child| match child {
                Ok(child) if child.name() == component && found.is_none() => found = Some(child),
                _ => {}
            })?;
            entry = found
                .ok_or_else(|| Error::NotFound { what: format!("path {walked}"), candidates: Vec::new() })?;
        }
        Ok(entry)
    }

    fn wrong_kind(&self, wanted: &'static str) -> Error {
        let path = match self.name() {
            "" => self.object().to_string(),
            name => name.to_string(),
        };
        Error::WrongKind { path, wanted }
    }
}

impl Fetched {
    /// As [`Entry::for_each`].
    ///
    /// # Errors
    /// As for [`Entry::for_each`].
    pub fn for_each(self, mut visit: impl FnMut(Result<Entry, Refused>)) -> Result<Option<Summary>> {
        let Self { repository, object, json } = self;
        let visit = |entry: Result<directory::Entry<'_>, Refused>| {
            visit(entry.map(|entry| Entry::new(&repository, entry.into_owned())));
        };
        let summary = match json {
            Some(json) => directory::read(&json?, visit),
            None => {
                let reader = ObjectReader::open(&repository, object)?;
                if reader.length() <= STREAMED {
                    directory::read(&repository.read_object(object)?, visit)
                } else {
                    let reader = std::io::BufReader::with_capacity(1 << 16, reader);
                    directory::read_stream(reader, visit).map_err(|error| Error::object(object, error))?
                }
            }
        };
        summary.map_err(|error| Error::object(object, error))
    }
}
