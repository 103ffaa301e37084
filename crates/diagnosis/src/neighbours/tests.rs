use std::fs;
use std::os::unix::fs::symlink;

use kopia_testkit::golden;

use super::*;

/// A directory with a repository of each layout that the golden ones have.
fn repository(path: &Path, layout: &str) {
    let copy = kopia_testkit::damage::copy_repository(&golden::case(layout));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(
        std::process::Command::new("cp").arg("-a").arg(copy.path()).arg(path).status().unwrap().success()
    );
}

fn found(given: &Path) -> Vec<(PathBuf, Relation)> {
    let search = search(&LocalPath::look_among(given, None), Effort::Doctor);
    search.found.into_iter().map(|neighbour| (neighbour.path, neighbour.relation)).collect()
}

#[test]
fn above_below_and_beside() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let volume = root.join("volume");
    let at = volume.join("repository");
    repository(&at, "sources");
    // What kopia leaves behind where it looked in vain.
    fs::write(volume.join(".shards"), r#"{"default":[1,3],"maxNonShardedLength":20}"#).unwrap();
    assert_eq!(found(&volume), [(at.clone(), Relation::Below)]);
    assert_eq!(found(&root), [(at.clone(), Relation::Below)]);
    assert_eq!(found(&at.join("repository/deeper")), [(at.clone(), Relation::Above)]);
    assert_eq!(found(&at.join("p")), [(at.clone(), Relation::Above)]);
    assert_eq!(found(&at.join("kopia.repository.f")), [(at.clone(), Relation::Above)]);
    assert_eq!(found(&volume.join("kopia")), [(at.clone(), Relation::Beside)]);
    fs::create_dir(volume.join("kopia")).unwrap();
    assert_eq!(found(&volume.join("kopia")), [(at.clone(), Relation::Beside)]);
    // Several: the nearest first.
    repository(&volume.join("a/b/c"), "sources");
    repository(&volume.join("z"), "sources");
    let several = [at, volume.join("z"), volume.join("a/b/c")].map(|path| (path, Relation::Below));
    assert_eq!(found(&volume), several);
}

#[test]
fn a_small_tree_is_searched_however_slow_the_machine_is() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    repository(&root.join("repository"), "sources");
    let mut budget = Budget { until: std::time::Instant::now(), ..Effort::Hint.budget() };
    assert_eq!(below(&LocalPath::look_among(&root, None), &root, LEVELS, &mut budget).found.len(), 1);
}

#[test]
fn every_layout_is_recognized() {
    let directory = tempfile::tempdir().unwrap();
    for case in golden::cases() {
        assert_eq!(layout(&case.repository), Some(Layout::Directory), "{}", case.name);
    }
    fs::write(directory.path().join(".shards"), r#"{"default":[3],"maxNonShardedLength":2}"#).unwrap();
    assert_eq!(layout(directory.path()), None);
    fs::create_dir(directory.path().join("kop")).unwrap();
    fs::write(directory.path().join("kop/ia.repository.f"), "{}").unwrap();
    assert_eq!(layout(directory.path()), Some(Layout::Directory));
    let bucket = directory.path().join("bucket");
    fs::create_dir(&bucket).unwrap();
    fs::write(bucket.join("kopia.repository"), "{}").unwrap();
    assert_eq!(layout(&bucket), Some(Layout::ObjectStore));
}

/// A cache as kopia 0.23 leaves it, without what was cached.
fn cache(at: &Path) {
    for name in ["blob-list", "contents/b4", "index-blobs", "indexes", "metadata/60", "own-writes"] {
        fs::create_dir_all(at.join(name)).unwrap();
    }
    fs::write(at.join("contents/.shards"), r#"{"default":[2],"maxNonShardedLength":2}"#).unwrap();
    for name in ["kopia.repository", "kopia.blobcfg"] {
        fs::write(at.join(name), "{}").unwrap();
    }
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n#\n# This file is a cache directory tag created by Kopia - Fast";
    fs::write(at.join("CACHEDIR.TAG"), tag).unwrap();
}

#[test]
fn a_cache_is_no_repository() {
    let place = tempfile::tempdir().unwrap();
    // What lies beside a temporary directory is that of other tests.
    let root = place.path().canonicalize().unwrap().join("volume/root");
    let at = root.join("cache");
    cache(&at);
    assert!(is_cache(&at) && layout(&at).is_none());
    assert_eq!(found(&root), []);
    assert_eq!(found(&root.join("repository")), []);
    assert_eq!(found(&at), []);
    // By its tag alone, as without contents; by its parts alone, as older ones are.
    for name in ["blob-list", "contents", "index-blobs", "indexes", "metadata", "own-writes"] {
        fs::remove_dir_all(at.join(name)).unwrap();
    }
    assert!(is_cache(&at) && layout(&at).is_none());
    fs::remove_file(at.join("CACHEDIR.TAG")).unwrap();
    assert!(!is_cache(&at) && layout(&at) == Some(Layout::ObjectStore));
    fs::create_dir(at.join("contents")).unwrap();
    assert!(is_cache(&at) && layout(&at).is_none());
    // A repository stays one, whatever tag or directories somebody gave it.
    repository(&root.join("a/repository"), "sources");
    cache(&root.join("a/repository"));
    assert_eq!(found(&root), [(root.join("a/repository"), Relation::Below)]);
    let bucket = root.join("bucket");
    fs::create_dir(&bucket).unwrap();
    fs::write(bucket.join("kopia.repository"), "{}").unwrap();
    fs::write(bucket.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n# mine").unwrap();
    assert_eq!(layout(&bucket), Some(Layout::ObjectStore));
    cache(&bucket);
    assert_eq!(layout(&bucket), None);
    fs::write(bucket.join(format!("p{:032x}-s8919df8024960d5b147", 7)), "").unwrap();
    assert_eq!(layout(&bucket), Some(Layout::ObjectStore), "packs are no cache's");
}

#[test]
fn packs_are_known_by_their_names() {
    let directory = tempfile::tempdir().unwrap();
    assert!(!holds_packs(directory.path(), Effort::Hint));
    for case in golden::cases() {
        assert!(holds_packs(&case.repository, Effort::Hint), "{}", case.name);
        // One level above, they are the packs of another directory.
        assert!(!holds_packs(case.repository.parent().unwrap(), Effort::Hint), "{}", case.name);
    }
    let flat = kopia_testkit::faults::repository("copy-of-bucket");
    assert!(holds_packs(&flat, Effort::Hint), "in a copy of a bucket, too");
    for other in ["p", "postgres/base", "q/0/1", "pictures/abc"] {
        fs::create_dir_all(directory.path().join(other)).unwrap();
        fs::write(directory.path().join(other).join("data.f"), "").unwrap();
    }
    assert!(!holds_packs(directory.path(), Effort::Hint));
}

#[test]
fn hostile_folders_end_the_search() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let given = root.join("given");
    fs::create_dir_all(given.join("a/b")).unwrap();
    symlink("..", given.join("a/loop")).unwrap();
    symlink(&root, given.join("a/b/up")).unwrap();
    symlink("self", given.join("self")).unwrap();
    for name in ["kopia.repository.f", ".shards", "a/kopia.repository.f", "a/.shards"] {
        let made = std::process::Command::new("mkfifo").arg(given.join(name)).status();
        assert!(made.unwrap().success());
    }
    // Beyond a link is another's.
    repository(&root.join("elsewhere/x/y/repo"), "sources");
    assert_eq!(found(&given), []);
    // More directories than may be looked into, and deeper ones.
    fs::create_dir_all(given.join("d/d/d/d/d/d/d/d/d/d")).unwrap();
    for number in 0..30 {
        fs::create_dir_all(given.join(format!("wide/{number}/x"))).unwrap();
    }
    let place = LocalPath::look_among(&given, None);
    let mut budget = Budget { directories: 20, ..Effort::Doctor.budget() };
    assert_eq!(below(&place, &given, LEVELS, &mut budget), Below::default());
    assert_eq!(budget.directories, 0, "the search ends with its budget");
    let mut budget = Budget { unhurried: 0, until: std::time::Instant::now(), ..Effort::Doctor.budget() };
    repository(&given.join("repo"), "sources");
    assert_eq!(below(&place, &given, LEVELS, &mut budget), Below::default(), "and with its time");
    let mut budget = Effort::Doctor.budget();
    assert_eq!(below(&place, &given, LEVELS, &mut budget).found.len(), 1);
}
