//! Names with `/`: backups from standard input and Velero's copies of block volumes.

use std::fs;
use std::process::Command;

use kopia_testkit::faults;
use serde_json::Value;

use crate::common::{KopiaRs, Place, names};

const DUMP: &str = "bytes of the dump\n";

fn command(arguments: &str) -> KopiaRs {
    KopiaRs::new(arguments)
        .repository(&faults::repository("names-slash"))
        .env("KOPIA_PASSWORD", faults::PASSWORD)
}

#[test]
fn they_are_listed_with_their_objects_and_written_by_their_paths() {
    for (source, path, bytes) in [
        ("app@media:/stdin-absolute", "var/lib/db/base.tar", DUMP),
        ("app@media:/stdin-relative", "sub/dir/dump.sql", DUMP),
        ("default@default:/legacy-block", "dev/nvme1n1", "bytes of it"),
    ] {
        let listed = command(&format!("ls {source}")).run().exits(0);
        assert_eq!(listed.text(), format!("{path}\n"));
        assert!(command(&format!("ls -l {source}")).run().exits(0).text().ends_with(&format!(" {path}\n")));
        let json = command(&format!("ls -R --json {source}")).run().exits(0).json_lines();
        assert_eq!((&json[0]["path"], json.len()), (&path.into(), 1));
        let object = json[0]["obj"].as_str().unwrap();
        for what in [&format!("{source}/{path}"), object] {
            assert_eq!(command(&format!("cat {what}")).run().exits(0).text(), bytes, "{what}");
        }
        let (folder, name) = path.rsplit_once('/').unwrap();
        assert_eq!(command(&format!("ls {source}/{folder}")).run().exits(0).text(), format!("{name}\n"));
    }
}

#[test]
fn they_are_restored_below_the_target() {
    let place = Place::new();
    for (source, path) in [
        ("app@media:/stdin-absolute", "var/lib/db/base.tar"),
        ("app@media:/stdin-relative", "sub/dir/dump.sql"),
        ("default@default:/legacy-block", "dev/nvme1n1"),
    ] {
        let target = place.path(&format!("{}-restored", path.replace('/', "-")));
        command(&format!("restore {source}")).arg(&target).arg("--dry-run").run().exits(0);
        assert!(!target.exists());
        for _ in 0..2 {
            command(&format!("restore {source} --delete-extra")).arg(&target).run().exits(0);
            assert_eq!(
                fs::read(target.join(path)).unwrap(),
                command(&format!("cat {source}/{path}")).run().stdout
            );
            assert_eq!(names(&target), [path.split('/').next().unwrap()]);
        }
        let file = place.path("file");
        command(&format!("restore {source}/{path}")).arg(&file).run().exits(0);
        assert_eq!(fs::read(&file).unwrap(), fs::read(target.join(path)).unwrap());
        command(&format!("verify {source}")).run().exits(0);
    }
}

#[test]
fn every_other_command_takes_them_for_paths_too() {
    let place = Place::new();
    let (absolute, relative) = ("app@media:/stdin-absolute", "app@media:/stdin-relative");
    let lines = |arguments: &str| command(arguments).run().exits(0).json_lines();
    let found = lines(&format!("find *.sql {relative} --json"));
    assert_eq!((&found[0]["path"], found.len()), (&"sub/dir/dump.sql".into(), 1));
    let log = command(&format!("log {relative}/sub/dir/dump.sql")).run().exits(0);
    assert!(log.text().contains("/sub/dir/dump.sql: 1 version in 1 snapshot\n"), "{}", log.text());
    let used = lines(&format!("du {relative} --json --depth 5"));
    let used: Vec<_> =
        used.iter().map(|line| (line["path"].as_str().unwrap(), line["bytes"].as_u64())).collect();
    assert_eq!(used, [("sub", Some(18)), ("sub/dir", Some(18)), ("", Some(18))]);
    let changed = command(&format!("diff -R {absolute} {relative}")).run().exits(0);
    for line in ["- var/lib/db/base.tar  (18 B)\n", "+ sub/dir/\n", "+ sub/dir/dump.sql  (18 B)\n"] {
        assert!(changed.text().contains(line), "{line:?} is not in {}", changed.text());
    }
    assert_eq!(command(&format!("gone {relative}")).run().exits(0).text(), "");
    // Archives have the folders that only names have, and no name that leads out.
    let up = "app@media:/stdin-up";
    for (source, code, expected) in [
        (absolute, 0, &["./", "./var/", "./var/lib/", "./var/lib/db/", "./var/lib/db/base.tar"][..]),
        (relative, 0, &["./", "./sub/", "./sub/dir/", "./sub/dir/dump.sql"]),
        (up, 3, &["./"]),
    ] {
        let archive = place.path("x.tar");
        command(&format!("export {source}")).arg(&archive).run().exits(code);
        let listed = Command::new("tar").arg("-tf").arg(&archive).output().unwrap().stdout;
        let listed = String::from_utf8(listed).unwrap();
        assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
        fs::remove_file(archive).unwrap();
    }
    // What is refused is said by each that walks the tree.
    for arguments in ["du app@media:/stdin-up", "diff app@media:/stdin-up app@media:/stdin-relative"] {
        command(arguments)
            .run()
            .exits(3)
            .says(&["../up.sql: would leave its folder; its bytes are in object"]);
    }
}

#[test]
fn a_name_that_leads_out_is_named_with_its_object() {
    let place = Place::new();
    let (target, report) = (place.path("in/target"), place.path("report"));
    let source = "app@media:/stdin-up";
    let ran =
        command(&format!("restore {source} --json")).arg("--report").arg(&report).arg(&target).run().exits(3);
    assert!(!ran.stderr.contains("another copy"), "{}", ran.stderr);
    let problem = &ran.json()["problems"][0];
    let object = problem["object"].as_str().expect("an object");
    let message = format!("would leave its folder; its bytes are in object {object}");
    assert_eq!((&problem["kind"], &problem["message"]), (&"entry".into(), &message.as_str().into()));
    assert!(ran.stderr.contains(&message) && ran.stderr.contains("`kopia-rs cat OBJECT`"), "{}", ran.stderr);
    let line: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(&line, problem);
    assert_eq!((names(&target), names(&place.path("in"))), (vec![], vec!["target".into()]));
    assert_eq!(command(&format!("cat {object}")).run().exits(0).text(), DUMP);
    command(&format!("ls {source}")).run().exits(3).says(&[&message]);
    command(&format!("restore {source} --dry-run")).arg(&target).run().exits(3).says(&[&message]);
    // Of the whole repository this is all that is wrong, and it is said as the restore says it.
    for arguments in ["verify --json".to_string(), format!("verify {source} --json")] {
        let verified = command(&arguments).run().exits(3).says(&[&message, "cannot be restored as it was"]);
        let json = verified.json();
        assert_eq!((&json["damageCount"], &json["lossCount"]), (&0.into(), &1.into()));
        let loss = &json["losses"][0];
        assert_eq!((&loss["object"], &loss["message"]), (&object.into(), &message.as_str().into()));
        assert_eq!(loss["path"], "../up.sql");
    }
}
