//! The case that this project was made for: a source mover had written the repository to
//! `<volume>/repository`, the restore looked in `<volume>`; and behind that an identity that no backup had.

use crate::common::{Pod, restored, snapshot};
use crate::controller;

const BACKED_UP: &str = "app-src@media:/data";
const ASKED_FOR: &str = "app@media:/data";

fn pod() -> Pod {
    let pod = Pod::new();
    let mut writer = kopia_testkit::writer::RepositoryWriter::new();
    snapshot(&mut writer, BACKED_UP, "2026-01-01T01:00:00Z");
    snapshot(&mut writer, BACKED_UP, "2026-01-02T01:00:00Z");
    snapshot(&mut writer, "other@media:/data", "2026-01-03T01:00:00Z");
    let within = pod.repository().join("repository");
    std::fs::create_dir_all(&within).unwrap();
    writer.finish_in(&within).unwrap();
    // What kopia leaves behind where it looks in vain.
    std::fs::write(pod.repository().join(".shards"), r#"{"default":[1,3],"maxNonShardedLength":20}"#)
        .unwrap();
    pod
}

/// What a sentence tells to set.
fn told<'s>(sentence: &'s str, what: &str) -> &'s str {
    sentence.split_once(what).unwrap_or_else(|| panic!("{what} is not in {sentence}")).1
}

#[test]
fn a_repository_one_level_below_is_named_exactly() {
    let pod = pod();
    let ran = pod.job(ASKED_FOR).run().exits(1).never_says(&["create", "initialized", "found existing data"]);
    let seen = controller::seen(&ran.log);
    let sentence = seen.lines().last().unwrap();
    let within = pod.repository().join("repository");
    assert!(sentence.starts_with("ERROR: unable to "), "{sentence}");
    assert_eq!(told(sentence, "set KOPIA_REPOSITORY="), format!("filesystem://{}", within.display()));
}

#[test]
fn an_identity_with_another_name_is_named_with_what_to_set() {
    let pod = pod();
    let right = pod.repository().join("repository");
    let job = || pod.job(ASKED_FOR).repository(&right);
    let expected = "No eligible snapshots found for app@media:/data; the repository has app-src@media:/data (2 snapshots, \
                    newest 2026-01-02T01:00:00Z) and 1 more: set sourceIdentity: {sourceName: app-src, sourceNamespace: media}";
    // On a first deployment there is no backup yet, and the application must come up.
    let ran = job().run().exits(0).says(&["=== No data will be restored ==="]);
    assert_eq!(controller::seen(&ran.log).lines().last(), Some(expected));
    let ran = job().env("KOPIA_RS_ON_MISSING", "fail").run().exits(1);
    assert_eq!(controller::seen(&ran.log).lines().last(), Some(expected));
    assert!(crate::common::names(&pod.volume()).is_empty());
}

#[test]
fn who_follows_both_sentences_has_the_data_back() {
    let pod = pod();
    let ran = pod.job(ASKED_FOR).run().exits(1);
    let repository = told(ran.last(), "set KOPIA_REPOSITORY=").to_owned();
    let ran = pod.job(ASKED_FOR).env("KOPIA_REPOSITORY", &repository).run().exits(0);
    // The controller makes user and host of these names.
    let names = told(ran.last(), "sourceIdentity: {sourceName: ").trim_end_matches('}').to_owned();
    let (name, namespace) = names.split_once(", sourceNamespace: ").unwrap();
    let job = pod.job(&format!("{name}@{namespace}:/data")).env("KOPIA_REPOSITORY", &repository);
    job.run().exits(0).ends_with(&["Snapshot restore completed successfully: app-src@media:/data"]);
    assert_eq!(restored(&pod), "2026-01-02T01:00:00Z");
}
