//! What can be done about an error, variant by variant.

use std::cmp::Reverse;
use std::io;

use kopia_rs::storage::{self, ErrorKind};
use kopia_rs::unindexed::Packs;
use kopia_rs::{Error, Repository, Snapshots, restore};

use super::{COMMAND, Failure, chain};
use crate::diagnosis::{
    self, Cause, Effort, Finding, Place, Unopened, Voice, identity, packs, space, upgrade,
};
use crate::output::{self, thousands};
use crate::password::{Source, Used};

const FORMAT_BLOB: &str = "kopia.repository";

/// Damage cannot be undone by reading, but a copy or kopia itself may help.
const ANOTHER_COPY: &str =
    "another copy of the repository may have it undamaged; what does not need it can still be restored";

/// Room for bytes does not help where there are no inodes.
const NO_INODES: &str =
    "the file system has no inodes left: delete files there, or choose one with more inodes";

/// What may be there where a list of snapshots is empty.
const ALL_DELETED: &str = "all snapshots were deleted, of which some may still be there: --deleted takes them in, \
                           and `kopia-rs snapshots --deleted` lists them";

pub(super) fn repository(error: Error) -> Failure {
    let failure = Failure { hints: hints(&error, Voice::here()), ..Failure::failed(message(&error)) };
    match error {
        Error::NotFound { candidates, .. } | Error::Ambiguous { candidates, .. } => {
            Failure { candidates, ..failure }
        }
        Error::NothingToChoose { id } => Failure::usage(format!(
            "{id:?} is taken for an id, which names one thing: --at and --incomplete can choose nothing there"
        ))
        .hint("give `latest` or user@host:/path to choose among snapshots"),
        Error::Storage(error) => storage(&error, Voice::here()),
        // The library may come to know more errors than this command.
        _ => failure,
    }
}

/// Says what an error is. That the format blob may be damaged instead is a hint: it seldom is.
fn message(error: &Error) -> String {
    match error {
        Error::WrongPassword { location } => {
            format!("the password does not open the repository at {location}")
        }
        _ => chain(error),
    }
}

/// Returns what the source of a wrong password has to do with it.
fn about_password() -> Option<String> {
    let Used { source, is_empty } = Used::last()?;
    match (source, is_empty) {
        (Source::File(path), true) => Some(format!("the password file {} is empty", path.display())),
        (Source::File(path), false) => Some(format!(
            "one line break at the end of {} was cut; blanks and further line breaks belong to the password",
            path.display()
        )),
        (Source::Environment, true) => Some(
            "KOPIA_PASSWORD is empty, which is a password, too; without it the password is asked for".into(),
        ),
        (Source::Environment, false) => {
            Some("blanks and line breaks in KOPIA_PASSWORD belong to the password".into())
        }
        (Source::Prompt, _) => None,
    }
}

/// As [`repository`], of one that cannot be opened: what is found there helps more than what an error alone can tell.
pub(super) fn unopened(it: Unopened<'_>) -> Failure {
    let findings = diagnosis::unopened(it, Effort::Hint);
    let failure = Failure { hints: hints(it.error, it.voice), ..Failure::failed(message(it.error)) };
    match findings.into_iter().next() {
        Some(Finding::Failed { cause: Cause::Upgrading, changes, .. }) => {
            Failure { hints: changes, ..failure }
        }
        // These say no more than the error does.
        None | Some(Finding::Failed { .. } | Finding::WrongPassword { variant: None }) => failure,
        Some(finding) => Failure { hints: vec![finding.sentence(it.voice)], ..failure },
    }
}

/// As [`repository`], of a name that stands for nothing: an identity may be nearly right, or an index blob be lost that
/// knew it.
pub(super) fn not_selected(error: Error, repository: &Repository, name: &str) -> Failure {
    let snapshots = matches!(error, Error::NotFound { .. }).then(|| repository.snapshots().ok()).flatten();
    let deleted = snapshots.as_ref().is_some_and(|list| list.hides_deleted() && list.iter().len() == 0);
    let finding = snapshots.as_ref().and_then(|snapshots| identity::not_found(snapshots, &error, name));
    let is_missing =
        matches!(error, Error::NotFound { .. } | Error::Ambiguous { .. } | Error::NothingToChoose { .. });
    if !is_missing && repository.snapshots().is_err() {
        return unlisted(error, repository);
    }
    if let (Error::Storage(_), Some(folder)) = (&error, repository.store().directory()) {
        let (place, store) = (Place::look(&folder), repository.store());
        let voice = Voice::here();
        return unopened(Unopened {
            place: &place,
            store: Some(store),
            error: &error,
            password: None,
            voice,
        });
    }
    let missing = matches!(error, Error::NotFound { .. } | Error::ContentNotFound { .. });
    let hidden = missing.then(|| packs::unindexed(repository, Packs::Metadata).ok()).flatten().flatten();
    let is_latest = matches!(&error, Error::Ambiguous { what, .. } if what == "latest");
    let mut failure = self::repository(error);
    if let Some(first) = failure.candidates.first().filter(|_| is_latest) {
        let number = thousands(failure.candidates.len() as u64);
        let what = name.replacen("latest", first, 1);
        let command = COMMAND.get().map_or("ls", |command| command);
        let target = if command == "restore" { " TARGET" } else { "" };
        failure.hints = vec![format!(
            "`latest` needs a source here: {number} exist; for example: kopia-rs {command} {what}{target}"
        )];
    }
    if let Some(hidden @ Finding::UnindexedPacks { hiding: 1.., .. }) = hidden {
        failure.hints.insert(0, hidden.sentence(Voice::here()));
    }
    if let Some(nearly) = nearly(name, &failure.candidates, snapshots.as_ref()) {
        failure.hints.insert(0, nearly);
    }
    if deleted {
        failure.hints.insert(0, ALL_DELETED.into());
    }
    match finding {
        Some(finding @ Finding::NoSnapshot { probable: true, .. }) => {
            Failure { hints: vec![finding.sentence(Voice::here())], ..failure }
        }
        _ => failure,
    }
}

/// Returns what may have been meant by a name that stands for nothing.
pub(super) fn nearly(name: &str, candidates: &[String], snapshots: Option<&Snapshots>) -> Option<String> {
    let is_short_id = name.len() < 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_short_id {
        return Some("of an id, at least four digits are needed".into());
    }
    if name.contains(char::REPLACEMENT_CHARACTER) {
        return Some(
            "names that are not UTF-8 are stored with \u{fffd} in their place: copy the name from `ls`"
                .into(),
        );
    }
    // A path alone, or one with a host, as kopia takes it.
    let (host, path) = if name.starts_with('/') || has_drive(name) {
        (None, name)
    } else {
        let (host, path) = name.split_once(':').filter(|(host, _)| !host.contains('@'))?;
        (Some(host), path)
    };
    fn root(source: &str) -> &str {
        source.split_once(':').map_or("", |(_, root)| root.trim_end_matches(['/', '\\']))
    }
    let is_below = |source: &&String| {
        let below = path.strip_prefix(root(source));
        below.is_some_and(|below| below.is_empty() || below.starts_with(['/', '\\']))
    };
    let longest = candidates.iter().filter(is_below).map(|source| root(source).len()).max()?;
    let mut fit: Vec<&String> =
        candidates.iter().filter(is_below).filter(|source| root(source).len() == longest).collect();
    let is_there = |source: &&String| {
        let identity = source.split_once(':').map_or("", |(identity, _)| identity);
        identity.split_once('@').is_some_and(|(_, known)| Some(known) == host)
    };
    if fit.iter().any(is_there) {
        fit.retain(is_there);
    }
    let newest = |source: &str| {
        let all = snapshots.into_iter().flat_map(Snapshots::iter);
        let of_source = all.filter(|snapshot| snapshot.source().to_string() == source);
        of_source.map(kopia_rs::Snapshot::start_time).max()
    };
    let is_one = fit.len() == 1;
    let best = fit.into_iter().min_by_key(|source| Reverse(newest(source)))?;
    let (identity, _) = best.split_once(':')?;
    Some(if is_one {
        format!("did you mean {identity}:{path}?")
    } else {
        format!("give user and host, for example {identity}:{path}")
    })
}

/// Returns whether a path begins with a drive of Windows, which is no host.
fn has_drive(path: &str) -> bool {
    let bytes = path.as_bytes();
    matches!(bytes, [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic())
}

/// As [`repository`], of a list of snapshots that cannot be read: others can be listed without what is damaged.
pub(super) fn unlisted(error: Error, repository: &Repository) -> Failure {
    // What is refused, or fails for now, is no damage that could be left out.
    let may_pass = matches!(error.storage_kind(), Some(ErrorKind::NotAllowed | ErrorKind::TryAgain));
    let mut failure = self::repository(error);
    if !repository.options().degraded && !may_pass {
        failure.hints.insert(0, how_to_list(Voice::here()).into());
    }
    failure
}

/// Returns how the snapshots are listed that can be.
pub(super) fn how_to_list(voice: Voice) -> &'static str {
    voice.choose(
        "--degraded lists what can be read, and says what is missing",
        "additionalArgs: [--degraded] takes what can be read of the list, and says what is missing",
    )
}

/// Returns what can be done about an error, the most helpful first.
pub(super) fn hints(error: &Error, voice: Voice) -> Vec<String> {
    let hints: &[&str] = match error {
        Error::NotARepository { .. } if voice == Voice::Pod => {
            &["set KOPIA_REPOSITORY to the folder that holds kopia.repository.f"]
        }
        Error::NotARepository { .. } => &[
            "give the directory that holds the file kopia.repository.f, or kopia.repository in a copy of a bucket",
        ],
        Error::WrongPassword { .. } if voice == Voice::Pod => {
            &["set KOPIA_PASSWORD in the repository's Secret to the password that the backups are made with"]
        }
        Error::WrongPassword { .. } => {
            let damaged = "if the password is right, kopia.repository may be damaged: `kopia-rs doctor` looks for \
                           a replica of it";
            return about_password().into_iter().chain([damaged.into()]).collect();
        }
        Error::Locked { .. } => return upgrade::changes(error, None, voice),
        Error::Incomplete { lacks, .. } if *lacks == "index blobs" => &[
            voice.choose(
                "if its packs are there, --degraded asks them what they hold; otherwise copy what is missing of it, or \
                 wait until that is done",
                "additionalArgs: [--degraded] asks the packs that are there; otherwise copy what is missing of it",
            ),
        ],
        Error::Incomplete { .. } => &["copy what is missing of it, or wait until that is done"],
        Error::Unsupported { .. } => {
            &["a newer version of kopia-rs may know it; kopia itself can restore it if it does"]
        }
        Error::CorruptBlob { blob, .. } if blob.as_str() == FORMAT_BLOB => &[
            "put it back from another copy of the repository, or let `kopia-rs doctor` look for a replica in packs",
        ],
        Error::CorruptBlob { blob, .. } if blob.as_str().starts_with(['n', 'x', 'm']) => &[
            voice.choose(
                "--degraded leaves it out and asks the packs what they hold",
                "additionalArgs: [--degraded] leaves it out and asks the packs what they hold",
            ),
            "put it back from another copy of the repository, or have kopia rebuild indexes: `kopia index recover`",
        ],
        Error::CorruptBlob { .. } | Error::CorruptContent { .. } | Error::CorruptObject { .. } => {
            &[ANOTHER_COPY]
        }
        Error::ContentNotFound { .. } => {
            &["an index blob may be missing, or maintenance removed the content; compare with another copy"]
        }
        Error::CorruptSnapshot { .. } => &[
            "a folder can still be restored by its object id (`k…`), if it is known; kopia can delete the snapshot",
        ],
        Error::NotFound { candidates, .. } if candidates.is_empty() => &[
            "`kopia-rs ls` shows what a snapshot holds, `kopia-rs snapshots --incomplete --deleted` all snapshots",
        ],
        Error::NotFound { .. } => {
            &["unfinished or deleted snapshots are not among these: add --incomplete or --deleted"]
        }
        Error::Ambiguous { what, candidates } if what == "latest" => {
            let first = candidates.first().map_or("", String::as_str);
            let number = thousands(candidates.len() as u64);
            return vec![format!(
                "`latest` needs a source here: {number} exist; for example: kopia-rs ls {first}"
            )];
        }
        Error::Ambiguous { .. } => &["name one of these, as they stand here or by id"],
        Error::WrongKind { .. } => &["`kopia-rs ls -l` shows what it is"],
        Error::Storage(error) => return storage(error, voice).hints,
        _ => &[],
    };
    hints.iter().map(|hint| (*hint).into()).collect()
}

pub(super) fn storage(error: &storage::Error, voice: Voice) -> Failure {
    let failure = Failure::failed(chain(error));
    match error {
        storage::Error::BadLocation { .. } => {
            Failure::usage(chain(error)).hint("give a folder, or filesystem:///absolute/path")
        }
        storage::Error::UnsupportedBackend { .. } => {
            let failure = failure.hint("copy or mount it (for example with rclone) and give the folder");
            failure.hint("for a folder of that name, write ./ before it")
        }
        _ if error.kind() == ErrorKind::NotAllowed => failure.hint(voice.choose(
            "run as a user who may read the repository's files and folders, or as root",
            "set the securityContext to a user who may read the repository's files and folders",
        )),
        _ if error.kind() == ErrorKind::TryAgain => failure.hint(voice.choose(
            "the storage may answer again in a while: run the same command again; the system's log may say what is wrong",
            "the storage may answer again in a while, when the Job is tried again; the node's log may say what is wrong",
        )),
        storage::Error::Open { .. } => failure.hint(voice.choose(
            "give the folder of the repository with --repository or KOPIA_REPOSITORY",
            "set KOPIA_REPOSITORY to the folder of the repository",
        )),
        storage::Error::NotFound { .. } => failure
            .hint("another copy of the repository may have it; what does not need it can still be restored"),
        storage::Error::Short { .. } => failure.hint(ANOTHER_COPY),
        storage::Error::Read { .. } => failure.hint(voice.choose(
            "look at the system's log: the disk or the network may be failing",
            "look at the node's log: the disk or the network may be failing",
        )),
        _ => failure,
    }
}

pub(super) fn restore(error: restore::Error) -> Failure {
    let failure = Failure::failed(chain(&error));
    match error {
        restore::Error::Repository(error) => repository(error),
        restore::Error::Overlap { .. } => {
            failure.hint("nothing was written; choose a target outside the repository that does not hold it")
        }
        restore::Error::NotAFolder { .. } => {
            failure.hint("nothing was written; give a folder, or the path that a file is to have, as target")
        }
        restore::Error::Problem { .. } => {
            failure.hint("the same command takes up what was done; without --fail-fast it goes on to the end")
        }
        restore::Error::Shards { ref others, .. } if !others.is_empty() => {
            let others: Vec<_> = others.iter().map(|other| format!("--finish {other}")).collect();
            failure.hint(format!(
                "marks of another number of shards are there: did you mean {}?",
                others.join(" or ")
            ))
        }
        restore::Error::Shards { .. } => {
            failure.hint("run `restore --shard I/N` for each of them, with the same snapshot and target").hint(
                "if they were finished before and something is missing, a restore without --finish puts it right",
            )
        }
        restore::Error::ShardBusy { .. } => {
            failure.hint("wait for that process to end; only the numbers of one N may run at the same time")
        }
        restore::Error::NoShards => failure.hint("leave --shard and --finish out"),
        restore::Error::Busy { .. } => failure.hint("wait for it to end, or choose another target"),
        restore::Error::NoRoom { ref target, missing, in_place_helps, ref mixed, ref unfinished, .. } => {
            let room = missing.map_or("room".into(), |bytes| format!("{} of room", output::size(bytes)));
            let done = unfinished.display();
            let (failure, first) = if space::has_no_inodes(target) {
                (failure.hint(NO_INODES), String::new())
            } else {
                (failure, format!("make {room} and "))
            };
            let failure = failure.hint(format!(
                "{first}run the same command again: it takes up what was done, which is in its place or in {done}"
            ));
            let failure = match &mixed[..] {
                [] => failure,
                mixed => failure.hint(Failure::of_mixed(mixed)),
            };
            match in_place_helps {
                true => failure.hint(
                    "with --in-place, large files are changed where they differ and take no room beside them",
                ),
                false => failure,
            }
        }
        restore::Error::Target { ref path, ref source, unfinished: Some(ref unfinished), .. } => {
            let first = match source.kind() {
                io::ErrorKind::StorageFull if space::has_no_inodes(path) => NO_INODES,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room",
                io::ErrorKind::ReadOnlyFilesystem => "make the target writable",
                _ => "look at the system's log, mend what it names",
            };
            let done = unfinished.display();
            failure.hint(format!(
                "{first} and run the same command again: it takes up what was done, which lies in {done}"
            ))
        }
        restore::Error::Target { ref path, ref source, .. } => match source.kind() {
            io::ErrorKind::StorageFull if space::has_no_inodes(path) => {
                failure.hint(NO_INODES).hint("then run the same command again")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                failure.hint("make room and run the same command again")
            }
            io::ErrorKind::PermissionDenied => {
                failure.hint("choose a target that you may write to, or run as root")
            }
            io::ErrorKind::ReadOnlyFilesystem => failure.hint("choose a target that can be written to"),
            // The target is a device, pipe or socket, or a link to something that is not a folder.
            io::ErrorKind::InvalidInput if source.to_string().starts_with("it is a ") => failure
                .hint("nothing was written; give the path of a folder, or of a file that is to be made or replaced")
                .hint("`kopia-rs cat WHAT` writes a file's bytes to standard output"),
            _ => failure,
        },
        _ => failure,
    }
}

impl Failure {
    /// Says which files have older bytes and newer ones.
    pub(crate) fn of_mixed(paths: &[String]) -> String {
        format!(
            "these were changed in place and have old and new pieces until a next run comes to its end: {}",
            paths.join(", ")
        )
    }
}
