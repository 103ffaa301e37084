//! Which snapshot is restored.

use serde_json::json;

use crate::common::{Job, Pod, Ran, names, restored, snapshot, snapshot_of};

const APP: &str = "app@media:/data";

/// Five snapshots, one of them of another identity and one unfinished.
fn pod() -> Pod {
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, "2026-01-01T00:00:00Z");
        snapshot(writer, APP, "2026-01-03T00:00:00.5Z");
        snapshot(writer, APP, "2026-01-02T00:00:00Z");
        snapshot(writer, "app@media:/data/sub", "2026-01-05T00:00:00Z");
        let more = json!({"incomplete": "checkpoint"});
        snapshot_of(writer, APP, "2026-01-04T00:00:00Z", &[("text", "unfinished")], more);
    });
    pod
}

/// Restores with these variables and returns what was restored, or how it ended.
fn restore(pod: &Pod, variables: &[(&str, &str)]) -> Result<String, Ran> {
    let with = |job: Job, (name, value): &(&str, &str)| job.env(name, value);
    let ran = variables.iter().fold(pod.job(APP), with).run();
    if ran.code == Some(0) { Ok(restored(pod)) } else { Err(ran) }
}

#[test]
fn the_newest_complete_one_or_an_older_one() {
    let pod = pod();
    let [first, second, third] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00.5Z"];
    for (variables, expected) in [
        (&[][..], third),
        (&[("KOPIA_PREVIOUS", "0")], third),
        (&[("KOPIA_PREVIOUS", "1")], second),
        (&[("KOPIA_PREVIOUS", "2")], first),
        (&[("KOPIA_PREVIOUS", "")], third),
        // The window begins after those that are passed over, and its newest is taken.
        (&[("KOPIA_SHALLOW", "1")], third),
        (&[("KOPIA_SHALLOW", "9")], third),
        (&[("KOPIA_SHALLOW", "1"), ("KOPIA_PREVIOUS", "1")], second),
        // An instant counts to the last digit, wherever the clock stands.
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-03T00:00:00.5Z")], third),
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-03T00:00:00.499999999Z")], second),
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-03T00:00:00Z")], second),
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-03T02:00:00.5+02:00")], third),
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-03T01:30:00+02:00")], second),
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-01T23:59:59-01:00")], second),
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-02T12:00:00Z"), ("KOPIA_PREVIOUS", "1")], first),
        // A time goes before a window, as in the script.
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-01T00:00:00Z"), ("KOPIA_SHALLOW", "0")], first),
    ] {
        match restore(&pod, variables) {
            Ok(text) => assert_eq!(text, expected, "{variables:?}"),
            Err(ran) => panic!("{variables:?}: {}", ran.log),
        }
    }
}

#[test]
fn what_is_not_there_is_an_error_that_says_what_is() {
    let pod = pod();
    for (variables, says) in [
        (
            &[("KOPIA_PREVIOUS", "3")][..],
            "previous is 3, but there are 3 complete snapshots: set previous to 2 or less",
        ),
        (&[("KOPIA_PREVIOUS", "18446744073709551615")], "there are 3 complete snapshots"),
        (&[("KOPIA_SHALLOW", "0")], "KOPIA_SHALLOW is 0"),
        (
            &[("KOPIA_RESTORE_AS_OF", "2025-12-31T23:59:59Z")],
            "set restoreAsOf to 2026-01-01T00:00:00Z (the oldest)",
        ),
        (
            &[("KOPIA_RESTORE_AS_OF", "2026-01-01T00:00:00Z"), ("KOPIA_PREVIOUS", "1")],
            "there is 1 complete snapshot by that time: set previous to 0 or less",
        ),
        (&[("KOPIA_PREVIOUS", "-1")], "KOPIA_PREVIOUS is \"-1\""),
        (&[("KOPIA_PREVIOUS", "99999999999999999999")], "KOPIA_PREVIOUS is"),
        (&[("KOPIA_SHALLOW", "x")], "KOPIA_SHALLOW is \"x\""),
        (&[("KOPIA_RESTORE_AS_OF", "yesterday")], "KOPIA_RESTORE_AS_OF is \"yesterday\""),
        (&[("KOPIA_RESTORE_AS_OF", "2026-01-02")], "RFC 3339"),
        (&[("KOPIA_OVERRIDE_USERNAME", "")], "KOPIA_OVERRIDE_USERNAME must be defined"),
        (&[("KOPIA_OVERRIDE_HOSTNAME", "")], "KOPIA_OVERRIDE_HOSTNAME must be defined"),
    ] {
        let ran = restore(&pod, variables).unwrap_err().exits(1);
        ran.ends_with(&["ERROR: unable to restore", says]).never_says(&["No data will be restored"]);
        assert!(names(&pod.volume()).is_empty());
    }
}

#[test]
fn an_identity_with_unfinished_snapshots_alone_is_no_first_deployment() {
    let pod = Pod::new();
    pod.write(|writer| {
        let more = json!({"incomplete": "checkpoint"});
        snapshot_of(writer, APP, "2026-01-01T00:00:00Z", &[("text", "half")], more.clone());
        snapshot_of(writer, APP, "2026-01-02T00:00:00Z", &[("text", "half")], more);
    });
    let ran = pod.job(APP).run().exits(1);
    ran.ends_with(&["its 2 snapshots are incomplete (checkpoint)"]);
}

#[test]
fn the_path_is_the_sources() {
    let pod = pod();
    // A folder may be written with `/` at its end; another one is another identity.
    pod.job("app@media:/data/").run().exits(0);
    assert_eq!(restored(&pod), "2026-01-03T00:00:00.5Z");
    pod.job("app@media:/data/sub").run().exits(0);
    assert_eq!(restored(&pod), "2026-01-05T00:00:00Z");
    // Without an override the path is where the volume is mounted, unless that is where destinations have it.
    let volume = pod.volume().display().to_string();
    let ran = pod.job(APP).without("KOPIA_SOURCE_PATH_OVERRIDE").run().exits(0);
    ran.says(&[&format!("identity app@media:{volume}")]);
}
