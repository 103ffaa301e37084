use kopia_repository::{Defect, Error as Repository};
use kopia_restore::{Error as Restore, NotDeleted, Problem, Reason};
use kopia_storage::Error as Store;
use rustix::io::Errno;

use super::*;
use crate::{Cause, Finding, Hint};

const PACK: &str = "p00000000000000000000000000000002";
const CONTENT: &str = "k00000000000000000000000000000001";

#[test]
fn codes_are_stable_and_no_two_are_the_same() {
    let codes = Class::ALL.map(Class::code);
    let stable = "AuthFailure AccessDenied PermissionDenied NotFound Locked Unavailable Full Archived Damaged \
                  Unsupported Usage Stopped Other";
    assert_eq!(codes.join(" "), stable);
}

#[test]
fn what_passes_by_itself_is_that_alone() {
    let passing = Class::ALL.into_iter().filter(|class| class.may_pass());
    assert_eq!(passing.collect::<Vec<_>>(), [Class::Locked, Class::Unavailable, Class::Stopped]);
}

/// What the local system says, whether it was asked to read a repository or to write a target.
const ERRNOS: [(Errno, Class); 24] = [
    (Errno::ACCESS, Class::PermissionDenied),
    (Errno::PERM, Class::PermissionDenied),
    (Errno::ROFS, Class::PermissionDenied),
    (Errno::NOKEY, Class::PermissionDenied),
    (Errno::NOENT, Class::NotFound),
    (Errno::NOTDIR, Class::NotFound),
    (Errno::NOSPC, Class::Full),
    (Errno::DQUOT, Class::Full),
    (Errno::FBIG, Class::Unsupported),
    (Errno::TIMEDOUT, Class::Unavailable),
    (Errno::CONNREFUSED, Class::Unavailable),
    (Errno::CONNRESET, Class::Unavailable),
    (Errno::HOSTUNREACH, Class::Unavailable),
    (Errno::HOSTDOWN, Class::Unavailable),
    (Errno::NETUNREACH, Class::Unavailable),
    (Errno::STALE, Class::Unavailable),
    (Errno::BUSY, Class::Unavailable),
    (Errno::AGAIN, Class::Unavailable),
    (Errno::NOMEM, Class::Unavailable),
    (Errno::MFILE, Class::Unavailable),
    (Errno::IO, Class::Damaged),
    (Errno::UCLEAN, Class::Damaged),
    (Errno::INVAL, Class::Other),
    (Errno::LOOP, Class::Other),
];

#[test]
fn every_errno_has_the_same_class_wherever_it_comes_from() {
    for (errno, class) in ERRNOS {
        assert_eq!(Class::of_io(&errno.into()), class, "{errno:?}");
        let open = Store::Open { place: "p".into(), source: errno.into() };
        assert_eq!(Class::of_store(&open), class, "{errno:?}");
        let list = Repository::Storage(Store::List { place: "p".into(), source: errno.into() });
        assert_eq!(Class::of(&list), class, "{errno:?}");
        let target = Restore::Target {
            path: "/t".into(),
            what: "cannot be written",
            source: errno.into(),
            unfinished: None,
        };
        assert_eq!(Class::of_restore(&target), class, "{errno:?}");
        let kept = Reason::NotDeleted(NotDeleted::Failed(io::Error::from(errno).into()));
        assert_eq!(Class::of_reason(&kept), class, "{errno:?}");
    }
}

/// What servers say no with, and the kind of error in which stores hand it on.
#[test]
fn what_a_server_says_no_with() {
    let host = || "h:1".to_string();
    let credentials = || "the environment".to_string();
    for (kind, failure, class) in [
        (
            io::ErrorKind::PermissionDenied,
            Failure::NoCredentials { host: host(), looked: "l".into() },
            Class::AccessDenied,
        ),
        (
            io::ErrorKind::PermissionDenied,
            Failure::Expired { credentials: credentials() },
            Class::AccessDenied,
        ),
        // HTTP 401 and 403, `InvalidAccessKeyId`, `SignatureDoesNotMatch`, `AccessDenied`.
        (
            io::ErrorKind::PermissionDenied,
            Failure::WrongKey { host: host(), credentials: credentials(), message: "m".into() },
            Class::AccessDenied,
        ),
        (
            io::ErrorKind::PermissionDenied,
            Failure::WrongSecret { host: host(), credentials: credentials() },
            Class::AccessDenied,
        ),
        (
            io::ErrorKind::PermissionDenied,
            Failure::NotPermitted {
                host: host(),
                action: "listing".into(),
                credentials: credentials(),
                right: None,
            },
            Class::AccessDenied,
        ),
        (
            io::ErrorKind::PermissionDenied,
            Failure::Refusal { host: host(), status: "403 Forbidden".into(), message: "m".into() },
            Class::AccessDenied,
        ),
        // HTTP 404.
        (
            io::ErrorKind::NotFound,
            Failure::NoContainer { kind: "bucket", name: "b".into(), host: host() },
            Class::NotFound,
        ),
        // HTTP 429, 500, 503.
        (io::ErrorKind::ResourceBusy, Failure::Busy { host: host(), status: 503 }, Class::Unavailable),
        (io::ErrorKind::ConnectionRefused, Failure::Refused { host: host() }, Class::Unavailable),
        (io::ErrorKind::NotFound, Failure::UnknownHost { host: host() }, Class::Unavailable),
        (
            io::ErrorKind::TimedOut,
            Failure::TimedOut { host: host(), after: std::time::Duration::from_secs(1) },
            Class::Unavailable,
        ),
        (
            io::ErrorKind::ConnectionAborted,
            Failure::Refusal { host: host(), status: "500 InternalError".into(), message: "m".into() },
            Class::Unavailable,
        ),
        (
            io::ErrorKind::ConnectionAborted,
            Failure::Refusal { host: host(), status: "429".into(), message: "m".into() },
            Class::Unavailable,
        ),
        (
            io::ErrorKind::ConnectionAborted,
            Failure::Refusal {
                host: host(),
                status: "gRPC status 14 UNAVAILABLE".into(),
                message: "m".into(),
            },
            Class::Unavailable,
        ),
        // What the same request will be told again.
        (
            io::ErrorKind::ConnectionAborted,
            Failure::Refusal { host: host(), status: "400 InvalidRequest".into(), message: "m".into() },
            Class::Other,
        ),
        (
            io::ErrorKind::ConnectionAborted,
            Failure::Redirected { host: host(), to: "https://elsewhere".into() },
            Class::Other,
        ),
        (
            io::ErrorKind::ConnectionAborted,
            Failure::Nonsense {
                host: host(),
                expected: "an S3 server",
                status: 200,
                content_type: "text/html".into(),
                beginning: "<html>".into(),
            },
            Class::Other,
        ),
        (
            io::ErrorKind::ConnectionAborted,
            Failure::Program { program: "rclone".into(), why: "ended".into() },
            Class::Other,
        ),
        (
            io::ErrorKind::ConnectionAborted,
            Failure::NoKopiaServer { host: host(), why: "w".into() },
            Class::Unsupported,
        ),
        (io::ErrorKind::InvalidInput, Failure::Unusable { what: "w".into() }, Class::Unsupported),
        (
            io::ErrorKind::NotFound,
            Failure::WrongRegion { bucket: "b".into(), asked: "a".into(), region: None },
            Class::NotFound,
        ),
        (io::ErrorKind::PermissionDenied, Failure::NoTls { host: host() }, Class::AccessDenied),
        (io::ErrorKind::ResourceBusy, Failure::Cold { class: "GLACIER".into() }, Class::Archived),
        (io::ErrorKind::Unsupported, Failure::NotVersioned { name: "b".into() }, Class::Unsupported),
    ] {
        let told = failure.to_string();
        let error = Store::Open { place: "p".into(), source: io::Error::new(kind, failure) };
        assert_eq!(Class::of_store(&error), class, "{told}");
        assert_eq!(Class::of(&Repository::Storage(error)), class, "{told}");
    }
}

#[test]
fn a_blob_that_is_gone_is_damage_and_a_repository_that_is_not_there_is_none() {
    let (blob, place) = (PACK.parse().unwrap(), String::from("p"));
    let gone = Repository::Storage(Store::NotFound { blob, place });
    assert_eq!(Class::of(&gone), Class::Damaged);
    assert_eq!(Class::of_defect(&gone.into()), Class::Damaged);
    assert_eq!(Class::of(&Repository::NotARepository { location: "l".into() }), Class::NotFound);
}

#[test]
fn errors_of_repositories() {
    let (location, what, why) = (|| "l".to_string(), || "w".to_string(), || "y".to_string());
    let content = || CONTENT.parse().unwrap();
    let errors = [
        (Repository::WrongPassword { location: location() }, Class::AuthFailure),
        (Repository::Incomplete { location: location(), lacks: "index blobs" }, Class::NotFound),
        (Repository::NotFound { what: what(), candidates: vec![] }, Class::NotFound),
        (Repository::NothingChosen { patterns: vec![] }, Class::NotFound),
        (
            Repository::Locked {
                owner: "o".into(),
                since: Default::default(),
                backup: None,
                backups: 0,
                message: String::new(),
            },
            Class::Locked,
        ),
        (Repository::Unsupported { place: location(), what: "hash", found: "h".into() }, Class::Unsupported),
        (Repository::CorruptBlob { blob: PACK.parse().unwrap(), why: why() }, Class::Damaged),
        (Repository::ContentNotFound { content: content() }, Class::Damaged),
        (Repository::CorruptSnapshot { id: "i".into(), why: why() }, Class::Damaged),
        (Repository::Ambiguous { what: what(), candidates: vec![] }, Class::Usage),
        (Repository::NothingToChoose { id: "i".into() }, Class::Usage),
        (Repository::WrongKind { path: "p".into(), wanted: "folder" }, Class::Usage),
        (Repository::Threads { why: why() }, Class::Unavailable),
        (
            Repository::Unconfirmed {
                content: content(),
                source: std::sync::Arc::new(Repository::Storage(Store::List {
                    place: "p".into(),
                    source: io::ErrorKind::TimedOut.into(),
                })),
            },
            Class::Unavailable,
        ),
    ];
    for (error, class) in errors {
        assert_eq!(Class::of(&error), class, "{error}");
        let told = error.to_string();
        assert_eq!(Class::of_restore(&Restore::Repository(error)), class, "{told}");
    }
}

#[test]
fn errors_of_restores() {
    let target = || std::path::PathBuf::from("/t");
    let reason = Reason::Exists;
    let problem = Problem { path: "p".into(), reason, salvaged: None };
    for (error, class) in [
        (Restore::Busy { target: target() }, Class::Locked),
        (Restore::DeviceInUse { path: target(), by: vec![] }, Class::Locked),
        (Restore::Shards { missing: vec![1], of: 2, others: vec![], maybe_finished: false }, Class::Locked),
        (Restore::DeviceTooSmall { path: target(), size: 1, needed: 2 }, Class::Full),
        (
            Restore::NoRoom {
                target: target(),
                missing: None,
                mixed: vec![],
                in_place_helps: false,
                source: io::ErrorKind::StorageFull.into(),
                unfinished: target(),
            },
            Class::Full,
        ),
        (Restore::Overlap { target: target(), repository: target() }, Class::Usage),
        (Restore::NotADirectory { target: target() }, Class::Usage),
        (Restore::NoDevice { path: target() }, Class::Usage),
        (Restore::Stopped { unfinished: target() }, Class::Stopped),
        (Restore::Problem { problem: problem.into(), unfinished: target() }, Class::Other),
        (Restore::Threads { source: Errno::AGAIN.into() }, Class::Unavailable),
    ] {
        assert_eq!(Class::of_restore(&error), class, "{error}");
    }
}

#[test]
fn what_happened_to_entries() {
    let damaged = |word| Defect::Damaged {
        content: CONTENT.parse().unwrap(),
        blob: PACK.parse().unwrap(),
        offset: 0,
        word,
    };
    for (word, class) in [
        ("corrupt_content", Class::Damaged),
        ("missing_blob", Class::Damaged),
        ("blob_not_permitted", Class::PermissionDenied),
        ("store_unavailable", Class::Unavailable),
        ("archived_blob", Class::Archived),
    ] {
        let reason = Reason::from(damaged(word));
        assert_eq!(Class::of_reason(&reason), class, "{word}");
        let lost = Reason::Lost { reason: reason.into(), range: 0..1, zeroed: true };
        assert_eq!(Class::of_reason(&lost), class, "{word}");
    }
    for (defect, class) in [
        (Defect::ContainsItself, Class::Damaged),
        (Defect::Length { found: 1, stated: 2 }, Class::Damaged),
        (Defect::TooDeep { limit: 9 }, Class::Unsupported),
        (Defect::LinkTarget, Class::Unsupported),
    ] {
        assert_eq!(Class::of_reason(&defect.into()), class);
    }
    for (reason, class) in [
        (Reason::Exists, Class::Other),
        (Reason::NotEmpty, Class::Other),
        (Reason::ReadsDifferent, Class::Damaged),
        (Reason::NameTaken { by: None }, Class::Unsupported),
        (Reason::KeptName, Class::Unsupported),
        (Reason::NotDeleted(NotDeleted::NamesClash), Class::Other),
        (Reason::from(io::Error::from(Errno::ACCESS)), Class::PermissionDenied),
        (Reason::from(io::Error::from(Errno::DQUOT)), Class::Full),
        (Reason::from(io::Error::from(Errno::IO)), Class::Damaged),
    ] {
        assert_eq!(Class::of_reason(&reason), class, "{reason}");
    }
}

#[test]
fn what_was_found_has_the_class_of_its_error() {
    for error in [
        Repository::WrongPassword { location: "l".into() },
        Repository::Ambiguous { what: "w".into(), candidates: vec![] },
        Repository::Storage(Store::List { place: "p".into(), source: Errno::STALE.into() }),
        Repository::CorruptBlob { blob: PACK.parse().unwrap(), why: "y".into() },
    ] {
        assert_eq!(Finding::failed(&error).class(), Class::of(&error), "{error}");
    }
    let full = Finding::NoSpace { target: "/t".into(), needed: 2, free: 1, certain: true };
    assert_eq!((full.class(), Finding::NoPassword.class()), (Class::Full, Class::AuthFailure));
    let message = String::new();
    let hints = vec![Hint::TryAgain];
    let failed = Finding::Failed { cause: Cause::Other, class: Class::Locked, message, hints };
    assert_eq!(failed.class(), Class::Locked);
}
