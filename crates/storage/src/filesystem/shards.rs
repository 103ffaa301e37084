//! Where blobs lie: the file `.shards`.
//!
//! ```json
//! {"default":[1,3],"maxNonShardedLength":20,"overrides":[{"prefix":"p","shards":[2,2]}]}
//! ```
//! Authority: Kopia's `repo/blob/sharded/sharded_parameters.go`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use kopia_format::BlobId;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;

/// The name of the file, in the repository's folder.
pub(super) const FILE_NAME: &str = ".shards";

/// The extension of blobs that are completely written.
pub(super) const EXTENSION: &[u8] = b".f";

/// The largest file that is believed, in bytes. Real ones have some 50.
const MAX_LENGTH: u64 = 64 << 10;

/// Tells which folders a blob lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shards {
    /// Ids that are not longer than this lie in the root, in bytes.
    unsharded_length: usize,
    /// Prefixes with folders of their own; the first that matches counts.
    overrides: Vec<(Box<str>, Vec<usize>)>,
    /// The lengths of folder names, cut one after the other from the front of an id.
    default: Vec<usize>,
}

/// What kopia assumes where the file is missing, as it was before there was one.
impl Default for Shards {
    fn default() -> Self {
        Self { unsharded_length: 20, overrides: Vec::new(), default: vec![3, 3] }
    }
}

#[derive(Deserialize)]
struct Json {
    default: Option<Vec<i64>>,
    #[serde(rename = "maxNonShardedLength")]
    unsharded_length: Option<i64>,
    overrides: Option<Vec<JsonOverride>>,
}

#[derive(Deserialize)]
struct JsonOverride {
    prefix: Option<Box<str>>,
    shards: Option<Vec<i64>>,
}

/// Reads the file, if there is one.
pub(super) fn read(folder: impl AsFd) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(folder, FILE_NAME, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        result => File::from(result?),
    };
    let mut json = Vec::new();
    file.take(MAX_LENGTH + 1).read_to_end(&mut json)?;
    Ok(Some(json))
}

impl Shards {
    /// Reads the file's JSON. What is missing or null is empty, as in Go; what follows the first value is ignored.
    ///
    /// # Errors
    /// Why it makes no sense.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        if json.len() as u64 > MAX_LENGTH {
            return Err(format!("it has more than {MAX_LENGTH} bytes"));
        }
        let mut values = serde_json::Deserializer::from_slice(json).into_iter::<Json>();
        let json = values.next().ok_or("it is empty")?.map_err(|error| error.to_string())?;
        let overrides = json.overrides.unwrap_or_default().into_iter();
        Ok(Self {
            unsharded_length: json.unsharded_length.map_or(0, |length| usize::try_from(length).unwrap_or(0)),
            overrides: overrides
                .map(|part| Ok((part.prefix.unwrap_or_default(), lengths(part.shards)?)))
                .collect::<Result<_, String>>()?,
            default: lengths(json.default)?,
        })
    }

    /// Returns the path of a blob's file, such as `p/1a0/0d….f`; `None` if no file can have it.
    pub(super) fn file(&self, id: &BlobId) -> Option<Vec<u8>> {
        let name = id.as_str();
        let mut rest = name.as_bytes();
        let mut path = Vec::with_capacity(rest.len() + 8);
        if rest.len() > self.unsharded_length {
            let own = self.overrides.iter().find(|(prefix, _)| name.starts_with(&**prefix));
            for &length in own.map_or(&self.default, |(_, shards)| shards) {
                if rest.len() <= length {
                    break;
                }
                let (folder, after) = rest.split_at(length);
                // An id from a hostile index must not lead out of the repository.
                if matches!(folder, b"." | b"..") {
                    return None;
                }
                if !folder.is_empty() {
                    path.extend_from_slice(folder);
                    path.push(b'/');
                }
                rest = after;
            }
        }
        path.extend_from_slice(rest);
        path.extend_from_slice(EXTENSION);
        Some(path)
    }
}

/// Checks lengths of folder names. Zero stands for no folder; on a negative one kopia itself crashes.
fn lengths(shards: Option<Vec<i64>>) -> Result<Vec<usize>, String> {
    let check =
        |length| usize::try_from(length).map_err(|_| format!("{length} is no length of a folder's name"));
    shards.unwrap_or_default().into_iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(shards: &Shards, id: &str) -> String {
        String::from_utf8(shards.file(&BlobId::new(id).unwrap()).unwrap()).unwrap()
    }

    fn parse(json: &str) -> Shards {
        Shards::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn ids_are_cut_as_the_layout_says() {
        let pack = "p0638154a08df93c269693324852cef8c";
        let new = parse(r#"{"default":[1,3],"maxNonShardedLength":20}"#);
        assert_eq!(file(&new, pack), "p/063/8154a08df93c269693324852cef8c.f");
        assert_eq!(file(&new, "kopia.repository"), "kopia.repository.f");
        assert_eq!(file(&new, "12345678901234567890"), "12345678901234567890.f");
        assert_eq!(file(&new, "123456789012345678901"), "1/234/56789012345678901.f");

        let old = Shards::default();
        assert_eq!(file(&old, pack), "p06/381/54a08df93c269693324852cef8c.f");

        let flat = parse(r#"{"default":[],"maxNonShardedLength":20}"#);
        assert_eq!(file(&flat, pack), format!("{pack}.f"));
        assert_eq!(parse(r#"{"default":null,"maxNonShardedLength":20,"overrides":null}"#), flat);
        assert_eq!(file(&parse(r#"{"default":[0,2]}"#), "abcd"), "ab/cd.f");
    }

    #[test]
    fn the_first_override_counts() {
        let shards = parse(
            r#"{"default":[2,2],"maxNonShardedLength":3,"overrides":[
                {"prefix":"q","shards":[4]},{"prefix":"x","shards":[]},{"prefix":"qq","shards":[1]},{"prefix":"n","shards":null}]}"#,
        );
        assert_eq!(file(&shards, "qq3456"), "qq34/56.f");
        assert_eq!(file(&shards, "xn0_1234"), "xn0_1234.f");
        assert_eq!(file(&shards, "nabcdef"), "nabcdef.f");
        assert_eq!(file(&shards, "pabcdef"), "pa/bc/def.f");
        assert_eq!(file(&shards, "p12"), "p12.f");
    }

    #[test]
    fn cutting_stops_before_nothing_is_left() {
        let shards = parse(r#"{"default":[3,3],"maxNonShardedLength":0}"#);
        for (id, path) in [("fo", "fo.f"), ("foo", "foo.f"), ("foob", "foo/b.f"), ("foobar", "foo/bar.f")] {
            assert_eq!(file(&shards, id), path);
        }
        assert_eq!(file(&shards, "foobar2"), "foo/bar/2.f");
    }

    #[test]
    fn no_id_leads_out_of_the_folder() {
        let up = parse(r#"{"default":[2,2]}"#);
        assert_eq!(up.file(&BlobId::new("....etc").unwrap()), None);
        assert_eq!(up.file(&BlobId::new("ab..etc").unwrap()), None);
        assert_eq!(parse(r#"{"default":[1]}"#).file(&BlobId::new(".a").unwrap()), None);
        // Folders are cut at bytes, wherever a character ends.
        assert_eq!(parse(r#"{"default":[1]}"#).file(&BlobId::new("é").unwrap()).unwrap(), b"\xc3/\xa9.f");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "\u{1}\u{2}",
            "[1,3]x",
            r#"{"default":[-1]}"#,
            r#"{"default":["a"]}"#,
            r#"{"default":[1.5]}"#,
        ] {
            assert!(Shards::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Shards::parse(&vec![b' '; 70_000]).is_err());
        assert!(parse("{}\n trailing").default.is_empty());
    }
}
