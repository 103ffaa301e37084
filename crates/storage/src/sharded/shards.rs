//! The layout of blobs in directories, as the file `.shards` has it.
//!
//! ```json
//! {"default":[1,3],"maxNonShardedLength":20,"overrides":[{"prefix":"p","shards":[2,2]}]}
//! ```
//! Authority: Kopia's `repo/blob/sharded/sharded_parameters.go`.

use std::io;

use kopia_format::BlobId;
use kopia_format::go_json::{self, Object};
use rustix::io::Errno;

use super::form::path;

/// The name of the file, in the repository's directory.
pub(crate) const FILE_NAME: &str = ".shards";

/// The extension of blobs that are completely written.
pub(super) const EXTENSION: &[u8] = b".f";

/// The largest file that is believed, in bytes. Real ones have some 50.
pub(crate) const MAX_LENGTH: u64 = 64 << 10;

/// Which directories a blob lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shards {
    /// Ids that are not longer than this lie in the root, in bytes.
    unsharded_length: usize,
    /// Prefixes with directories of their own; the first that matches counts.
    overrides: Vec<(Box<str>, Vec<usize>)>,
    /// The lengths of directory names, cut one after the other from the front of an id.
    default: Vec<usize>,
}

/// What kopia assumes where the file is missing, as it was before there was one.
impl Default for Shards {
    fn default() -> Self {
        Self { unsharded_length: 20, overrides: Vec::new(), default: vec![3, 3] }
    }
}

impl Shards {
    /// Takes what reading the file gave, if there is one; `place` is its own.
    ///
    /// What is wrong with it comes as a sentence beside the usual layout, as blobs are found without it.
    ///
    /// # Errors
    /// Why the file could not be asked for: neither would blobs be.
    pub(crate) fn of_file(
        file: io::Result<Option<Vec<u8>>>,
        place: &str,
    ) -> io::Result<(Self, Option<String>)> {
        let without = |why: String| Ok((Self::default(), Some(format!("{place} {why}"))));
        match file {
            Ok(None) => Ok((Self::default(), None)),
            Ok(Some(json)) => match Self::parse(&json) {
                Ok(shards) => Ok((shards, None)),
                Err(why) => without(format!("does not describe where blobs lie: {why}")),
            },
            Err(source) if is_closed(&source) => {
                without(format!("cannot be read, which says where blobs lie: {source}"))
            }
            Err(source) => Err(source),
        }
    }

    /// Reads the file's JSON as Go reads it. What is missing is empty; what follows the first value is
    /// ignored.
    ///
    /// # Errors
    /// Why it makes no sense.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        if json.len() as u64 > MAX_LENGTH {
            return Err(format!("it has more than {MAX_LENGTH} bytes"));
        }
        let said = |error: go_json::Error| error.to_string();
        let json = std::str::from_utf8(json).map_err(|error| error.to_string())?;
        let object = Object::parse(json).map_err(said)?;
        let shards = |object: &Object<'_>, name| lengths(object.pointer(name).map_err(said)?);
        let own = |part: &Object<'_>| {
            Ok((part.value("prefix").map_err(said)?.unwrap_or_default(), shards(part, "shards")?))
        };
        let unsharded_length = object.value::<i64>("maxNonShardedLength").map_err(said)?;
        let overrides = object.pointer::<Vec<Object<'_>>>("overrides").map_err(said)?.unwrap_or_default();
        Ok(Self {
            unsharded_length: unsharded_length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0),
            overrides: overrides.iter().map(own).collect::<Result<_, String>>()?,
            default: shards(&object, "default")?,
        })
    }

    /// Returns the path of a blob's file, such as `p/1a0/0d….f`; `None` if no file can have it.
    pub(crate) fn file(&self, id: &BlobId) -> Option<Vec<u8>> {
        path(id, self.lengths(id), true)
    }

    /// Returns whether a blob lies in the right place if its file has the extension and its directories have
    /// names of these lengths.
    pub(super) fn is_at(&self, id: &BlobId, directories: &[usize]) -> bool {
        let mut rest = id.as_str().len();
        let cut = self.lengths(id).iter().map_while(|&length| {
            rest = rest.checked_sub(length).filter(|rest| *rest > 0)?;
            Some(length)
        });
        cut.filter(|length| *length > 0).eq(directories.iter().copied())
    }

    /// Returns the lengths of the directory names that are cut from the front of an id.
    fn lengths(&self, id: &BlobId) -> &[usize] {
        let name = id.as_str();
        if name.len() <= self.unsharded_length {
            return &[];
        }
        let own = self.overrides.iter().find(|(prefix, _)| name.starts_with(&**prefix));
        own.map_or(&self.default, |(_, shards)| shards)
    }
}

/// Returns whether an error concerns this one file.
///
/// It must not be read, or its place on the disk is bad.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied || Errno::from_io_error(error) == Some(Errno::IO)
}

/// Checks lengths of directory names. Zero stands for no directory; on a negative one kopia itself crashes.
fn lengths(shards: Option<Vec<Option<i64>>>) -> Result<Vec<usize>, String> {
    let check = |length: Option<i64>| {
        let length = length.unwrap_or_default();
        usize::try_from(length).map_err(|_| format!("{length} is no length of a directory's name"))
    };
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
    fn no_id_leads_out_of_the_directory() {
        let up = parse(r#"{"default":[2,2]}"#);
        assert_eq!(up.file(&BlobId::new("....etc").unwrap()), None);
        assert_eq!(up.file(&BlobId::new("ab..etc").unwrap()), None);
        assert_eq!(parse(r#"{"default":[1]}"#).file(&BlobId::new(".a").unwrap()), None);
        // Directories are cut at bytes, wherever a character ends.
        assert_eq!(parse(r#"{"default":[1]}"#).file(&BlobId::new("é").unwrap()).unwrap(), b"\xc3/\xa9.f");
    }

    #[test]
    fn fields_are_read_as_go_reads_them() {
        let kopias = parse(r#"{"default":[1,3],"maxNonShardedLength":20}"#);
        for same in [
            r#"{"DEFAULT":[1,3],"MAXNONSHARDEDLENGTH":20}"#,
            r#"{"Default":[1,3],"maxnonshardedlength":20,"somethingElse":{"default":[9]},"x":null}"#,
            r#"{"default":[9],"maxNonShardedLength":7,"Default":[1,3],"MaxNonShardedLength":20}"#,
            r#"{"maxNon\u017fhardedLength":20,"default":[1,3]}"#,
            r#"{"maxNonShardedLength":20,"default":[2],"maxNonShardedLength":null,"default":[1,3]}"#,
            r#"{"default":[1,3],"maxNonShardedLength":20,"overrides":[{"prefix":"p"}],"overrides":null}"#,
        ] {
            assert_eq!(parse(same), kopias, "{same}");
        }
        let flat = parse(r#"{"default":[1,3],"maxNonShardedLength":20,"default":null}"#);
        assert_eq!(flat, parse(r#"{"maxNonShardedLength":20}"#));
        assert_eq!(parse("null"), parse("{}"));
        assert_eq!(parse(r#"{"default":[null,2]}"#), parse(r#"{"default":[0,2]}"#));
        // An override that is null has an empty prefix, which all ids have, and no directories.
        let all = parse(r#"{"default":[1],"overrides":[null,{"prefix":"p","shards":[2]}]}"#);
        assert_eq!(file(&all, "pabc"), "pabc.f");
        let own = parse(r#"{"default":[1],"overrides":[{"PREFIX":"q","prefix":"p","Shards":[2]}]}"#);
        assert_eq!((file(&own, "pabc"), file(&own, "qabc")), ("pa/bc.f".into(), "q/abc.f".into()));
    }

    #[test]
    fn the_right_place_is_known_without_its_path() {
        let shards = parse(
            r#"{"default":[1,0,3],"maxNonShardedLength":5,"overrides":[{"prefix":"q","shards":[4,4]}]}"#,
        );
        for (id, directories) in
            [("p1234567", &[1, 3][..]), ("p12", &[]), ("q1234567", &[4]), ("q12345678", &[4, 4])]
        {
            let id = BlobId::new(id).unwrap();
            assert!(shards.is_at(&id, directories), "{id}");
            for other in [&[2][..], &[1, 3, 1], &[1], &[4, 3]] {
                assert!(!shards.is_at(&id, other), "{id} {other:?}");
            }
            let path = shards.file(&id).unwrap();
            assert_eq!(path.iter().filter(|&&byte| byte == b'/').count(), directories.len());
        }
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
            r#"{"default":[1.0]}"#,
            r#"{"default":5}"#,
            r#"{"maxNonShardedLength":"20"}"#,
            r#"{"overrides":[5]}"#,
            "[1,3]",
            "\u{feff}{}",
        ] {
            assert!(Shards::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Shards::parse(&vec![b' '; 70_000]).is_err());
        let why = Shards::parse(b"[1,3]").unwrap_err();
        assert!(why.contains("expected an object"), "{why}");
        assert!(parse("{}\n trailing").default.is_empty());
    }
}
