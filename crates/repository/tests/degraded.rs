//! Repositories without their indexes: the packs know what they hold.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::collections::HashSet;
use std::ops::ControlFlow;

use kopia_codec::key::Password;
use kopia_format::BlobId;
use kopia_repository::verify::Options;
use kopia_repository::{Repository, Unreadable};
use kopia_storage::FilesystemStore;
use kopia_storage::testing::FaultyStore;
use kopia_testkit::damage::{self, RepositoryCopy};
use kopia_testkit::golden::{self, Case};
use rayon::prelude::*;

fn open(copy: &RepositoryCopy, case: &Case) -> Repository {
    let store = FilesystemStore::open(copy.path()).unwrap();
    Repository::open_degraded(store, &Password::from(&*case.password))
        .unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// Every snapshot that kopia lists is there, and can be read whole.
fn assert_whole(repository: &Repository, case: &Case) {
    let snapshots = repository.snapshots().unwrap();
    assert!(snapshots.lost().is_empty(), "{}", case.name);
    let found: HashSet<_> = snapshots.iter().map(|snapshot| snapshot.id().to_string()).collect();
    for listed in &case.listed {
        assert!(found.contains(&listed.id.to_string()), "{}: {}", case.name, listed.id);
        let snapshot = snapshots.iter().find(|snapshot| snapshot.id() == listed.id).unwrap();
        let report = repository
            .verify_entry(Some(snapshot), &snapshot.root().unwrap(), &Options::default(), &())
            .unwrap();
        assert!(report.is_sound(), "{}: {report:?}", case.name);
    }
}

#[test]
fn every_repository_is_read_without_any_index_blob() {
    golden::cases().par_iter().for_each(|case| {
        let copy = damage::copy_repository(case);
        for prefix in ["x", "n", "m"] {
            copy.blobs(prefix).iter().for_each(damage::Blob::delete);
        }
        let repository = open(&copy, case);
        assert_eq!(repository.status().unwrap().index_blobs, 0);
        assert_whole(&repository, case);
    });
}

#[test]
fn damaged_index_blobs_are_named_and_made_up_for() {
    let case = golden::case("sources");
    let copy = damage::copy_repository(&case);
    let indexes: Vec<_> = ["xn", "n"].iter().flat_map(|prefix| copy.blobs(prefix)).collect();
    assert!(!indexes.is_empty());
    indexes.iter().for_each(|blob| blob.truncate(40));
    let repository = open(&copy, &case);
    assert_eq!(repository.losses().len(), indexes.len());
    let [first, ..] = repository.losses() else { panic!("there is one") };
    assert!(first.to_string().starts_with("index blob "), "{first}");
    assert_eq!((first.word(), first.blob_id().map(BlobId::as_str)), ("index_blob", Some(&*indexes[0].id)));
    assert_eq!(first.error().map(kopia_repository::Error::word), Some("corrupt_blob"));
    assert_whole(&repository, &case);
}

#[test]
fn logs_of_compactions_that_are_lost_end_no_list() {
    let case = golden::case("compacted-v0.8.4");
    let copy = damage::copy_repository(&case);
    let password = Password::from(&*case.password);
    let store = || FilesystemStore::open(copy.path()).unwrap();
    let listed = |repository: &Repository| {
        let mut ids = HashSet::new();
        repository
            .content_infos(|info| {
                ids.insert(info.id);
                ControlFlow::Continue(())
            })
            .unwrap();
        ids
    };
    let whole = Repository::open(store(), &password).unwrap();
    let (all, blobs) = (listed(&whole), whole.index_blobs().unwrap());
    let logs = copy.blobs("m");
    assert!(!all.is_empty() && !logs.is_empty());
    let vanished = FaultyStore::new(store()).missing(logs.iter().map(|log| log.id.parse().unwrap()));
    let vanished = Repository::open_degraded(vanished, &password).unwrap();
    logs.iter().for_each(|log| log.truncate(40));
    for repository in [vanished, open(&copy, &case)] {
        let words: Vec<_> = repository.lost_indexes().iter().map(Unreadable::word).collect();
        assert_eq!(words, vec!["compaction_log"; logs.len()]);
        // What was compacted counts again, if it is still there.
        assert!(listed(&repository).is_superset(&all));
        assert!(repository.index_blobs().unwrap().len() >= blobs.len());
    }
}

#[test]
fn a_pack_without_its_own_index_is_a_loss_and_no_more() {
    let case = golden::case("sources");
    let copy = damage::copy_repository(&case);
    let pack = &copy.blobs("p")[0];
    pack.append(b"something after the end");
    let repository = open(&copy, &case);
    assert_eq!(repository.losses().len(), 1);
    let loss = &repository.losses()[0];
    assert!(loss.to_string().contains(&pack.id) && loss.word() == "pack", "{loss:?}");
    assert!(repository.lost_indexes().is_empty(), "{loss:?}");
    // The index blobs are there.
    assert_whole(&repository, &case);
}

#[test]
fn lost_manifests_are_said_and_end_nothing() {
    let case = golden::case("sources");
    let copy = damage::copy_repository(&case);
    let whole = open(&copy, &case);
    let all = whole.snapshots().unwrap().iter().count();
    let mut places = Vec::new();
    whole.contents().for_each(|id, place| {
        if id.prefix() == Some('m') && !place.is_deleted() {
            let origin = whole.contents().origin(&place);
            places.push((origin.blob.to_string(), origin.range()));
        }
    });
    assert!(all > 0 && !places.is_empty());
    for (pack, range) in places {
        copy.blob(&pack).zero(range.start as usize..range.end as usize);
    }
    let repository = open(&copy, &case);
    let snapshots = repository.snapshots().unwrap();
    assert!(!snapshots.lost().is_empty());
    assert_eq!(snapshots.iter().count(), 0);
    let strict =
        Repository::open(FilesystemStore::open(copy.path()).unwrap(), &Password::from(&*case.password));
    assert!(strict.unwrap().snapshots().is_err(), "a list with gaps is not given unasked");
}
