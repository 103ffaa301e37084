//! Errors in the few words that the last line has room for, with what can be done in a cluster.

use std::io::ErrorKind;

use kopia_rs::diagnosis::text::{chain, size};
use kopia_rs::diagnosis::{Audience, Class, degraded_helps, hints};
use kopia_rs::{Error, Repository, restore};

use super::line::StatusLine;

const DAMAGED: &str = "use another copy of the repository; kopia-rs doctor says what is damaged";

/// Returns the line of something that could not be done with the repository.
pub(crate) fn repository(what: &str, error: &Error) -> StatusLine {
    match error {
        Error::CorruptContent { .. }
        | Error::CorruptBlob { .. }
        | Error::CorruptObject { .. }
        | Error::ContentNotFound { .. } => StatusLine::unable(what, &cause(error), DAMAGED),
        _ => {
            let change = hints(error).hints.first().map(|hint| hint.text(Audience::VolSync));
            StatusLine::unable(what, &chain(error), &change.unwrap_or_default())
        }
    }
    .with_class(Class::of(error))
}

/// As [`repository`], of the list of snapshots: the others can be listed without what is damaged.
pub(crate) fn unlisted(what: &str, error: &Error, opened: &Repository) -> StatusLine {
    if !degraded_helps(error, opened) {
        return repository(what, error);
    }
    let degraded = Audience::VolSync.option("--degraded");
    let advice = format!("{degraded} takes what can be read of the list");
    StatusLine::unable(what, &cause(error), &advice).with_class(Class::of(error))
}

fn cause(error: &Error) -> String {
    match error {
        // The blob is what somebody has to look at, and stands at the end of the long message.
        Error::CorruptContent { blob, offset, why, .. } => {
            format!("blob {blob} is damaged at offset {offset}: {why}")
        }
        _ => chain(error),
    }
}

/// Returns the line of a restore that was given up.
pub(crate) fn target(what: &str, error: &restore::Error) -> StatusLine {
    let advice = match error {
        restore::Error::Repository(error) => return repository(what, error),
        restore::Error::Overlap { .. } => "mount the repository and the volume apart",
        restore::Error::NoRoom { missing, in_place_helps, .. } => {
            let by = missing.map(|bytes| format!(" by at least {}", size(bytes))).unwrap_or_default();
            let or = if *in_place_helps {
                let in_place = Audience::VolSync.option("--in-place");
                format!(", or have large files changed in place ({in_place})")
            } else {
                String::new()
            };
            let advice = format!("enlarge the volume{by}{or}");
            return StatusLine::unable(what, &chain(error), &advice).with_class(Class::Full);
        }
        restore::Error::Busy { .. } => "wait for the other pod to end",
        restore::Error::NoDevice { .. } => {
            "set KOPIA_RS_DEVICE to the devicePath of the volume's volumeDevices"
        }
        restore::Error::DeviceInUse { .. } => "stop what uses the volume",
        restore::Error::DeviceTooSmall { .. } => "enlarge the volume",
        restore::Error::Target { source, .. } => match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "enlarge the volume",
            ErrorKind::PermissionDenied => {
                "set moverSecurityContext to a user that may write to the volume, or fsGroup"
            }
            ErrorKind::ReadOnlyFilesystem => "mount the volume for writing",
            _ => "",
        },
        _ => "",
    };
    StatusLine::unable(what, &chain(error), advice).with_class(Class::of_restore(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_without_room_is_enlarged_or_changed_in_place() {
        let line = |missing, in_place_helps| {
            let error = restore::Error::NoRoom {
                target: "/data".into(),
                missing,
                mixed: Vec::new(),
                in_place_helps,
                source: ErrorKind::StorageFull.into(),
                unfinished: "/data/.kopia-rs-restore-k1".into(),
            };
            target("restore", &error)
        };
        for (missing, in_place_helps, advice) in [
            (None, false, "enlarge the volume"),
            (Some(3_000_000), false, "enlarge the volume by at least 3.0 MB"),
            (
                None,
                true,
                "enlarge the volume, or have large files changed in place (additionalArgs: [--in-place])",
            ),
            (
                Some(3_000_000),
                true,
                "by at least 3.0 MB, or have large files changed in place (additionalArgs:",
            ),
        ] {
            let line = line(missing, in_place_helps);
            assert!(line.as_str().contains(advice), "{}", line.as_str());
            assert_eq!(line.as_str().contains("--in-place"), in_place_helps);
            assert_eq!(line.class(), Some(Class::Full));
        }
    }
}
