//! A line of the journal: a word, numbers, and a path at its end.
//!
//! | line | says |
//! |---|---|
//! | `kopia-rs-undo 1 INODE NEW KEY SECONDS PATH` | which target this is of, and whether it is new; the first |
//! | `dir MODE UID GID TIME PATH` | what a directory of the target was like |
//! | `attr INODE MODE UID GID TIME TIME PATH` | what a file was like that only gets other attributes, and time |
//! | `keep NUMBER MODE PATH` | what lies there is about to be moved away, or deleted |
//! | `put INODE SIZE TIME NUMBER CLOCK PATH` | this is about to be moved there, instead of what has the number |
//! | `done` | the restore has come to its end |
//! | `target INODE` | the target was gone, and an undo is about to move this directory to its place |
//! | `undoing` | an undo has begun, which may have been killed or had problems |
//! | `undone`, `forgotten` | and what was done about it |
//!
//! Paths lie below the target. Bytes that are not printable ASCII, blanks and `%` are written `%XX`. Times are
//! seconds and nanoseconds, CLOCK is that of the file system.

use rustix::fs::Stat;

/// The first word of a journal, with the version of its format.
const MAGIC: &str = "kopia-rs-undo 1";

/// A time of the file system: seconds and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) i64, pub(super) u32);

/// What an entry was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: Moment,
}

/// Which target a journal is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The inode of the target's directory.
    pub(super) inode: u64,
    /// Whether the restore created that directory.
    pub(super) new: bool,
    /// What stands behind the prefix in the name of the restore's unfinished folder: the root object, and
    /// what was chosen of it.
    pub(super) key: String,
    /// When the restore began, in seconds of Unix time.
    pub(super) began: i64,
    /// The absolute path of the directory.
    pub(super) path: Vec<u8>,
}

/// A line of the journal, but the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Directory { found: Found, path: Vec<u8> },
    Attributes { inode: u64, found: Found, then: Moment, path: Vec<u8> },
    Keep { number: u64, mode: u32, path: Vec<u8> },
    Put(Put),
    Done,
    Target { inode: u64 },
    Undoing,
    Undone,
    Forgotten,
}

/// Something that is about to be moved to its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Put {
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: Moment,
    /// The number of what it replaces, if anything.
    pub(super) replaces: Option<u64>,
    /// When this was written.
    pub(super) clock: Moment,
    pub(super) path: Vec<u8>,
}

impl Moment {
    /// Returns when something was modified.
    pub(super) fn modified(stat: &Stat) -> Self {
        Self(stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default())
    }

    /// Returns when something was changed last, be it its attributes alone.
    pub(super) fn changed(stat: &Stat) -> Self {
        Self(stat.st_ctime, u32::try_from(stat.st_ctime_nsec).unwrap_or_default())
    }
}

impl Found {
    pub(super) fn of(stat: &Stat) -> Self {
        let (mode, modified) = (stat.st_mode & 0o7777, Moment::modified(stat));
        Self { mode, uid: stat.st_uid, gid: stat.st_gid, modified }
    }
}

impl Header {
    pub(super) fn line(&self) -> String {
        let Self { inode, new, key, began, path } = self;
        format!("{MAGIC} {inode} {} {key} {began} {}\n", u8::from(*new), escaped(path))
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.strip_prefix(MAGIC)?.strip_prefix(' ')?.split(' ');
        let inode = number(&mut fields)?;
        let new = number::<u8>(&mut fields)? != 0;
        let key = fields.next()?.to_owned();
        let began = number(&mut fields)?;
        let path = plain(fields.next()?)?;
        // As it was written: where it leads must not be another place than what its names say.
        let is_absolute = path.strip_prefix(b"/").is_some_and(|names| names.is_empty() || is_below(names));
        let is_key = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_absolute && is_key && fields.next().is_none()).then_some(Self { inode, new, key, began, path })
    }
}

impl Record {
    pub(super) fn line(&self) -> String {
        let found = |found: &Found| {
            let Found { mode, uid, gid, modified: Moment(seconds, nanoseconds) } = found;
            format!("{mode:o} {uid} {gid} {seconds} {nanoseconds}")
        };
        match self {
            Self::Directory { found: was, path } => format!("dir {} {}\n", found(was), escaped(path)),
            Self::Attributes { inode, found: was, then: Moment(seconds, nanoseconds), path } => {
                format!("attr {inode} {} {seconds} {nanoseconds} {}\n", found(was), escaped(path))
            }
            Self::Keep { number, mode, path } => format!("keep {number} {mode:o} {}\n", escaped(path)),
            Self::Put(Put { inode, size, modified, replaces, clock, path }) => {
                let replaces = replaces.map_or("-".into(), |number| number.to_string());
                let (Moment(seconds, nanoseconds), Moment(now, fraction)) = (modified, clock);
                let path = escaped(path);
                format!("put {inode} {size} {seconds} {nanoseconds} {replaces} {now} {fraction} {path}\n")
            }
            Self::Done => "done\n".into(),
            Self::Target { inode } => format!("target {inode}\n"),
            Self::Undoing => "undoing\n".into(),
            Self::Undone => "undone\n".into(),
            Self::Forgotten => "forgotten\n".into(),
        }
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let record = match fields.next()? {
            "dir" => Self::Directory { found: found(&mut fields)?, path: below(fields.next()?)? },
            "attr" => Self::Attributes {
                inode: number(&mut fields)?,
                found: found(&mut fields)?,
                then: moment(&mut fields)?,
                path: named(fields.next()?)?,
            },
            "keep" => Self::Keep {
                number: number(&mut fields)?,
                mode: octal(&mut fields)?,
                path: named(fields.next()?)?,
            },
            "put" => Self::Put(Put {
                inode: number(&mut fields)?,
                size: number(&mut fields)?,
                modified: moment(&mut fields)?,
                replaces: match fields.next()? {
                    "-" => None,
                    number => Some(number.parse().ok()?),
                },
                clock: moment(&mut fields)?,
                path: named(fields.next()?)?,
            }),
            "done" => Self::Done,
            "target" => Self::Target { inode: number(&mut fields)? },
            "undoing" => Self::Undoing,
            "undone" => Self::Undone,
            "forgotten" => Self::Forgotten,
            _ => return None,
        };
        fields.next().is_none().then_some(record)
    }
}

type Fields<'a> = std::str::Split<'a, char>;

fn number<T: std::str::FromStr>(fields: &mut Fields<'_>) -> Option<T> {
    fields.next()?.parse().ok()
}

fn octal(fields: &mut Fields<'_>) -> Option<u32> {
    u32::from_str_radix(fields.next()?, 8).ok().filter(|mode| *mode <= 0o7777)
}

fn moment(fields: &mut Fields<'_>) -> Option<Moment> {
    let moment = Moment(number(fields)?, number(fields)?);
    (moment.1 < 1_000_000_000).then_some(moment)
}

fn found(fields: &mut Fields<'_>) -> Option<Found> {
    let mode = octal(fields)?;
    Some(Found { mode, uid: number(fields)?, gid: number(fields)?, modified: moment(fields)? })
}

/// Reads a path below the target, empty for the target itself.
fn below(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() { Some(Vec::new()) } else { named(text) }
}

/// Reads the path of something below the target, which leads nowhere else.
fn named(text: &str) -> Option<Vec<u8>> {
    plain(text).filter(|path| is_below(path))
}

/// Returns whether a path is names alone, none of which leads upwards.
fn is_below(path: &[u8]) -> bool {
    let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
    path.split(|byte| *byte == b'/').all(is_name)
}

fn escaped(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for &byte in path {
        match byte {
            b'!'..=b'~' if byte != b'%' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn plain(text: &str) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'%' => path.push(u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?),
            _ => path.push(byte),
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let found = Found { mode: 0o4755, uid: 0, gid: 5, modified: Moment(-3, 999_999_999) };
        let path = b"a b/%41/\xff\n".to_vec();
        let put = Put {
            inode: u64::MAX,
            size: 7,
            modified: Moment(1, 2),
            replaces: Some(3),
            clock: Moment(5, 6),
            path: path.clone(),
        };
        for record in [
            Record::Directory { found, path: Vec::new() },
            Record::Directory { found, path: path.clone() },
            Record::Attributes { inode: 1, found, then: Moment(4, 5), path: path.clone() },
            Record::Keep { number: 9, mode: 0o7777, path: path.clone() },
            Record::Put(Put { replaces: None, ..put.clone() }),
            Record::Put(put),
            Record::Done,
            Record::Target { inode: 7 },
            Record::Undoing,
            Record::Undone,
            Record::Forgotten,
        ] {
            let line = record.line();
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert_eq!(Record::parse(line.trim_end_matches('\n')).as_ref(), Some(&record), "{line:?}");
        }
        let header = Header { inode: 1, new: true, key: "kaa-0123".into(), began: 2, path: b"/a b".to_vec() };
        assert_eq!(Header::parse(header.line().trim_end()), Some(header));
    }

    #[test]
    fn no_path_leads_out_of_the_target() {
        for path in ["..", "a/../b", "/etc", "a//b", "a/", "a%2F..", "%2e%2e/x", "a%00b", "%4", "%zz", ""] {
            assert_eq!(Record::parse(&format!("keep 1 644 {path}")), None, "{path}");
        }
        assert!(Record::parse("keep 1 644 a%2Fb").is_some(), "that is a/b");
        for line in [
            "",
            "keep 1 644",
            "keep 1 644 a b",
            "keep x 644 a",
            "keep 1 77777 a",
            "dir 644 0 0 0 1000000000 a",
        ] {
            assert_eq!(Record::parse(line), None, "{line:?}");
        }
        for path in ["relative", "/a/..", "/a/", "/a/.", "//a", "/a%00", ""] {
            assert_eq!(Header::parse(&format!("kopia-rs-undo 1 1 0 kaa 2 {path}")), None, "{path}");
        }
        assert!(Header::parse("kopia-rs-undo 1 1 0 kaa 2 /").is_some());
        assert_eq!(Header::parse("kopia-rs-undo 2 1 0 kaa 2 /a"), None);
    }
}
