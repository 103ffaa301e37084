//! What can be done about an error, as values.

use std::path::PathBuf;

use kopia_format::BlobId;

use super::{Finding, StoreHint};
use crate::password::PasswordSource;

/// One thing that can be done about an error. How it is worded depends on who reads it:
/// [`text`](Hint::text).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// What was found around the repository.
    Finding(Box<Finding>),
    /// What can be done about a store over a network.
    Store(StoreHint),

    // Where the repository is, and how it is opened.
    /// Give the directory that holds the format blob.
    GiveRepository,
    /// Give the repository by an option or a variable.
    NameRepository,
    /// Spell the location in a way that is understood.
    SpellLocation,
    /// Copy or mount storage that cannot be read.
    MountStorage,
    /// Write `./` before a directory that is named like storage.
    MarkDirectory,
    /// Give the password that the backups are made with.
    RightPassword(Option<PasswordSource>),
    /// The password is empty.
    PasswordIsEmpty(PasswordSource),
    /// Blanks and line breaks belong to the password.
    PasswordAsIs(PasswordSource),
    /// The format blob may be damaged instead.
    FormatBlobMayBeDamaged,
    /// Put the format blob back.
    RestoreFormatBlob,
    /// Undo an abandoned upgrade, and read by the format blob of before until then.
    UndoUpgrade {
        /// Whether format blobs of other upgrades must be moved away first.
        several: bool,
        /// The format blob from before the upgrade, if there is one.
        backup: Option<BlobId>,
        /// The file of that blob, if it was found.
        file: Option<PathBuf>,
    },
    /// Wait until an upgrade has ended.
    AwaitUpgrade {
        /// Who upgrades the repository.
        owner: String,
    },
    /// Copy what is missing of an incomplete repository.
    CopyMissing,
    /// As [`Self::CopyMissing`], or ask the packs that are there.
    AskPacksOrCopy,
    /// Use a newer version.
    NewerVersion,
    /// Run as a user who may read the repository.
    ReadableUser,
    /// Try again in a while.
    TryAgain,
    /// Ask for what lies in an archive.
    FetchFromArchive,
    /// Look for a failing disk or network.
    LookAtSystemLog,
    /// Look at the repository where its blobs are, and not through a server.
    LookWhereItLies,

    // Damage.
    /// Leave out a damaged index blob and ask the packs.
    LeaveOutIndex,
    /// Put an index blob back, or have kopia rebuild indexes.
    RebuildIndexes,
    /// Use another copy of the repository.
    AnotherCopy,
    /// An index blob may be missing.
    IndexMayBeMissing,
    /// Restore the root directory by its object id.
    RestoreByObject,
    /// List the snapshots that can be listed.
    ListDegraded,

    // Names.
    /// All snapshots were deleted, and some may still be there.
    AllDeleted,
    /// List what there is.
    ListEverything,
    /// Unfinished or deleted snapshots are not among the candidates.
    IncludeUnfinished,
    /// `latest` needs a source.
    LatestNeedsSource {
        /// How many sources there are.
        sources: usize,
        /// A command that would work.
        example: String,
    },
    /// Give a name that stands for several snapshots, of which one can be chosen.
    ChooseByName,
    /// Name one of these.
    NameOneOf {
        /// The first of them.
        named: Vec<String>,
        /// Whether there are more.
        more: bool,
    },
    /// Name one of the candidates, which are listed elsewhere.
    NameCandidate,
    /// Look what kind of entry it is.
    ShowKind,
    /// An id needs at least four digits.
    ShortId,
    /// Copy a name that is not UTF-8 from a listing.
    CopyName,
    /// This was probably meant.
    DidYouMean(String),
    /// Add user and host, as in this example.
    AddIdentity(String),

    // Restoring.
    /// Choose a target apart from the repository.
    TargetApart,
    /// Give a directory, or a path for the file, as target.
    TargetDirectory,
    /// Give the path of something that may be written, not of a device or pipe.
    TargetFile,
    /// Write to standard output by `cat` instead.
    UseCat,
    /// Write to a block device by `--device`.
    UseDevice,
    /// Have nothing use the device.
    FreeDevice,
    /// Give the path of a block device, or restore to a file.
    BlockDevice,
    /// Take a larger device.
    LargerDevice,
    /// Leave `--fail-fast` out.
    WithoutFailFast,
    /// Another number of shards was probably meant.
    FinishOther(Vec<u32>),
    /// Run every shard first.
    RunShards,
    /// Restore without `--finish` what is missing.
    RestoreWithoutFinish,
    /// Wait for the process that restores a shard.
    AwaitShard,
    /// Leave `--shard` and `--finish` out.
    WithoutShards,
    /// Wait for the other restore.
    AwaitRestore,
    /// Choose a target that may be written to.
    WritableTarget,
    /// Choose a target that is not mounted read-only.
    TargetMountedForWriting,
    /// The file system has no inodes left.
    NoInodes,
    /// Make room, then run the same command again.
    MakeRoom,
    /// Run the same command again.
    RunAgain,
    /// Run the same command again after this: it takes up what was done.
    Resume {
        /// What to do first.
        first: BeforeResume,
        /// Where unfinished work lies.
        unfinished: PathBuf,
        /// Whether some of it is in its place already.
        published: bool,
    },
    /// These files were changed in place and are mixed.
    MixedFiles(Vec<String>),
    /// Change large files in place.
    ChangeInPlace,
}

/// What has to be done before a restore can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BeforeResume {
    /// Nothing more than other hints say.
    Nothing,
    /// Make so many bytes of room, or some where that is not known.
    MakeRoom(Option<u64>),
    /// Free inodes.
    FreeInodes,
    /// Make the target writable.
    MakeWritable,
    /// Mend what the system's log names.
    Mend,
}
