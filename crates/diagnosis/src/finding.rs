//! What was found, as values. Their texts stand in [`text`](crate::text).

mod hint;
mod store_hint;

use std::path::PathBuf;

use kopia_format::snapshot::Source;
use serde::Serialize;

use crate::access::Refusals;
use crate::around::StorePlace;
use crate::class::Class;
use crate::identity::Identity;
use crate::neighbours::Neighbour;
use crate::password::{PasswordSource, Variant};
use crate::remote::Backend;
use crate::replicas::Replicas;
use crate::serialize::{path, text};
use crate::velero::NamespaceRepository;
pub use hint::{BeforeResume, Hint};
pub use store_hint::StoreHint;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Weight {
    /// It is why something cannot be done.
    Problem,
    /// It is worth knowing.
    Note,
}

/// One thing that was found. Lists of findings begin with the most likely cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Finding {
    /// Repositories lie above, below or beside the location, which holds none.
    Elsewhere {
        /// The location.
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// Whether the location does not exist at all.
        missing: bool,
        /// Nearest first.
        found: Vec<Neighbour>,
        /// Further ones, which are not listed.
        more: usize,
    },
    /// There is nothing at the location.
    Missing {
        /// The location.
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// The nearest ancestor that exists.
        #[serde(serialize_with = "path")]
        existing: PathBuf,
        /// Whether that lies in a volume; `None` where the system does not tell.
        in_volume: Option<bool>,
    },
    /// The location is no directory.
    #[serde(rename = "notAFolder")]
    NotADirectory {
        /// The location.
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// What it is, such as `file`.
        what: &'static str,
    },
    /// Directories or files refuse this process.
    Refused(Refusals),
    /// The location is empty and no mount point: what should be mounted there is not.
    NotMounted {
        /// The location.
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// The nearest path that exists.
        #[serde(serialize_with = "path")]
        existing: PathBuf,
    },
    /// The location is a mount point and empty.
    EmptyMount {
        /// The nearest path that exists.
        #[serde(serialize_with = "path")]
        existing: PathBuf,
        /// What is mounted, such as `server:/export`.
        source: String,
        /// Its type, such as `nfs4`.
        file_system: String,
    },
    /// The location is kopia's cache of a repository.
    Cache {
        /// The location.
        #[serde(serialize_with = "path")]
        given: PathBuf,
    },
    /// The location holds other things.
    NoRepository {
        /// The location.
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// Some of its names.
        holds: Vec<String>,
    },
    /// The format blob is gone, and blobs of the repository are there.
    FormatBlobMissing {
        /// The location.
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// What packs have of it.
        replicas: Replicas,
    },
    /// The format blob is not what it should be.
    FormatBlobDamaged {
        /// The location.
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What packs have of it.
        replicas: Replicas,
    },
    /// The format blob does not open with the password.
    WrongPassword {
        /// What would open it.
        variant: Option<Variant>,
        /// Where the password came from, if that is known.
        #[serde(skip)]
        source: Option<PasswordSource>,
    },
    /// No password was given, so that the repository was not opened.
    NoPassword,
    /// Repositories lie around a place over a network, which holds none.
    ElsewhereInStore {
        /// What the place is called.
        given: String,
        /// What is spoken there.
        backend: Backend,
        /// What stands before a prefix or path: the bucket, `https://host`, `remote:`.
        container: String,
        /// Nearest first.
        found: Vec<StorePlace>,
        /// Whether the directory does not exist at all.
        missing: bool,
    },
    /// The place holds no repository, but is a bucket of Velero's, or lies in one: with one for each namespace.
    Velero {
        /// What the place is called.
        given: String,
        /// What is spoken there; nothing for a directory of this machine.
        backend: Option<Backend>,
        /// What stands before a prefix or path, as in [`Self::ElsewhereInStore`]; empty for a directory of this
        /// machine.
        container: String,
        /// Sorted by place.
        namespaces: Vec<NamespaceRepository>,
        /// Whether there was more to look at.
        is_cut: bool,
    },
    /// There is no repository at a place over a network, nor around it.
    NothingInStore {
        /// What the place is called.
        given: String,
        /// What is spoken there.
        backend: Backend,
        /// Whether the directory does not exist at all.
        missing: bool,
        /// Whether nothing is there.
        is_empty: bool,
        /// Some of the names there, or around it.
        holds: Vec<String>,
        /// Whether there was more to look at.
        is_cut: bool,
        /// Why it could not be looked at, if it could not.
        why: Option<String>,
    },
    /// The repository is there, and was not at the instant that is shown.
    NotThereYet {
        /// What the place is called.
        given: String,
        /// The instant.
        time: String,
        /// When its format blob was last written.
        written: Option<String>,
    },
    /// The clock of this machine is not the server's.
    ClockSkew {
        /// What the place is called.
        location: String,
        /// How many seconds this machine is ahead.
        seconds: i64,
    },
    /// A Kopia repository server shows this user no snapshot.
    ServerShowsNothing {
        /// What the server is called.
        location: String,
    },
    /// An error that says everything itself.
    Failed {
        /// What kind of failure it is.
        cause: Cause,
        /// The class of the error.
        #[serde(skip)]
        class: Class,
        /// The error and its causes.
        message: String,
        /// What can be done about it, the most helpful first.
        #[serde(skip)]
        hints: Vec<Hint>,
    },
    /// Index blobs, packs or the list of snapshots have gaps; the repository was opened without them.
    Losses {
        /// Each as a sentence.
        losses: Vec<String>,
    },
    /// Packs that no index names.
    UnindexedPacks {
        /// How many packs.
        packs: usize,
        /// How many belong to somebody who writes at the moment, or was cut off.
        open: usize,
        /// How many of the others hold, or may hold, manifests that no index has: snapshots may be missing.
        hiding: usize,
        /// How many do not say what they hold.
        silent: usize,
        /// How many contents of manifests no index has.
        manifests: u64,
        /// How many other contents no index has.
        others: u64,
        /// One of the packs.
        example: String,
    },
    /// Packs that contents should be in are not there.
    MissingPacks {
        /// How many packs.
        packs: usize,
        /// How many contents should be in them.
        contents: u64,
        /// One of the packs.
        example: String,
    },
    /// An identity has no snapshot.
    NoSnapshot {
        /// The identity.
        #[serde(serialize_with = "text")]
        wanted: Source,
        /// Those that are most like it, best first.
        nearest: Vec<Identity>,
        /// Whether the first of them is so like it that it is probably meant.
        probable: bool,
        /// How many identities there are.
        identities: usize,
    },
    /// The target has fewer bytes free than the snapshot needs.
    NoSpace {
        /// The target, or its nearest ancestor that exists.
        #[serde(serialize_with = "path")]
        target: PathBuf,
        /// How much is needed.
        needed: u64,
        /// How much is free.
        free: u64,
        /// Whether the bytes of the files alone are more than that; it depends on the file system otherwise.
        certain: bool,
    },
    /// The target can take fewer files than the snapshot has.
    NoFiles {
        /// The target, or its nearest ancestor that exists.
        #[serde(serialize_with = "path")]
        target: PathBuf,
        /// How much is needed.
        needed: u64,
        /// How much is free.
        free: u64,
    },
    /// The target refuses this process.
    TargetRefused(Refusals),
    /// The target's file system keeps none of the attributes that the snapshot has, and refuses symbolic links.
    LosesAttributes {
        /// The target, or its nearest ancestor that exists.
        #[serde(serialize_with = "path")]
        target: PathBuf,
        /// Its type, such as `nfs4`.
        file_system: String,
        /// Whether that depends on its server and the way that it is mounted.
        maybe: bool,
    },
    /// The target's file system takes names for one that differ.
    FoldsNames {
        /// The target, or its nearest ancestor that exists.
        #[serde(serialize_with = "path")]
        target: PathBuf,
        /// Those that differ only in case.
        by_case: bool,
        /// Those that look the same and differ only in their Unicode normalization form.
        by_form: bool,
    },
    /// The target's file system cannot hold some entries as they are.
    UnfitEntries {
        /// The target.
        #[serde(serialize_with = "path")]
        target: PathBuf,
        /// How many names, links and files it refuses or takes for others.
        entries: u64,
        /// Whether there are more, or entries below them, or there may be some in directories that cannot be read.
        more: bool,
        /// The first of them, and why.
        example: String,
    },
    /// The target cannot be written to, because its file system is mounted read-only.
    ReadOnlyTarget {
        /// The target, or its nearest ancestor that exists.
        #[serde(serialize_with = "path")]
        target: PathBuf,
    },
}

/// What kind of failure an error of the library is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Cause {
    /// The repository is being upgraded.
    Upgrading,
    /// It asks for something that is not known here.
    Unsupported,
    /// An index blob is damaged.
    DamagedIndex,
    /// Another blob, or a content in one, is damaged.
    DamagedBlob,
    /// A name stands for nothing, or for several things.
    NotFound,
    /// The store failed.
    Storage,
    /// Any other.
    Other,
}

impl Finding {
    /// Returns how much it matters.
    pub fn weight(&self) -> Weight {
        match self {
            Self::UnindexedPacks { hiding: 0, .. }
            | Self::ClockSkew { .. }
            | Self::ServerShowsNothing { .. }
            | Self::NoSpace { certain: false, .. }
            | Self::LosesAttributes { .. }
            | Self::FoldsNames { .. } => Weight::Note,
            _ => Weight::Problem,
        }
    }
}
