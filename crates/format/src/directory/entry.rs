//! One entry of a directory, as it is written and as it can be trusted.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Summary;
use crate::{ObjectId, Timestamp};

/// The longest name that is believed, in bytes: no file system has longer ones.
const MAX_NAME: usize = 4096;

/// How many characters of what is refused are shown: reports keep thousands of them.
const SHOWN: usize = 256;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A file; its object holds its bytes.
    File,
    /// A folder; its object is a directory.
    Directory,
    /// A symbolic link; its object holds the bytes of its target.
    Symlink,
}

/// A checked entry: its name does not leave its directory, and its object is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name: one component, or several with one `/` between each two where the name leads into directories, as that of
    /// `kopia snapshot create --stdin-file=/var/lib/db.tar` does. None is empty, `.` or `..` or has NUL in it. U+FFFD stands
    /// for bytes that were not UTF-8.
    pub name: Cow<'a, str>,
    /// What the entry is.
    pub kind: EntryKind,
    /// Unix permission bits, `0o7777` at most: setuid, setgid and sticky are translated from Go's bits.
    pub mode: u32,
    /// The size of a file in bytes; 0 for folders.
    pub size: u64,
    /// When it was modified.
    pub modified: Timestamp,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Where its bytes are.
    pub object: ObjectId,
    /// For folders: totals of what is below.
    pub summary: Option<Box<Summary>>,
}

impl Entry<'_> {
    /// Copies what is borrowed.
    pub fn into_owned(self) -> Entry<'static> {
        Entry { name: Cow::Owned(self.name.into_owned()), ..self }
    }
}

/// An entry that cannot be restored as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its name, for people: it may be no name at all. A longer one is cut after 256 characters.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
    /// The object that holds its bytes, if it names one.
    pub object: Option<ObjectId>,
}

impl Refused {
    /// Returns what is wrong with it, and where what it has can be found all the same.
    pub fn reason(&self) -> String {
        let Self { why, object, .. } = self;
        match object {
            Some(object) if object.is_directory() => format!("{why}; what is in it is in object {object}"),
            Some(object) => format!("{why}; its bytes are in object {object}"),
            None => why.clone(),
        }
    }
}

/// Copies the beginning of a text.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {:?}: {}", self.name, self.reason())
    }
}

/// An entry as kopia writes it, fields that are zero left out. Snapshots hold one for their root.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct RawEntry<'a> {
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub(crate) name: Cow<'a, str>,
    #[serde(borrow, rename = "type", skip_serializing_if = "str::is_empty")]
    pub(crate) kind: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub(crate) mode: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) size: i64,
    #[serde(borrow, serialize_with = "time_in_utc", skip_serializing_if = "str::is_empty")]
    pub(crate) mtime: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) uid: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) gid: u32,
    #[serde(borrow)]
    pub(crate) obj: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) summ: Option<Box<Summary>>,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

fn time_in_utc<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match text.parse::<Timestamp>() {
        Ok(time) => serializer.collect_str(&time),
        Err(_) => serializer.serialize_str(text),
    }
}

impl RawEntry<'static> {
    /// Deserializes an entry, or `null`, that borrows nothing.
    pub(crate) fn owned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let raw: Option<RawEntry<'_>> = Option::deserialize(deserializer)?;
        Ok(raw.map(RawEntry::into_owned))
    }
}

impl RawEntry<'_> {
    /// Copies what is borrowed.
    pub(crate) fn into_owned(self) -> RawEntry<'static> {
        RawEntry {
            name: Cow::Owned(self.name.into_owned()),
            kind: Cow::Owned(self.kind.into_owned()),
            mode: Cow::Owned(self.mode.into_owned()),
            mtime: Cow::Owned(self.mtime.into_owned()),
            obj: Cow::Owned(self.obj.into_owned()),
            ..self
        }
    }
}

impl<'a> RawEntry<'a> {
    /// Checks everything, the name as well.
    pub(crate) fn validate(mut self) -> Result<Entry<'a>, Refused> {
        match checked_name(std::mem::take(&mut self.name)) {
            Ok(name) => Self { name, ..self }.validate_root(),
            Err((name, why)) => Err(Self { name, ..self }.refuse(why.into())),
        }
    }

    fn refuse(&self, why: String) -> Refused {
        Refused { name: shown(&self.name), why, object: self.obj.parse().ok() }
    }

    /// Checks everything but the name: that of a snapshot's root is a label only.
    pub(crate) fn validate_root(self) -> Result<Entry<'a>, Refused> {
        let checked = (|| {
            let kind = match &*self.kind {
                "f" => EntryKind::File,
                "d" => EntryKind::Directory,
                "s" => EntryKind::Symlink,
                other => return Err(format!("has the unknown type {:?}", shown(other))),
            };
            let size = u64::try_from(self.size).map_err(|_| format!("has the size {}", self.size))?;
            let mode =
                unix_mode(&self.mode).ok_or_else(|| format!("has the mode {:?}", shown(&self.mode)))?;
            let object = match &*self.obj {
                "" => return Err("has no object".into()),
                text => text.parse::<ObjectId>().map_err(|error| error.to_string())?,
            };
            let modified = match &*self.mtime {
                "" => Timestamp::default(),
                text => text.parse().map_err(|error: crate::Error| error.to_string())?,
            };
            Ok((kind, size, mode, object, modified))
        })();
        match checked {
            Ok((kind, size, mode, object, modified)) => Ok(Entry {
                name: self.name,
                kind,
                mode,
                size,
                modified,
                uid: self.uid,
                gid: self.gid,
                object,
                summary: self.summ,
            }),
            Err(why) => Err(self.refuse(why)),
        }
    }
}

/// Checks a name. One that leads into directories is returned without what says nothing: `/` at its beginning and end, empty
/// components and `.`.
fn checked_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, (Cow<'_, str>, &'static str)> {
    let why = match &*name {
        "" => "has no name",
        "." => "would leave its folder",
        text if text.contains('\0') => "has NUL in its name",
        text if text.len() > MAX_NAME => "has a name of more than 4096 bytes",
        text if text.split('/').any(|component| component == "..") => "would leave its folder",
        text if !text.contains('/') => return Ok(name),
        text => {
            let components: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            if !components.is_empty() {
                return Ok(components.join("/").into());
            }
            "has no name"
        }
    };
    Err((name, why))
}

/// Translates an octal string of Go's `FileMode` bits. None at all is mode 0.
fn unix_mode(text: &str) -> Option<u32> {
    const SPECIAL: [(u32, u32); 3] = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];
    if text.is_empty() {
        return Some(0);
    }
    let go = u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok()?;
    let special = SPECIAL.iter().filter(|(from, _)| go & from != 0).fold(0, |bits, (_, to)| bits | to);
    Some(special | go & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_modes() {
        for (text, mode) in [
            ("", Some(0)),
            ("0644", Some(0o644)),
            ("060000755", Some(0o6755)),
            ("04000777", Some(0o1777)),
            ("020000000755", Some(0o755)),
            ("0o644", Some(0o644)),
            ("0999", None),
            ("-1", None),
            ("0777777777777", None),
        ] {
            assert_eq!(unix_mode(text), mode, "{text}");
        }
    }
}
