//! Where blobs are looked for, and that an error on the way is not taken for an absent file.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::Failure;
use crate::filesystem::{LocalTree, file_length};
use crate::sharded::Visitor;

/// A pack, and where a layout of two directories of two letters has it, which is none of the usual forms.
const PACK: &str = "p0638154a08df93c269693324852cef8c";
const RIGHT: &str = "p0/63/8154a08df93c269693324852cef8c.f";
const OTHER: &str = "q0638154a08df93c269693324852cef8c";

/// A directory and its layout.
struct Place {
    directory: TempDir,
    tree: LocalTree,
    layout: Layout,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tree = LocalTree::from(std::os::fd::OwnedFd::from(fs::File::open(directory.path()).unwrap()));
        let layout = Layout::new(Shards::parse(br#"{"default":[2,2]}"#).unwrap());
        let place = Self { directory, tree, layout };
        files.iter().for_each(|(path, bytes)| place.put(path, bytes));
        place
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    fn put(&self, path: &str, bytes: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), bytes).unwrap();
    }

    /// Puts a directory where a file should be, so that reading fails otherwise than for want of a file.
    fn obstruct(&self, path: impl AsRef<Path>) {
        fs::create_dir_all(self.directory.path().join(path)).unwrap();
    }

    fn list(&self, prefix: &str) {
        self.layout.list(&self.tree, prefix).unwrap();
    }

    fn length(&self, id: &str) -> Result<u64, Errno> {
        let id = BlobId::new(id).unwrap();
        let length = self.layout.find(&self.tree, &id, |path| file_length(&self.tree, path));
        length.map_err(|error| Errno::from_io_error(&error).unwrap())
    }
}

#[test]
fn what_was_listed_is_not_searched_for_again() {
    for listed in [&["p"][..], &["q", "p"], &["p", "q"], &[""], &["p0", "p"], &["p", "p0"]] {
        let place = Place::new(&[]);
        listed.iter().for_each(|prefix| place.list(prefix));
        place.put("p06/3/8154a08df93c269693324852cef8c.f", "late");
        assert_eq!(place.length(PACK), Err(Errno::NOENT), "{listed:?}");
        place.list("p");
        assert_eq!(place.length(PACK), Ok(4), "{listed:?}");
    }
    let place = Place::new(&[("p06/3/8154a08df93c269693324852cef8c.f", "pack")]);
    place.list("q");
    place.list("p1");
    assert_eq!(place.length(PACK), Ok(4), "no listing could have found it");
}

#[test]
fn blobs_that_are_missing_hide_no_others() {
    let upper = OTHER.to_ascii_uppercase();
    let place =
        Place::new(&[("p06/3/8154a08df93c269693324852cef8c.f", "pack"), (&upper, "copied by a share")]);
    for number in 0..3 * MAX_FRUITLESS {
        assert_eq!(place.length(&format!("p{number:032x}")), Err(Errno::NOENT));
    }
    assert_eq!((place.length(PACK), place.length(OTHER)), (Ok(4), Ok(17)));
    // All were listed by now, and are not again.
    fs::rename(place.path("p06/3"), place.path("p063")).unwrap();
    assert_eq!(place.length(PACK), Err(Errno::NOENT));
}

#[test]
fn an_error_on_the_way_ends_the_search() {
    // In the right place.
    let place = Place::new(&[(PACK, "flat")]);
    place.obstruct(RIGHT);
    assert_eq!(place.length(PACK), Err(Errno::ISDIR));

    // In the right place, after blobs were found elsewhere.
    let place = Place::new(&[(OTHER, "other")]);
    place.obstruct(RIGHT);
    assert_eq!(place.length(OTHER), Ok(5));
    assert_eq!(place.length(PACK), Err(Errno::ISDIR));

    // Elsewhere.
    let place = Place::new(&[("p/063/8154a08df93c269693324852cef8c.f", "whole")]);
    place.obstruct(PACK);
    assert_eq!(place.length(PACK), Err(Errno::ISDIR));
}

#[test]
fn the_right_place_counts_after_others_were_found_elsewhere() {
    let place = Place::new(&[(OTHER, "other"), (RIGHT, "right")]);
    for _ in 0..2 {
        assert_eq!((place.length(OTHER), place.length(PACK)), (Ok(5), Ok(5)));
    }
}

#[test]
fn of_two_copies_the_longer_one_counts_while_it_is_there() {
    let place = Place::new(&[(RIGHT, "cut"), (PACK, "whole")]);
    assert_eq!(place.length(PACK), Ok(3), "nothing is known of the other");
    place.list("p");
    assert_eq!(place.length(PACK), Ok(5));
    fs::remove_file(place.path(PACK)).unwrap();
    assert_eq!(place.length(PACK), Ok(3));
    place.obstruct(PACK);
    assert_eq!(place.length(PACK), Err(Errno::ISDIR));
    fs::remove_dir(place.path(PACK)).unwrap();
    place.list("p");
    place.obstruct(PACK);
    assert_eq!(place.length(PACK), Ok(3), "a listing forgets what is gone");
}

#[test]
fn after_a_search_the_longest_copy_is_tried_first() {
    let [long, short] = ["p0638/154a08df93c269693324852cef8c.f", "p06/3/8154a08df93c269693324852cef8c.f"];
    let place = || Place::new(&[(long, "whole"), (short, "cut")]);
    let find = |place: &Place, of_long: Errno| {
        let work = |path: &[u8]| {
            if path == long.as_bytes() { Err(of_long.into()) } else { file_length(&place.tree, path) }
        };
        let length = place.layout.find(&place.tree, &BlobId::new(PACK).unwrap(), work);
        length.map_err(|error| Errno::from_io_error(&error).unwrap())
    };
    assert_eq!(place().length(PACK), Ok(5));
    assert_eq!(find(&place(), Errno::NOENT), Ok(3), "it has vanished since it was found");
    assert_eq!(find(&place(), Errno::IO), Err(Errno::IO));
}

#[test]
fn what_is_listed_and_never_read_is_searched_for_once() {
    let place = Place::new(&[(PACK, "flat")]);
    let tries = AtomicUsize::new(0);
    let work = |_: &[u8]| {
        assert!(tries.fetch_add(1, Ordering::Relaxed) < 100, "it ends");
        Err::<(), _>(Errno::NOENT.into())
    };
    let error = place.layout.find(&place.tree, &BlobId::new(PACK).unwrap(), work).unwrap_err();
    assert!(is_absent(&error));
}

#[test]
fn an_error_where_only_a_listing_leads_is_no_absence() {
    let upper = PACK.to_ascii_uppercase();
    let place = Place::new(&[(&upper, "copied by a share")]);
    assert_eq!(place.length(PACK), Ok(17));
    fs::remove_file(place.path(&upper)).unwrap();
    place.obstruct(&upper);
    assert_eq!(place.length(PACK), Err(Errno::ISDIR));

    // At once after the search.
    let place = Place::new(&[(&upper, "copied by a share")]);
    let work =
        |path: &[u8]| Err::<(), _>(if path == upper.as_bytes() { Errno::IO } else { Errno::NOENT }.into());
    let error = place.layout.find(&place.tree, &BlobId::new(PACK).unwrap(), work).unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::IO));
}

/// A tree of which one path cannot be looked at, nor into, as often as is said.
#[derive(Debug)]
struct Refusing<'a> {
    tree: &'a LocalTree,
    refused: &'a str,
    error: io::ErrorKind,
    left: AtomicUsize,
}

impl Refusing<'_> {
    fn refuse(&self, path: &[u8]) -> io::Result<()> {
        let left = || {
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        match self.error {
            _ if path != self.refused.as_bytes() || !left() => Ok(()),
            io::ErrorKind::PermissionDenied => Err(not_permitted().into()),
            error => Err(error.into()),
        }
    }
}

/// What a server says of what may not be looked into.
fn not_permitted() -> Failure {
    Failure::NotPermitted {
        host: "nas".into(),
        action: "listing p99".into(),
        credentials: "KOPIA_WEBDAV_USERNAME".into(),
        right: None,
    }
}

impl DirectoryTree for Refusing<'_> {
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()> {
        self.refuse(directory)?;
        self.tree.list(directory, visit)
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        self.refuse(path)?;
        self.tree.stat(path)
    }

    fn listing_threads(&self, directories: usize) -> usize {
        self.tree.listing_threads(directories)
    }
}

#[test]
fn copies_are_asked_for_again_where_one_could_not_be_looked_at() {
    for (error, then) in [
        (io::ErrorKind::TimedOut, 2),
        (io::ErrorKind::PermissionDenied, 2),
        // What stays as it is.
        (io::ErrorKind::NotFound, 1),
        (io::ErrorKind::InvalidData, 1),
    ] {
        let place = Place::new(&[(RIGHT, "one"), (PACK, "two")]);
        place.list("p");
        let tree = Refusing { tree: &place.tree, refused: PACK, error, left: 1.into() };
        let copies = || place.layout.copies(&tree, &BlobId::new(PACK).unwrap()).len();
        assert_eq!((copies(), copies()), (1, then), "{error:?}");
    }
}

/// Asks for so many packs that are missing, of which none is in the directory `p99`, and returns why none is had.
fn missing(layout: &Layout, tree: &Refusing<'_>, count: usize) -> Vec<io::ErrorKind> {
    let one = |number| {
        let id = BlobId::new(&format!("p{number:032x}")).unwrap();
        layout.find(tree, &id, |_| Err::<(), _>(Errno::NOENT.into())).unwrap_err().kind()
    };
    (0..count).map(one).collect()
}

#[test]
fn what_may_not_be_listed_is_searched_for_some_times_and_then_not_known() {
    let place = Place::new(&[]);
    place.obstruct("p99");
    let error = io::ErrorKind::PermissionDenied;
    let tree = Refusing { tree: &place.tree, refused: "p99", error, left: usize::MAX.into() };
    let searched = MAX_FRUITLESS + MAX_UNLISTED;
    let why = missing(&place.layout, &tree, searched + 10);
    assert!(why[..searched].iter().all(|why| *why == io::ErrorKind::NotFound), "{why:?}");
    assert!(why[searched..].iter().all(|why| *why == error), "{why:?}");
    assert_eq!(usize::MAX - tree.left.load(Ordering::Relaxed), 1, "they are listed once");
    // What the server said is told each time: what to do about it depends on that.
    let find =
        || place.layout.find(&tree, &BlobId::new(PACK).unwrap(), |_| Err::<(), _>(Errno::NOENT.into()));
    for why in [find().unwrap_err(), find().unwrap_err()] {
        assert_eq!(Failure::of(&why), Some(&not_permitted()), "{why}");
    }
    assert_eq!(place.length(OTHER), Err(Errno::NOENT), "other kinds may be listed");
    assert!(place.layout.is_listed(&BlobId::new(OTHER).unwrap()));
}

#[test]
fn what_cannot_be_listed_for_now_is_listed_later() {
    for (failures, count) in [(1, 2), (2, 4), (3, 8)] {
        let place = Place::new(&[]);
        place.obstruct("p99");
        let error = io::ErrorKind::TimedOut;
        let tree = Refusing { tree: &place.tree, refused: "p99", error, left: failures.into() };
        let why = missing(&place.layout, &tree, count * MAX_FRUITLESS);
        assert!(why.iter().all(|why| *why == io::ErrorKind::NotFound), "{why:?}");
        let id = BlobId::new(PACK).unwrap();
        assert!(!place.layout.is_listed(&id), "{failures}");
        assert_eq!(missing(&place.layout, &tree, 1), [io::ErrorKind::NotFound]);
        assert!(place.layout.is_listed(&id), "{failures}");
    }
}

#[test]
fn forms_and_copies_are_bounded() {
    let layout = Layout::new(Shards::default());
    let forms = || (1..100).map(|length| Form { lengths: vec![length], extension: true }).collect();
    let count = || layout.forms.read().unwrap().len();
    layout.learn(Form::usual());
    assert_eq!(count(), Form::usual().len(), "each is kept once");
    layout.learn(forms());
    assert_eq!(count(), MAX_FORMS);
    layout.learn(forms());
    assert_eq!(count(), MAX_FORMS);

    let place = Place::new(&[(RIGHT, "")]);
    let id = BlobId::new(PACK).unwrap();
    let lengths = [&[4][..], &[5], &[6], &[7], &[1, 3], &[3, 3], &[]];
    for (number, lengths) in lengths.into_iter().enumerate() {
        for extension in [false, true] {
            let path = Form { lengths: lengths.into(), extension }.file(&id).unwrap();
            place.put(str::from_utf8(&path).unwrap(), &"x".repeat(number + 1));
        }
    }
    place.list("p");
    assert_eq!(place.layout.copies(&place.tree, &id).len(), MAX_COPIES);
}
