//! Which files and directories belong to a repository, by their names alone.
//!
//! Other programs put files of their own among the blobs: thumbnails, conflicting copies, unfinished
//! downloads, what a server could not delete yet. None of these may be taken for a blob: as an index blob it
//! would end the opening, as a pack it would be one that no index names. Nor may a directory of theirs be
//! listed: it may be closed to us, which would end the opening, too.

use std::borrow::Cow;

use kopia_format::BlobId;

use super::shards::EXTENSION;

/// The longest blob id in bytes.
const MAX_ID: usize = 255;

/// The fewest hexadecimal digits in the name of a pack or an index blob: a hash of 16 bytes.
const MIN_DIGITS: usize = 32;

/// The blobs that are no contents and no indexes.
const WELL_KNOWN: [&str; 3] = ["kopia.repository", "kopia.blobcfg", "kopia.maintenance"];
const FORMAT_BACKUP: &str = "kopia.repository.backup.";

/// What the one index blob ends in that an upgrade writes so that old versions of kopia read nothing.
const UPGRADED: &str = "repository_unreadable_by_this_kopia_version_upgrade_required";

/// A file that is a blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: BlobId,
    /// Whether it has the extension of complete blobs.
    pub(super) extension: bool,
    /// Whether its path is spelled otherwise than its id: in upper case, as some file systems and tools leave
    /// it.
    pub(super) respelled: bool,
}

/// Returns the blob that the file `name` is, if it is one; `joined` are the names of its directories, joined.
///
/// With the extension `.f`, ids of any kind are blobs, as for kopia. Without it, only what kopia itself can
/// have written is.
pub(super) fn blob(joined: &[u8], name: &[u8]) -> Option<Named> {
    let (stem, extension) = match name.len().checked_sub(EXTENSION.len()).map(|end| name.split_at(end)) {
        Some((stem, end)) if end.eq_ignore_ascii_case(EXTENSION) => (stem, true),
        _ => (name, false),
    };
    let whole = [joined, stem].concat();
    if stem.is_empty() || !is_plausible(&whole) {
        return None;
    }
    let text = str::from_utf8(&whole).ok()?;
    // Kopia's names have no upper case, but for the name of an upgrade's owner.
    let fixed = if has_backup_prefix(text.as_bytes()) { &text[..FORMAT_BACKUP.len()] } else { text };
    let has_upper = fixed.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower: Cow<'_, str> =
        if has_upper { (fixed.to_ascii_lowercase() + &text[fixed.len()..]).into() } else { text.into() };
    let is_written_by_kopia = (has_upper || !extension) && is_kopias(&lower);
    if !extension && !is_written_by_kopia || extension && !is_id(text) && !is_format_backup(text) {
        return None;
    }
    let id = BlobId::new(if is_written_by_kopia { &lower } else { text }).ok()?;
    let respelled = id.as_str() != text || extension && !name.ends_with(EXTENSION);
    Some(Named { id, extension, respelled })
}

/// Returns whether blobs can lie in the directory `name`: whether its path begins an id that kopia writes. Any
/// other, such as `mysql` or `photos`, is another program's, often huge or closed to us.
pub(super) fn may_hold_blobs(joined: &[u8], name: &[u8]) -> bool {
    let whole = [joined, name].concat();
    let may_begin = |start: &[u8]| has_backup_prefix(start) || begins_kopias(&start.to_ascii_lowercase());
    whole.len() < MAX_ID && !matches!(name, b"." | b"..") && is_plausible(&whole) && may_begin(&whole)
}

/// Returns whether an id is that of the format blob from before an upgrade, which ends in the name of the
/// upgrade's owner. Kopia's unfinished files go on with `.f.tmp.`, `.tmp.` or, on WebDAV servers, `.f-` and a
/// number where an id ends.
fn is_format_backup(id: &str) -> bool {
    let owner = id.strip_prefix(FORMAT_BACKUP).unwrap_or_default().to_ascii_lowercase();
    let is_number = |end: &str| end.bytes().all(|byte| byte.is_ascii_digit());
    let is_unfinished = owner.rsplit_once(".f-").is_some_and(|(_, end)| is_number(end));
    !owner.is_empty() && !owner.contains(".f.") && !owner.contains(".tmp.") && !is_unfinished
}

/// Returns whether a name begins as that of the format blob from before an upgrade, in upper or lower case.
fn has_backup_prefix(name: &[u8]) -> bool {
    let start = name.get(..FORMAT_BACKUP.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(FORMAT_BACKUP.as_bytes()))
}

/// Returns whether an id can begin so.
fn is_plausible(start: &[u8]) -> bool {
    if has_backup_prefix(start) {
        // Such as user@host.
        return !start.contains(&0);
    }
    let dotted = start.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"kopia."));
    start
        .iter()
        .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || dotted && byte == b'.')
}

/// Returns whether a text can be the id of a blob, and is not one that a program made of an id.
fn is_id(text: &str) -> bool {
    let text = &text.to_ascii_lowercase();
    let mut parts = text.split('-');
    let stem = parts.next().unwrap_or_default();
    let is_hash = stem.starts_with(['p', 'q', 'n', 'm', 's'])
        && stem[1..].starts_with(|first: char| first.is_ascii_hexdigit());
    !(is_hash && stem.contains('_')) && parts.all(is_ending)
}

/// Returns whether a part of an id after a `-` is a session or a count, which kopia ends ids with.
fn is_ending(part: &str) -> bool {
    part == UPGRADED
        || match part.split_at_checked(1) {
            Some(("s", session)) => session.bytes().all(|byte| byte.is_ascii_hexdigit()),
            Some(("c", count)) => !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        }
}

/// Returns whether kopia itself gives blobs such an id.
fn is_kopias(id: &str) -> bool {
    let digits = |text: &str| text.len() >= MIN_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if WELL_KNOWN.contains(&id) || is_format_backup(id) {
        return true;
    }
    if let Some(log) = id.strip_prefix("_log_") {
        return log.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    }
    let mut parts = id.split('-');
    let stem = parts.next().unwrap_or_default();
    if !parts.all(is_ending) {
        return false;
    }
    match (stem.split_at_checked(1), stem.split_at_checked(2)) {
        (_, Some(("xe" | "xw", rest))) => number(rest),
        (_, Some(("xn" | "xs" | "xr", rest))) => {
            let mut fields = rest.rsplit('_');
            digits(fields.next().unwrap_or_default()) && fields.all(number) && rest.contains('_')
        }
        (Some(("p" | "q" | "n" | "m" | "l" | "s", rest)), _) => digits(rest),
        _ => false,
    }
}

/// Returns whether an id that kopia gives, as [`is_kopias`] knows them, can begin with a plausible name in
/// lower case. Directories may cut ids anywhere, so the beginning may end anywhere.
fn begins_kopias(start: &[u8]) -> bool {
    let Ok(start) = str::from_utf8(start) else { return false };
    if ["kopia.", "_log_"].into_iter().any(|known| known.starts_with(start) || start.starts_with(known)) {
        return true;
    }
    let (stem, endings) = start.split_once('-').map_or((start, None), |(stem, rest)| (stem, Some(rest)));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // What endings follow is complete.
    let hash = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_hexdigit()) && (endings.is_none() || text.len() >= MIN_DIGITS)
    };
    let (kind, rest) = stem.split_at(usize::from(!stem.is_empty()));
    let is_stem = match (kind, rest.split_at_checked(1)) {
        ("p" | "q" | "n" | "m" | "l" | "s", _) => hash(rest),
        ("x", None) => endings.is_none(),
        ("x", Some(("e" | "w", rest))) => endings.is_none() && number(rest),
        ("x", Some(("n" | "s" | "r", rest))) => match rest.rsplit_once('_') {
            Some((epochs, last)) => {
                hash(last) && epochs.split('_').all(|epoch| !epoch.is_empty() && number(epoch))
            }
            None => endings.is_none() && number(rest),
        },
        _ => false,
    };
    let mut endings = endings.into_iter().flat_map(|endings| endings.split('-')).rev();
    let is_beginning = |part: &str| part == "c" || UPGRADED.starts_with(part) || is_ending(part);
    is_stem && endings.next().is_none_or(is_beginning) && endings.all(is_ending)
}

#[cfg(test)]
mod tests;
