//! `--cache`: what one command reads of indexes, the next one need not.

use std::fs;

use serde_json::json;

use crate::common::{KopiaRs, Place, names, written};

#[test]
fn a_cache_serves_the_next_command_and_can_be_deleted() {
    let place = Place::new();
    let (repository, cache) = (place.path("repository"), place.path("cache"));
    written(&repository, |writer| {
        let root = writer.directory(&[]);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    });
    let plain = || KopiaRs::written(&repository, "snapshots --json").run();
    let cached = || KopiaRs::written(&repository, "snapshots --json --cache").arg(&cache).run();
    let listed = plain().exits(0).stdout;
    assert!(!cache.exists(), "nothing is kept unless that is asked for");
    assert_eq!(cached().exits(0).stdout, listed);

    let mut damaged = 0;
    for name in names(&repository).iter().filter(|name| name.starts_with(['x', 'n'])) {
        let length = fs::metadata(repository.join(name)).unwrap().len();
        fs::write(repository.join(name), vec![0; length as usize]).unwrap();
        damaged += 1;
    }
    assert!(damaged > 0);
    plain().exits(1);
    assert_eq!(cached().exits(0).stdout, listed, "it is read from the cache");
    KopiaRs::written(&repository, "verify --cache").arg(&cache).run().exits(1);
    fs::remove_dir_all(&cache).unwrap();
    cached().exits(1);
}

#[test]
fn a_cache_in_the_repository_is_refused() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |_| {});
    let before = names(&repository);
    let ran = KopiaRs::written(&repository, "snapshots --cache").arg(repository.join("some/cache")).run();
    ran.exits(2).says(&["lies in the repository"]);
    assert_eq!(names(&repository), before);
}

#[test]
fn the_merged_index_can_lie_in_a_file() {
    let place = Place::new();
    let (repository, folder) = (place.path("repository"), place.path("index"));
    written(&repository, |writer| {
        let root = writer.directory(&[]);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    });
    let listed = KopiaRs::written(&repository, "snapshots --json").run().exits(0).stdout;
    let with_file = |folder| KopiaRs::written(&repository, "snapshots --json --index-dir").arg(folder).run();
    with_file(&folder).exits(1).says(&["the merged index cannot be kept in a file in", "No such file"]);
    assert!(!folder.exists(), "a folder that is not there is not made");
    fs::create_dir(&folder).unwrap();
    assert_eq!(with_file(&folder).exits(0).stdout, listed);
    assert_eq!(names(&folder), [""; 0], "the file has no name");

    let before = names(&repository);
    with_file(&repository).exits(1).says(&["in the repository", "nothing is written"]);
    assert_eq!(names(&repository), before);
}
