//! Which files and directories belong to a repository, by their names alone.
//!
//! Other programs put files of their own among the blobs: thumbnails, conflicting copies, unfinished
//! downloads, what a server could not delete yet. None of these may be taken for a blob: as an index blob it
//! would end the opening, as a pack it would be one that no index names.

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

/// Returns whether blobs can lie in the directory `name`: it may be one that systems and programs put there,
/// which is often huge, or closed to us.
pub(super) fn may_hold_blobs(joined: &[u8], name: &[u8]) -> bool {
    let whole = [joined, name].concat();
    whole.len() < MAX_ID && !matches!(name, b"." | b"..") && is_plausible(&whole)
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

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0638154a08df93c269693324852cef8c";

    fn id(joined: &str, name: &str) -> Option<String> {
        blob(joined.as_bytes(), name.as_bytes()).map(|named| named.id.into())
    }

    #[test]
    fn names_with_and_without_the_extension() {
        assert_eq!(id("n6a", "b12.f").as_deref(), Some("n6ab12"));
        // What only looks like a hash with something added to it.
        assert_eq!(id("", "sx_1.f").as_deref(), Some("sx_1"));
        assert_eq!(id("", "xa_1.f").as_deref(), Some("xa_1"));
        for name in [
            format!("p{HASH}"),
            format!("q{HASH}-s291f6eac802fb207147"),
            format!("n{HASH}{HASH}"),
            format!("m{HASH}"),
            format!("xn0_{HASH}-s5539d401c55174a7147-c1"),
            format!("xs12_{HASH}-s5539d401c55174a7147-c2"),
            format!("xr0_12_{HASH}-s5539d401c55174a7147-c1"),
            format!("s{HASH}-s5539d401c55174a7147"),
            "xe7".into(),
            "xw1780315200".into(),
            format!("n{}-{UPGRADED}", "0".repeat(32)),
            "_log_20260601120000_4e31_1780315200_1780315201_1_abcdef".into(),
            "kopia.repository".into(),
            "kopia.maintenance".into(),
            "kopia.repository.backup.1f2e".into(),
            "kopia.repository.backup.ops@my-host".into(),
            "kopia.repository.backup.Ops@My-Host.example.org".into(),
            "kopia.repository.backup.ops@media.f-prod1".into(),
        ] {
            for (file, extension) in [(name.clone(), false), (format!("{name}.f"), true)] {
                let wanted = Named { id: BlobId::new(&name).unwrap(), extension, respelled: false };
                assert_eq!(blob(b"", file.as_bytes()), Some(wanted), "{file}");
            }
        }
    }

    #[test]
    fn upper_case_is_another_spelling() {
        for name in ["KOPIA.REPOSITORY", "Kopia.Repository.f", "kopia.repository.F"] {
            let named = blob(b"", name.as_bytes()).unwrap();
            assert_eq!((named.id.as_str(), named.respelled), ("kopia.repository", true), "{name}");
        }
        let upper = HASH.to_ascii_uppercase();
        assert_eq!(id("P", &format!("{upper}.F")), Some(format!("p{HASH}")));
        assert_eq!(id("", "Pabc.f").as_deref(), Some("Pabc"), "none of kopia's");
        let owners = blob(b"", b"KOPIA.REPOSITORY.BACKUP.Ops@Media.F").unwrap();
        assert_eq!((owners.id.as_str(), owners.respelled), ("kopia.repository.backup.Ops@Media", true));
    }

    #[test]
    fn files_of_other_programs_are_no_blobs() {
        let pack = format!("p{HASH}-s291f6eac802fb207147");
        for other in [
            // Unfinished or deleted files.
            &format!("{pack}.f.tmp.0123456789abcdef"),
            &format!("{pack}.tmp.0123"),
            "kopia.repository.backup.ops@media.f.tmp.0123abcd",
            "kopia.repository.backup.ops@media.tmp.0123abcd",
            "KOPIA.REPOSITORY.BACKUP.OPS@MEDIA.F.TMP.0123ABCD",
            &format!("{pack}.f-8674665223082153551"),
            "kopia.repository.f-8674665223082153551",
            "kopia.repository.backup.ops@media.f-8674665223082153551",
            "xe7.f-1",
            &format!("{pack}.3fae.partial"),
            &format!("{pack}.f.partial"),
            &format!("{pack}.6eF3a1B2"),
            &format!(".{pack}.f.Xa81Bz"),
            &format!("{pack}.f~"),
            &format!("{pack}~.f"),
            ".nfs000000000001a2b300000001",
            // Conflicting copies.
            &format!("{pack} (1).f"),
            &format!("{pack} 2.f"),
            &format!("{pack} (conflicted copy 2026-01-01).f"),
            &format!("{pack} - Copy.f"),
            &format!("{pack}-DESKTOP-4C5K2.f"),
            &format!("{pack}-copy.f"),
            &format!("{pack}.sync-conflict-20260101-120000-ABCDEFG.f"),
            &format!("{pack}_NAS_Nov-28-120000-2026_Conflict.f"),
            &format!("p{HASH}_2.f"),
            &format!("{pack} (1)"),
            "kopia.repository (1)",
            "kopia.repository.bak",
            "kopia.repository.sync-conflict-20260101-120000-ABCDEFG",
            // What systems put anywhere.
            ".DS_Store",
            "._kopia.repository.f",
            "Thumbs.db",
            "desktop.ini",
            ".shards",
            ".f",
            "CACHEDIR.TAG",
            // Other things of the user.
            "README",
            "photos",
            "p",
            "xe",
            "p0638154a",
            &format!("xn{HASH}"),
            &format!("xna_{HASH}"),
            "xn0_0638154a",
        ] {
            assert_eq!(id("", other), None, "{other}");
        }
        assert_eq!(blob(b"", b"\xff.f"), None);
        assert_eq!(blob(b"n\xc3", b"\xa9.f"), None);
    }

    #[test]
    fn directories_of_other_programs_hold_none() {
        for other in [
            ".stfolder",
            ".stversions",
            ".Trash-1000",
            ".snapshot",
            ".dropbox.cache",
            "@eaDir",
            "#recycle",
            "#snapshot",
            "$RECYCLE.BIN",
            "System Volume Information",
            "lost+found",
            ".",
            "..",
        ] {
            assert!(!may_hold_blobs(b"", other.as_bytes()), "{other}");
            assert!(!may_hold_blobs(b"p063", other.as_bytes()), "{other}");
        }
        assert!(may_hold_blobs(b"", b"p") && may_hold_blobs(b"p", b"063") && may_hold_blobs(b"", b"xn0_"));
        assert!(may_hold_blobs(b"", b"kopia.") && may_hold_blobs(b"kopia", b".rep"));
        assert!(!may_hold_blobs(&[b'a'; 250], b"12345"));
    }
}
