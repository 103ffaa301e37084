//! JSON from a repository: UTF-8 is checked once, fast, so that strings can be borrowed from the bytes.

use serde::Deserialize;

use crate::{Error, Result};

/// Parses the whole of `bytes`; `what` names them in errors.
pub(crate) fn parse<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T> {
    serde_json::from_str(text(what, bytes)?).map_err(|error| Error::corrupt(what, error.to_string()))
}

/// As [`parse`], but the error shows the place only: serde's own words may quote the value, and it may be a key.
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

/// Reads a field that kopia may write as `null` for its zero value.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
