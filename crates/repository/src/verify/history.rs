//! What was read when, as a file keeps it between runs.
//!
//! | line | says |
//! |---|---|
//! | `kopia-rs-verify 1 NAME LAST` | of which repository, and when the last run began |
//! | `PACK SECONDS COUNT` | it was read then and found sound, with so many contents |
//! | `PACK SECONDS damaged` | something in it could not be read then |
//! | `PACK SECONDS seen` | it was first seen then, and not read yet |
//! | `sum HEX` | HMAC-SHA-256 of all lines before, against damage only |

use std::collections::BTreeMap;
use std::fmt::Write;

use kopia_codec::hash::{HashAlgorithm, Hasher};
use kopia_format::BlobId;

/// The first word, with the version of the format.
const MAGIC: &str = "kopia-rs-verify 1";

/// No secret: the sum tells damage, not forgery.
const SUM_KEY: &[u8] = b"kopia-rs verify history";

/// When packs were read and found sound, to be kept between runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// When the last run began, in seconds of Unix time.
    pub(super) last: Option<i64>,
    pub(super) packs: BTreeMap<BlobId, Known>,
}

/// What is known of a pack, and since when, in seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) since: i64,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It was seen, and not read yet.
    Seen,
    /// So many contents of it were read and found sound: all that were wanted.
    Sound { contents: u64 },
    /// Something in it could not be read.
    Damaged,
}

/// Why bytes are no history of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryError {
    /// They are something else, or damaged.
    Damaged,
    /// They are of another repository.
    OtherRepository,
}

impl std::fmt::Display for HistoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Damaged => "it is damaged, or something else",
            Self::OtherRepository => "it is of another repository",
        })
    }
}

impl std::error::Error for HistoryError {}

impl History {
    /// Reads what [`Self::to_bytes`] wrote for the repository of this name.
    ///
    /// # Errors
    /// [`HistoryError`]; a history that begins anew vouches for nothing, and loses nothing.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, HistoryError> {
        let text = std::str::from_utf8(bytes).map_err(|_| HistoryError::Damaged)?;
        let (lines, found) = Self::split(text).ok_or(HistoryError::Damaged)?;
        if sum(lines) != found {
            return Err(HistoryError::Damaged);
        }
        let mut lines = lines.lines();
        let first =
            lines.next().and_then(|line| line.strip_prefix(MAGIC)?.strip_prefix(' ')?.split_once(' '));
        let (of, last) = first.ok_or(HistoryError::Damaged)?;
        if of != name {
            return Err(HistoryError::OtherRepository);
        }
        let last = Some(last.parse().map_err(|_| HistoryError::Damaged)?);
        let packs = lines.map(Known::parse).collect::<Option<_>>().ok_or(HistoryError::Damaged)?;
        Ok(Self { last, packs })
    }

    /// Cuts off the last line, which has the sum of the others.
    fn split(text: &str) -> Option<(&str, &str)> {
        let (_, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        Some((&text[..text.len() - last.len() - 1], last.strip_prefix("sum ")?))
    }

    /// Writes it for a file, with the name of the repository that it is of, which has no blanks.
    pub fn to_bytes(&self, name: &str) -> Vec<u8> {
        let mut text = format!("{MAGIC} {name} {}\n", self.last.unwrap_or_default());
        // No index names such packs; nothing can be said of one that would end its line.
        for (pack, Known { since, state }) in
            self.packs.iter().filter(|(pack, _)| !pack.as_str().contains('\n'))
        {
            let _ = match state {
                State::Seen => writeln!(text, "{pack} {since} seen"),
                State::Damaged => writeln!(text, "{pack} {since} damaged"),
                State::Sound { contents } => writeln!(text, "{pack} {since} {contents}"),
            };
        }
        let sum = sum(&text);
        let _ = writeln!(text, "sum {sum}");
        text.into_bytes()
    }
}

impl Known {
    fn parse(line: &str) -> Option<(BlobId, Self)> {
        // A name may have anything in it but `/` and NUL.
        let mut fields = line.rsplitn(3, ' ');
        let (state, since, pack) = (fields.next()?, fields.next()?, fields.next()?);
        let state = match state {
            "seen" => State::Seen,
            "damaged" => State::Damaged,
            contents => State::Sound { contents: contents.parse().ok()? },
        };
        Some((BlobId::new(pack).ok()?, Self { since: since.parse().ok()?, state }))
    }
}

fn sum(text: &str) -> String {
    let hasher = Hasher::new(HashAlgorithm::HmacSha256, SUM_KEY).expect("any key will do");
    let hash = hasher.hash(text.as_bytes());
    hash.as_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let known = |name: &str, since, state| (BlobId::new(name).unwrap(), Known { since, state });
        let packs = [
            known("p01", -5, State::Seen),
            known("p02", 7, State::Sound { contents: u64::MAX }),
            known("q with blanks", i64::MAX, State::Damaged),
        ];
        History { last: Some(9), packs: packs.into_iter().collect() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for history in [history(), History { last: Some(0), ..History::default() }] {
            assert_eq!(History::parse(&history.to_bytes("name"), "name"), Ok(history));
        }
    }

    #[test]
    fn what_is_damaged_or_of_another_repository_is_refused() {
        let bytes = history().to_bytes("name");
        assert_eq!(History::parse(&bytes, "other"), Err(HistoryError::OtherRepository));
        for length in 0..bytes.len() {
            assert_eq!(History::parse(&bytes[..length], "name"), Err(HistoryError::Damaged), "{length}");
        }
        for place in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[place] ^= 1;
            assert_eq!(History::parse(&bad, "name"), Err(HistoryError::Damaged), "byte {place}");
        }
        let other = format!("{MAGIC} name x\n");
        for text in [
            "",
            "\n",
            "sum \n",
            "{}\n",
            &format!("{other}sum {}\n", sum(&other)),
            &format!("sum {}\n", sum("")),
        ] {
            assert_eq!(History::parse(text.as_bytes(), "name"), Err(HistoryError::Damaged), "{text:?}");
        }
    }
}
