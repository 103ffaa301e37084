//! What was found, as values. Sentences about them stand in `sentence`.

use std::path::{Path, PathBuf};

use kopia_rs::Source;
use serde::{Serialize, Serializer};

use super::access::Refusals;
use super::format_blob::Replicas;
use super::identity::Identity;
use super::neighbours::Neighbour;
use super::password::Variant;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Weight {
    /// It is why something cannot be done.
    Problem,
    /// It is worth knowing.
    Note,
}

/// One thing that was found. Lists of findings begin with the most likely cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub(crate) enum Finding {
    /// Repositories lie above, below or beside the location, which holds none.
    Elsewhere {
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
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// The nearest ancestor that exists.
        #[serde(serialize_with = "path")]
        existing: PathBuf,
        /// Whether that lies in a volume; `None` where the system does not tell.
        in_volume: Option<bool>,
    },
    /// The location is something else.
    NotAFolder {
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// What it is, such as `file`.
        what: &'static str,
    },
    /// Folders or files refuse this process.
    Refused(Refusals),
    /// The location is empty and no mount point: what should be mounted there is not.
    NotMounted {
        #[serde(serialize_with = "path")]
        given: PathBuf,
        #[serde(serialize_with = "path")]
        existing: PathBuf,
    },
    /// The location is a mount point and empty.
    EmptyMount {
        #[serde(serialize_with = "path")]
        existing: PathBuf,
        /// What is mounted, such as `server:/export`.
        source: String,
        file_system: String,
    },
    /// The location is kopia's cache of a repository.
    Cache {
        #[serde(serialize_with = "path")]
        given: PathBuf,
    },
    /// The location holds other things.
    NoRepository {
        #[serde(serialize_with = "path")]
        given: PathBuf,
        /// Some of its names.
        holds: Vec<String>,
    },
    /// The format blob is gone, and blobs of the repository are there.
    FormatBlobMissing {
        #[serde(serialize_with = "path")]
        given: PathBuf,
        replicas: Replicas,
    },
    /// The format blob is not what it should be.
    FormatBlobDamaged {
        #[serde(serialize_with = "path")]
        given: PathBuf,
        why: String,
        replicas: Replicas,
    },
    /// The format blob does not open with the password.
    WrongPassword {
        /// What would open it.
        variant: Option<Variant>,
    },
    /// No password was given, so that the repository was not opened.
    NoPassword,
    /// Something that the library's error says already; the advice about it is the same everywhere.
    Failed { cause: Cause, message: String, changes: Vec<String> },
    /// Index blobs, packs or the list of snapshots have gaps; the repository was opened without them.
    Losses { losses: Vec<String> },
    /// Packs that no index names.
    UnindexedPacks {
        packs: usize,
        /// How many belong to somebody who writes at the moment, or was cut off.
        open: usize,
        /// How many of the others hold, or may hold, manifests that no index has: snapshots may be missing.
        hiding: usize,
        /// How many do not say what they hold.
        silent: usize,
        /// Contents that no index has: those of manifests, and others.
        manifests: u64,
        others: u64,
        /// One of the packs.
        example: String,
    },
    /// Packs that contents should be in are not there.
    MissingPacks {
        packs: usize,
        contents: u64,
        /// One of the packs.
        example: String,
    },
    /// An identity has no snapshot.
    NoSnapshot {
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
        #[serde(serialize_with = "path")]
        target: PathBuf,
        needed: u64,
        free: u64,
        /// Whether the bytes of the files alone are more than that; it depends on the file system otherwise.
        certain: bool,
    },
    /// The target can take fewer files than the snapshot has.
    NoFiles {
        #[serde(serialize_with = "path")]
        target: PathBuf,
        needed: u64,
        free: u64,
    },
    /// The target refuses this process.
    TargetRefused(Refusals),
    /// The target's file system keeps none of the attributes that the snapshot has.
    LosesAttributes {
        #[serde(serialize_with = "path")]
        target: PathBuf,
        file_system: String,
        /// Whether that depends on its server and the way that it is mounted.
        maybe: bool,
    },
    /// The target's file system takes names for one that differ in upper and lower case.
    FoldsNames {
        #[serde(serialize_with = "path")]
        target: PathBuf,
    },
    /// The target cannot be written to, because its file system is mounted read-only.
    ReadOnlyTarget {
        #[serde(serialize_with = "path")]
        target: PathBuf,
    },
}

/// What kind of failure an error of the library is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Cause {
    Upgrading,
    Unsupported,
    DamagedIndex,
    DamagedBlob,
    NotFound,
    Storage,
    Other,
}

impl Finding {
    /// Says how much it matters.
    pub(crate) fn weight(&self) -> Weight {
        match self {
            Self::UnindexedPacks { hiding: 0, .. }
            | Self::NoSpace { certain: false, .. }
            | Self::LosesAttributes { .. }
            | Self::FoldsNames { .. } => Weight::Note,
            _ => Weight::Problem,
        }
    }
}

/// Paths need not be UTF-8; JSON must be.
pub(super) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

pub(super) fn text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}
