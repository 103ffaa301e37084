//! Packs that no index names.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use kopia_codec::key::Password;
use kopia_repository::Repository;
use kopia_repository::unnamed::Holds;
use kopia_storage::FilesystemStore;
use kopia_testkit::damage::{Blob, RepositoryCopy, copy_repository};
use kopia_testkit::golden;

fn open(copy: &RepositoryCopy) -> Repository {
    Repository::open(FilesystemStore::open(copy.path()).unwrap(), &Password::from("golden")).unwrap()
}

#[test]
fn nothing_is_unnamed_where_nothing_is_lost() {
    for name in ["sources", "format-v1", "epochs", "compacted-v0.8.4", "ecc-10"] {
        let unnamed = open(&copy_repository(&golden::case(name))).unnamed_packs(100).unwrap();
        assert!(!unnamed.may_hold_manifests(), "{name}: {unnamed:?}");
    }
}

#[test]
fn a_lost_index_blob_is_noticed_by_its_packs() {
    let case = golden::case("sources");
    let mut manifests = 0;
    let indexes = copy_repository(&case).blobs("xn");
    assert!(indexes.len() > 1);
    for index in &indexes {
        let copy = copy_repository(&case);
        copy.blob(&index.id).delete();
        let repository = open(&copy);
        let unnamed = repository.unnamed_packs(100).unwrap();
        let held = |pack: &kopia_repository::unnamed::UnnamedPack| pack.holds.as_ref().unwrap().unwrap();
        let missing = case.listed.len() - repository.snapshots().unwrap().iter().count();
        assert_eq!(missing > 0, unnamed.may_hold_manifests(), "{}: {unnamed:?}", index.id);
        assert!(unnamed.metadata.iter().all(|pack| held(pack).contents >= held(pack).manifests));
        manifests += unnamed.metadata.iter().map(|pack| held(pack).manifests).sum::<usize>();
        // What was not read may hold anything.
        let unread = repository.unnamed_packs(0).unwrap();
        assert_eq!(unread.may_hold_manifests(), !unread.metadata.is_empty());
    }
    assert!(manifests > 0);
}

#[test]
fn packs_of_another_repository_or_of_none_are_said_not_to_tell() {
    let copy = copy_repository(&golden::case("sources"));
    let other = copy_repository(&golden::case("tricky"));
    let folder = copy.path().join("q/000");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(&other.blobs("q")[0].path, folder.join(format!("{:028}.f", 1))).unwrap();
    std::fs::write(folder.join(format!("{:028}.f", 2)), "no pack").unwrap();
    let unnamed = open(&copy).unnamed_packs(100).unwrap();
    assert_eq!((unnamed.data.len(), unnamed.metadata.len()), (0, 2));
    assert!(unnamed.metadata.iter().all(|pack| pack.holds.is_err()) && unnamed.may_hold_manifests());
}

#[test]
fn a_pack_that_was_rewritten_holds_nothing_of_its_own() {
    let copy = copy_repository(&golden::case("sources"));
    let copies: Vec<Blob> = copy.blobs("q");
    // Maintenance leaves the old pack for a while, with contents that lie elsewhere by then.
    for (number, pack) in copies.iter().enumerate() {
        let folder = copy.path().join("q/fff");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(&pack.path, folder.join(format!("{number:028}.f"))).unwrap();
    }
    let unnamed = open(&copy).unnamed_packs(100).unwrap();
    assert_eq!(unnamed.metadata.len(), copies.len());
    assert!(!unnamed.may_hold_manifests());
    assert!(unnamed.metadata.iter().all(|pack| pack.holds.as_ref().unwrap() == &Some(Holds::default())));
}
