//! Every repository that kopia wrote for us: the list of snapshots equals kopia's own, and every content is
//! what its id says.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use kopia_codec::key::Password;
use kopia_format::directory::EntryKind;
use kopia_repository::contents::{Origin, Stored};
use kopia_repository::object::ObjectReader;
use kopia_repository::verify::Options;
use kopia_repository::{Entry, Repository};
use kopia_storage::FilesystemStore;
use kopia_testkit::golden::{self, Case};
use rayon::prelude::*;

fn open(case: &Case) -> Repository {
    let store = FilesystemStore::open(&case.repository).expect("the folder is there");
    Repository::open(store, &Password::from(&*case.password))
        .unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

#[test]
fn snapshots_are_those_that_kopia_lists() {
    golden::cases().par_iter().for_each(|case| {
        let repository = open(case);
        let snapshots = repository.snapshots().unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let ours: Vec<_> = snapshots.iter().map(|snapshot| snapshot.id().to_string()).collect();
        let kopias: Vec<_> = case.listed.iter().map(|listed| listed.id.clone()).collect();
        assert_eq!(ours, kopias, "{}", case.name);
        for (snapshot, listed) in snapshots.iter().zip(&case.listed) {
            let manifest = snapshot.manifest();
            let source = &listed.source;
            assert_eq!(
                snapshot.source().to_string(),
                format!("{}@{}:{}", source.user_name, source.host, source.path)
            );
            assert_eq!(manifest.start_time().to_string(), listed.start_time, "{}", case.name);
            assert_eq!(manifest.end_time().to_string(), listed.end_time, "{}", case.name);
            assert_eq!(manifest.incomplete(), listed.incomplete.as_deref(), "{}", case.name);
            assert_eq!(manifest.description(), listed.description, "{}", case.name);
            assert_eq!((manifest.tags(), manifest.pins()), (&listed.tags, &listed.pins[..]), "{}", case.name);
            assert_eq!(snapshot.root().unwrap().object().to_string(), listed.root_object, "{}", case.name);
        }
    });
}

#[test]
fn every_content_hashes_to_its_id() {
    let counts: Vec<_> = golden::cases()
        .par_iter()
        .map(|case| {
            let repository = open(case);
            let mut contents = Vec::new();
            repository.contents().for_each(|id, location| contents.push((id, location)));
            let mut decoder = repository.contents().decoder();
            decoder.set_verify_hashes(true);
            let mut read = 0;
            for (id, location) in contents {
                let Origin { blob, offset, length, .. } = repository.contents().origin(&location);
                let stored = repository.store().read_range(&blob, offset, length as usize, Vec::new());
                match stored {
                    Ok(stored) => {
                        let plain = decoder.decode(&Stored { id, location, bytes: &stored });
                        let plain = plain.unwrap_or_else(|error| panic!("{}: {error}", case.name));
                        assert!(repository.contents().matches(&id, plain));
                        read += 1;
                    }
                    // Maintenance deletes packs of which nothing lives any more.
                    Err(error) => {
                        assert!(location.is_deleted() && error.is_not_found(), "{}: {error}", case.name)
                    }
                }
            }
            assert!(read > 0, "{} holds contents", case.name);
            read
        })
        .collect();
    assert!(counts.len() >= 68 && counts.iter().sum::<usize>() > 10_000, "{counts:?}");
}

#[test]
fn files_read_at_any_place_are_the_same() {
    let case = golden::case("split-fixed-128k");
    let repository = open(&case);
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let mut checked = 0;
    visit(&root, &mut |entry| {
        if entry.kind() != EntryKind::File || entry.object().indirection() == 0 {
            return;
        }
        let whole = repository.read_object(entry.object()).unwrap();
        assert_eq!(whole.len() as u64, entry.size());
        let mut reader = entry.open().unwrap();
        let mut again = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut again).unwrap();
        assert_eq!(again, whole);
        for offset in
            [0, 1, 131_071, 131_072, 131_073, whole.len() - 1, whole.len(), whole.len() + 1, usize::MAX]
        {
            let mut buffer = [0; 100];
            let count = reader.read_at(&mut buffer, offset as u64).unwrap();
            let rest = whole.get(offset..).unwrap_or_default();
            assert_eq!(buffer[..count], rest[..count]);
            assert_eq!(count == 0, rest.is_empty());
        }
        checked += 1;
    });
    assert!(checked > 0);
}

#[test]
fn objects_of_format_1_that_are_compressed() {
    let case = golden::case("format-v1-compressed");
    let repository = open(&case);
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let mut checked = 0;
    visit(&root, &mut |entry| {
        if entry.object().is_compressed() {
            assert_eq!(ObjectReader::open(&repository, entry.object()).unwrap().length(), entry.size());
            checked += 1;
        }
    });
    assert!(checked > 0);
}

fn visit(entry: &Entry, visitor: &mut impl FnMut(&Entry)) {
    visitor(entry);
    if entry.kind() == EntryKind::Directory {
        for child in entry.directory().unwrap().entries {
            visit(&child, visitor);
        }
    }
}

#[test]
fn every_repository_verifies() {
    golden::cases().par_iter().for_each(|case| {
        let repository = open(case);
        let report = repository.verify(&Options::default(), &()).unwrap();
        assert!(report.is_sound(), "{}: {report:?}", case.name);
        assert!(report.contents.of > 0 && report.contents.verified == report.contents.of, "{}", case.name);
    });
}
