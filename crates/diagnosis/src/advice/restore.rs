//! What can be done about a restore that failed.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use kopia_restore::Error;

use super::{Advice, hints};
use crate::finding::{BeforeResume, Cause, Hint};
use crate::space;

/// Returns what can be done about an error of a restore, the most helpful first.
pub fn hints_of_restore(error: &Error) -> Advice {
    let hints = match error {
        Error::Repository(error) => return hints(error),
        Error::Overlap { .. } => vec![Hint::TargetApart],
        Error::DeviceInUse { .. } => vec![Hint::FreeDevice],
        Error::NoDevice { .. } => vec![Hint::BlockDevice],
        Error::DeviceTooSmall { .. } => vec![Hint::LargerDevice],
        Error::NotADirectory { .. } => vec![Hint::TargetDirectory],
        Error::Problem { .. } => vec![Hint::WithoutFailFast],
        Error::Shards { others, .. } if !others.is_empty() => vec![Hint::FinishOther(others.clone())],
        Error::Shards { maybe_finished: true, .. } => vec![Hint::RunShards, Hint::RestoreWithoutFinish],
        Error::Shards { .. } => vec![Hint::RunShards],
        Error::ShardBusy { .. } => vec![Hint::AwaitShard],
        Error::NoShards => vec![Hint::WithoutShards],
        Error::Busy { .. } => vec![Hint::AwaitRestore],
        Error::NoRoom { target, missing, in_place_helps, mixed, unfinished, .. } => {
            let mut hints = no_room(target, *missing, unfinished);
            if !mixed.is_empty() {
                hints.push(Hint::MixedFiles(mixed.clone()));
            }
            hints.extend(in_place_helps.then_some(Hint::ChangeInPlace));
            hints
        }
        Error::Target { path, source, unfinished, .. } => match unfinished {
            Some(unfinished) => vec![Hint::Resume {
                first: before_resume(path, source.kind()),
                unfinished: unfinished.clone(),
                published: false,
            }],
            None => unusable_target(path, source),
        },
        _ => Vec::new(),
    };
    Advice { kind: Cause::Other, hints }
}

fn no_room(target: &Path, missing: Option<u64>, unfinished: &Path) -> Vec<Hint> {
    let resume = |first| Hint::Resume { first, unfinished: unfinished.into(), published: true };
    if space::has_no_inodes(target) {
        return vec![Hint::NoInodes, resume(BeforeResume::Nothing)];
    }
    vec![resume(BeforeResume::MakeRoom(missing))]
}

fn before_resume(path: &Path, kind: ErrorKind) -> BeforeResume {
    match kind {
        ErrorKind::StorageFull if space::has_no_inodes(path) => BeforeResume::FreeInodes,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BeforeResume::MakeRoom(None),
        ErrorKind::ReadOnlyFilesystem => BeforeResume::MakeWritable,
        _ => BeforeResume::Mend,
    }
}

/// Returns what to do about a target in which nothing was done.
fn unusable_target(path: &Path, source: &std::io::Error) -> Vec<Hint> {
    match source.kind() {
        ErrorKind::StorageFull if space::has_no_inodes(path) => vec![Hint::NoInodes, Hint::RunAgain],
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => vec![Hint::MakeRoom],
        ErrorKind::PermissionDenied => vec![Hint::WritableTarget],
        ErrorKind::ReadOnlyFilesystem => vec![Hint::TargetMountedForWriting],
        // The target is a device, pipe or socket, or a link to something that is not a directory.
        ErrorKind::InvalidInput if source.to_string().starts_with("it is a ") => {
            let is_device = fs::metadata(path).is_ok_and(|found| found.file_type().is_block_device());
            let device = is_device.then_some(Hint::UseDevice);
            device.into_iter().chain([Hint::TargetFile, Hint::UseCat]).collect()
        }
        _ => Vec::new(),
    }
}
