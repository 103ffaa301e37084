//! Undos that lack a right: what they are refused stays to be put back by one that has it.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use kopia_repository::Entry;
use kopia_restore::{KeptFolder, Options, Undone};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::common::{Place, file, folder, set_mode};

/// The user of `secret`, and of `dir` before the restore.
const APP: u32 = 4242;

/// `secret`, which is APP's, and `dir/file`.
fn root(place: &Place) -> Entry {
    place.root("repo", |writer| {
        let text = writer.file(b"text");
        let dir = writer.directory(&[file("file", &text, 4)]);
        let mut secret = file("secret", &text, 4);
        (secret["uid"], secret["gid"]) = (APP.into(), APP.into());
        let data = writer.directory(&[folder("dir", &dir), secret]);
        folder("data", &data)
    })
}

/// Undoes in a thread of its own, which lacks a capability.
fn undo_without(capability: CapabilitySet, folder: KeptFolder) -> Undone {
    let undo = || {
        let mut has = capabilities(None).unwrap();
        has.effective.remove(capability);
        set_capabilities(None, has).unwrap();
        folder.undo().unwrap()
    };
    std::thread::scope(|scope| scope.spawn(undo).join().unwrap())
}

#[test]
fn what_an_undo_lacks_the_right_for_is_a_problem_and_the_next_puts_it_back() {
    if !rustix::process::geteuid().is_root() {
        return kopia_testkit::facilities::left_out("only root has rights that an undo may lack");
    }
    for (capability, refused) in [(CapabilitySet::FOWNER, "secret"), (CapabilitySet::CHOWN, "dir")] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        let [secret, dir] = ["secret", "dir"].map(|name| target.join(name));
        fs::create_dir_all(&dir).unwrap();
        fs::write(&secret, "text").unwrap();
        for (path, mode) in [(&secret, 0o600), (&dir, 0o755)] {
            set_mode(path, mode);
            chown(path, Some(APP), Some(APP)).unwrap();
        }
        let found = || {
            let [secret, dir] = [&secret, &dir].map(|path| fs::metadata(path).unwrap());
            (secret.mode() & 0o7777, secret.uid(), dir.uid())
        };
        let before = found();
        let mut options = Options::default();
        options.keep_replaced = true;
        let path = kopia_restore::restore(&root, &target, &options).unwrap().kept_in.unwrap();
        assert_eq!(found(), (0o644, APP, 0));

        let open = || KeptFolder::open(&path).unwrap();
        let undone = undo_without(capability, open());
        let problems: Vec<_> = undone.problems.iter().map(|problem| &*problem.path).collect();
        assert_eq!((problems, undone.problem_count), (vec![refused], 1), "{undone:?}");
        assert_eq!((undone.notes.owners, undone.notes.modes), (0, 0), "{undone:?}");
        assert_ne!(found(), before);
        let undone = open().undo().unwrap();
        assert_eq!((undone.problem_count, undone.notes.owners, undone.notes.modes), (0, 0, 0), "{undone:?}");
        assert_eq!((found(), path.exists()), (before, false));
    }
}
