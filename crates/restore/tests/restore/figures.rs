//! What a plan says before anything is restored, against what the store sees read; and that planning only
//! looks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_repository::cold::Step;
use kopia_repository::{Entry, Repository};
use kopia_restore::{Options, Plan};
use kopia_storage::testing::counting::Calls;
use kopia_storage::testing::{ArchivingStore, CountingStore};
use kopia_storage::{BlobStore, FilesystemStore};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

use crate::common::{Place, file, folder, link};

/// Names the repository that the run of a test under strace plans to restore.
const TRACED: &str = "KOPIA_RS_TEST_PLAN_OF";

/// Writes all kinds of entries: small files, of which some are the same, empty ones, links, nested
/// directories, large files.
fn everything(writer: &mut RepositoryWriter) -> Value {
    let mut entries = Vec::new();
    for number in 0..300_u32 {
        // Every third has the bytes of another one.
        let bytes = vec![(number % 100) as u8; 500 + number as usize % 100];
        let object = writer.file(&bytes);
        entries.push(file(&format!("f{number}"), &object, bytes.len()));
    }
    let empty = writer.file(b"");
    entries.push(file("empty", &empty, 0));
    let target = writer.file(b"f1");
    entries.push(link("link", &target));
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number / 5000) as u8).collect();
    let large = writer.file(&bytes);
    entries.push(file("large", &large, bytes.len()));
    let nothing = writer.directory(&[]);
    let inner = writer.directory(&[folder("empty", &nothing), file("f", &target, 2)]);
    entries.push(folder("inner", &inner));
    folder("data", &writer.directory(&entries))
}

/// Writes them to a repository, large files in pieces, and opens the root.
fn written(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4096);
    let data = everything(&mut writer);
    writer.snapshot("app@host:/data", data);
    place.finish("repo", writer)
}

fn root(repository: &Repository) -> Entry {
    repository.snapshots().unwrap().iter().next().unwrap().root().unwrap()
}

#[test]
fn a_plan_says_what_the_store_sees_read() {
    let place = Place::new();
    written(&place);
    let store = Arc::new(CountingStore::new(FilesystemStore::open(place.path("repo")).unwrap()));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let root = root(&repository);
    for verify_hashes in [false, true] {
        let mut options = Options::default();
        options.verify_hashes = verify_hashes;
        let plan = Plan::new(&root, &options).unwrap();
        let figures = plan.figures().unwrap();
        store.take();
        let outcome = plan.to_directory(place.path(&format!("to-{verify_hashes}")), &()).unwrap();
        let read = store.take();
        let reads: Vec<_> = read.ranges.iter().filter(|range| range.blob.as_str().starts_with('p')).collect();
        let bytes: u64 = reads.iter().map(|range| range.length as u64).sum();
        assert_eq!((figures.ranges, figures.bytes_to_read), (reads.len() as u64, bytes));
        let mut packs = BTreeMap::new();
        for range in &reads {
            let (ranges, bytes) = packs.entry(range.blob.clone()).or_default();
            (*ranges, *bytes) = (*ranges + 1, *bytes + range.length as u64);
        }
        assert_eq!(figures.packs, packs.len() as u64);
        let planned = plan.packs(&figures).unwrap();
        let planned: Vec<_> =
            planned.into_iter().map(|pack| (pack.blob, (pack.ranges, pack.bytes))).collect();
        assert_eq!(planned, packs.into_iter().collect::<Vec<_>>());
        assert!(figures.ranges > 0 && figures.bytes_to_read > 0);
        assert_eq!(figures.problem_count, 0);
        let said = (figures.files, figures.directories, figures.symlinks, figures.bytes);
        assert_eq!(said, (outcome.files, outcome.directories, outcome.symlinks, outcome.bytes));
        assert_eq!(outcome.bytes_there(), outcome.bytes);
    }
}

#[test]
fn directories_and_lists_are_counted_as_the_store_sees_them_read() {
    let place = Place::new();
    written(&place);
    // Each looks at what no other has in its cache.
    let open = || {
        let store = Arc::new(CountingStore::new(FilesystemStore::open(place.path("repo")).unwrap()));
        let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
        let plan = Plan::new(&root(&repository), &Options::default()).unwrap();
        (store, repository, plan)
    };
    let (store, repository, plan) = open();
    let calls = store.take();
    let bytes = |calls: &Calls| {
        let whole = calls.whole.iter().map(|blob| store.length(blob).unwrap());
        let ranges = calls.ranges.iter().map(|range| range.length as u64);
        whole.chain(ranges).sum::<u64>()
    };
    let traffic = repository.traffic();
    let seen = (calls.lists.len() as u64, (calls.whole.len() + calls.ranges.len()) as u64, bytes(&calls));
    assert_eq!((traffic.listings, traffic.reads, traffic.bytes), seen);
    let figures = plan.figures().unwrap();
    let (store, _, plan) = open();
    store.take();
    plan.to_directory(place.path("to"), &()).unwrap();
    let mut calls = store.take();
    calls.ranges.retain(|range| !range.blob.as_str().starts_with('p'));
    assert!(calls.whole.is_empty() && calls.lists.is_empty());
    let seen = (calls.ranges.len() as u64, bytes(&calls));
    assert_eq!((figures.metadata_reads, figures.metadata_bytes), seen);
    assert!(figures.metadata_reads > 0);
}

/// Opens a repository all of whose packs of files lie in an archive.
fn archived(place: &Place) -> (Arc<ArchivingStore<FilesystemStore>>, Entry) {
    written(place);
    let store = Arc::new(ArchivingStore::new(FilesystemStore::open(place.path("repo")).unwrap()));
    let root = root(&Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap());
    store.archive("p").unwrap();
    (store, root)
}

#[test]
fn a_plan_finds_exactly_what_lies_in_the_archive() {
    let place = Place::new();
    let (store, root) = archived(&place);
    for entry in [root.clone(), root.at("large").unwrap(), root.at("inner").unwrap()] {
        let plan = Plan::new(&entry, &Options::default()).unwrap();
        let (figures, cold) = (plan.figures().unwrap(), plan.cold().unwrap());
        assert_eq!((cold.step(), cold.blobs().len() as u64), (Step::Files, figures.packs));
        assert_eq!(cold, plan.cold_of(&figures).unwrap());
    }
    let plan = Plan::new(&root, &Options::default()).unwrap();
    store.archive("q").unwrap();
    Plan::new(&root, &Options::default()).unwrap_err();
    // What holds directories comes first.
    let cold = plan.cold().unwrap();
    assert_eq!(cold.step(), Step::Directories);
    assert!(cold.blobs().iter().all(|frozen| frozen.blob.info.id.as_str().starts_with('q')));
    assert!(store.asked().is_empty(), "nothing is asked for by itself");
}

#[test]
fn what_is_lost_is_no_file_and_is_named() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let here = writer.file(b"here");
        let gone = "0123456789abcdef0123456789abcdef";
        let pieces = json!([{"s": 0, "l": 4, "o": here}, {"s": 4, "l": 4, "o": gone}]);
        let list = json!({"stream": "kopia:indirect", "entries": pieces}).to_string();
        let large = format!("I{}", writer.object(Some('x'), list.as_bytes()));
        let lost = folder("lost", &format!("k{gone}"));
        let entries = [file("gone", gone, 4), file("here", &here, 4), file("large", &large, 8), lost];
        folder("data", &writer.directory(&entries))
    });
    let figures = Plan::new(&root, &Options::default()).unwrap().figures().unwrap();
    let mut paths: Vec<_> = figures.problems.iter().map(|problem| &*problem.path).collect();
    paths.sort();
    assert_eq!((figures.files, figures.problem_count, paths), (1, 3, vec!["gone", "large", "lost"]));
    assert_eq!((figures.partial_files, figures.partial_bytes), (1, 8), "half of one is there");
}

#[test]
fn a_single_file_has_figures() {
    let place = Place::new();
    let root = written(&place);
    let figures = Plan::new(&root.at("large").unwrap(), &Options::default()).unwrap().figures().unwrap();
    assert_eq!((figures.files, figures.symlinks, figures.bytes), (1, 0, 100_000));
}

/// System calls that may change something, by themselves or by a flag.
const WRITING: [&str; 16] = [
    "O_WRONLY",
    "O_RDWR",
    "O_CREAT",
    "O_TRUNC",
    "mkdir",
    "unlink",
    "rename",
    "chmod",
    "chown",
    "utimens",
    "truncate",
    "fallocate",
    "link(",
    "linkat(",
    "mknod",
    "xattr(",
];

#[test]
fn a_plan_without_a_target_makes_no_system_call_that_writes() {
    if let Some(repository) = std::env::var_os(TRACED) {
        return plan_alone(Path::new(&repository));
    }
    if Command::new("strace").arg("--version").output().is_err() {
        return kopia_testkit::facilities::left_out("strace is not on PATH");
    }
    let place = Place::new();
    written(&place);
    let (log, marks): (PathBuf, _) = (place.path("log"), ["begin-of-the-plan", "end-of-the-plan"]);
    let status = Command::new("strace")
        .args(["-f", "-qq", "-s", "4096", "-e", "trace=%file,%desc", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "figures::a_plan_without_a_target_makes_no_system_call_that_writes", "--nocapture"])
        .env(TRACED, place.path("repo"))
        .status()
        .unwrap();
    assert!(status.success());
    let log = fs::read_to_string(&log).unwrap();
    let within = log.split(marks[0]).nth(1).unwrap().split(marks[1]).next().unwrap();
    assert!(within.lines().count() > 3 && within.contains("pread"), "the trace shows the plan: {within}");
    let writes: Vec<_> = within
        .lines()
        .filter(|line| {
            WRITING.iter().any(|call| line.contains(call))
                || line.contains(" write(")
                || line.contains("pwrite")
        })
        .collect();
    assert!(writes.is_empty(), "{writes:#?}");
}

/// Plans between two calls that the trace shows.
fn plan_alone(repository: &Path) {
    let store = FilesystemStore::open(repository).unwrap();
    let root = root(&Repository::open(store, &Password::from(PASSWORD)).unwrap());
    assert!(!Path::new("/begin-of-the-plan").exists());
    let figures = Plan::new(&root, &Options::default()).unwrap().figures().unwrap();
    assert!(!Path::new("/end-of-the-plan").exists());
    assert_eq!(figures.files, 303);
}

#[test]
fn rooms_that_plan_and_decide_import_none_that_works() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for room in ["plan", "decide"] {
        let mut files = vec![source.join(format!("{room}.rs"))];
        let mut directories = vec![source.join(room)];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { &mut directories } else { &mut files }.push(path);
            }
        }
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for forbidden in [
                "execute::",
                "unlinkat(",
                "renameat(",
                "mkdirat(",
                "remove_tree(",
                "fchmod(",
                "open_to_change(",
            ] {
                assert!(!text.contains(forbidden), "{} has {forbidden}", file.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} files");
}
