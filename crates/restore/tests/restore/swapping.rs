//! Somebody who may write in the target swaps folders for links while a restore runs: nothing outside may
//! change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kopia_repository::Entry;
use kopia_restore::Options;
use kopia_testkit::tree::Tree;
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, file, folder};

const ROUNDS: u32 = 40;

/// `a/b/f0` to `a/b/f19` and the like: folders that a restore goes through again and again.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let large: Vec<u8> = (0..10_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let large = writer.file(&large);
    let folders = ["a", "c", "e"].map(|outer| {
        let inner = ["b", "d"].map(|inner| {
            let mut files: Vec<_> = (0..20_u8)
                .map(|number| {
                    let bytes = writer.file(&[number; 100]);
                    file(&format!("f{number:02}"), &bytes, 100)
                })
                .collect();
            files.push(file("large", &large, 40_000));
            folder(inner, &writer.directory(&files))
        });
        folder(outer, &writer.directory(&inner))
    });
    let root = folder("data", &writer.directory(&folders));
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

/// Puts a link to `outside` in the place of a folder, and the folder back, until it is told to stop.
fn swap(path: &Path, outside: &Path, stop: &AtomicBool, swaps: &AtomicU64) {
    let aside = path.with_extension("aside");
    while !stop.load(Ordering::Relaxed) {
        if fs::rename(path, &aside).is_ok() {
            if symlink(outside, path).is_ok() {
                swaps.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
                let _ = fs::remove_file(path);
            }
            // Where the restore has made a new one meanwhile, the old one is in its way.
            if fs::rename(&aside, path).is_err() {
                let _ = fs::remove_dir_all(&aside);
            }
        }
    }
}

#[test]
fn nothing_outside_is_touched_while_folders_become_links() {
    let place = Place::new();
    let root = root(&place);
    // What a restore would overwrite, change or delete if it went through a link.
    let outside = place.path("outside");
    for inner in ["b", "d"] {
        fs::create_dir_all(outside.join(inner)).unwrap();
        for name in ["f00", "large", "extra"] {
            fs::write(outside.join(inner).join(name), b"precious").unwrap();
        }
    }
    fs::write(outside.join("extra"), b"precious").unwrap();
    let before = Tree::scan(&outside);
    let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let target = place.path("target");
    let staged = target.join(format!(".kopia-rs-restore-{}", root.object()));
    std::thread::scope(|scope| {
        for path in [target.join("a"), target.join("c/d"), staged.join("a"), staged.join("e/b")] {
            let (stop, swaps, outside) = (&stop, &swaps, &outside);
            scope.spawn(move || swap(&path, outside, stop, swaps));
        }
        for round in 0..ROUNDS {
            let mut options = Options::default();
            options.delete_extra = round % 2 == 1;
            options.in_place = round % 4 >= 2;
            if round % 5 == 4 {
                let _ = fs::remove_dir_all(&target);
            }
            // Much may go wrong, and is then said; what matters is where it does not go.
            let _ = kopia_restore::restore(&root, &target, &options);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(swaps.load(Ordering::Relaxed) > 0);
    assert_eq!(Tree::scan(&outside).entries(), before.entries());
    // Left alone, the restore comes to its end.
    let mut options = Options::default();
    options.delete_extra = true;
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
    place.restore(&root, "fresh");
    crate::common::assert_same(&place.path("fresh"), &target);
}
