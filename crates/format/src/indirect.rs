//! The list of pieces of a split object.
//!
//! `{"stream":"kopia:indirect","entries":[{"s":start,"l":length,"o":"object id"},…]}`, where a start or
//! length of 0 is left out. Authority: `repo/object/object_reader.go`, `object_writer.go`.
//!
//! Kopia uploads a large file in parts and joins their lists. A part without bytes leaves a piece of length
//! 0: the last part of a file whose size is a multiple of the part's, or all parts after the end of a file
//! that shrank while it was read.

mod document;

use std::cell::Cell;
use std::io;

use serde::Deserialize;
use serde::de::DeserializeSeed;

use crate::json::Metered;
use crate::{Error, ObjectId, Result, json};
use document::Document;

const WHAT: &str = "list of pieces";

/// The most pieces with bytes that nested lists may have together while they are read: 16 TiB at kopia's
/// usual 4 MiB. They take 224 MiB of memory.
pub const MAX_PIECES: usize = 4 << 20;

/// The longest piece of a stream, key, or value that is not known, in bytes as it is written. A real piece has
/// some 100.
const LONGEST: usize = 1 << 20;

/// One piece of a split object. It may be split itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where the piece begins in the object, in bytes.
    pub start: u64,
    /// How many bytes it has, at least 1.
    pub length: u64,
    /// The object that holds these bytes.
    pub object: ObjectId,
}

/// Parses a list and checks that its pieces follow each other from 0 on without gap or overlap.
///
/// Pieces of length 0 add nothing, so they are left out, wherever they stand.
///
/// # Errors
/// [`Error::Corrupt`] with the number of the piece; if more than `most`, or [`MAX_PIECES`], of them have
/// bytes.
pub fn parse(bytes: &[u8], most: usize) -> Result<Vec<Piece>> {
    let mut json = serde_json::Deserializer::from_str(json::text(WHAT, bytes)?);
    let (left, mut pieces) = (Cell::new(LONGEST), Pieces::new(most));
    let stream = Document { pieces: &mut pieces, left: &left }.deserialize(&mut json);
    pieces.finish(stream.and_then(|stream| json.end().map(|()| stream)))
}

/// Parses a list from a stream; slower than [`parse`], but holds one piece at a time as it is written.
///
/// # Errors
/// As for [`parse`], and if a piece, or what stands beside the pieces, has more than 1 MiB; the reader's own
/// errors are returned as they are.
pub fn parse_stream(reader: impl io::Read, most: usize) -> io::Result<Result<Vec<Piece>>> {
    let (left, mut pieces) = (Cell::new(LONGEST), Pieces::new(most));
    let mut json = serde_json::Deserializer::from_reader(Metered { reader, left: &left });
    let stream = Document { pieces: &mut pieces, left: &left }.deserialize(&mut json);
    match stream.and_then(|stream| json.end().map(|()| stream)) {
        Err(error) if error.is_io() && left.get() == 0 => {
            Ok(Err(Error::corrupt(WHAT, format!("a piece has more than {LONGEST} bytes"))))
        }
        Err(error) if error.is_io() => Err(error.into()),
        stream => Ok(pieces.finish(stream)),
    }
}

/// A piece as it is written.
#[derive(Deserialize)]
struct RawPiece {
    #[serde(default)]
    s: i64,
    #[serde(default)]
    l: i64,
    o: ObjectId,
}

/// The pieces parsed so far.
struct Pieces {
    list: Vec<Piece>,
    most: usize,
    /// How many pieces there were, including those of length 0.
    number: usize,
    /// Where the next one begins.
    end: u64,
}

impl Pieces {
    fn new(most: usize) -> Self {
        Self { list: Vec::new(), most: most.min(MAX_PIECES), number: 0, end: 0 }
    }

    /// Checks a piece and adds it unless it has no bytes.
    fn add(&mut self, RawPiece { s, l, o: object }: RawPiece) -> Result<(), String> {
        let number = self.number;
        self.number = number.saturating_add(1);
        let bad = |why: String| format!("piece {number} ({object}): {why}");
        let length = u64::try_from(l).map_err(|_| bad(format!("length {l}")))?;
        if length == 0 {
            return Ok(());
        }
        let start = u64::try_from(s).ok().filter(|&start| start == self.end);
        let start = start.ok_or_else(|| bad(format!("starts at {s}, not at {}", self.end)))?;
        self.end = start.checked_add(length).ok_or_else(|| bad(format!("length {l} at {s}")))?;
        if self.list.len() == self.most {
            return Err(format!("more pieces than are kept at once, {MAX_PIECES}"));
        }
        self.list.push(Piece { start, length, object });
        Ok(())
    }

    /// Returns the list if the document was parsed to its end and names itself `kopia:indirect`.
    fn finish(self, stream: serde_json::Result<String>) -> Result<Vec<Piece>> {
        let stream = stream.map_err(|error| Error::corrupt(WHAT, error.to_string()))?;
        if stream != "kopia:indirect" {
            return Err(Error::corrupt(WHAT, format!("stream {stream:?}, not kopia:indirect")));
        }
        Ok(self.list)
    }
}

#[cfg(test)]
mod tests;
