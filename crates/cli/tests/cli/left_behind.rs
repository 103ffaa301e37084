//! What others left in a repository: an upgrade that was abandoned, stubs, snapshots that are deleted and
//! still there.

use std::fs;

use kopia_testkit::faults;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::{RepositoryWriter, write_in};
use serde_json::json;

use crate::common::{KopiaRs, Place};

fn command(name: &str, arguments: &str) -> KopiaRs {
    KopiaRs::new(arguments).repository(&faults::repository(name)).env("KOPIA_PASSWORD", faults::PASSWORD)
}

#[test]
fn an_upgrade_that_was_abandoned_is_dated_and_has_ways_out() {
    let place = Place::new();
    let backup = faults::repository("upgrade-abandoned")
        .canonicalize()
        .unwrap()
        .join("kop/ia./repository.backup.ops@media.f");
    assert!(backup.is_file());
    let path = backup.to_str().unwrap();
    let refused = command("upgrade-abandoned", "snapshots").run().exits(1).says(&[
        "ops@media has been upgrading the repository since 2026-",
        "`kopia repository upgrade rollback --force`",
        &format!("--format-blob {path}"),
    ]);
    assert!(!refused.stderr.contains("additionalArgs"), "{}", refused.stderr);
    command("upgrade-abandoned", "doctor").run().says(&["rollback --force", path]);
    let pod =
        command("upgrade-abandoned", "snapshots").env("KUBERNETES_SERVICE_HOST", "10.0.0.1").run().exits(1);
    let pod = pod.says(&["--degraded (with VolSync: additionalArgs: [--degraded]) reads it"]);
    assert!(!pod.stderr.contains("--format-blob"), "{}", pod.stderr);

    for (number, by) in [format!("--format-blob {path}"), "--degraded".into()].iter().enumerate() {
        let target = place.path(&format!("target{number}"));
        let ran = command("upgrade-abandoned", &format!("restore latest {by}")).arg(&target).run().exits(0);
        let note = "since 2026-";
        assert_eq!(ran.stderr.contains(note), by == "--degraded", "{}", ran.stderr);
        let expected = faults::tree("upgrade-abandoned");
        let differences = compare(&expected, &Tree::scan(&target), &Compare::settable());
        assert!(differences.is_empty(), "{by}: {differences:#?}");
    }
}

#[test]
fn stubs_are_told_with_the_objects_of_their_originals() {
    let place = Place::new();
    let target = place.path("target");
    let note = ["1 entry is a stub that `kopia snapshot fix` put there", ".INVALID.k2, for k2 (object "];
    let restored = command("stubs", "restore latest --json").arg(&target).run().exits(0).says(&note);
    let json = restored.json();
    assert_eq!(json["stubCount"], 1);
    let stub = &json["stubs"][0];
    assert_eq!((&stub["kind"], &stub["name"]), (&"unreadable".into(), &"k2".into()));
    assert!(target.join(stub["path"].as_str().unwrap()).is_file());
    let verified = command("stubs", "verify latest --json").run().exits(0).says(&note).json();
    assert_eq!((&verified["stubCount"], &verified["stubs"][0]["object"]), (&1.into(), &stub["object"]));
    let quiet = command("stubs", "restore latest --quiet").arg(place.path("quiet")).run().exits(0);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn placeholders_are_told_with_what_restores_their_originals() {
    let place = Place::new();
    let (repository, target) = (place.path("repo"), place.path("target"));
    let mut writer = RepositoryWriter::new();
    let original = writer.file(b"hello");
    let file = |name: &str, object: &str, size: usize| {
        json!({"name": name, "type": "f", "mode": "0644", "mtime": "2020-01-02T03:04:05Z", "obj": object,
            "size": size})
    };
    let text = file("letter.txt", &original, 5).to_string();
    let stub = writer.file(text.as_bytes());
    let root = writer.directory(&[file("letter.txt.kopia-entry", &stub, text.len())]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    writer.finish_in(&repository).unwrap();
    let named = format!("  letter.txt.kopia-entry, for letter.txt (object {original})\n");
    let told = [
        "1 entry is a placeholder that `kopia restore --shallow` put there",
        "; `kopia-rs restore OBJECT TARGET` restores one:\n",
        &named,
    ];
    let command = |arguments: &str| KopiaRs::written(&repository, arguments);
    let restored = command("restore latest --json").arg(&target).run().exits(0).says(&told);
    assert_eq!(restored.json()["stubs"][0]["kind"], "placeholder");
    command("verify latest --json").run().exits(0).says(&told);
    // And so it does.
    let by_hand = place.path("letter.txt");
    command("restore").arg(&original).arg(&by_hand).run().exits(0);
    assert_eq!(fs::read(by_hand).unwrap(), b"hello");
}

#[test]
fn snapshots_that_are_all_deleted_are_not_forgotten() {
    let place = Place::new();
    let repository = place.path("repo");
    let mut writer = RepositoryWriter::new();
    let root = writer.directory(&[]);
    let id =
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    write_in(&repository, writer.finish_changed(|living| living.delete_snapshot(&id))).unwrap();
    let command = |arguments: &str| KopiaRs::written(&repository, arguments);
    command("snapshots").run().exits(0).says(&["holds no snapshots", "--deleted shows them"]);
    command("restore latest")
        .arg(place.path("target"))
        .run()
        .exits(1)
        .says(&["all snapshots were deleted", "--deleted"]);
    let listed = command("snapshots --deleted").run().exits(0);
    assert!(listed.text().contains(&id) && !listed.stderr.contains("were deleted"), "{listed:?}");
    command("restore latest --deleted").arg(place.path("target")).run().exits(0);
}
