//! JSON from a repository: UTF-8 is checked once, fast, so that strings can be borrowed from the bytes.

use std::cell::Cell;
use std::marker::PhantomData;
use std::{fmt, io};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use crate::{Error, Result};

/// Parses the whole of `bytes`; `what` names them in errors.
pub(crate) fn parse<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T> {
    serde_json::from_str(text(what, bytes)?).map_err(|error| Error::corrupt(what, error.to_string()))
}

/// Parses as [`parse`], but errors give line and column only: serde's message may quote a key.
pub(crate) fn parse_secret<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T> {
    serde_json::from_str(text(what, bytes)?).map_err(|error| {
        Error::corrupt(what, format!("unexpected JSON at line {} column {}", error.line(), error.column()))
    })
}

/// Checks that `bytes` are UTF-8.
pub(crate) fn text<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a str> {
    simdutf8::compat::from_utf8(bytes)
        .map_err(|error| Error::corrupt(what, format!("no UTF-8 at offset {}", error.valid_up_to())))
}

/// A reader that fails with [`io::ErrorKind::FileTooLarge`] once what is parsed at a time has used up its
/// `left` bytes: `serde_json` gathers a string, or what it skips, until it ends.
pub(crate) struct Metered<'a, R> {
    pub(crate) reader: R,
    pub(crate) left: &'a Cell<usize>,
}

impl<R: io::Read> io::Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.reader.by_ref().take(left as u64).read(buffer)?;
        self.left.set(left.saturating_sub(count));
        Ok(count)
    }
}

/// Deserializes a field that kopia may write as `null` for its zero value.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Deserializes a list, or `null`, without the `null`s in it; keeps only the first `N` items and skips the rest.
pub(crate) fn first<'de, D, T, const N: usize>(deserializer: D) -> std::result::Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(List::<T>::new(N))
}

/// As [`first`], of any number of items.
pub(crate) fn without_nulls<'de, D, T>(deserializer: D) -> std::result::Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(List::<T>::new(usize::MAX))
}

/// Visits the items of a list, or of `null`, as they are parsed, but for the `null`s in it; why `visit` refuses
/// one ends the list.
pub(crate) struct Each<T, F> {
    visit: F,
    items: PhantomData<T>,
}

impl<T, F: FnMut(T) -> std::result::Result<(), String>> Each<T, F> {
    pub(crate) fn new(visit: F) -> Self {
        Self { visit, items: PhantomData }
    }
}

impl<'de, T, F> DeserializeSeed<'de> for Each<T, F>
where
    T: Deserialize<'de>,
    F: FnMut(T) -> std::result::Result<(), String>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T, F> Visitor<'de> for Each<T, F>
where
    T: Deserialize<'de>,
    F: FnMut(T) -> std::result::Result<(), String>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or null")
    }

    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> std::result::Result<(), A::Error> {
        while let Some(item) = seq.next_element::<Option<T>>()? {
            if let Some(item) = item {
                (self.visit)(item).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}

/// The visitor of a list, or of `null`. Items beyond the `most` that are wanted are skipped.
struct List<T> {
    most: usize,
    items: PhantomData<T>,
}

impl<T> List<T> {
    fn new(most: usize) -> Self {
        Self { most, items: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or null")
    }

    fn visit_unit<E>(self) -> std::result::Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while list.len() < self.most {
            match seq.next_element::<Option<T>>()? {
                Some(item) => list.extend(item),
                None => return Ok(list),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(list)
    }
}
