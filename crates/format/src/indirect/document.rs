//! The JSON around the pieces, parsed without a list of them as they are written.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{LONGEST, Pieces, RawPiece};

/// The visitor of the whole; returns what `stream` says.
pub(super) struct Document<'p> {
    pub(super) pieces: &'p mut Pieces,
    /// How many bytes may still be read before a piece, or a field beside them, has ended.
    pub(super) left: &'p Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pieces")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut stream = None;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "stream" => stream = Some(map.next_value()?),
                "entries" if self.pieces.number > 0 => return Err(A::Error::duplicate_field("entries")),
                "entries" => map.next_value_seed(Entries { pieces: self.pieces, left: self.left })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            self.left.set(LONGEST);
        }
        stream.ok_or_else(|| A::Error::missing_field("stream"))
    }
}

/// The visitor of the entries, or of `null`.
struct Entries<'p> {
    pieces: &'p mut Pieces,
    left: &'p Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<Option<RawPiece>>()? {
            self.left.set(LONGEST);
            if let Some(raw) = raw {
                self.pieces.add(raw).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}
