//! `maintenance info`: how often maintenance is to run, and what it did.

use crate::client::{Client, Ran};

/// Repositories of several ages: with and without a schedule, with a password that can be changed and one that cannot.
const CASES: [&str; 10] = [
    "sources",
    "epochs",
    "maintained-v1",
    "maintained-v3",
    "kdf-pbkdf2",
    "password-changed",
    "format-v1",
    "era-v0.5.2",
    "era-v0.22.3",
    "upgraded-v1-to-v2",
];

/// Returns a client of a repository, with its password.
fn of(client: Client, case: &str) -> Client {
    client.with("KOPIA_PASSWORD", &kopia_testkit::golden::case(case).password).connected()
}

#[test]
fn maintenance_is_told_with_kopias_fields() {
    let client = Client::ours("sources").connected();
    let info = client.run("maintenance info --json").exits(0).json();
    assert_eq!(
        (&info["owner"], &info["quick"]["interval"]),
        (&"root@vm".into(), &3_600_000_000_000_u64.into())
    );
    assert_eq!(info["schedule"]["nextFullMaintenance"], "2026-11-23T23:32:53.337548919Z");
    let runs = &info["schedule"]["runs"];
    assert_eq!(runs.as_object().unwrap().len(), 8);
    assert_eq!(runs["cleanup-logs"][0]["extra"][0]["data"]["retainedBlobSize"], 916);
    let text = client.run("maintenance info --timezone utc").exits(0).stdout;
    assert!(
        text.starts_with("Owner: root@vm\nQuick Cycle:\n  scheduled: true\n  interval: 1h0m0s\n  next run: "),
        "{text}"
    );
    for line in [
        "  max age of logs: 720h0m0s",
        "    2026-11-22 23:32:53 UTC (0s) SUCCESS: Compacted 0(0 B) index blobs for epoch 0",
        "    2026-11-22 23:32:53 UTC (0s) SUCCESS: Found 0(0 B) logs blobs for deletion and deleted 0(0 B) of them. Retained 1(0.9 KB) log blobs.",
        "    2026-11-22 23:32:53 UTC (0s) SUCCESS: Cleaned up 0(0 B) superseded index blobs, max replacement time 2026-11-22 19:32:53.328920433 +0000 UTC",
        "    2026-11-22 23:32:53 UTC (0s) SUCCESS: Found 0(0 B) contents to rewrite and rewrote 0(0 B). Retained 5(2.5 KB) contents from rewrite",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is not in:\n{text}");
    }
    // A repository from before there was maintenance.
    let old = of(Client::ours("era-v0.5.2"), "era-v0.5.2").run("gc status --json").exits(0).json();
    assert_eq!((&old["owner"], &old["full"]["enabled"]), (&"".into(), &true.into()));
    assert_eq!(
        (&old["schedule"]["runs"], &old["logRetention"]["maxCount"]),
        (&serde_json::Value::Null, &10_000.into())
    );
}

#[test]
fn a_schedule_that_is_damaged_is_named() {
    let client = Client::ours("sources").connected();
    let blob = kopia_testkit::damage::blobs(&client.repository(), "kopia.maintenance").remove(0);
    blob.flip_bit(40, 0);
    client.run("maintenance info --json").exits(1).says("kopia.maintenance");
    client.run("snapshot list --json").exits(0);
    client.run("repository status --json").exits(0);
    blob.delete();
    let info = client.run("maintenance info --json").exits(0).json();
    assert_eq!(info["schedule"]["nextFullMaintenance"], "0001-01-01T00:00:00Z");
}

/// Returns lines without times that count from now, sorted: kopia shows what ran in any order.
fn lines(ran: Ran) -> Vec<String> {
    let line = |line: &str| line.split_once(" (in ").map_or(line, |(before, _)| before).to_owned();
    let mut lines: Vec<_> = ran.exits(0).stdout.lines().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn maintenance_is_told_line_by_line_as_kopia_does() {
    for case in CASES {
        let Some(theirs) = Client::theirs(case) else { return };
        let (theirs, ours) = (of(theirs, case), of(Client::ours(case), case));
        for words in ["maintenance info --json", "gc status", "maintenance info --timezone=utc"] {
            assert_eq!(lines(ours.run(words)), lines(theirs.run(words)), "{case}: {words}");
        }
    }
}
