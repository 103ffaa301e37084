use std::collections::BTreeSet;

use super::*;
use crate::golden;
use crate::random::Random;

/// Names of the blobs that a damage changed, added or removed.
fn changed_by(damage: impl FnOnce(&RepositoryCopy)) -> BTreeSet<String> {
    let case = golden::case("tricky");
    let copy = copy_repository(&case);
    assert_eq!(contents(&copy.path()), contents(&case.repository), "a copy is the same");
    damage(&copy);
    let (before, after) = (contents(&case.repository), contents(&copy.path()));
    before.symmetric_difference(&after).map(|(path, _)| path.display().to_string()).collect()
}

fn contents(repository: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let read = |path: PathBuf| (path.strip_prefix(repository).unwrap().to_owned(), fs::read(&path).unwrap());
    files(repository).into_iter().map(read).collect()
}

fn first_pack(copy: &RepositoryCopy) -> Blob {
    copy.blobs("p").remove(0)
}

#[test]
fn each_damage_changes_one_file() {
    let damages: [fn(&Blob); 6] = [
        |blob| blob.truncate(10),
        |blob| blob.flip_bit(3, 7),
        |blob| blob.zero(0..16),
        |blob| blob.append(b"more"),
        |blob| blob.write(b"other"),
        |blob| blob.delete(),
    ];
    for damage in damages {
        let changed = changed_by(|copy| damage(&first_pack(copy)));
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed.iter().all(|path| path.starts_with('p')));
    }
}

#[test]
fn a_swap_changes_two_files() {
    let changed = changed_by(|copy| {
        let metadata = copy.blobs("q");
        metadata[0].swap(&metadata[1]);
    });
    assert_eq!(changed.len(), 2);
}

#[test]
fn damages_do_what_they_say() {
    let copy = copy_repository(&golden::case("tricky"));
    let blob = first_pack(&copy);
    let whole = blob.read();
    blob.flip_bit(5, 0);
    assert_eq!(blob.read()[5], whole[5] ^ 1);
    blob.flip_bit(5, 0);
    assert_eq!(blob.read(), whole);
    blob.append(b"end");
    assert_eq!(blob.read(), [&whole[..], b"end"].concat());
    blob.truncate(whole.len());
    assert_eq!(blob.read(), whole);
    blob.zero(2..4);
    assert_eq!(blob.read()[..5], [whole[0], whole[1], 0, 0, whole[4]]);
    blob.delete();
    assert!(!blob.path.exists());
}

#[test]
fn ids_are_the_same_in_every_layout() {
    for name in ["tricky", "layout-flat", "layout-shards", "era-v0.5.2"] {
        let copy = copy_repository(&golden::case(name));
        copy.blob("kopia.repository");
        for blob in copy.blobs("p") {
            assert!(blob.id.len() > 30 && !blob.id.contains(['/', '.']), "{}", blob.id);
        }
        assert!(copy.blobs("").iter().all(|blob| !blob.id.contains("shards")));
    }
}

#[test]
fn a_copy_is_removed_with_its_handle() {
    let copy = copy_repository(&golden::case("tricky"));
    let path = copy.path();
    drop(copy);
    assert!(!path.exists());
}

#[test]
#[should_panic(expected = "no blob")]
fn a_blob_that_is_not_there_is_named() {
    copy_repository(&golden::case("tricky")).blob("pmissing");
}

#[test]
fn every_kind_of_damage_is_another_one() {
    let blobs: Blobs = [("p1", 1000), ("p2", 10), ("p3", 1)]
        .map(|(id, length)| (id.to_owned(), Random::of(id).bytes(length)))
        .into();
    for (id, bytes) in &blobs {
        let other = if id == "p1" { "p2" } else { "p1" };
        let list = || Damage::every(bytes.len(), Some(other), 3, &mut Random::new(1));
        assert_eq!(list(), list());
        assert_eq!(list().len(), 21);
        for damage in list() {
            let changes = damage.changes(id, &blobs);
            assert_eq!(changes.len(), if matches!(damage, Damage::Swap(_)) { 2 } else { 1 });
            for change in changes {
                assert_ne!(change.after.as_ref(), blobs.get(&change.id), "{id}: {damage}");
            }
        }
    }
}

#[test]
fn changes_are_done_to_copies() {
    let case = golden::case("tricky");
    let copy = copy_repository(&case);
    let (blobs, id) = (case.blobs(), first_pack(&copy).id);
    let other = copy.blobs("q").remove(0).id;
    copy.change(&Damage::Swap(other.clone()).changes(&id, &blobs));
    assert_eq!(
        (copy.blob(&id).read(), copy.blob(&other).read()),
        (blobs[&other].clone(), blobs[&id].clone())
    );
    copy.change(&Damage::Delete.changes(&id, &blobs));
    assert!(copy.blobs(&id).is_empty());
}
