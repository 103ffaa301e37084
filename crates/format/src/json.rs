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

/// Reads a list, or `null`, without the `null`s in it, which take no memory then.
pub(crate) fn without_nulls<'de, D, T>(deserializer: D) -> std::result::Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list or null")
        }

        fn visit_unit<E>(self) -> std::result::Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            self,
            mut seq: A,
        ) -> std::result::Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = seq.next_element::<Option<T>>()? {
                list.extend(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(List(std::marker::PhantomData))
}
