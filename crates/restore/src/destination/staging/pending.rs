//! What directories of the target get at the end, noted before the restore changes them, where a later run
//! could not tell any more.
//!
//! A run that is killed while entries get to their place leaves directories with a mode of its own and the time
//! of its last change. Where the snapshot's attributes are set anyway, the next run puts them right. But some
//! directories keep what they had: with [`Options::newer`](crate::Options::newer) they would look newer than
//! the snapshot's from then on, and with [`Options::skip_permissions`](crate::Options::skip_permissions) one that
//! was opened up would stay so.
//!
//! The notes stand in the file that has the staging directory's own name: no entry of the snapshot has that,
//! and it goes last. Each is `MODE UID GID SECONDS NANOSECONDS PATH` and ends in NUL.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};

use kopia_format::Timestamp;
use rustix::fs::{Mode, OFlags};

use super::Staging;
use crate::destination::metadata::Attributes;

/// The notes of this restore, and of runs of it that were interrupted.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    noted: HashMap<String, Attributes>,
    /// Where more are added; nothing once that has failed, as on a full disk.
    file: Option<File>,
}

impl Pending {
    /// Reads what runs that were interrupted have noted.
    pub(crate) fn open(staging: &Staging) -> Self {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(staging.handle(), staging.name(), flags, Mode::RUSR | Mode::WUSR);
        let read = opened.map_err(std::io::Error::from).and_then(|file| {
            let (mut file, mut text) = (File::from(file), Vec::new());
            file.read_to_end(&mut text)?;
            Ok((file, text))
        });
        match read {
            Ok((file, text)) => Self { noted: parse(&text), file: Some(file) },
            Err(error) => {
                tracing::warn!(%error, "what an interrupted run noted of folders cannot be read");
                Self::default()
            }
        }
    }

    /// Returns what a directory gets at the end: what a run that was interrupted has noted or, if none has,
    /// these attributes. They are noted then if it `may_mislead` the next run.
    pub(crate) fn settle(&mut self, path: &str, attributes: Attributes, may_mislead: bool) -> Attributes {
        if let Some(noted) = self.noted.get(path) {
            return *noted;
        }
        if may_mislead && let Some(file) = &mut self.file {
            let Attributes { mode, uid, gid, modified } = attributes;
            let (seconds, nanoseconds) = (modified.seconds(), modified.nanoseconds());
            let note = format!("{mode:o} {uid} {gid} {seconds} {nanoseconds} {path}\0");
            if let Err(error) = file.write_all(note.as_bytes()) {
                tracing::debug!(%error, "what folders get at the end is not noted any more");
                self.file = None;
            }
        }
        attributes
    }
}

/// Reads notes. One that was not written whole stands for nothing.
fn parse(text: &[u8]) -> HashMap<String, Attributes> {
    let whole = text.split_inclusive(|byte| *byte == 0).filter_map(|note| note.strip_suffix(b"\0"));
    whole.filter_map(|note| parse_note(std::str::from_utf8(note).ok()?)).collect()
}

fn parse_note(note: &str) -> Option<(String, Attributes)> {
    let mut fields = note.splitn(6, ' ');
    let mode = u32::from_str_radix(fields.next()?, 8).ok().filter(|mode| *mode <= 0o7777)?;
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let modified = Timestamp::new(fields.next()?.parse().ok()?, fields.next()?.parse().ok()?).ok()?;
    Some((fields.next()?.to_owned(), Attributes { mode, uid, gid, modified }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written_and_parts_of_them_are_none() {
        let text =
            b"2755 1 2 -3 4 a b/c\nd\x00700 0 0 5 6 \0nonsense\x00700 0 0 1 1000000000 x\x00755 1 1 1 1 cut";
        let noted = parse(text);
        let time = |seconds, nanoseconds| Timestamp::new(seconds, nanoseconds).unwrap();
        let first = Attributes { mode: 0o2755, uid: 1, gid: 2, modified: time(-3, 4) };
        let root = Attributes { mode: 0o700, uid: 0, gid: 0, modified: time(5, 6) };
        let expected = [("a b/c\nd".to_owned(), first), (String::new(), root)];
        assert_eq!(noted, HashMap::from(expected));
    }
}
