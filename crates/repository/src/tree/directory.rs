//! Directories whose JSON is in memory, or is yet to be read.

use std::io::{self, BufReader};
use std::sync::OnceLock;

use kopia_format::directory::{self, EntryKind, Refused, Summary};
use kopia_format::{ContentId, ObjectId};

use super::Entry;
use super::source::{self, DirectorySource, Visit};
use crate::object::ObjectReader;
use crate::{Error, Repository, Result};

/// Directories longer than this are parsed as a stream, so that a folder of a million files takes no memory of its own.
const STREAMED: u64 = 16 << 20;

/// How many folders are read at once, and how many bytes of them are in memory.
const FOLDERS: usize = 256;
const FOLDER_BYTES: u64 = 8 << 20;

/// A folder whose JSON is in memory, or is yet to be read because it is long.
#[derive(Debug)]
pub struct Fetched {
    repository: Repository,
    source: DirectorySource,
    json: Option<Result<Vec<u8>>>,
}

/// The JSON of a directory.
enum Json {
    Whole(Vec<u8>),
    /// It is read as it is parsed.
    Long(ObjectReader),
    /// There is none: nothing but names says that there is such a directory.
    Implied,
}

impl Entry {
    /// Reads and decodes a folder's JSON, so that parsing it later waits for nothing; many may be fetched at once.
    ///
    /// A long one is left to be read as it is parsed.
    pub fn fetch(&self) -> Fetched {
        let source = self.source();
        let plain = source.object().filter(is_plain);
        let json = match self.kind() {
            EntryKind::Directory => plain.map(|object| self.repository().read_object(object)),
            EntryKind::File | EntryKind::Symlink => Some(Err(self.wrong_kind("folder"))),
        };
        Fetched { repository: self.repository().clone(), source, json }
    }

    /// As [`Self::fetch`], of the first of many folders: as many as are short together, but at least one. Their contents are
    /// read pack by pack, neighbours at once.
    pub fn fetch_some(
        repository: &Repository,
        folders: impl Iterator<Item = impl Into<DirectorySource>>,
    ) -> Vec<Fetched> {
        let mut bytes = 0;
        let mut folders: Vec<DirectorySource> = folders.take(FOLDERS).map(Into::into).collect();
        let short = folders.iter().take_while(|folder| {
            let place = folder.object().map(|object| repository.contents().locate(&object.content()));
            bytes += place.and_then(Result::ok).map_or(0, |place| place.plain_length());
            bytes <= FOLDER_BYTES
        });
        let count = short.count().max(1);
        folders.truncate(count);
        // Lists of pieces, compressed objects and what fails are read when they are parsed, one by one.
        let plain = |folder: &DirectorySource| folder.object().filter(is_plain);
        let contents: Vec<ContentId> =
            folders.iter().filter_map(plain).map(|object| object.content()).collect();
        let slots: Vec<OnceLock<Vec<u8>>> = contents.iter().map(|_| OnceLock::new()).collect();
        repository.contents().read_many(&contents, |number, bytes| {
            if let Ok(bytes) = bytes {
                slots[number].get_or_init(|| bytes.to_vec());
            }
        });
        let mut slots = slots.into_iter();
        let fetch = |source: DirectorySource| {
            let read = plain(&source).and_then(|_| slots.next()?.into_inner());
            Fetched { repository: repository.clone(), source, json: read.map(Ok) }
        };
        folders.into_iter().map(fetch).collect()
    }
}

/// Returns whether an object is one content, as it is.
fn is_plain(object: &ObjectId) -> bool {
    object.indirection() == 0 && !object.is_compressed()
}

impl Fetched {
    /// As [`Entry::for_each`].
    ///
    /// # Errors
    /// As for [`Entry::for_each`].
    pub fn for_each(mut self, mut visit: impl FnMut(Result<Entry, Refused>)) -> Result<Option<Summary>> {
        let json = self.json()?;
        if self.source.placed.is_some() || !json.has_plain_names() {
            let read = |visit: &mut Visit<'_>| self.read(&json, visit);
            return source::merge(&self.repository, &self.source, read, &mut visit);
        }
        // Kopia sorts entries by name, so two of one name are neighbours.
        let mut last = String::new();
        self.read(&json, &mut |entry| {
            visit(match entry {
                Ok(entry) if entry.name == last => Err(source::doubled(&last, entry.object)),
                Ok(entry) => {
                    last.clear();
                    last.push_str(&entry.name);
                    Ok(Entry::new(&self.repository, entry.into_owned()))
                }
                Err(refused) => Err(refused),
            });
        })
    }

    /// Calls `visit` for each entry where the directory has it, also where its name leads elsewhere, or is doubled.
    pub(crate) fn for_each_as_it_stands(
        mut self,
        mut visit: impl FnMut(Result<Entry, Refused>),
    ) -> Result<Option<Summary>> {
        let json = self.json()?;
        self.read(&json, &mut |entry| {
            visit(entry.map(|entry| Entry::new(&self.repository, entry.into_owned())));
        })
    }

    fn json(&mut self) -> Result<Json> {
        let Some(object) = self.source.object() else { return Ok(Json::Implied) };
        if let Some(json) = self.json.take() {
            return json.map(Json::Whole);
        }
        let reader = ObjectReader::open(&self.repository, object)?;
        if reader.length() > STREAMED {
            return Ok(Json::Long(reader));
        }
        self.repository.read_object(object).map(Json::Whole)
    }

    fn read(&self, json: &Json, visit: &mut Visit<'_>) -> Result<Option<Summary>> {
        let object = self.source.object;
        let corrupt = |error| Error::object(object, error);
        match json {
            Json::Implied => Ok(None),
            Json::Whole(json) => directory::read(json, visit).map_err(corrupt),
            Json::Long(reader) => {
                let reader = BufReader::with_capacity(1 << 16, FromStart { reader, offset: 0 });
                let read = directory::read_stream(reader, visit);
                read.map_err(|error| Error::object(object, error))?.map_err(corrupt)
            }
        }
    }
}

impl Json {
    /// Returns whether no name can have `/`, neither as it is nor as an escape. If not, they may still all be plain.
    fn has_plain_names(&self) -> bool {
        match self {
            Self::Whole(json) => !json.contains(&b'/') && !json.contains(&b'\\'),
            Self::Long(_) | Self::Implied => false,
        }
    }
}

/// Reads an object once, from its start on.
struct FromStart<'r> {
    reader: &'r ObjectReader,
    offset: u64,
}

impl io::Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
