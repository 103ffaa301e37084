//! From an object to its contents, in order.

use std::sync::Arc;

use kopia_format::indirect::{MAX_PIECES, Piece};
use kopia_format::{ContentId, ObjectId};

use super::list;
use crate::contents::MAX_LENGTH;
use crate::{Error, Repository, Result};

/// How deep lists may nest, whatever their ids say: a list that contains itself, or is one of its own pieces,
/// ends here.
pub(super) const MAX_DEPTH: usize = ObjectId::MAX_INDIRECTION as usize;

/// The most extents of one object that are kept at once: 16 TiB at kopia's usual 4 MiB. They take 256 MiB of
/// memory.
pub(super) const MAX_EXTENTS: usize = MAX_PIECES;

/// The most bytes of lists that one walk reads: a piece takes some 100. A list that names few contents, or
/// other lists, again and again ends here.
pub(super) const MAX_LIST_BYTES: u64 = MAX_PIECES as u64 * 128;

/// Where an object lies in others, and what these leave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// How many lists it lies below.
    pub(super) depth: usize,
    /// How many pieces may be kept at once.
    pub(super) most: usize,
    /// How many bytes of lists may be read, of lists of lists as well.
    pub(super) list_bytes: u64,
}

impl Place {
    /// That of an object by itself.
    pub(super) const TOP: Self = Self { depth: 0, most: MAX_PIECES, list_bytes: MAX_LIST_BYTES };
}

/// An extent of an object's bytes that one content holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the object, in bytes.
    pub start: u64,
    /// How many bytes it has, where that is known: not for a whole object with `Z`, nor for one whose content
    /// is
    /// [assumed](Extents::assuming).
    pub length: Option<u64>,
    /// The content that holds it.
    pub content: ContentId,
    /// Whether the content begins with a compression header of its own (`Z`).
    pub compressed: bool,
}

impl Extent {
    /// Returns whether it is known to have as many bytes.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        self.length == Some(bytes.len() as u64)
    }

    /// Returns where the next one begins, as far as that is known.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.length.unwrap_or(0))
    }

    /// Refuses bytes of another length than the list says.
    fn check_length(&self, bytes: &[u8]) -> Result<()> {
        match self.length {
            Some(length) if length != bytes.len() as u64 => Err(Error::object(
                ObjectId::of_content(self.content),
                format!("it has {} bytes, its list says {length}", bytes.len()),
            )),
            _ => Ok(()),
        }
    }
}

/// Walks an object's contents in order.
///
/// An extent's length is what the lists say, or the index for an object of one content. After an error there
/// is nothing more.
#[derive(Debug)]
pub struct Extents {
    pub(super) repository: Repository,
    /// Pieces still to be walked, of each level, the next one last.
    stack: Vec<Vec<Piece>>,
    /// The object itself, until it is looked at.
    whole: Option<ObjectId>,
    /// Where it lies in others, less the bytes of lists that were read since.
    pub(super) place: Place,
    /// How many bytes an object of one content is taken to have, rather than asking a server.
    assumed: Option<u64>,
}

impl Extents {
    /// Starts at the front of an object.
    pub fn new(repository: &Repository, object: ObjectId) -> Self {
        let (repository, whole) = (repository.clone(), Some(object));
        Self { repository, stack: Vec::new(), whole, place: Place::TOP, assumed: None }
    }

    /// Takes an object of one content to be there, with about so many bytes, where finding out would mean
    /// asking a server.
    #[must_use]
    pub fn assuming(self, length: u64) -> Self {
        Self { assumed: Some(length), ..self }
    }

    /// Reads a list and puts its pieces on the stack, moved to where the object has them.
    fn descend(&mut self, object: ObjectId, list: ObjectId, start: u64, length: Option<u64>) -> Result<()> {
        let depth = self.place.depth + self.stack.len() + 1;
        if depth > MAX_DEPTH {
            return Err(Error::object(object, format!("lists nest more than {MAX_DEPTH} deep")));
        }
        self.stack.iter_mut().for_each(trim);
        let most = self.place.most - self.stack.iter().map(Vec::len).sum::<usize>();
        let place = Place { depth, most, ..self.place };
        let contents = Self { place, ..Self::new(&self.repository, list) };
        let (mut pieces, list_bytes) = list::read(object, contents, most)?;
        self.place.list_bytes = list_bytes;
        let total = pieces.last().map_or(0, |last| last.start + last.length);
        if length.is_some_and(|length| length != total) {
            let length = length.unwrap_or_default();
            return Err(Error::object(
                object,
                format!("its pieces have {total} bytes, its list says {length}"),
            ));
        }
        for piece in &mut pieces {
            let moved = piece.start.checked_add(start);
            piece.start =
                moved.ok_or_else(|| Error::object(object, "its pieces have more than 2^64 bytes"))?;
        }
        pieces.reverse();
        self.stack.push(pieces);
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Extent>> {
        if let Some(object) = self.whole.take() {
            let Some(list) = object.list() else { return self.single(object).map(Some) };
            self.descend(object, list, 0, None)?;
        }
        while let Some(level) = self.stack.last_mut() {
            let Some(Piece { start, length, object }) = level.pop() else {
                self.stack.pop();
                continue;
            };
            match object.list() {
                Some(list) => self.descend(object, list, start, Some(length))?,
                None => {
                    let (content, compressed) = (object.content(), object.is_compressed());
                    return Ok(Some(Extent { start, length: Some(length), content, compressed }));
                }
            }
        }
        Ok(None)
    }

    /// Reads the pieces of an object's list, the first one last, without following those that have lists.
    ///
    /// Returns how many bytes of lists may be read after it, too.
    ///
    /// # Errors
    /// As for [`Extents`], within what its place leaves it.
    pub(super) fn pieces(
        repository: &Repository,
        (object, list): (ObjectId, ObjectId),
        place: Place,
    ) -> Result<(Vec<Piece>, u64)> {
        let mut extents = Self { place, ..Self::new(repository, object) };
        extents.descend(object, list, 0, None)?;
        Ok((extents.stack.pop().unwrap_or_default(), extents.place.list_bytes))
    }

    /// An object that is one content.
    fn single(&self, object: ObjectId) -> Result<Extent> {
        let (content, compressed) = (object.content(), object.is_compressed());
        let contents = self.repository.contents();
        let location = match self.assumed {
            Some(_) => contents.assume(&content, self.assumed)?,
            None => contents.locate(&content)?,
        };
        let length = location.known_length().filter(|_| !compressed);
        Ok(Extent { start: 0, length, content, compressed })
    }
}

/// Gives memory back once most of these pieces are walked.
pub(super) fn trim(pieces: &mut Vec<Piece>) {
    if pieces.capacity() / 2 > pieces.len() {
        pieces.shrink_to_fit();
    }
}

impl Iterator for Extents {
    type Item = Result<Extent>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.stack.clear();
        }
        step.transpose()
    }
}

impl Repository {
    /// Reads the bytes of one extent.
    ///
    /// # Errors
    /// As for [`Contents::read`](crate::Contents::read); [`Error::CorruptObject`] if the extent has another
    /// length than its list says.
    pub fn read_extent(&self, extent: &Extent) -> Result<Vec<u8>> {
        let mut bytes = self.contents().read(&extent.content)?;
        if extent.compressed {
            bytes =
                self.contents().decompress_headed(&extent.content, &bytes, extent.length, |plain| plain)?;
        }
        extent.check_length(&bytes)?;
        Ok(bytes)
    }

    /// As [`Self::read_extent`], out of the cache where that has it; with `keep` it will have it the next
    /// time.
    pub(super) fn read_extent_again(&self, extent: &Extent, keep: bool) -> Result<Arc<Vec<u8>>> {
        if extent.compressed {
            return self.read_extent(extent).map(Arc::new);
        }
        let bytes = self.contents().read_again(&extent.content, keep)?;
        extent.check_length(&bytes)?;
        Ok(bytes)
    }

    /// Reads a whole object into memory; for lists and directories, whose size is bounded by what the pack
    /// holds.
    ///
    /// # Errors
    /// As for [`Self::read_extent`]; [`Error::CorruptObject`] if it has more than 256 MiB.
    pub fn read_object(&self, object: ObjectId) -> Result<Vec<u8>> {
        read_whole(Extents::new(self, object).assuming(0), object, MAX_LENGTH)
    }
}

/// Reads an object of no more than `most` bytes.
fn read_whole(pieces: Extents, object: ObjectId, most: usize) -> Result<Vec<u8>> {
    let repository = pieces.repository.clone();
    let mut bytes = Vec::new();
    for extent in pieces {
        let extent = repository.read_extent(&extent?)?;
        if bytes.len() + extent.len() > most {
            return Err(Error::object(object, format!("it has more than {most} bytes")));
        }
        if bytes.is_empty() { bytes = extent } else { bytes.extend(extent) }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::RepositoryWriter;

    use super::*;
    use crate::testing::{list, open};

    /// Each level by itself would be within its bounds, and all of them take memory at once.
    #[test]
    fn pieces_are_counted_over_all_levels() {
        let mut writer = RepositoryWriter::new();
        let bytes = writer.file(b"12345");
        // Three pieces on each of three levels, of which the first is always the longest way down.
        let lowest = list(&mut writer, &[(5, &*bytes); 3]);
        let middle = list(&mut writer, &[(15, &*lowest); 3]);
        let object: ObjectId = list(&mut writer, &[(45, &*middle); 3]).parse().unwrap();
        let repository = open(writer);
        let walk = |most| {
            let place = Place { most, ..Place::TOP };
            let extents = Extents { place, ..Extents::new(&repository, object) };
            extents.map(|extent| extent.map(|extent| extent.start)).collect::<Result<Vec<_>>>()
        };
        // Two wait on each of the upper levels while the lowest is gone through.
        let starts: Vec<u64> = (0..27).map(|number| number * 5).collect();
        assert_eq!(walk(7).unwrap(), starts);
        for most in [3, 6] {
            let error = walk(most).unwrap_err().to_string();
            assert!(error.contains("list of pieces"), "{error}");
        }
    }

    /// A few kilobytes of lists name contents again and again, more than fit into memory.
    #[test]
    fn an_object_is_read_whole_up_to_a_limit() {
        let mut writer = RepositoryWriter::new();
        let (hello, kopia) = (writer.file(b"hello"), writer.file(b"kopia"));
        let object: ObjectId = list(&mut writer, &[(5, &*hello), (5, &*kopia)]).parse().unwrap();
        let repository = open(writer);
        let read = |most| read_whole(Extents::new(&repository, object), object, most);
        assert_eq!(read(10).unwrap(), b"hellokopia");
        let error = read(9).unwrap_err();
        assert!(matches!(error, Error::CorruptObject { .. }), "{error:?}");
        assert!(error.to_string().contains("it has more than 9 bytes"), "{error}");
    }

    /// Each level would have its memory to the end, although all but the last piece are gone.
    #[test]
    fn pieces_that_are_walked_take_no_memory() {
        let mut writer = RepositoryWriter::new();
        let mut object = writer.file(b"12345");
        let byte = writer.file(b"1");
        for level in 0..5 {
            let mut pieces = vec![(1, &*byte); 50];
            pieces.push((5 + level * 50, &*object));
            object = list(&mut writer, &pieces);
        }
        let repository = open(writer);
        let mut extents = Extents::new(&repository, object.parse().unwrap());
        extents.place.most = 51;
        let mut count = 0;
        while let Some(extent) = extents.next() {
            extent.unwrap();
            count += 1;
            let kept: usize = extents.stack.iter().map(Vec::capacity).sum();
            assert!(kept < 3 * 51, "{kept} after {count}");
        }
        assert_eq!(count, 251);
    }
}
