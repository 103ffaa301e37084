//! Reads [Kopia](https://kopia.io) repositories without kopia and restores snapshots at the speed of the
//! hardware.
//!
//! No kopia binary, no connect step, no configuration, no cache: a directory and a password. Repositories
//! are only ever read. This crate holds no code of its own; it gathers what the crates below it offer and is
//! the guide to them.
//!
//! # From a directory to a restored tree
//!
//! ```
//! use kopia_rs::{FilesystemStore, Password, Repository, restore};
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/tricky/repo");
//! # let scratch = tempfile::tempdir()?;
//! # let target = scratch.path().join("restored");
//! let store = FilesystemStore::open(directory)?;
//! let repository = Repository::open(store, &Password::new("golden"))?;
//! for snapshot in &repository.snapshots()? {
//!     println!("{} {} {}", snapshot.id(), snapshot.source(), snapshot.start_time());
//! }
//!
//! let snapshots = repository.snapshots()?;
//! let newest = snapshots.latest(&"mover@volsync-system:/data".parse()?)?;
//! let outcome = restore::restore(&newest.root()?, &target, &restore::Options::default())?;
//! assert!(outcome.problems.is_empty());
//! # assert!(outcome.files > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`restore::restore`] returns `Err` if nothing, or no more, could be restored. Damage that concerns single
//! entries costs only these: they are listed in [`restore::Outcome::problems`], each with its path and a
//! [`restore::Reason`] to match on, such as the content, blob and offset that cannot be read ([`Defect`]), or
//! what the system refused. What is restored appears in the target only when it is whole.
//! [`restore::Options`] default to what is safe, and a [`restore::Observer`] watches while it runs. The same
//! call takes up what a killed process left, and turns a tree that has changed since back into the snapshot,
//! writing only what differs; [`restore::preview`] says what it would do. A [`restore::Plan`] says beforehand
//! how many files, bytes, packs and ranges there are to be read, and runs to the same end.
//!
//! # Wherever it is
//!
//! [`connection`] reads what a user of kopia has: the configuration that kopia wrote, a token, a URL.
//! [`connect`](fn@connect) opens what it says. Neither looks at variables or the home directory unless it is
//! given them as an [`Environment`](connection::Environment). All calls block, and may come from within an
//! asynchronous runtime: what is asynchronous inside has threads of its own. A store that is not there is an
//! implementation of [`BlobStore`](storage::BlobStore), or of the four functions of
//! [`PlainStore`](storage::PlainStore): `examples/own-store` has one on top of `object_store`, in 40 lines.
//!
//! ```
//! use kopia_rs::connect::{Opened, Options};
//! use kopia_rs::connection::{Connection, Environment, places};
//! use kopia_rs::{OpenOptions, Password, Repository, connect};
//!
//! let bucket = Connection::parse("s3://backups/laptop/?endpoint=minio.lan:9000")?;
//! assert_eq!(bucket.location(), "s3://backups/laptop/ at minio.lan:9000");
//!
//! // What kopia is connected to, wherever that is.
//! let environment = Environment::of_process();
//! for place in places::find(&environment) {
//!     println!("{} {}", place.file.display(), place.read()?.location());
//! }
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! let mut connection = Connection::parse(folder)?;
//! connection.password = Some(Password::new("golden"));
//! let mut options = Options::default();
//! options.environment = environment;
//! let repository = match connect(&connection, &options)? {
//!     Opened::Blobs(store) => Repository::open(store, &connection.password.ok_or("no password")?)?,
//!     Opened::Contents(server) => Repository::open_server(server, &OpenOptions::default())?,
//!     _ => return Err("another kind".into()),
//! };
//! # assert!(repository.snapshots()?.iter().next().is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Over a network, what counts is how many round trips wait for each other, so much is asked for at once:
//! lists, index blobs, the directories of a level, and packs in ranges of 4 MiB. A
//! [`CachedStore`](storage::CachedStore) keeps indexes and directories on the local disk, for programs that open the
//! same repository again and again.
//!
//! # What lies in an archive
//!
//! Some storage classes give their bytes only after somebody has asked for them, hours later. A
//! [`Plan`](restore::Plan) finds the packs that stand in the way of a restore, and
//! [`ColdBlobs`](cold::ColdBlobs) asks for exactly these. Where even opening fails for that reason
//! ([`Error::cold_blob`]), [`ColdBlobs::to_open`](cold::ColdBlobs::to_open) finds what it needs. Nothing is
//! asked for by itself.
//!
//! ```
//! use kopia_rs::storage::ThawSpeed;
//! use kopia_rs::{FilesystemStore, Password, Repository, restore};
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let root = repository.snapshots()?.latest(&"app@media:/data".parse()?)?.root()?;
//! let plan = restore::Plan::new(&root, &restore::Options::default())?;
//! let mut cold = plan.cold()?;
//! for class in cold.classes() {
//!     println!("{} packs of {} bytes in {}", class.blobs, class.bytes, class.class);
//! }
//! if !cold.is_empty() {
//!     cold.thaw(repository.store(), ThawSpeed::Bulk, 7)?;
//!     // Some hours later, and not only once: what can be read by then is dropped.
//!     cold.look(repository.store())?;
//! }
//! // Of directories that lay in the archive, the packs of files are found once they can be read.
//! assert!(plan.cold()?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading without restoring
//!
//! An [`Entry`] is a file, directory or link that knows its repository, so it can be read wherever it goes:
//! entries and all other handles are `Clone + Send + Sync + 'static`. An open file is `Read + Seek`, and
//! [`read_at`](ObjectReader::read_at) serves many threads at once. What is read front to back is decoded ahead on
//! all cores; what readers jump to, and directories that are asked for again, are kept for all of them, within
//! [`Resources`].
//!
//! ```
//! use std::io::Read;
//!
//! use kopia_rs::{EntryKind, FilesystemStore, Password, Repository};
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let snapshots = repository.snapshots()?;
//! let root = snapshots.latest(&"app@media:/data".parse()?)?.root()?;
//! for entry in root.directory()?.entries {
//!     if entry.kind() == EntryKind::File {
//!         println!("{:>12} {:04o} {}", entry.size(), entry.mode(), entry.name());
//!     }
//! }
//!
//! let mut text = String::new();
//! root.at("hello.txt")?.open()?.read_to_string(&mut text)?;
//! assert!(!text.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # An archive instead of a directory
//!
//! [`export`](fn@export::export) writes a tar (plain, or compressed by zstd or gzip) or a zip to anything that
//! takes bytes, with names, modes, owners, times and links as a restore makes them. Damage never breaks the
//! archive: a file's bytes are known before its header is written, and one that cannot be had is left out and
//! named.
//!
//! ```
//! use kopia_rs::export::{Format, Options, export};
//! use kopia_rs::{FilesystemStore, Password, Repository};
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let root = repository.snapshots()?.latest(&"app@media:/data".parse()?)?.root()?;
//! let mut options = Options::default();
//! options.format = Format::TarGz;
//! let mut archive = Vec::new();
//! let outcome = export(&root, &mut archive, &options, &())?;
//! for problem in &outcome.problems {
//!     eprintln!("{problem}");
//! }
//! assert_eq!(outcome.archive_bytes, archive.len() as u64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Only some of it
//!
//! Patterns in the syntax of gitignore(5) say what a restore, an export or a walk takes ([`choice`]). What is not
//! chosen is no extra either: a restore that deletes extras leaves it alone.
//!
//! ```
//! use kopia_rs::choice::Choice;
//! use kopia_rs::{FilesystemStore, Password, Repository, restore};
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! # let scratch = tempfile::tempdir()?;
//! # let target = scratch.path().join("restored");
//! let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let root = repository.snapshots()?.iter().next().ok_or("no snapshot")?.root()?;
//! let mut choice = Choice::default();
//! choice.include("*.txt", false)?;
//! choice.exclude("/cache/", false)?;
//! let mut options = restore::Options::default();
//! options.chosen = Some(choice.among([&root])?);
//! let outcome = restore::restore(&root, &target, &options)?;
//! println!("{} files; {} entries were left out", outcome.files, outcome.left_out);
//! # assert!(outcome.files > 0 && outcome.left_out > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Naming things as people do
//!
//! [`Repository::select`] understands what the command understands: `latest`, `latest~2`, `user@host:/path`, a
//! path or another part of a source, ids, the beginning of an id, each with a path below, and a point in time.
//!
//! ```
//! use kopia_rs::select::{At, Query};
//! use kopia_rs::{FilesystemStore, Password, Repository};
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let february = repository.select(&Query {
//!     name: "app@media:/data/hello.txt",
//!     at: Some(At::Before("2026-03-01T00:00:00Z".parse()?)),
//!     ..Query::default()
//! })?;
//! // The only snapshot of the source with this very path is newer than that; one of `/data` has the file, too.
//! assert_eq!(february.snapshot.map(|snapshot| snapshot.source().to_string()), Some("app@media:/data".into()));
//! assert_eq!(february.path, "hello.txt");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When it cannot be read
//!
//! [`Error`] says what a caller may do about it: nothing there, wrong password, corrupt (with blob and
//! offset), unsupported, not found or ambiguous (with what there is instead), and failures of the
//! [`storage`].
//!
//! ```
//! use kopia_rs::{Error, FilesystemStore, Password, Repository};
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! match Repository::open(FilesystemStore::open(directory)?, &Password::new("guess")) {
//!     Err(Error::WrongPassword { location }) => println!("{location}: try again"),
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Why it cannot be read, and what to change
//!
//! [`diagnosis`] looks at the local system around a repository: it finds repositories one level above or
//! below, what is not mounted, which ids may read, a password with a line break too many. It returns values;
//! texts are made of them for a person at a terminal, or for the log of a pod.
//!
//! ```
//! use kopia_rs::diagnosis::{Audience, Effort, Finding, LocalPath, OpenFailure, explain};
//! use kopia_rs::{FilesystemStore, Password, Repository};
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! let password = Password::new("golden\n");
//! let store = FilesystemStore::open(directory)?;
//! if let Err(error) = Repository::open(FilesystemStore::open(directory)?, &password) {
//!     let path = LocalPath::look(directory.as_ref());
//!     let mut failure = OpenFailure::new(&path, &error);
//!     failure.store = Some(&store);
//!     failure.password = Some(&password);
//!     let findings = explain(failure, Effort::Hint);
//!     assert!(matches!(findings[0], Finding::WrongPassword { variant: Some(_), .. }));
//!     println!("{}", findings[0].sentence(Audience::Terminal));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//!
//! | crate | what |
//! |---|---|
//! | `kopia-format` | bytes into validated values |
//! | `kopia-codec` | keys, ciphers, hashes, compression, error correction |
//! | `kopia-storage`, here [`storage`] | blobs and where they are |
//! | `kopia-connection`, here [`connection`] | configurations, tokens, URLs, variables: where a repository is |
//! | `kopia-remote`, here [`connect`](mod@connect) | stores over networks |
//! | `kopia-repository`, here at the top and in [`select`], [`tree`], [`owners`] | opening, looking up, reading, walking |
//! | `kopia-restore`, here [`restore`] | planning and writing to the local system |
//! | `kopia-export`, here [`export`](mod@export) | archives, written to whatever takes bytes |
//! | `kopia-serve`, here `serve` | pages for a browser, and WebDAV |
//! | `kopia-browse`, here `browse` with the feature `browse` | snapshots on a terminal |
//! | `kopia-mount`, here `mount` with the feature `mount` | snapshots as a file system of Linux |
//! | `kopia-diagnosis`, here [`diagnosis`] | why something cannot be done, and what to change |
//!
//! Features: `native` (default) takes C libraries for encryption and compression; `pure-rust` needs no C
//! compiler and is slower; `networks` (default, implies `native`) takes all of `s3`, `gcs`, `azure`, `b2`,
//! `gdrive`, `webdav`, `rclone`, `sftp` and `server`, which can also be taken one by one; `key-ring` adds
//! `connect::key_ring`: passwords that kopia stored in the key ring of the system; `serve` adds `serve`:
//! snapshots in a web browser and by WebDAV; `browse` adds `browse`: snapshots on a terminal; `mount` adds `mount`, on Linux; `testing` adds
//! `storage::testing`: stores that count and fail, and the test that every store must pass.

pub use kopia_codec::key::Password;
pub use kopia_format::directory::{EntryKind, FailedEntry, Refusal, Refused, Summary};
pub use kopia_format::format_blob::{BlobRetention, EpochParameters};
pub use kopia_format::snapshot::{SnapshotManifest, Source, Stats};
pub use kopia_format::stub::{Stub, StubKind};
pub use kopia_format::{BlobId, ContentId, Error as FormatError, ObjectId, Timestamp};
pub use kopia_remote::connect;
pub use kopia_repository::object::{Chunk, ObjectReader};
pub use kopia_repository::{
    ContentInfo, ContentLocation, Defect, Directory, Entry, Error, FormatBlob, MissingPack, OpenOptions,
    Repository, Resources, Result, Shard, Snapshot, Snapshots, Status, Traffic, Trail, Unreadable, Upkeep,
};
pub use kopia_storage::FilesystemStore;

/// How kopia and people write down where a repository is: configurations, tokens, URLs, variables.
pub mod connection {
    pub use kopia_connection::*;
}

/// How [`connect`](fn@connect) opens, and what.
pub mod connect {
    #[cfg(feature = "key-ring")]
    pub use kopia_remote::key_ring;
    pub use kopia_remote::{Opened, Options, Patience, survey};
}

/// Blobs and where they are stored.
pub mod storage {
    pub use kopia_storage::*;
}

/// The one blob that everything begins with, and its replicas.
pub mod format_blob {
    pub use kopia_repository::format_blob::*;
}

/// How often maintenance is to run, and when it ran.
pub mod maintenance {
    pub use kopia_format::maintenance::*;
}

/// Manifests: what is known of each snapshot, policy and whatever else kopia writes down.
pub mod manifest {
    pub use kopia_format::manifest::{Manifest, TYPE_LABEL, TYPE_SNAPSHOT};
}

/// What a directory has in it, and the walk over a whole tree.
pub mod tree {
    pub use kopia_repository::tree::{
        Clash, CurrentPath, Directory, FoldName, MAX_WAITING, MAX_WAITING_NAMES, Order, Problem, Visitor,
        Walk, Walked,
    };
}

/// Which entries below a root are taken, by patterns in the syntax of gitignore(5).
pub mod choice {
    pub use kopia_repository::choice::*;
}

/// What differs between entries and between trees.
pub mod compare {
    pub use kopia_repository::compare::*;
}

/// What lay at a path, snapshot by snapshot.
pub mod history {
    pub use kopia_repository::history::*;
}

/// Entries by name, size, time or kind, in one snapshot or in many.
pub mod search {
    pub use kopia_repository::search::*;
}

/// From what a person types to the entry that is meant.
pub mod select {
    pub use kopia_repository::select::{At, Filter, Pick, Query, Selection, Tag};
}

/// Other numbers for the owners that a snapshot has.
pub mod owners {
    pub use kopia_repository::owners::*;
}

/// What has to be fetched from an archive before it can be read.
pub mod cold {
    pub use kopia_repository::cold::*;
}

/// Packs that no index names, and whether the list of snapshots is whole.
pub mod unindexed {
    pub use kopia_repository::unindexed::*;
}

/// How much there is in trees, and what it takes in the repository.
pub mod usage {
    pub use kopia_repository::usage::*;
}

/// Proving what can be restored: [`Repository::verify`], [`Repository::verify_entry`] and, for several entries at
/// once, [`Repository::verify_entries`].
pub mod verify {
    pub use kopia_repository::Shard;
    pub use kopia_repository::verify::*;
}

/// Why a repository cannot be opened, a snapshot not found or a target not written, and what to change.
pub mod diagnosis {
    pub use kopia_diagnosis::*;
}

/// Archives of snapshots: tar and zip.
pub mod export {
    pub use kopia_export::*;
}

/// Snapshots in a web browser and by WebDAV.
#[cfg(feature = "serve")]
pub mod serve {
    pub use kopia_serve::*;
}

/// Snapshots on a terminal.
#[cfg(feature = "browse")]
pub mod browse {
    pub use kopia_browse::*;
}

/// Snapshots as a read-only file system.
#[cfg(all(feature = "mount", target_os = "linux"))]
pub mod mount {
    pub use kopia_mount::*;
}

/// Restoring to a directory of the local system.
pub mod restore {
    pub use kopia_restore::{
        Access, Action, Attribute, Change, Device, DeviceOptions, DeviceOutcome, Durability, Error, Existing,
        Figures, FilesFound, FoldedNames, KeptFolder, KeptState, LostRange, NameHolder, NotDeleted, Notes,
        Observer, Operation, Options, Outcome, PageCache, Plan, Portion, Preceding, Preview, Problem, Reason,
        Result, Salvaged, Signature, SystemError, Undone, Unfit, all_kept, close_checked, compare, find_kept,
        folded_names, is_outside, only_file, preview, restore, restore_observed, restore_to_device,
        size_on_device, true_size,
    };
}

/// The guide: how the command is used, and what it promises.
pub mod guide {
    /// Commands for every day.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/everyday.md")]
    pub mod everyday {}

    /// Builds, and what they have.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/installing.md")]
    pub mod installing {}

    /// Where a repository is, and its password.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/repositories.md")]
    pub mod repositories {}

    /// What a restore does to a target, and what can be chosen.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/restoring.md")]
    pub mod restoring {}

    /// `verify` and `doctor`, and damaged repositories.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/checking.md")]
    pub mod checking {}

    /// Snapshots in a web browser and by WebDAV.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/serve.md")]
    pub mod serve {}

    /// Snapshots on the terminal.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/browse.md")]
    pub mod browse {}

    /// Snapshots as folders.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/mount.md")]
    pub mod mount {}

    /// Completion, manual pages, progress, passwords.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/terminal.md")]
    pub mod terminal {}

    /// What lies in an archive and has to be fetched first.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/cold-storage.md")]
    pub mod cold_storage {}

    /// What those who know kopia, restic or rustic type.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/coming-from.md")]
    pub mod coming_from {}

    /// What operators that run a `kopia` get from `kopia-rs kopia`.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/kopia-words.md")]
    pub mod kopia_words {}

    /// Files to block devices, and raw images.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/disks.md")]
    pub mod disks {}

    /// Volumes that Velero backed up.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/velero.md")]
    pub mod velero {}

    /// All commands and options.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/reference.md")]
    pub mod reference {}

    /// What programs read.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/json.md")]
    pub mod json {}

    /// What is read, and what is restored.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/format.md")]
    pub mod format {}

    /// VolSync's mover.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/movers.md")]
    pub mod movers {}

    /// The library.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/library.md")]
    pub mod library {}

    /// Measured, beside other tools.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/speed.md")]
    pub mod speed {}

    /// What is trusted, and what is promised.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/security.md")]
    pub mod security {}

    /// How it is tested.
    ///
    #[doc = include_str!("../guide/links.md")]
    #[doc = include_str!("../guide/testing.md")]
    pub mod testing {}
}
