//! How values become JSON that are no JSON by themselves.

use std::path::Path;

use serde::Serializer;

/// Serializes a path, with U+FFFD for what is not UTF-8: JSON must be.
pub(crate) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Serializes a value as its text.
pub(crate) fn text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}
