//! The Jobs, each with what it leaves in the volume.

use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{Pod, snapshot, snapshot_of};
use contents::{ARGUMENTS, CONTENTS};
use places::{REPOSITORIES, VOLUMES};

mod contents;
mod places;

const APP: &str = "app@media:/data";

/// The exit status, and what the volume holds.
type End = (i32, &'static str);

/// A Job, its repository and its volume.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) about: &'static str,
    pub(super) repository: fn(&mut RepositoryWriter),
    /// What else is done to the repository and the volume before.
    pub(super) prepare: fn(&Pod),
    pub(super) identity: &'static str,
    pub(super) variables: &'static [(&'static str, &'static str)],
    pub(super) mover: End,
    /// `None`: as the mover.
    pub(super) script: Option<End>,
}

const FIRST: &str = "text=2026-01-01T00:00:00Z";
const SECOND: &str = "text=2026-01-02T00:00:00Z";
const THIRD: &str = "text=2026-01-03T00:00:00.5Z";

const PLAIN: Scenario = Scenario {
    about: "the newest",
    repository: three,
    prepare: |_| {},
    identity: APP,
    variables: &[],
    mover: (0, THIRD),
    script: None,
};

/// Three complete snapshots, in another order than that of their times.
fn three(writer: &mut RepositoryWriter) {
    snapshot(writer, APP, "2026-01-01T00:00:00Z");
    snapshot(writer, APP, "2026-01-03T00:00:00.5Z");
    snapshot(writer, APP, "2026-01-02T00:00:00Z");
}

/// All of them.
pub(super) fn all() -> Vec<Scenario> {
    [SELECTION, SOURCES, VOLUMES, REPOSITORIES, ARGUMENTS, CONTENTS].concat()
}

const SELECTION: &[Scenario] = &[
    PLAIN,
    Scenario { about: "previous 0", variables: &[("KOPIA_PREVIOUS", "0")], ..PLAIN },
    Scenario { about: "previous 1", variables: &[("KOPIA_PREVIOUS", "1")], mover: (0, SECOND), ..PLAIN },
    Scenario { about: "previous 2", variables: &[("KOPIA_PREVIOUS", "2")], mover: (0, FIRST), ..PLAIN },
    Scenario { about: "previous 3", variables: &[("KOPIA_PREVIOUS", "3")], mover: (1, ""), ..PLAIN },
    Scenario { about: "previous is empty", variables: &[("KOPIA_PREVIOUS", "")], ..PLAIN },
    Scenario {
        about: "previous is no number",
        variables: &[("KOPIA_PREVIOUS", "x")],
        mover: (1, ""),
        script: Some((0, THIRD)),
        ..PLAIN
    },
    Scenario { about: "shallow 1", variables: &[("KOPIA_SHALLOW", "1")], ..PLAIN },
    Scenario { about: "shallow 9", variables: &[("KOPIA_SHALLOW", "9")], ..PLAIN },
    Scenario {
        about: "shallow 0",
        variables: &[("KOPIA_SHALLOW", "0")],
        mover: (1, ""),
        script: Some((0, "")),
        ..PLAIN
    },
    Scenario {
        about: "shallow 1, previous 1",
        variables: &[("KOPIA_SHALLOW", "1"), ("KOPIA_PREVIOUS", "1")],
        mover: (0, SECOND),
        ..PLAIN
    },
    Scenario {
        about: "shallow 2, previous 2",
        variables: &[("KOPIA_SHALLOW", "2"), ("KOPIA_PREVIOUS", "2")],
        mover: (0, FIRST),
        ..PLAIN
    },
    Scenario {
        about: "as of the very time",
        variables: &[("KOPIA_RESTORE_AS_OF", "2026-01-03T00:00:00.5Z")],
        ..PLAIN
    },
    Scenario {
        about: "as of between two",
        variables: &[("KOPIA_RESTORE_AS_OF", "2026-01-02T12:00:00Z")],
        mover: (0, SECOND),
        ..PLAIN
    },
    Scenario {
        about: "as of a fraction of a second before",
        variables: &[("KOPIA_RESTORE_AS_OF", "2026-01-03T00:00:00.4Z")],
        mover: (0, SECOND),
        ..PLAIN
    },
    Scenario {
        about: "as of between two, previous 1",
        variables: &[("KOPIA_RESTORE_AS_OF", "2026-01-02T12:00:00Z"), ("KOPIA_PREVIOUS", "1")],
        mover: (0, FIRST),
        ..PLAIN
    },
    Scenario {
        about: "as of a time in another zone, compared as text by the script",
        variables: &[("KOPIA_RESTORE_AS_OF", "2026-01-03T01:30:00+02:00")],
        mover: (0, SECOND),
        script: Some((0, THIRD)),
        ..PLAIN
    },
    Scenario {
        about: "as of a whole second, compared as text by the script",
        variables: &[("KOPIA_RESTORE_AS_OF", "2026-01-03T00:00:00Z")],
        mover: (0, SECOND),
        script: Some((0, THIRD)),
        ..PLAIN
    },
    Scenario {
        about: "as of before all of them",
        variables: &[("KOPIA_RESTORE_AS_OF", "2020-01-01T00:00:00Z")],
        mover: (1, ""),
        script: Some((0, "")),
        ..PLAIN
    },
    Scenario {
        about: "as of no time",
        variables: &[("KOPIA_RESTORE_AS_OF", "soon")],
        mover: (1, ""),
        script: Some((0, THIRD)),
        ..PLAIN
    },
    Scenario {
        about: "an unfinished one is the newest",
        repository: |writer| {
            three(writer);
            let more = json!({"incomplete": "checkpoint"});
            snapshot_of(writer, APP, "2026-01-04T00:00:00Z", &[("text", "half")], more);
        },
        script: Some((0, "text=half")),
        ..PLAIN
    },
    Scenario {
        about: "unfinished ones alone",
        repository: |writer| {
            let more = json!({"incomplete": "checkpoint"});
            snapshot_of(writer, APP, "2026-01-04T00:00:00Z", &[("text", "half")], more);
        },
        mover: (1, ""),
        script: Some((0, "text=half")),
        ..PLAIN
    },
];

const SOURCES: &[Scenario] = &[
    Scenario { about: "an identity without any", identity: "new@media:/data", mover: (0, ""), ..PLAIN },
    Scenario {
        about: "a first deployment that must not be",
        identity: "new@media:/data",
        variables: &[("KOPIA_RS_ON_MISSING", "fail")],
        mover: (1, ""),
        script: Some((0, "")),
        ..PLAIN
    },
    Scenario {
        about: "another path of the identity",
        repository: |writer| {
            three(writer);
            snapshot(writer, "app@media:/other", "2026-01-09T00:00:00Z");
        },
        identity: "app@media:/other",
        mover: (0, "text=2026-01-09T00:00:00Z"),
        ..PLAIN
    },
    Scenario {
        about: "the path of DATA_DIR unless another is said",
        variables: &[("KOPIA_SOURCE_PATH_OVERRIDE", "")],
        mover: (0, ""),
        ..PLAIN
    },
    Scenario {
        about: "sources above and below have newer ones",
        repository: |writer| {
            three(writer);
            snapshot(writer, "app@media:/", "2026-01-05T00:00:00Z");
            snapshot(writer, "app@media:/data/sub", "2026-01-06T00:00:00Z");
        },
        ..PLAIN
    },
    Scenario {
        about: "a folder below a source, which kopia answers with the source",
        identity: "app@media:/data/sub",
        mover: (0, ""),
        script: Some((0, THIRD)),
        ..PLAIN
    },
    Scenario {
        about: "the same path of other hosts and users",
        repository: |writer| {
            three(writer);
            snapshot(writer, "app@other:/data", "2026-01-05T00:00:00Z");
            snapshot(writer, "other@media:/data", "2026-01-06T00:00:00Z");
        },
        ..PLAIN
    },
];
