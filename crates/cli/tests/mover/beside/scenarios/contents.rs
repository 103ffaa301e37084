//! What is asked for besides, and what is in the snapshot.

use serde_json::json;

use super::places::lose;
use super::{APP, PLAIN, Scenario};
use crate::common::{file, folder, manifest, snapshot_of};

pub(super) const ARGUMENTS: &[Scenario] = &[
    Scenario {
        about: "as many at once as somebody wants, which the script gives to connect, too",
        variables: &[("KOPIA_ADDITIONAL_ARGS", "--parallel=2")],
        script: Some((1, "")),
        ..PLAIN
    },
    Scenario {
        about: "without times",
        variables: &[("KOPIA_ADDITIONAL_ARGS", "--skip-times|VOLSYNC_ARG_SEP|--skip-owners")],
        script: Some((1, "")),
        ..PLAIN
    },
    Scenario {
        about: "an argument that nobody knows",
        variables: &[("KOPIA_ADDITIONAL_ARGS", "--bogus")],
        mover: (1, ""),
        ..PLAIN
    },
    Scenario {
        about: "limits of a cache",
        variables: &[
            ("KOPIA_METADATA_CACHE_SIZE_LIMIT_MB", "100"),
            ("KOPIA_CONTENT_CACHE_SIZE_LIMIT_MB", "100"),
        ],
        ..PLAIN
    },
    Scenario { about: "no limits of a cache", variables: &[("KOPIA_SKIP_CACHE_CONFIG", "true")], ..PLAIN },
    Scenario { about: "no discovery", variables: &[("KOPIA_DISCOVER_SNAPSHOTS", "")], ..PLAIN },
    Scenario { about: "a privileged mover", variables: &[("PRIVILEGED_MOVER", "1")], ..PLAIN },
];

pub(super) const CONTENTS: &[Scenario] = &[
    Scenario {
        about: "folders in folders",
        repository: |writer| {
            let inner = [file(writer, "c", "3")];
            let inner = folder(writer, "b", &inner);
            let outer = folder(writer, "a", &[inner]);
            let root = folder(writer, "data", &[outer]);
            manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
        },
        mover: (0, "a/b/c=3"),
        ..PLAIN
    },
    Scenario {
        about: "a snapshot without anything",
        repository: |writer| {
            let root = folder(writer, "data", &[]);
            manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
        },
        mover: (0, ""),
        ..PLAIN
    },
    Scenario {
        about: "a snapshot of one file, which kopia puts in the place of the volume",
        repository: |writer| {
            let root = file(writer, "db.dump", "all of it");
            manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
        },
        mover: (0, "db.dump=all of it"),
        script: Some((1, "")),
        ..PLAIN
    },
    Scenario {
        about: "an empty file and one of many lines",
        repository: |writer| {
            snapshot_of(
                writer,
                APP,
                "2026-01-01T00:00:00Z",
                &[("empty", ""), ("lines", "1\n2\n3")],
                json!({}),
            );
        },
        mover: (0, "empty= lines=1\n2\n3"),
        ..PLAIN
    },
    Scenario {
        about: "a name of 255 bytes, which kopia cannot write",
        repository: |writer| {
            snapshot_of(writer, APP, "2026-01-01T00:00:00Z", &[(LONGEST, "1")], json!({}));
        },
        mover: (0, LONGEST_HOLDS),
        script: Some((1, "")),
        ..PLAIN
    },
    Scenario { about: "a missing pack of data", prepare: |pod| lose(pod, "p"), mover: (1, ""), ..PLAIN },
];

const LONGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
const LONGEST_HOLDS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde=1";
