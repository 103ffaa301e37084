use std::thread;

use kopia_format::ContentId;
use kopia_format::format_blob::RepositoryFormat;
use kopia_storage::testing::CountingStore;
use kopia_storage::{BlobStore, MemoryStore};
use kopia_testkit::writer::RepositoryWriter;

use super::*;
use crate::index::table::tests::{Row, index};
use crate::parallel::Cores;

const KEY: &[u8] = &[0, 0xaa, 0xbb];
const OTHER: &[u8] = &[0, 0xcc, 0xdd];

/// The keys that the test kit's writer takes.
pub(super) fn sealing() -> Sealing {
    let key = format!("{}Bwc=", "BwcH".repeat(10));
    let json = format!(
        r#"{{"format":{{"hash":"BLAKE2B-256-128","encryption":"AES256-GCM-HMAC-SHA256","version":3,
            "secret":"{key}","masterKey":"{key}"}}}}"#
    );
    Sealing::new(&RepositoryFormat::parse(json.as_bytes()).unwrap()).unwrap()
}

/// Index blobs of these rows each, named in their order so that it does not depend on their hashes.
fn store(blobs: &[&[Row<'_>]]) -> MemoryStore {
    let writer = RepositoryWriter::new();
    let seal = |(number, rows): (usize, &&[Row<'_>])| {
        let (name, bytes) = writer.seal_index(&index(rows));
        (name.replace("xn0_", &format!("xn0_{number}")).parse().unwrap(), bytes)
    };
    blobs.iter().enumerate().map(seal).collect()
}

/// Loads with the blobs of these numbers read ahead.
fn load_ahead(store: &dyn BlobStore, ahead: &[usize]) -> Result<Indexes> {
    load(store, ahead, true)
}

fn load(store: &dyn BlobStore, ahead: &[usize], epochs: bool) -> Result<Indexes> {
    let feed = Feed::new(store, &BUDGET);
    thread::scope(|scope| {
        let _closing = feed.closing();
        let listing = Listing::read(store).unwrap();
        feed.guess(ahead.iter().map(|&number| listing.epochs[number].clone()).collect());
        feed.start_readers(scope);
        let rules = Rules { epochs, degraded: false, deleted: false };
        let (sealing, cores, known) = (&sealing(), &Cores::start(None)?, &PackNames::default());
        let loader = Loader { feed: &feed, scope, sealing, cores, rules, known, directory: None };
        Ok(loader.load(listing)?.0)
    })
}

#[test]
fn it_makes_no_difference_which_blobs_were_read_ahead() {
    let blobs: [&[Row<'_>]; 3] = [
        &[(KEY, 6, false, "p1", 1), (OTHER, 1, false, "p1", 11)],
        &[(KEY, 5, false, "p2", 2), (OTHER, 2, true, "p2", 12)],
        &[(KEY, 6, false, "p0", 3), (OTHER, 2, false, "p2", 13)],
    ];
    let store = CountingStore::new(store(&blobs));
    for ahead in [&[][..], &[0], &[1], &[2], &[0, 1], &[1, 2], &[2, 1, 0]] {
        store.take();
        let indexes = load_ahead(&store, ahead).unwrap();
        let offset = |key| indexes.table.find(&ContentId::from_key(key).unwrap()).unwrap().offset;
        assert_eq!((offset(KEY), offset(OTHER)), (1, 13), "{ahead:?} were read ahead");
        assert_eq!((indexes.blobs, indexes.table.totals().contents), (3, 2));
        assert_eq!(store.calls().whole.len(), 3, "each is read once");
    }
}

#[test]
fn without_epochs_what_was_deleted_may_be_gone_once_indexes_were_compacted() {
    let writer = RepositoryWriter::new();
    let blob = |prefix: &str, bytes: &[u8]| {
        let (name, bytes) = writer.seal_index(bytes);
        (name.replace("xn0_", prefix).parse().unwrap(), bytes)
    };
    let index = index(&[(KEY, 1_000_000, false, "p1", 1)]);
    let (plain, of_epoch, log) = (blob("n", &index), blob("xn0_", &index), blob("m", b"{}"));
    for (epochs, has_log, expected) in
        [(false, false, None), (false, true, Some(1_000_000 - 86_400)), (true, true, None)]
    {
        let store: MemoryStore =
            [&plain, &of_epoch].into_iter().chain(has_log.then_some(&log)).cloned().collect();
        assert_eq!(load(&store, &[], epochs).unwrap().dropped_until, expected, "{epochs} {has_log}");
    }
}

#[test]
fn what_probably_counts() {
    let list = |names: &str| {
        let whole = |name: &str| {
            let length = if name.starts_with(['n', 'm']) { 31 } else { 0 };
            format!("{name}{}", "0".repeat(length))
        };
        let names =
            names.split_whitespace().map(whole).chain(["notes", "n1", "me", "n-s1"].map(String::from));
        let ids = names.map(|name| (name.parse().unwrap(), vec![0; name.len()]));
        Listing::read(&ids.collect::<MemoryStore>()).unwrap()
    };
    for (listed, expected) in [
        ("xn0_a xn0_b n1 m1", "xn0_a xn0_b"),
        ("xe2 xn0_a xs0_b xn1_c n1", "xn1_c xs0_b"),
        ("xw5 xe1 n2 n1 m1", "m1 n1 n2"),
        ("p1 kopia.repository", ""),
    ] {
        let likely = list(listed).likely();
        assert!(likely.iter().all(|blob| blob.length == blob.id.as_str().len() as u64));
        let names: Vec<_> =
            likely.iter().map(|blob| blob.id.as_str().trim_end_matches(&"0".repeat(31))).collect();
        assert_eq!(names.join(" "), expected, "of {listed}");
    }
}

#[test]
fn an_error_of_a_blob_read_ahead_counts_if_the_blob_does() {
    let store = store(&[&[(KEY, 6, false, "p1", 1)], &[(OTHER, 6, false, "p1", 1)]]);
    let listed = store.list("x").unwrap();
    store.insert(listed[1].id.clone(), vec![0; 50]);
    for ahead in [&[][..], &[0], &[1]] {
        let error = load_ahead(&store, ahead).unwrap_err().to_string();
        assert!(error.contains(listed[1].id.as_str()) && error.contains("corrupt"), "{error}");
    }
}
