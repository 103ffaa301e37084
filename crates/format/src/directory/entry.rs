//! One entry of a directory: as it is written, and validated.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::refused::shown;
use super::{Refusal, Refused, Summary};
use crate::{ObjectId, Timestamp, memory};

/// The longest name that is accepted, in bytes; no file system has longer ones.
const MAX_NAME: usize = 4096;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A file; its object holds its bytes.
    File,
    /// A directory; its object lists its entries.
    Directory,
    /// A symbolic link; its object holds the bytes of its target.
    Symlink,
}

/// A checked entry: its name does not leave its directory, and its object is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name: one component, or several joined by single `/` where it leads into directories, as
    /// `kopia snapshot create --stdin-file=/var/lib/db.tar` writes it. No component is empty, `.` or `..`, or
    /// contains NUL. U+FFFD stands for bytes that were not UTF-8.
    pub name: Cow<'a, str>,
    /// What the entry is.
    pub kind: EntryKind,
    /// Unix permission bits, `0o7777` at most: setuid, setgid and sticky are translated from Go's bits.
    pub mode: u32,
    /// The size of a file in bytes; 0 for directories.
    pub size: u64,
    /// The modification time.
    pub modified: Timestamp,
    /// The owner's user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The object that holds its bytes.
    pub object: ObjectId,
    /// For directories: totals of everything below.
    pub summary: Option<Box<Summary>>,
}

impl Entry<'_> {
    /// Copies borrowed text, so that the entry outlives the directory's bytes.
    pub fn into_owned(self) -> Entry<'static> {
        Entry { name: Cow::Owned(self.name.into_owned()), ..self }
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
    /// Returns about how many bytes of memory it takes beside its own fields, once it borrows nothing.
    pub(crate) fn memory(&self) -> usize {
        let texts = [&self.name, &self.kind, &self.mode, &self.mtime, &self.obj];
        let summary = self.summ.as_deref().map_or(0, Summary::memory);
        memory::total(texts.map(|text| memory::of_text(text)).into_iter().chain([summary]))
    }

    /// Copies borrowed text, so that the entry outlives the directory's bytes.
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
    /// Validates everything, including the name.
    pub(crate) fn validate(mut self) -> Result<Entry<'a>, Refused> {
        match checked_name(std::mem::take(&mut self.name)) {
            Ok(name) => Self { name, ..self }.validate_root(),
            Err((name, why)) => Err(Self { name, ..self }.refuse(why)),
        }
    }

    /// Validates everything but the name: that of a snapshot's root is only a label.
    pub(crate) fn validate_root(self) -> Result<Entry<'a>, Refused> {
        match self.checked() {
            Ok(entry) => Ok(Entry { name: self.name, summary: self.summ, ..entry }),
            Err(why) => Err(self.refuse(why)),
        }
    }

    fn refuse(&self, why: Refusal) -> Refused {
        Refused { name: shown(&self.name), why, object: self.obj.parse().ok() }
    }

    /// Parses everything but the name and the summary, which the caller moves rather than copies.
    fn checked(&self) -> Result<Entry<'static>, Refusal> {
        let kind = match &*self.kind {
            "f" => EntryKind::File,
            "d" => EntryKind::Directory,
            "s" => EntryKind::Symlink,
            other => return Err(Refusal::UnknownType { found: shown(other).into() }),
        };
        let size = u64::try_from(self.size).map_err(|_| Refusal::Size { found: self.size })?;
        let mode = unix_mode(&self.mode).ok_or_else(|| Refusal::Mode { found: shown(&self.mode).into() })?;
        let object = match &*self.obj {
            "" => return Err(Refusal::NoObject),
            text => text.parse().map_err(|error| Refusal::Object(Box::new(error)))?,
        };
        let modified = match &*self.mtime {
            "" => Timestamp::default(),
            text => text.parse().map_err(|error| Refusal::Time(Box::new(error)))?,
        };
        let (uid, gid) = (self.uid, self.gid);
        Ok(Entry { name: "".into(), kind, mode, size, modified, uid, gid, object, summary: None })
    }
}

/// Validates a name, and removes empty components and `.` from one with `/`.
fn checked_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, (Cow<'_, str>, Refusal)> {
    let why = match &*name {
        "" => Refusal::NoName,
        "." => Refusal::Dot,
        text if text.contains('\0') => Refusal::Nul,
        text if text.len() > MAX_NAME => Refusal::NameTooLong { limit: MAX_NAME },
        text if text.split('/').any(|component| component == "..") => Refusal::DotDot,
        text if !text.contains('/') => return Ok(name),
        text => {
            let components: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            if !components.is_empty() {
                return Ok(components.join("/").into());
            }
            Refusal::NoName
        }
    };
    Err((name, why))
}

/// Translates an octal string of Go's `FileMode` bits to Unix permission bits; empty is mode 0.
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
            ("040000755", Some(0o4755)),
            ("020000755", Some(0o2755)),
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
