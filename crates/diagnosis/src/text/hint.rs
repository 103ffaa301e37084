//! The text of each hint.

use std::path::Path;

use kopia_format::BlobId;

use super::clauses::right_password;
use super::{size, thousands};
use crate::Audience;
use crate::finding::{BeforeResume, Hint};
use crate::password::PasswordSource;

/// Damage cannot be undone by reading, but a copy or kopia itself may help.
const ANOTHER_COPY: &str =
    "another copy of the repository may have it intact; what does not need it can still be restored";

/// Room for bytes does not help where there are no inodes.
const NO_INODES: &str =
    "the file system has no inodes left: delete files there, or choose one with more inodes";

impl Hint {
    /// Returns it as one line for its readers.
    pub fn text(&self, audience: Audience) -> String {
        match self {
            Self::Finding(finding) => finding.sentence(audience),
            Self::Store(hint) => hint.text(audience),
            Self::RightPassword(source) => right_password(None, source.as_ref(), audience),
            Self::PasswordIsEmpty(source) => empty_password(source),
            Self::PasswordAsIs(source) => password_as_is(source),
            Self::UndoUpgrade { several, backup, file } => {
                undo_upgrade(*several, backup.as_ref(), file.as_deref(), audience)
            }
            Self::AwaitUpgrade { owner } => {
                format!("if {owner} still upgrades it, wait until that has ended")
            }
            Self::AskPacksOrCopy => ask_packs_or_copy(audience),
            Self::LeaveOutIndex => {
                format!("{} leaves it out and asks the packs what they hold", audience.option("--degraded"))
            }
            Self::ListDegraded => {
                format!("{} lists what can be read, and says what is missing", audience.option("--degraded"))
            }
            Self::LatestNeedsSource { sources, example } => {
                let sources = thousands(*sources as u64);
                format!("`latest` needs a source here: there are {sources}; for example: {example}")
            }
            Self::NameOneOf { named, more } => {
                format!("name one of these: {}{}", named.join(", "), if *more { ", …" } else { "" })
            }
            Self::DidYouMean(name) => format!("did you mean {name}?"),
            Self::AddIdentity(example) => format!("give user and host, for example {example}"),
            Self::FinishOther(others) => {
                let others: Vec<_> = others.iter().map(|other| format!("--finish {other}")).collect();
                format!("another number of shards was restored here: did you mean {}?", others.join(" or "))
            }
            Self::Resume { first, unfinished, published } => {
                let lies = if *published { "is in its place or in" } else { "lies in" };
                let (first, unfinished) = (before_resume(*first), unfinished.display());
                format!(
                    "{first}run the same command again: it takes up what was done, which {lies} {unfinished}"
                )
            }
            Self::MixedFiles(paths) => format!(
                "these files were changed in place, and hold old and new pieces until the next run has \
                 ended: {}",
                paths.join(", ")
            ),
            _ => self.fixed_text(audience).into(),
        }
    }

    /// Returns the text of those that depend on nothing but their readers.
    fn fixed_text(&self, audience: Audience) -> &'static str {
        match self {
            Self::GiveRepository => audience.choose(
                "give the directory that holds the file kopia.repository.f, or kopia.repository in a copy \
                 of a bucket",
                "set KOPIA_REPOSITORY to the folder that holds kopia.repository.f",
            ),
            Self::NameRepository => audience.choose(
                "give the folder of the repository with --repository or KOPIA_REPOSITORY",
                "set KOPIA_REPOSITORY to the folder of the repository",
            ),
            Self::SpellLocation => {
                "give a folder, or a URL such as s3://bucket/prefix or sftp://user@host/path"
            }
            Self::MountStorage => "copy or mount it (for example with rclone) and give the folder",
            Self::MarkDirectory => "for a folder of that name, write ./ before it",
            Self::FormatBlobMayBeDamaged => {
                "if the password is right, kopia.repository may be damaged: `kopia-rs doctor` looks for a \
                 replica of it"
            }
            Self::RestoreFormatBlob => {
                "put it back from another copy of the repository, or let `kopia-rs doctor` look for a \
                 replica in packs"
            }
            Self::CopyMissing => "copy what is missing, or wait until that is done",
            Self::NewerVersion => {
                "a newer version of kopia-rs may support it; kopia itself can restore it if it does"
            }
            Self::ReadableUser => audience.choose(
                "run as a user who may read the repository's files and folders, or as root",
                "set the securityContext to a user who may read the repository's files and folders",
            ),
            Self::TryAgain => audience.choose(
                "the storage may answer again in a while: run the same command again; the system's log may \
                 say what \
                 is wrong",
                "the storage may answer again in a while, when the Job is tried again; the node's log may \
                 say what is \
                 wrong",
            ),
            Self::FetchFromArchive => audience.choose(
                "the same command with --thaw bulk (or standard, expedited) asks for what it needs of the \
                 archive",
                "`kopia-rs restore` with --thaw bulk (or standard, expedited) asks for what it needs of the \
                 archive; run the Job again once that can be read",
            ),
            Self::LookAtSystemLog => audience.choose(
                "look at the system's log: the disk or the network may be failing",
                "look at the node's log: the disk or the network may be failing",
            ),
            Self::LookWhereItLies => {
                "run it where the repository itself is stored; what is restored over kopia:// is compared with its \
                 ids all the same"
            }
            Self::RebuildIndexes => {
                "put it back from another copy of the repository, or have kopia rebuild indexes: `kopia \
                 index recover`"
            }
            Self::AnotherCopy => ANOTHER_COPY,
            Self::IndexMayBeMissing => {
                "an index blob may be missing, or maintenance removed the content; compare with another copy"
            }
            Self::RestoreByObject => {
                "a folder can still be restored by its object id (`k…`), if it is known; kopia can delete \
                 the snapshot"
            }
            Self::AllDeleted => {
                "all snapshots were deleted, but some may still be there: --deleted includes them, and \
                 `kopia-rs snapshots --deleted` lists them"
            }
            Self::ListEverything => {
                "`kopia-rs ls` shows what a snapshot holds, `kopia-rs snapshots --incomplete --deleted` all \
                 snapshots"
            }
            Self::IncludeUnfinished => {
                "unfinished or deleted snapshots are not among these: add --incomplete or --deleted"
            }
            Self::ChooseByName => "give `latest` or user@host:/path to choose among snapshots",
            Self::NameCandidate => "name one of these, as written here or by id",
            Self::ShowKind => "`kopia-rs ls -l` shows what it is",
            Self::ShortId => "an id needs at least four digits",
            Self::CopyName => {
                "names that are not UTF-8 are stored with \u{fffd} in their place: copy the name from `ls`"
            }
            Self::TargetApart => {
                "nothing was written; choose a target outside the repository that does not hold it"
            }
            Self::TargetDirectory => {
                "nothing was written; give a folder, or the path that a file is to have, as target"
            }
            Self::TargetFile => {
                "nothing was written; give the path of a folder, or of a file that is to be made or replaced"
            }
            Self::UseCat => "`kopia-rs cat WHAT` writes a file's bytes to standard output",
            Self::UseDevice => "`--device DEVICE` in place of TARGET writes a file to a block device",
            Self::FreeDevice => {
                "nothing was written; unmount what is on it, close the programs that use it, or name the device that \
                 was meant"
            }
            Self::BlockDevice => {
                "`--image FILE` writes a raw image; `kopia-rs restore WHAT TARGET` restores to a folder"
            }
            Self::LargerDevice => {
                "nothing was written; take a device, or make a volume, that is at least as large"
            }
            Self::WithoutFailFast => {
                "the same command takes up what was done; without --fail-fast it goes on to the end"
            }
            Self::RunShards => {
                "run `restore --shard I/N` for each of them, with the same snapshot and \
                target"
            }
            Self::RestoreWithoutFinish => {
                "if they were finished before and something is missing, a restore without --finish puts it \
                 right"
            }
            Self::AwaitShard => {
                "wait for that process to end; only the shards of one N may run at the same time"
            }
            Self::WithoutShards => "leave --shard and --finish out",
            Self::AwaitRestore => "wait for it to end, or choose another target",
            Self::WritableTarget => "choose a target that you may write to, or run as root",
            Self::TargetMountedForWriting => "choose a target that can be written to",
            Self::NoInodes => NO_INODES,
            Self::MakeRoom => "make room and run the same command again",
            Self::RunAgain => "then run the same command again",
            Self::ChangeInPlace => {
                "with --in-place, large files are changed where they differ and take no room beside them"
            }
            // These have a text of their own.
            Self::Finding(_)
            | Self::Store(_)
            | Self::RightPassword(_)
            | Self::PasswordIsEmpty(_)
            | Self::PasswordAsIs(_)
            | Self::UndoUpgrade { .. }
            | Self::AwaitUpgrade { .. }
            | Self::AskPacksOrCopy
            | Self::LeaveOutIndex
            | Self::ListDegraded
            | Self::LatestNeedsSource { .. }
            | Self::NameOneOf { .. }
            | Self::DidYouMean(_)
            | Self::AddIdentity(_)
            | Self::FinishOther(_)
            | Self::Resume { .. }
            | Self::MixedFiles(_) => "",
        }
    }
}

/// Words it for a mover in few words: its last line has no room for more.
fn ask_packs_or_copy(audience: Audience) -> String {
    let degraded = audience.option("--degraded");
    if audience == Audience::VolSync {
        return format!("{degraded} asks the packs that are there; otherwise copy what is missing");
    }
    format!(
        "if its packs are there, {degraded} asks them what they hold; otherwise copy what is missing, or \
         wait until \
         that is done"
    )
}

fn before_resume(first: BeforeResume) -> String {
    match first {
        BeforeResume::Nothing => String::new(),
        BeforeResume::MakeRoom(None) => "make room and ".into(),
        BeforeResume::MakeRoom(Some(bytes)) => format!("make {} of room and ", size(bytes)),
        BeforeResume::FreeInodes => format!("{NO_INODES} and "),
        BeforeResume::MakeWritable => "make the target writable and ".into(),
        BeforeResume::Mend => "look at the system's log, mend what it names and ".into(),
    }
}

fn empty_password(source: &PasswordSource) -> String {
    match source {
        PasswordSource::File(path) => format!("the password file {} is empty", path.display()),
        PasswordSource::Command => "the password command printed nothing".into(),
        PasswordSource::Environment => {
            "KOPIA_PASSWORD is empty, which is a password, too; without it the password is asked for".into()
        }
        PasswordSource::ServerEnvironment => "KOPIA_SERVER_PASSWORD is empty".into(),
        PasswordSource::Stored(path) => {
            format!("the password that kopia stored in {} is empty", path.display())
        }
        PasswordSource::KeyRing => "the password that kopia stored in the key ring is empty".into(),
        PasswordSource::Connection => "the password of the token or URL is empty".into(),
        PasswordSource::Prompt => "an empty password was typed".into(),
    }
}

fn password_as_is(source: &PasswordSource) -> String {
    match source {
        PasswordSource::File(path) => format!(
            "one line break at the end of {} was cut; blanks and further line breaks belong to the password",
            path.display()
        ),
        PasswordSource::Command => "one line break at the end of what the command printed was cut; blanks and further \
                                    line breaks belong to the password"
            .into(),
        PasswordSource::Stored(path) => {
            format!("kopia stored it in {}, and the password may have been changed since", path.display())
        }
        PasswordSource::KeyRing => {
            "kopia stored it in the key ring, and the password may have been changed since".into()
        }
        PasswordSource::Connection => "the password of the token or URL may have been changed since".into(),
        PasswordSource::ServerEnvironment => "KOPIA_SERVER_PASSWORD is tried as it is".into(),
        PasswordSource::Environment | PasswordSource::Prompt => {
            "KOPIA_PASSWORD is tried as it is and, as kopia takes it, without blanks and line breaks around it".into()
        }
    }
}

/// Returns how an upgrade is undone, and how the repository is read until then.
fn undo_upgrade(several: bool, backup: Option<&BlobId>, file: Option<&Path>, audience: Audience) -> String {
    let several = if several {
        ", but takes the oldest blob kopia.repository.backup.*: move those of other upgrades away first"
    } else {
        ""
    };
    let undo = format!(
        "if nobody is upgrading it any more, `kopia repository upgrade rollback --force` undoes the \
         upgrade{several}"
    );
    let Some(backup) = backup else { return undo };
    let read = match (audience, file) {
        (Audience::Terminal, Some(path)) => format!("--format-blob {} (or --degraded)", path.display()),
        (Audience::Terminal, None) => format!("--degraded, by its blob {backup},"),
        _ => audience.option("--degraded"),
    };
    format!("{undo}; until then {read} reads it as it was before")
}
