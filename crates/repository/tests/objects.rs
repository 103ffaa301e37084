//! Objects of several pieces: what their lists may say, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::io::Read;
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_format::ObjectId;
use kopia_repository::object::ObjectReader;
use kopia_repository::verify::Options;
use kopia_repository::{Error, Repository, Result};
use kopia_storage::testing::CountingStore;
use kopia_storage::{FilesystemStore, MemoryStore};
use kopia_testkit::faults;
use kopia_testkit::writer::{ContentId, PASSWORD, RepositoryWriter};
use serde_json::json;

/// Writes a list of pieces and returns the object that it makes.
fn list(writer: &mut RepositoryWriter, pieces: &[(u64, u64, &str)]) -> String {
    let pieces = pieces.iter().map(|(start, length, object)| json!({"s": start, "l": length, "o": object}));
    let list = json!({"stream": "kopia:indirect", "entries": pieces.collect::<Vec<_>>()});
    format!("I{}", writer.object(Some('x'), list.to_string().as_bytes()))
}

fn open(writer: RepositoryWriter) -> Repository {
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

/// Copies an object; returns what came of it, and how that ended.
fn copy(reader: &ObjectReader) -> (Vec<u8>, Result<()>) {
    let mut copied = Vec::new();
    let ended = reader.copy(|bytes| {
        copied.extend_from_slice(bytes);
        Ok(())
    });
    (copied, ended)
}

/// Reads an object as a whole, and once more byte by byte from wherever they are.
fn read(repository: &Repository, object: &str) -> Result<Vec<u8>> {
    let object: ObjectId = object.parse().unwrap();
    let mut reader = ObjectReader::open(repository, object)?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(reader.length(), bytes.len() as u64);
    assert_eq!(copy(&reader).0, bytes);
    assert_eq!(repository.read_object(object)?, bytes);
    let length = bytes.len();
    for (start, end) in
        [(0, 1), (1, length / 2), (length / 2, length), (length / 3, length + 9), (length, length)]
    {
        let mut copied = Vec::new();
        let ended = reader.copy_range(start as u64..end as u64, |bytes| {
            copied.extend_from_slice(bytes);
            Ok::<_, Error>(())
        });
        let expected = bytes.get(start..end.min(length).max(start)).unwrap_or_default();
        assert!(ended.is_ok() && copied == expected, "{start}..{end} of {length}");
    }
    for (offset, byte) in bytes.iter().enumerate() {
        let mut found = [0];
        assert_eq!(reader.read_at(&mut found, offset as u64).unwrap(), 1);
        assert_eq!(found[0], *byte, "at {offset}");
    }
    assert_eq!(reader.read_at(&mut [0], bytes.len() as u64).unwrap(), 0);
    Ok(bytes)
}

#[test]
fn pieces_without_bytes_add_nothing_wherever_they_stand() {
    let mut writer = RepositoryWriter::new();
    let (hello, kopia, nothing) = (writer.file(b"hello"), writer.file(b"kopia"), writer.file(b""));
    let empty = list(&mut writer, &[(0, 0, &nothing), (0, 0, &nothing)]);
    let inner = list(&mut writer, &[(0, 0, &empty), (0, 5, &kopia), (5, 0, &nothing)]);
    // The object of a piece without bytes is not looked at, as nothing is needed of it.
    let missing = "ffffffffffffffffffffffffffffffff";
    let objects = [
        list(&mut writer, &[(0, 5, &hello), (5, 5, &kopia), (10, 0, &nothing)]),
        list(&mut writer, &[(0, 0, &nothing), (0, 5, &hello), (5, 0, &empty), (5, 5, &inner)]),
        list(&mut writer, &[(0, 5, &hello), (5, 5, &inner), (10, 0, missing), (10, 0, missing)]),
    ];
    let one = list(&mut writer, &[(0, 5, &hello), (5, 0, &nothing), (5, 0, &nothing)]);
    let repository = open(writer);
    for object in objects {
        assert_eq!(read(&repository, &object).unwrap(), b"hellokopia", "{object}");
    }
    assert_eq!(read(&repository, &one).unwrap(), b"hello");
    assert_eq!(read(&repository, &empty).unwrap(), b"");
}

#[test]
fn a_copy_comes_in_order_and_ends_where_a_piece_is_lost() {
    const PIECES: usize = 600;
    let mut writer = RepositoryWriter::new();
    let texts: Vec<String> = (0..PIECES).map(|number| format!("{number:04}")).collect();
    let objects: Vec<String> = texts.iter().map(|text| writer.file(text.as_bytes())).collect();
    let all = texts.concat().into_bytes();
    let missing = "ffffffffffffffffffffffffffffffff";
    let mut list_without = |lost: Option<usize>| {
        let object = |number| if Some(number) == lost { missing } else { objects[number].as_str() };
        let pieces: Vec<_> = (0..PIECES).map(|number| (4 * number as u64, 4, object(number))).collect();
        list(&mut writer, &pieces)
    };
    let (whole, lost) = (list_without(None), list_without(Some(400)));
    // The list says four bytes, the content has five.
    let five = writer.file(b"five!");
    let longer = list(&mut writer, &[(0, 4, &objects[0]), (4, 4, &objects[1]), (8, 4, &five)]);
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = Arc::new(CountingStore::new(blobs.collect::<MemoryStore>()));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let reader = |object: &str| ObjectReader::open(&repository, object.parse().unwrap()).unwrap();

    let (whole, lost, longer) = (reader(&whole), reader(&lost), reader(&longer));
    store.take();
    let (copied, ended) = copy(&whole);
    assert!(ended.is_ok() && copied == all);
    let reads = store.take().ranges.len();
    assert!(reads < PIECES / 20, "{reads} reads: neighbours are read together");
    let (copied, ended) = copy(&lost);
    assert_eq!(copied, all[..1600]);
    assert!(matches!(ended, Err(Error::ContentNotFound { .. })), "{ended:?}");
    let (copied, ended) = copy(&longer);
    assert_eq!(copied, b"00000001");
    assert!(ended.unwrap_err().to_string().contains("it has 5 bytes, its list says 4"));
    // An error of the caller ends the copy.
    let mut count = 0;
    let ended = whole.copy(|_| {
        count += 1;
        if count == 3 { Err(Error::Threads { why: "full".into() }) } else { Ok(()) }
    });
    assert!(ended.is_err() && count == 3);
}

#[test]
fn a_file_of_exactly_two_parts_reads_as_kopia_reads_it() {
    let store = FilesystemStore::open(faults::repository("pieces-empty")).unwrap();
    let repository = Repository::open(store, &Password::from(faults::PASSWORD)).unwrap();
    let snapshots = repository.snapshots().unwrap();
    let read = tempfile::tempdir().unwrap();
    for entry in snapshots.iter().next().unwrap().root().unwrap().directory().unwrap().entries {
        let mut bytes = Vec::new();
        entry.open().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, entry.size(), "{}", entry.name());
        assert!(entry.size() >= 1 << 20 && entry.object().indirection() > 0, "{}", entry.name());
        std::fs::write(read.path().join(entry.name()), bytes).unwrap();
    }
    assert_eq!(faults::hashes_of(read.path()), faults::hashes("pieces-empty"));
    let report = repository.verify(&Options::default(), &()).unwrap();
    assert!(report.is_sound() && report.files > 0, "{report:?}");
}

#[test]
fn the_pieces_of_a_list_have_as_many_bytes_as_the_list_above_says() {
    for (length, sound) in [(9, false), (10, true), (11, false)] {
        let mut writer = RepositoryWriter::new();
        let (hello, kopia) = (writer.file(b"hello"), writer.file(b"kopia"));
        let inner = list(&mut writer, &[(0, 5, &hello), (5, 5, &kopia)]);
        let outer = list(&mut writer, &[(0, length, &inner), (length, 5, &hello)]);
        let found = read(&open(writer), &outer).map_err(|error| error.to_string());
        if sound {
            assert_eq!(found.unwrap(), b"hellokopiahello");
        } else {
            let error = found.unwrap_err();
            assert!(error.contains(&format!("its pieces have 10 bytes, its list says {length}")), "{error}");
        }
    }
}

#[test]
fn a_content_has_as_many_bytes_as_its_index_says() {
    for (length, sound) in [(4, false), (5, true), (6, false)] {
        let mut writer = RepositoryWriter::new();
        let id: ContentId = "00000000000000000000000000000001".parse().unwrap();
        writer.forge_as(id, b"hello", length);
        let found = open(writer).contents().read(&id).map_err(|error| error.to_string());
        if sound {
            assert_eq!(found.unwrap(), b"hello");
        } else {
            let error = found.unwrap_err();
            assert!(error.contains(&format!("5 plain bytes, index says {length}")), "{error}");
        }
    }
}

#[test]
fn lists_that_are_too_long_are_refused_by_a_limit_that_is_named() {
    let mut writer = RepositoryWriter::new();
    let piece = writer.file(b"x");
    let mut text = br#"{"stream":"kopia:indirect","entries":["#.to_vec();
    text.resize(33 << 20, b' ');
    text.extend(format!(r#"{{"l":1,"o":"{piece}"}}]}}"#).as_bytes());
    let id: ContentId = "x00000000000000000000000000000001".parse().unwrap();
    writer.forge_gzip(id, &text);
    let error = read(&open(writer), &format!("I{id}")).unwrap_err().to_string();
    assert!(error.contains(&format!("object I{id}")) && error.contains("more than 33554432"), "{error}");
}

#[test]
fn a_long_list_is_read_piece_by_piece() {
    // Of the second, most pieces stand in contents that are parsed as they come.
    for length in [18 << 20, 26 << 20] {
        let mut writer = RepositoryWriter::new();
        let (hello, kopia) = (writer.file(b"hello"), writer.file(b"kopia"));
        let mut text =
            format!(r#"{{"stream":"kopia:indirect","entries":[{{"l":5,"o":"{hello}"}}"#).into_bytes();
        let mut start = 5;
        while text.len() < length {
            text.extend(format!(r#",{{"s":{start},"l":5,"o":"{kopia}"}}"#).as_bytes());
            start += 5;
        }
        text.extend(b"]}");
        let list = writer.object(Some('x'), &text);
        assert!(list.indirection() > 0);
        let object = format!("I{list}");
        let repository = open(writer);
        let reader = ObjectReader::open(&repository, object.parse().unwrap()).unwrap();
        assert_eq!(reader.length(), start);
        for (offset, expected) in [(0, b"hellokopia"), (start - 10, b"kopiakopia")] {
            let mut found = [0; 10];
            reader.read_full_at(&mut found, offset).unwrap();
            assert_eq!(&found, expected, "{length}, {offset}");
        }
    }
}

#[test]
fn a_range_needs_nothing_beyond_it() {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let (hello, kopia) = (writer.file(b"hello"), writer.file(b"kopia"));
    let missing = "ffffffffffffffffffffffffffffffff";
    let object = list(&mut writer, &[(0, 5, &hello), (5, 5, &kopia), (10, 5, &hello), (15, 5, missing)]);
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = Arc::new(CountingStore::new(blobs.collect::<MemoryStore>()));
    let open = || Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    for (range, expected, reads) in
        [(0..5, "hello", 1), (1..5, "ello", 1), (5..6, "k", 1), (4..10, "okopia", 2)]
    {
        // Nothing is known of it from before.
        let (reader, mut copied) =
            (ObjectReader::open(&open(), object.parse().unwrap()).unwrap(), Vec::new());
        store.take();
        let copy = reader.copy_range(range.clone(), |bytes| {
            copied.extend_from_slice(bytes);
            Ok::<_, Error>(())
        });
        copy.unwrap();
        assert_eq!((&*copied, store.take().ranges.len()), (expected.as_bytes(), reads), "{range:?}");
    }
    let reader = ObjectReader::open(&open(), object.parse().unwrap()).unwrap();
    assert!(reader.copy_range(14..16, |_| Ok::<_, Error>(())).is_err(), "the last piece is lost");
}
