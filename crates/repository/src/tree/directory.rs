//! Directories whose JSON is in memory, or is yet to be read.

use std::io::{self, BufReader};
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_format::directory::{self, EntryKind};
use kopia_format::{ContentId, ObjectId};

use super::Entry;
use super::names::SeenNames;
use super::source::{self, DirectorySource, Read, Visit, VisitEntry};
use crate::object::ObjectReader;
use crate::{Error, Repository, Result};

/// Directories longer than this, in bytes, are parsed as a stream.
///
/// So one of a million files takes no memory of its own.
const STREAMED: u64 = 16 << 20;

/// The longest directory that is read, in bytes: one of some 100 million entries. Kopia holds all of them in
/// memory when it writes one.
const LONGEST: u64 = 32 << 30;

/// How many directories are read at once at most, and how many bytes of them are in memory.
///
/// Where each read takes long, more of both: each time costs a round trip, and nothing is restored before
/// some ten thousand entries are known.
const MAX_FETCHED: usize = 256;
const MAX_FETCHED_BYTES: u64 = 8 << 20;
const MAX_FETCHED_FAR: usize = 1024;
const MAX_FETCHED_BYTES_FAR: u64 = 16 << 20;

/// How many bytes of them are kept where only reading tells how long they are; the others are read again when
/// it is their turn.
const MAX_KEPT_BYTES: u64 = 32 << 20;

/// A directory whose JSON is in memory, or is yet to be read because it is long.
#[derive(Debug)]
pub(super) struct Fetched {
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
    /// Reads and decodes a directory's JSON, so that parsing it later waits for nothing.
    ///
    /// A long one is left to be read as it is parsed.
    pub(super) fn fetch(&self) -> Fetched {
        let source = self.source();
        let plain = source.object().filter(is_plain);
        let json = match self.kind() {
            EntryKind::Directory => plain.map(|object| self.repository().read_object(object)),
            EntryKind::File | EntryKind::Symlink => Some(Err(self.wrong_kind("folder"))),
        };
        Fetched { repository: self.repository().clone(), source, json }
    }
}

/// As [`Entry::fetch`], of the first of `most` directories: as many as are short together, but at least one.
///
/// Their contents are read pack by pack, neighbours at once.
pub(super) fn fetch<'s>(
    repository: &Repository,
    most: usize,
    directories: impl Iterator<Item = &'s DirectorySource>,
) -> Vec<Fetched> {
    let is_far = repository.contents().is_far();
    let (at_once, most_bytes) =
        if is_far { (MAX_FETCHED_FAR, MAX_FETCHED_BYTES_FAR) } else { (MAX_FETCHED, MAX_FETCHED_BYTES) };
    let mut bytes = 0;
    let mut directories: Vec<&DirectorySource> = directories.take(most.min(at_once)).collect();
    let short = directories.iter().take_while(|source| {
        let location = source.object().map(|object| repository.contents().assume(&object.content(), None));
        bytes += location.and_then(Result::ok).map_or(0, |location| location.plain_length());
        bytes <= most_bytes
    });
    let count = short.count().max(1);
    directories.truncate(count);
    // Lists of pieces, compressed objects and what fails are read when they are parsed, one by one.
    let plain = |source: &DirectorySource| source.object().filter(is_plain);
    let objects = directories.iter().filter_map(|source| plain(source));
    let contents: Vec<ContentId> = objects.map(|object| object.content()).collect();
    let slots: Vec<OnceLock<Vec<u8>>> = contents.iter().map(|_| OnceLock::new()).collect();
    let kept = Kept::default();
    repository.contents().read_many(&contents, |number, bytes| {
        // Of what comes from a server it is not known before how long it is.
        if let Some(bytes) = bytes.ok().filter(|bytes| kept.has_room(number, bytes.len() as u64)) {
            slots[number].get_or_init(|| bytes.to_vec());
        }
    });
    let mut slots = slots.into_iter();
    let fetched = |source: &DirectorySource| {
        let read = plain(source).and_then(|_| slots.next()?.into_inner());
        Fetched { repository: repository.clone(), source: source.clone(), json: read.map(Ok) }
    };
    directories.into_iter().map(fetched).collect()
}

/// How many bytes there are of directories that were read at once.
#[derive(Default)]
struct Kept(AtomicU64);

impl Kept {
    /// Adds the directory of a number, and returns whether it is kept: the first is in any case, as its turn comes
    /// next.
    fn has_room(&self, number: usize, length: u64) -> bool {
        self.0.fetch_add(length, Ordering::Relaxed) + length <= MAX_KEPT_BYTES || number == 0
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
    pub(super) fn for_each(mut self, visit: &mut VisitEntry<'_>) -> Read {
        let json = self.json()?;
        if self.source.placed.is_some() || !json.has_plain_names() {
            let read = |visit: &mut Visit<'_>| self.read(&json, visit);
            return source::merge(&self.repository, &self.source, &read, visit);
        }
        self.visit_plain(&json, visit)
    }

    /// As [`Self::for_each`], of what the directory itself has: also where a name leads elsewhere.
    ///
    /// # Errors
    /// As for [`Entry::for_each`].
    pub(super) fn for_each_as_it_stands(mut self, visit: &mut VisitEntry<'_>) -> Read {
        let json = self.json()?;
        self.visit_plain(&json, visit)
    }

    /// Visits entries by their names as they are written; of several entries of one name, the first.
    fn visit_plain(&self, json: &Json, visit: &mut VisitEntry<'_>) -> Read {
        let read = |visit: &mut Visit<'_>| self.read(json, visit);
        let mut names = SeenNames::default();
        read(&mut |entry| {
            visit(match entry {
                Ok(entry) if names.add(&entry, |visit| source::reread(&read, |_| true, visit)) => {
                    Ok(Entry::new(&self.repository, entry.into_owned()))
                }
                Ok(entry) => Err(source::doubled(&entry.name, entry.object)),
                Err(refused) => Err(refused),
            })
        })
    }

    /// Returns how many bytes of it are in memory.
    pub(super) fn length(&self) -> u64 {
        let length = |json: &Result<Vec<u8>>| json.as_ref().map_or(0, |json| json.len() as u64);
        self.json.as_ref().map_or(0, length)
    }

    fn json(&mut self) -> Result<Json> {
        let Some(object) = self.source.object() else { return Ok(Json::Implied) };
        if let Some(json) = self.json.take() {
            return json.map(Json::Whole);
        }
        let reader = ObjectReader::open(&self.repository, object)?;
        if reader.length() > LONGEST {
            let why = format!("its folder has {} bytes, more than {LONGEST}", reader.length());
            return Err(Error::object(object, why));
        }
        if reader.length() > STREAMED {
            return Ok(Json::Long(reader));
        }
        self.repository.read_object(object).map(Json::Whole)
    }

    fn read(&self, json: &Json, visit: &mut Visit<'_>) -> Read {
        let object = self.source.object;
        let corrupt = |error| Error::object(object, error);
        match json {
            Json::Implied => Ok(ControlFlow::Continue(None)),
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
    /// Returns whether no name can have `/`, neither as it is nor as an escape. If not, they may still all be
    /// plain.
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

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::RepositoryWriter;

    use super::*;
    use crate::testing::open;

    /// Adds a directory of so many bytes, which nobody parses.
    fn directory(writer: &mut RepositoryWriter, number: u8, length: usize) -> ObjectId {
        let id = ContentId::new(Some('k'), &[number; 16]).unwrap();
        writer.forge_gzip(id, &vec![b' '; length]);
        ObjectId::of_content(id)
    }

    /// Returns how many bytes of each of some directories are in memory once they were fetched together.
    fn fetched(writer: RepositoryWriter, objects: &[ObjectId]) -> Vec<u64> {
        let sources: Vec<DirectorySource> = objects.iter().map(|&object| object.into()).collect();
        fetch(&open(writer), usize::MAX, sources.iter()).iter().map(Fetched::length).collect()
    }

    #[test]
    fn as_many_as_are_short_together_are_fetched_and_each_is_in_memory() {
        let half = MAX_FETCHED_BYTES as usize / 2;
        for (lengths, expected) in [
            (&[10_000, 20_000, 30_000][..], 3),
            (&[half, half, 1], 2),
            (&[half, half + 1, 1], 1),
            (&[2 * half + 1, 1], 1),
        ] {
            let mut writer = RepositoryWriter::new();
            let numbered = (0..).zip(lengths);
            let objects: Vec<_> =
                numbered.map(|(number, &length)| directory(&mut writer, number, length)).collect();
            let expected: Vec<_> = lengths[..expected].iter().map(|&length| length as u64).collect();
            assert_eq!(fetched(writer, &objects), expected);
        }
    }

    #[test]
    fn lists_and_compressed_objects_are_left_until_they_are_parsed() {
        let mut writer = RepositoryWriter::new();
        let (first, last) = (directory(&mut writer, 1, 10), directory(&mut writer, 2, 20));
        let [list, compressed] = ["I", "Z"].map(|kind| format!("{kind}{first}").parse::<ObjectId>().unwrap());
        assert_eq!(fetched(writer, &[first, list, compressed, last]), [10, 0, 0, 20]);
    }

    #[test]
    fn of_directories_that_are_read_at_once_the_first_is_kept_and_of_others_what_there_is_room_for() {
        let kept = Kept::default();
        assert!(kept.has_room(2, MAX_KEPT_BYTES - 1) && kept.has_room(1, 1));
        assert!(!kept.has_room(3, 1));
        assert!(kept.has_room(0, 1));
        let kept = Kept::default();
        assert!(kept.has_room(0, MAX_KEPT_BYTES + 1));
        assert!(!kept.has_room(1, 1));
    }
}
