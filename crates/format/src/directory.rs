//! One directory, entry by entry.
//!
//! `{"stream":"kopia:directory","entries":[…],"summary":{…}}`, where fields that are zero are left out.
//! Entries are handed out as they are parsed, so that a directory of a million files needs no list of them.
//! An entry that cannot be restored is handed out as [`Refused`] and costs only itself. Authority:
//! `snapshot/manifest.go`, `snapshot/snapshotfs`.

mod entry;
mod refused;
mod summary;

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::{fmt, io};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub(crate) use entry::RawEntry;
pub use entry::{Entry, EntryKind};
pub use refused::{Refusal, Refused};
pub use summary::{FailedEntry, Summary};

use crate::json::Metered;
use crate::{Error, Result, json};

const WHAT: &str = "directory";

/// The longest entry of a stream, in bytes. A real one has a name, numbers, and up to ten paths with errors.
const LONGEST: usize = 4 << 20;

/// Parses a directory that is whole in memory and returns its summary, unless `visit` stops before the end.
///
/// # Errors
/// [`Error::Corrupt`] if the JSON is malformed or no directory; entries before that place were visited.
pub fn read(
    bytes: &[u8],
    visit: impl FnMut(Result<Entry<'_>, Refused>) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Option<Summary>>> {
    let mut json = serde_json::Deserializer::from_str(json::text(WHAT, bytes)?);
    let stopped = Cell::new(false);
    let document = Document { visit, stopped: &stopped };
    let rest = document.deserialize(&mut json).and_then(|rest| json.end().map(|()| rest));
    if stopped.get() { Ok(ControlFlow::Break(())) } else { finish(rest) }
}

/// Parses a directory from a stream; slower than [`read`], but holds one entry at a time.
///
/// # Errors
/// As for [`read`], and if an entry has more than 4 MiB; the reader's own errors are returned as they are.
pub fn read_stream(
    reader: impl io::Read,
    mut visit: impl FnMut(Result<Entry<'_>, Refused>) -> ControlFlow<()>,
) -> io::Result<Result<ControlFlow<(), Option<Summary>>>> {
    let (left, stopped) = (Cell::new(LONGEST), Cell::new(false));
    let visit = |entry: Result<Entry<'_>, Refused>| {
        left.set(LONGEST);
        visit(entry)
    };
    let mut json = serde_json::Deserializer::from_reader(Metered { reader, left: &left });
    let document = Document { visit, stopped: &stopped };
    match document.deserialize(&mut json).and_then(|rest| json.end().map(|()| rest)) {
        Err(_) if stopped.get() => Ok(Ok(ControlFlow::Break(()))),
        Err(error) if error.is_io() && left.get() == 0 => {
            let why = format!("an entry has more than {LONGEST} bytes");
            Ok(Err(Error::corrupt(WHAT, why)))
        }
        Err(error) if error.is_io() => Err(error.into()),
        document => Ok(finish(document)),
    }
}

fn finish(document: serde_json::Result<Rest>) -> Result<ControlFlow<(), Option<Summary>>> {
    let rest = document.map_err(|error| Error::corrupt(WHAT, error.to_string()))?;
    match rest.stream.as_deref() {
        Some("kopia:directory") => Ok(ControlFlow::Continue(rest.summary)),
        found => Err(Error::corrupt(WHAT, format!("stream {found:?}, not kopia:directory"))),
    }
}

/// What remains of the JSON after the entries.
#[derive(Default)]
struct Rest {
    stream: Option<String>,
    summary: Option<Summary>,
}

/// The visitor of the whole document; entries go to `visit`.
struct Document<'s, F> {
    visit: F,
    /// Set when `visit` wants no more: parsing can end only with an error, which then says nothing.
    stopped: &'s Cell<bool>,
}

impl<'de, F: FnMut(Result<Entry<'_>, Refused>) -> ControlFlow<()>> DeserializeSeed<'de> for Document<'_, F> {
    type Value = Rest;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Rest, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Result<Entry<'_>, Refused>) -> ControlFlow<()>> Visitor<'de> for Document<'_, F> {
    type Value = Rest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a directory")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Rest, A::Error> {
        let mut rest = Rest::default();
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "stream" => rest.stream = map.next_value()?,
                "entries" => {
                    map.next_value_seed(Entries { visit: &mut self.visit, stopped: self.stopped })?;
                }
                "summary" => rest.summary = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(rest)
    }
}

/// The visitor of the list of entries, or of `null` in an empty directory.
struct Entries<'f, F> {
    visit: &'f mut F,
    stopped: &'f Cell<bool>,
}

impl<'de, F: FnMut(Result<Entry<'_>, Refused>) -> ControlFlow<()>> DeserializeSeed<'de> for Entries<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, F: FnMut(Result<Entry<'_>, Refused>) -> ControlFlow<()>> Visitor<'de> for Entries<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries or null")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<Option<RawEntry<'de>>>()? {
            if let Some(raw) = raw
                && (self.visit)(raw.validate()).is_break()
            {
                self.stopped.set(true);
                return Err(serde::de::Error::custom("no more is wanted"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
