//! Targets that refuse owners, modes or times, or forget them: what the command says, and its exit status.

use std::collections::BTreeMap;
use std::fs;

use kopia_testkit::faults;
use kopia_testkit::refuse::{Call, refusing};
use rustix::io::Errno;
use serde_json::Value;

use crate::common::{KopiaRs, Place};

fn restore(arguments: &str, target: &std::path::Path) -> KopiaRs {
    KopiaRs::new("restore latest")
        .repository(&faults::repository("target-refuses"))
        .env("KOPIA_PASSWORD", faults::PASSWORD)
        .arg(target)
        .arg(arguments)
}

#[test]
fn what_a_share_refuses_is_told_and_is_no_failure() {
    let place = Place::new();
    let all = [Call::Chmod, Call::Chown, Call::Utimes];
    for (number, answer) in [Some(Errno::PERM), Some(Errno::OPNOTSUPP), None].into_iter().enumerate() {
        let target = place.path(&format!("target-{number}"));
        let ran = refusing(&all.map(|call| (call, answer)), || {
            let ran = restore("--json", &target).run();
            let dry = restore("--dry-run", &target).run();
            (ran, dry, restore("--existing=verify", &target).run())
        });
        let Some((ran, dry, again)) = ran else { return };
        let ran =
            ran.exits(0).says(&["10 entries could not be given the right time", "permissions", "setuid"]);
        let json = ran.json();
        assert_eq!((&json["files"], &json["folders"], &json["symlinks"]), (&6.into(), &3.into(), &1.into()));
        assert_eq!((&json["problemCount"], &json["notes"]["times"]), (&0.into(), &10.into()), "{json}");
        assert_eq!(fs::read(target.join("tool")).unwrap().len(), 3);
        // What is there is right, and stays.
        assert!(dry.exits(0).text().contains("keep 7, delete 0"), "the preview");
        assert!(again.exits(0).text().contains("kept 7 that were right"));
    }
}

#[test]
fn strict_names_what_could_not_be_set() {
    let place = Place::new();
    // Refused, or taken and not done.
    for (number, answer) in [Some(Errno::PERM), None].into_iter().enumerate() {
        let report = place.path(&format!("report-{number}.jsonl"));
        let refused = [(Call::Utimes, answer), (Call::ChmodSpecial, answer)];
        let run = |name: &str, option: &str| {
            let command = restore("--quiet", &place.path(&format!("{name}-{number}")));
            let command = if option.is_empty() { command } else { command.arg(option) };
            refusing(&refused, || command.arg("--report").arg(&report).run())
        };
        let Some(ran) = run("target", "--strict-attributes") else { return };
        let ran = ran.exits(3).says(&[
            "as --strict-attributes demands: ",
            "2 entries without their special bits, ",
            "10 times",
        ]);
        let text = "as --strict-attributes demands: 2 entries without their special bits, 10 times";
        // An ordinary user cannot set the owner either, and what is taken for done is not tried in part.
        let is_all = ran.stderr.contains(text) || ran.stderr.contains("10 owners") || answer.is_none();
        assert!(is_all, "{}", ran.stderr);
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in fs::read_to_string(&report).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["kind"], "attribute");
            let [path, attribute] = ["path", "attribute"].map(|key| line[key].as_str().unwrap().to_owned());
            told.entry(attribute).or_default().push(path);
        }
        told.values_mut().for_each(|paths| paths.sort());
        assert_eq!(told["specialBits"], ["drop", "tool"], "{answer:?}");
        assert_eq!(told["time"].len(), 10, "{answer:?}");
        // Without being strict it is no problem, and the report is empty.
        let ran = run("second", "").unwrap();
        assert_eq!((ran.code, fs::read(&report).unwrap().len()), (Some(0), 0), "{answer:?}");
    }
}
