//! Which names are those of blobs, and which directories can lead to some.

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
fn directories_that_any_layout_makes_hold_blobs() {
    for id in [
        format!("p{HASH}-s291f6eac802fb207147"),
        format!("q{HASH}"),
        format!("n{HASH}{HASH}"),
        format!("m{HASH}-s291f6eac802fb207147-c1"),
        format!("l{HASH}"),
        format!("s{HASH}-s5539d401c55174a7147"),
        format!("xn0_{HASH}-s5539d401c55174a7147-c12"),
        format!("xs12_{HASH}-s5539d401c55174a7147-c2"),
        format!("xr0_12_{HASH}-s5539d401c55174a7147-c1"),
        "xe7".into(),
        "xe10".into(),
        "xw1780315200".into(),
        format!("n{}-{UPGRADED}", "0".repeat(32)),
        "_log_20260601120000_4e31_1780315200_1780315201_1_abcdef".into(),
        "kopia.repository".into(),
        "kopia.blobcfg".into(),
        "kopia.maintenance".into(),
        "kopia.repository.backup.Ops@My-Host.example.org".into(),
    ] {
        assert!(is_kopias(&id), "{id}");
        let upper = id.to_ascii_uppercase();
        for id in [id.as_bytes(), upper.as_bytes()] {
            for end in 1..id.len() {
                for start in (0..end).filter(|&start| !matches!(&id[start..end], b"." | b"..")) {
                    let (joined, name) = (&id[..start], &id[start..end]);
                    let shown = || (String::from_utf8_lossy(joined), String::from_utf8_lossy(name));
                    assert!(may_hold_blobs(joined, name), "{:?}", shown());
                }
            }
        }
    }
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
    // What users keep beside a repository may begin with the letter of a kind of blobs.
    for other in [
        "mysql",
        "media",
        "m-files",
        "notes",
        "nextcloud",
        "node_modules",
        "n8n",
        "photos",
        "public",
        "private",
        "postgres",
        "quarantine",
        "sync",
        "logs",
        "lib",
        "xfer",
        "xml",
        "x11",
        "xe7a",
        "xnodes",
        "xn_0",
        "xn12a",
        "xr0__1",
        "xw-1",
        "_logs",
        "_db",
        "kopia-cache",
        "kopias",
        "documents",
        "archive",
        "0",
        "mad-s1",
        "xn0_12-c1",
    ] {
        assert!(!may_hold_blobs(b"", other.as_bytes()), "{other}");
        assert!(!may_hold_blobs(b"", other.to_ascii_uppercase().as_bytes()), "{other}");
    }
    assert!(!may_hold_blobs(b"p", b"hotos") && !may_hold_blobs(b"p06", b"thumbnails"));
    assert!(may_hold_blobs(b"", b"p") && may_hold_blobs(b"p", b"063") && may_hold_blobs(b"", b"xn0_"));
    assert!(may_hold_blobs(b"", b"kopia.") && may_hold_blobs(b"kopia", b".rep"));
    assert!(!may_hold_blobs(&[b'a'; 250], b"12345"));
}
