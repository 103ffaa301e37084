//! The list of pieces of a split object.
//!
//! `{"stream":"kopia:indirect","entries":[{"s":start,"l":length,"o":"object id"},…]}`, where a start of 0 is left out.
//! Authority: `repo/object/object_reader.go`, `object_writer.go`.

use serde::Deserialize;

use crate::{Error, ObjectId, Result, json};

const WHAT: &str = "list of pieces";

/// The most pieces that a list may have: 16 TiB at kopia's usual 4 MiB, and more than a list of 256 MiB has room for where
/// ids are as long as kopia's.
pub const MAX_PIECES: usize = 4 << 20;

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

/// Parses a list and checks that its pieces follow each other from 0 on without gap, overlap or empty piece.
///
/// # Errors
/// [`Error::Corrupt`] with the number of the piece; if there are more than [`MAX_PIECES`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Piece>> {
    #[derive(Deserialize)]
    struct Raw {
        stream: String,
        #[serde(default, deserialize_with = "json::at_most::<_, _, MAX_PIECES>")]
        entries: Vec<RawPiece>,
    }
    #[derive(Deserialize)]
    struct RawPiece {
        #[serde(default)]
        s: i64,
        #[serde(default)]
        l: i64,
        o: ObjectId,
    }
    let raw: Raw = json::parse(WHAT, bytes)?;
    if raw.stream != "kopia:indirect" {
        return Err(Error::corrupt(WHAT, format!("stream {:?}, not kopia:indirect", raw.stream)));
    }
    let mut end = 0;
    raw.entries
        .into_iter()
        .enumerate()
        .map(|(number, RawPiece { s, l, o: object })| {
            let bad = |why: String| Error::corrupt(WHAT, format!("piece {number} ({object}): {why}"));
            let length = u64::try_from(l).ok().filter(|&length| length > 0);
            let length = length.ok_or_else(|| bad(format!("length {l}")))?;
            let start = u64::try_from(s).ok().filter(|&start| start == end);
            let start = start.ok_or_else(|| bad(format!("starts at {s}, not at {end}")))?;
            end = start.checked_add(length).ok_or_else(|| bad(format!("length {l} at {s}")))?;
            Ok(Piece { start, length, object })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &str) -> Result<Vec<Piece>> {
        parse(format!(r#"{{"stream":"kopia:indirect","entries":{entries}}}"#).as_bytes())
    }

    #[test]
    fn pieces_follow_each_other() {
        let pieces = list(r#"[{"l":5,"o":"aa"},{"s":5,"l":7,"o":"Ixbb"}]"#).unwrap();
        assert_eq!((pieces[0].start, pieces[0].length), (0, 5));
        assert_eq!((pieces[1].start, pieces[1].length, pieces[1].object.indirection()), (5, 7, 1));
        assert_eq!(list("null").unwrap(), []);
    }

    #[test]
    fn lies_are_refused() {
        for (entries, why) in [
            (r#"[{"s":1,"l":5,"o":"aa"}]"#, "starts at 1, not at 0"),
            (r#"[{"l":5,"o":"aa"},{"s":6,"l":1,"o":"bb"}]"#, "piece 1 (bb): starts at 6, not at 5"),
            (r#"[{"l":5,"o":"aa"},{"s":4,"l":1,"o":"bb"}]"#, "starts at 4"),
            (r#"[{"l":5,"o":"aa"},{"s":-1,"l":1,"o":"bb"}]"#, "starts at -1"),
            (r#"[{"l":0,"o":"aa"}]"#, "length 0"),
            (r#"[{"l":-1,"o":"aa"}]"#, "length -1"),
            (
                r#"[{"l":9223372036854775807,"o":"aa"},{"s":9223372036854775807,"l":9223372036854775807,"o":"aa"},{"s":-2,"l":9,"o":"aa"}]"#,
                "starts at -2",
            ),
            (r#"[{"l":1}]"#, "missing field"),
            (r#"[{"l":1,"o":"!"}]"#, "object"),
        ] {
            let error = list(entries).map_err(|error| error.to_string());
            assert!(
                matches!(&error, Err(text) if text.contains(why) || why == "object"),
                "{entries}: {error:?}"
            );
        }
        assert!(parse(br#"{"stream":"kopia:directory","entries":[]}"#).is_err());
    }
}
