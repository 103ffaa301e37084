//! Checks the target, its free space and the memory limit before the first write.

use std::path::Path;

use kopia_rs::Entry;
use kopia_rs::diagnosis::memory::{self, Shortage};
use kopia_rs::diagnosis::space::{self, FreeSpace, Needs};
use kopia_rs::diagnosis::text::size;
use kopia_rs::diagnosis::{Audience, Class, Finding, Listing, LocalPath, PathState};

use crate::mover::account::line::{SetupError, StatusLine};
use crate::mover::account::log::JobLog;
use crate::mover::account::outcome::JobOutcome;

/// Checks that the target is a directory: a volume is mounted by the pod, never made here.
pub(crate) fn is_there(target: &Path) -> Result<LocalPath, SetupError> {
    let path = LocalPath::look(target);
    let (why, class) = match path.state {
        PathState::Directory => return Ok(path),
        PathState::Missing => ("does not exist".into(), Class::NotFound),
        PathState::Other(what) => (format!("is a {what}, not a folder"), Class::NotFound),
        PathState::Refused => ("may not be looked at".into(), Class::PermissionDenied),
        PathState::Unknown => ("cannot be looked at".into(), Class::Other),
    };
    let cause = format!("the data directory {} {why}", target.display());
    Err(SetupError::new(cause, "mount the volume there and set DATA_DIR to it").with_class(class))
}

/// Compares what is needed with what is free. What a volume holds already may be what is restored, so only an
/// empty one can be certain to be too small.
pub(crate) fn check(target: &LocalPath, root: &Entry, sparse: bool, log: &JobLog) -> Result<(), JobOutcome> {
    if let Some(room) = FreeSpace::of(&target.given) {
        log.info(&format!("the target has {} free", size(room.free_bytes)));
    }
    let is_certain = target.listing == Listing::Empty && !sparse && space::is_plain(target);
    for finding in space::target(&target.given, Needs::of(root)) {
        match finding {
            Finding::ReadOnlyTarget { .. } => {
                return Err(JobOutcome::failed(StatusLine::of(&finding)));
            }
            Finding::NoSpace { certain: true, .. } | Finding::NoFiles { .. } if is_certain => {
                return Err(JobOutcome::failed(StatusLine::of(&finding)));
            }
            Finding::NoSpace { .. } | Finding::NoFiles { .. } if target.listing != Listing::Empty => {
                log.warn(&finding.sentence(Audience::VolSync));
                log.info(
                    "what is right already takes no room; where room is short, each file replaces the older \
                     one as soon as \
                     it is whole",
                );
            }
            // Whether it refuses is found by writing; capabilities and servers may say otherwise.
            _ => log.warn(&finding.sentence(Audience::VolSync)),
        }
    }
    Ok(())
}

/// Checks that the pod may use as much memory as a repository of so many contents takes.
pub(crate) fn check_memory(contents: u64) -> Result<(), SetupError> {
    memory::shortage(contents).map_or(Ok(()), |shortage| Err(too_little_memory(contents, shortage)))
}

fn too_little_memory(contents: u64, shortage: Shortage) -> SetupError {
    let needed = mebibytes(shortage.needed, true);
    let limit = mebibytes(shortage.limit, false);
    SetupError::new(
        format!("the memory limit is {limit}, and a repository of {contents} contents needs {needed}"),
        format!("set moverResources.limits.memory to {}", needed.replace(" MiB", "Mi")),
    )
}

/// Shows what is there rounded down, and what is needed rounded up: the two never look equal.
fn mebibytes(bytes: u64, up: bool) -> String {
    let whole = if up { bytes.div_ceil(1 << 20) } else { bytes >> 20 };
    format!("{whole} MiB")
}

/// Returns which ids could write to a target that refused us, if any are known.
pub(crate) fn refused(target: &Path) -> Option<StatusLine> {
    let findings = space::target(target, None);
    let refused = findings.iter().find(|finding| matches!(finding, Finding::TargetRefused(_)));
    refused.map(StatusLine::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_and_need_never_look_equal() {
        let said = |limit, needed| too_little_memory(10_000_000, Shortage { limit, needed }).to_string();
        let trouble = said(512 << 20, (256 << 20) + 320_000_000);
        assert!(
            trouble.contains("512 MiB") && trouble.contains("562 MiB") && trouble.contains("562Mi"),
            "{trouble}"
        );
        let close = said((256 << 20) - 1, 256 << 20);
        assert!(close.contains("255 MiB") && close.contains("256 MiB"), "{close}");
    }
}
