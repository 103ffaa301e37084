//! How folders of what is kept are named, and what lies in them: so that a person knows it again.
//!
//! What the names stand for is in the journal; where that cannot be read, they alone say which restore a folder may be
//! of. They are cut, so that what is put before them makes none too long for the file system.

use kopia_format::Timestamp;

/// The longest part of a name that is kept, in bytes.
const LONGEST: usize = 180;

/// Returns the name of what is kept, by its number and path.
pub(super) fn stored(number: u64, path: &[u8]) -> String {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    format!("{number}-{}", cut(&name))
}

/// Cuts a name that is too long for anything to be put before it.
pub(super) fn cut(name: &str) -> &str {
    let ends = name.char_indices().map(|(start, letter)| start + letter.len_utf8());
    &name[..ends.take_while(|end| *end <= LONGEST).last().unwrap_or(0)]
}

/// Returns how the name of a folder says when its restore began, in seconds since 1970.
pub(super) fn time_in_name(began: i64) -> String {
    Timestamp::new(began, 0).unwrap_or_default().to_string().replace(['-', ':'], "")
}
