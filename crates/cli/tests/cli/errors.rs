//! Classes of errors in JSON, of the real command: what it was given, and which class it says.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kopia_rs::diagnosis::Class;
use kopia_testkit::damage::{RepositoryCopy, copy_repository};
use kopia_testkit::http_server::{HttpServer, error};
use kopia_testkit::{faults, golden};
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, names};

fn sources(arguments: &str) -> KopiaRs {
    KopiaRs::golden("sources", &format!("{arguments} --json"))
}

/// Runs what fails; returns its only line, the error.
#[track_caller]
fn error_of(command: KopiaRs, code: i32) -> Value {
    let ran = command.run().exits(code);
    assert_eq!(ran.text().lines().count(), 1, "{}", ran.text());
    let mut json = ran.json();
    let error = json["error"].take();
    assert_eq!(error["exitStatus"], code, "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(ran.stderr.contains(&format!("error: {message}\n")), "{message:?} is not in\n{}", ran.stderr);
    error
}

#[track_caller]
fn is_of(command: KopiaRs, code: i32, class: &str) -> Value {
    let error = error_of(command, code);
    assert_eq!(error["class"], class, "{error}");
    error
}

#[test]
fn the_guide_has_every_class_with_whether_the_same_again_helps() {
    let guide = include_str!("../../../kopia-rs/guide/json.md");
    let rows: BTreeMap<_, _> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(code, rest)| (code, rest.split('|').nth(1).unwrap_or_default().trim()))
        .collect();
    for class in Class::ALL {
        let helps = rows.get(class.code()).unwrap_or_else(|| panic!("{class} is not in json.md"));
        assert_eq!(helps.starts_with("yes"), class.may_pass(), "{class}: {helps}");
    }
}

#[test]
fn what_cannot_be_opened_or_found() {
    let place = Place::new();
    let wrong = sources("snapshots").env("KOPIA_PASSWORD", "wrong");
    assert_eq!(is_of(wrong, 1, "AuthFailure")["path"], Value::Null);
    is_of(sources("snapshots").without_password(), 1, "AuthFailure");
    let at = |path: &Path| KopiaRs::new("snapshots --json").repository(path).env("KOPIA_PASSWORD", "golden");
    let nowhere = is_of(at("/nonexistent".as_ref()), 1, "NotFound");
    assert!(nowhere["hints"].as_array().is_some_and(|hints| !hints.is_empty()), "{nowhere}");
    is_of(at(&place.path("")), 1, "NotFound");
    let none = is_of(sources("restore nobody@nowhere:/x").arg(place.path("t")), 1, "NotFound");
    assert!(none["candidates"].as_array().is_some_and(|some| !some.is_empty()), "{none}");
    is_of(sources("ls c3bc/nope"), 1, "NotFound");
    is_of(sources("ls latest"), 1, "Usage");
    is_of(sources("restore c3bc --at 2026").arg(place.path("t")), 2, "Usage");
    is_of(sources("restore c3bc --report /nonexistent/report").arg(place.path("t")), 1, "NotFound");
    fs::write(place.path("file"), "mine").unwrap();
    is_of(sources("restore c3bc").arg(place.path("file")), 1, "Usage");
    let upgraded = KopiaRs::new("snapshots --json").repository(&faults::repository("upgrade-abandoned"));
    is_of(upgraded.env("KOPIA_PASSWORD", faults::PASSWORD), 1, "Locked");
}

#[test]
fn without_json_nothing_is_printed() {
    let ran = KopiaRs::golden("sources", "snapshots").env("KOPIA_PASSWORD", "wrong").run().exits(1);
    assert_eq!(ran.text(), "");
}

#[test]
fn bytes_on_standard_output_have_no_error_behind_them() {
    for (arguments, code, class) in [
        ("cat c3bc/hello.txt", 2, "Usage"),
        ("export nobody@nowhere:/x", 1, "NotFound"),
        ("export nobody@nowhere:/x -", 1, "NotFound"),
    ] {
        let ran = sources(arguments).run().exits(code);
        assert_eq!(ran.text(), "", "{arguments}");
        let line =
            ran.stderr.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{}", ran.stderr));
        let json: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&json["error"]["class"], &json["error"]["exitStatus"]), (&class.into(), &code.into()));
    }
    // What goes on after bytes were written.
    let packs = damaged("p");
    let ran = of(&packs, "export c3bc --fail-fast --json").run().exits(1);
    assert!(!String::from_utf8_lossy(&ran.stdout).contains("\"error\""));
    assert!(ran.stderr.contains(r#"{"error":{"class":"Damaged""#), "{}", ran.stderr);
    // No archive is written there.
    is_of(sources("export nobody@nowhere:/x --dry-run"), 1, "NotFound");
}

#[test]
fn a_result_that_was_printed_is_all_there_is() {
    let place = Place::new();
    let wrong = sources("doctor").env("KOPIA_PASSWORD", "wrong").run().exits(1).says(&["error: "]);
    assert_eq!(wrong.json()["findings"][0]["class"], "AuthFailure");
    // Nobody makes files there, root included.
    let file = "/proc/metrics.prom";
    let restore = sources("restore c3bc").arg("--metrics").arg(file).arg(place.path("target"));
    let restored = restore.run().exits(1).says(&["the metrics file "]).json();
    assert_eq!(restored.get("error"), None, "{restored}");
    let verified = sources("verify").arg("--metrics").arg(file).run().exits(1).says(&["cannot be written"]);
    assert_eq!(verified.json().get("error"), None);
}

#[test]
fn what_doctor_finds_has_the_class_of_its_error() {
    let place = Place::new();
    let first = |command: KopiaRs| command.run().exits(1).json()["findings"][0]["class"].take();
    assert_eq!(first(sources("doctor").env("KOPIA_PASSWORD", "wrong")), "AuthFailure");
    assert_eq!(first(sources("doctor nobody@nowhere:/x")), "NotFound");
    let empty = KopiaRs::new("doctor --json").repository(&place.path("")).env("KOPIA_PASSWORD", "golden");
    assert_eq!(first(empty), "NotFound");
    let upgraded = KopiaRs::new("doctor --json").repository(&faults::repository("upgrade-abandoned"));
    assert_eq!(first(upgraded.env("KOPIA_PASSWORD", faults::PASSWORD)), "Locked");
}

/// A store over a network that always answers with one status.
fn s3(status: u16, code: &'static str) -> (HttpServer, KopiaRs) {
    let server = HttpServer::start(move |_| error(status, code));
    let command = at_port(server.port());
    (server, command)
}

fn at_port(port: u16) -> KopiaRs {
    let url = format!("s3://bucket/?endpoint=127.0.0.1:{port}&disable-tls&region=us-east-1");
    let command = KopiaRs::new("snapshots --json --repository").arg(url);
    command
        .env("KOPIA_PASSWORD", "golden")
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
}

#[test]
fn what_a_server_says_no_with() {
    for (status, code, class) in [
        (403, "AccessDenied", "AccessDenied"),
        (403, "InvalidAccessKeyId", "AccessDenied"),
        (403, "SignatureDoesNotMatch", "AccessDenied"),
        (404, "NoSuchBucket", "NotFound"),
    ] {
        let (_server, command) = s3(status, code);
        is_of(command, 1, class);
    }
}

#[test]
fn a_store_that_is_out_of_reach() {
    is_of(at_port(kopia_testkit::servers::free_port()), 1, "Unavailable");
}

/// A copy in which a bit of each pack with this prefix is another one.
fn damaged(prefix: &str) -> RepositoryCopy {
    let copy = copy_repository(&golden::case("sources"));
    copy.blobs(prefix).iter().for_each(|pack| pack.flip_bit(100, 0));
    copy
}

fn of(copy: &RepositoryCopy, arguments: &str) -> KopiaRs {
    KopiaRs::new(arguments).repository(&copy.path()).env("KOPIA_PASSWORD", "golden")
}

#[test]
fn damaged_and_missing_packs() {
    let place = Place::new();
    let flipped = damaged("p");
    let gone = copy_repository(&golden::case("sources"));
    gone.blobs("p").iter().for_each(kopia_testkit::damage::Blob::delete);
    for (number, copy) in [flipped, gone].iter().enumerate() {
        let report = place.path(&format!("report{number}"));
        let target = place.path(&format!("target{number}"));
        let restore = of(copy, "restore c3bc --json").arg("--report").arg(&report).arg(&target);
        let restored = restore.run().exits(3).json();
        assert_eq!(restored["problems"][0]["class"], "Damaged", "{restored}");
        let verified = of(copy, "verify --json").run().exits(3).json();
        assert_eq!(verified["damage"][0]["class"], "Damaged", "{verified}");
        assert_eq!(verified["losses"][0]["class"], "Damaged", "{verified}");
        let lines = fs::read_to_string(&report).unwrap();
        assert!(lines.lines().all(|line| line.contains(r#""class":"Damaged""#)), "{lines}");
        let fast = of(copy, "restore c3bc --json --fail-fast").arg(place.path(&format!("fast{number}")));
        is_of(fast, 1, "Damaged");
    }
}

#[test]
fn folders_that_cannot_be_listed_are_lines_of_their_own() {
    let place = Place::new();
    let repository = place.written(|writer| {
        let lost =
            json!({"name": "lost", "type": "d", "mode": "0755", "obj": "k00000000000000000000000000000001"});
        let file =
            json!({"name": "sound", "type": "f", "mode": "0644", "size": 2, "obj": writer.file(b"ok")});
        let folder = writer.directory(&[lost, file]);
        let root = json!({"name": "data", "type": "d", "mode": "0755", "obj": folder});
        writer.snapshot("app@host:/data", root);
    });
    let ran = KopiaRs::written(&repository, "ls -R latest --json").run().exits(3);
    let lines = ran.json_lines();
    let told: Vec<_> = lines.iter().filter_map(|line| line.get("error")).collect();
    let [error] = &told[..] else { panic!("{}", ran.text()) };
    assert_eq!((&error["class"], &error["path"]), (&"Damaged".into(), &"lost/".into()), "{error}");
    assert_eq!(error["exitStatus"], Value::Null);
    assert_eq!(lines.len(), 3, "{}", ran.text());
}

/// What an ordinary user sees who may not read a repository, or not write to a target.
#[test]
fn what_an_ordinary_user_is_not_permitted() {
    if !rustix::process::geteuid().is_root() {
        kopia_testkit::facilities::left_out("only root can be another user");
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = place.path("kopia-rs");
    kopia_testkit::program::copy(env!("CARGO_BIN_EXE_kopia-rs"), &binary);
    let run = |repository: &Path, target: &Path| {
        let mut command = Command::new(&binary);
        command.env_clear().env("HOME", "/nonexistent").env("KOPIA_PASSWORD", "golden").current_dir("/");
        command.args(["restore", "c3bc", "--json", "--repository"]).arg(repository).arg(target);
        let output = command.uid(65534).gid(65534).stdin(Stdio::null()).output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), json)
    };
    let repository = place.path("repository");
    let copy = copy_repository(&golden::case("sources"));
    let copied = Command::new("cp").args(["-r"]).arg(copy.path()).arg(&repository).status().unwrap();
    assert!(copied.success());
    let open = Command::new("chmod").args(["-R", "a+rX"]).arg(&repository).status().unwrap();
    assert!(open.success());

    // The target.
    let closed = place.path("closed");
    fs::create_dir(&closed).unwrap();
    let (code, json) = run(&repository, &closed.join("target"));
    assert_eq!((code, &json["error"]["class"]), (Some(1), &"PermissionDenied".into()), "{json}");

    // One file of the repository, as another user of it left it.
    let target = place.path("open");
    fs::create_dir(&target).unwrap();
    std::os::unix::fs::chown(&target, Some(65534), Some(65534)).unwrap();
    let mut packs = Command::new("find");
    packs.arg(repository.join("p")).args(["-type", "f", "-exec", "chmod", "600"]);
    assert!(packs.args(["{}", "+"]).status().unwrap().success());
    let (code, json) = run(&repository, &target);
    assert_eq!((code, &json["problems"][0]["class"]), (Some(3), &"PermissionDenied".into()), "{json}");

    // All of it.
    fs::set_permissions(&repository, fs::Permissions::from_mode(0o700)).unwrap();
    let (code, json) = run(&repository, &target);
    assert_eq!((code, &json["error"]["class"]), (Some(1), &"PermissionDenied".into()), "{json}");
}

/// The metrics that a restore wrote, by name; labels belong to the name.
fn metrics(file: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.strip_prefix("kopia_rs_restore_").unwrap().rsplit_once(' ').unwrap());
    pairs.map(|(name, value)| (name.replace(r#"identity="app@media:/data""#, ""), value.into())).collect()
}

#[test]
fn metrics_tell_how_a_restore_ended() {
    let place = Place::new();
    let (file, target) = (place.path("restore.prom"), place.path("target"));
    let restore = |arguments: &str| {
        KopiaRs::golden("sources", &format!("restore c3bc {arguments} --metrics")).arg(&file).arg(&target)
    };
    restore("--progress json").run().exits(0);
    let first = metrics(&file);
    for (name, value) in [("success{}", "1"), ("exit_code{}", "0"), ("progress_phase{,phase=\"done\"}", "1")]
    {
        assert_eq!(first.get(name).map(String::as_str), Some(value), "{name} in {first:?}");
    }
    let number =
        |name: &str, of: &BTreeMap<String, String>| of[&format!("{name}{{}}")].parse::<u64>().unwrap();
    assert!(number("bytes", &first) > 0);
    assert_eq!(number("progress_bytes", &first), number("progress_bytes_total", &first));
    assert_eq!(number("progress_entries", &first), number("progress_entries_total", &first));
    assert_eq!(number("progress_bytes_kept", &first), 0);
    // Everything is there already.
    restore("").run().exits(0);
    let again = metrics(&file);
    assert_eq!(number("progress_bytes_kept", &again), number("bytes", &first));
    assert_eq!(number("bytes", &again), 0);

    // What cannot be opened has no identity, unless it is asked for by that.
    restore("").env("KOPIA_PASSWORD", "wrong").run().exits(1);
    let failed = metrics(&file);
    assert_eq!((&*failed["success"], &*failed["error{class=\"AuthFailure\"}"]), ("0", "1"), "{failed:?}");
    let by_identity = KopiaRs::golden("sources", "restore app@media:/data --metrics").arg(&file);
    by_identity.arg(&target).env("KOPIA_PASSWORD", "wrong").run().exits(1);
    assert_eq!(metrics(&file)["success{}"], "0");
    let packs = damaged("p");
    let partial = of(&packs, "restore c3bc").arg("--metrics").arg(&file).arg(place.path("partial"));
    partial.run().exits(3);
    let partial = metrics(&file);
    assert_eq!((&*partial["exit_code{}"], &*partial["error{,class=\"Damaged\"}"]), ("3", "1"), "{partial:?}");
    // What is refused before anything is opened.
    for (more, target) in [("", "-".into()), (" --report", place.path("new"))] {
        restore("").run().exits(0);
        assert_eq!(metrics(&file)["success{}"], "1");
        let refused = KopiaRs::golden("sources", "restore c3bc --metrics").arg(&file);
        let refused = if more.is_empty() { refused } else { refused.arg("--report").arg(&target) };
        refused.arg(&target).run().exits(2);
        let refused = metrics(&file);
        assert_eq!((&*refused["success"], &*refused["exit_code"]), ("0", "2"), "{refused:?}");
    }
    // What is wrong with the command line itself, also in kopia's words.
    for words in ["restore c3bc --frobnicate", "snapshot restore c3bc --dry-run", "restore c3bc ce6c"] {
        restore("").run().exits(0);
        assert_eq!(metrics(&file)["success{}"], "1");
        let wrong = KopiaRs::golden("sources", words).arg("--metrics").arg(&file).arg(place.path("new"));
        wrong.run().exits(2);
        let wrong = metrics(&file);
        assert_eq!((&*wrong["success"], &*wrong["exit_code"]), ("0", "2"), "{words}: {wrong:?}");
        assert_eq!(wrong["error{class=\"Usage\"}"], "1", "{words}: {wrong:?}");
    }
    // Where the name is missing, the option takes the next word, which may be anything.
    let theirs = place.path("app.sql");
    fs::write(&theirs, "theirs").unwrap();
    for words in [
        "restore c3bc --metrics",
        "restore c3bc --frobnicate x --metrics",
        "verify --frobnicate --metrics",
        "restore c3bc --frobnicate -- x --metrics",
    ] {
        KopiaRs::golden("sources", words).arg(&theirs).run().exits(2);
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs", "{words}");
        // A file at a target that is still to be made would be in the way of every later run.
        KopiaRs::golden("sources", words).arg(place.path("app")).run().exits(2);
        assert!(!place.path("app").exists(), "{words}");
    }
    fs::remove_file(theirs).unwrap();
    assert_eq!(names(&place.path("")), ["partial", "restore.prom", "target"]);
}

#[test]
fn metrics_tell_of_a_signal_while_the_repository_is_opened() {
    let place = Place::new();
    // The shell's parent is the command, which waits for a password that does not come.
    let signal = "kill -TERM $PPID; exec sleep 10 >/dev/null 2>&1";
    let file = place.path("signal.prom");
    let text = |command: KopiaRs| {
        let command = command.arg("--metrics").arg(&file).arg("--password-command").arg(signal);
        command.run().exits(143).says(&["stopped by SIGTERM"]);
        fs::read_to_string(&file).unwrap()
    };
    let restored = text(KopiaRs::golden("sources", "restore app@media:/data").arg(place.path("target")));
    let identity = "identity=\"app@media:/data\"";
    for line in [
        format!("kopia_rs_restore_exit_code{{{identity}}} 143"),
        format!("kopia_rs_restore_error{{{identity},class=\"Stopped\"}} 1"),
    ] {
        assert!(restored.lines().any(|one| one == line), "{line} is not in {restored}");
    }
    let verified = text(KopiaRs::golden("sources", "verify"));
    let is_error = |line: &str| line.starts_with("kopia_rs_verify_error{") && line.contains("\"Stopped\"");
    assert!(verified.lines().any(is_error), "{verified}");
    assert_eq!(names(&place.path("")), ["signal.prom"]);
}

#[test]
fn metrics_go_neither_into_a_repository_nor_through_links() {
    let place = Place::new();
    let copy = copy_repository(&golden::case("sources"));
    symlink(place.path("elsewhere"), place.path("link")).unwrap();
    symlink(copy.path(), place.path("way")).unwrap();
    let other = copy_repository(&golden::case("epochs"));
    let before = (names(&copy.path()), names(&other.path()));
    for file in [
        copy.path().join("x.prom"),
        copy.path().join("p/x.prom"),
        place.path("way/x.prom"),
        other.path().join("x.prom"),
        place.path("link"),
        place.path("none/x.prom"),
        place.path(""),
    ] {
        for password in ["golden", "wrong"] {
            let restore = KopiaRs::new("restore c3bc --metrics").arg(&file).repository(&copy.path());
            let ran = restore.arg(place.path("target")).env("KOPIA_PASSWORD", password).run();
            ran.exits(2).says(&["the metrics file "]);
        }
    }
    assert_eq!((names(&copy.path()), names(&other.path())), before);
    assert_eq!(names(&place.path("")), ["link", "way"]);
    // Nor where the command line is wrong, and it is not known which word is what.
    let there = place.path("there");
    fs::create_dir(&there).unwrap();
    for file in [copy.path().join("x.prom"), other.path().join("x.prom"), there.join("x.prom")] {
        let wrong = KopiaRs::new("restore c3bc --frobnicate --metrics").arg(&file).repository(&copy.path());
        wrong.arg(&there).run().exits(2);
        assert!(!file.exists(), "{}", file.display());
    }
}

#[test]
fn metrics_do_not_go_where_the_restore_writes() {
    let place = Place::new();
    let (new, there) = (place.path("new"), place.path("there"));
    fs::create_dir(&there).unwrap();
    for password in ["golden", "wrong"] {
        let restore = |file: &Path| {
            KopiaRs::golden("sources", "restore c3bc")
                .env("KOPIA_PASSWORD", password)
                .arg("--metrics")
                .arg(file)
        };
        restore(&new).arg(&new).run().exits(2).says(&["the metrics file ", "the target"]);
        restore(&there.join("x.prom")).arg(&there).run().exits(2).says(&["the metrics file ", "the target"]);
        let report = restore(&place.path("x")).arg("--report").arg(there.join("../x")).arg(&new);
        report.run().exits(2).says(&["the metrics file ", "the report"]);
    }
    assert_eq!((names(&place.path("")), names(&there)), (vec!["there".to_string()], vec![]));
}

#[test]
fn what_options_name_beside_the_target_is_neither_that_nor_in_it() {
    let place = Place::new();
    let (new, there, file) = (place.path("new"), place.path("there"), place.path("file"));
    fs::create_dir_all(there.join("folder")).unwrap();
    fs::write(&file, "mine").unwrap();
    let restore = |arguments: &str, option: &str, beside: &Path, target: &Path| {
        KopiaRs::golden("sources", &format!("restore {arguments} {option}")).arg(beside).arg(target).run()
    };
    for (option, what, inside) in [
        ("--report", "the report ", there.join("report")),
        ("--cache", "the cache ", there.join("folder")),
        ("--index-dir", "the index ", there.join("folder")),
    ] {
        for more in ["", " --delete-extra", " --dry-run"] {
            for (beside, target) in [(&inside, &there), (&new, &new), (&new.join("x/y"), &new)] {
                // It is at rest in a target that nothing is deleted from.
                if more != " --delete-extra" && beside != target {
                    continue;
                }
                let ran = restore(&format!("c3bc{more}"), option, beside, target);
                ran.exits(2).says(&[what, "would be the target, or lie in it"]);
            }
        }
    }
    assert_eq!(
        (names(&place.path("")), names(&there)),
        (vec!["file".into(), "there".into()], vec!["folder".into()])
    );
    for arguments in ["c3bc/hello.txt", "c3bc/hello.txt --dry-run"] {
        restore(arguments, "--report", &file, &file).exits(2).says(&["the report "]);
        restore(arguments, "--report", &there.join("hello.txt"), &there).exits(2).says(&["the report "]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    // One file leaves the folder that it goes into alone.
    restore("c3bc/hello.txt", "--report", &there.join("report"), &there).exits(0);
    assert_eq!(names(&there), ["folder", "hello.txt", "report"]);
    restore("c3bc", "--cache", &there.join("folder"), &there).exits(0);
    restore("c3bc", "--report", &there.join("report"), &there).exits(0);
    // What the snapshot has there would be renamed over it.
    for (file, contents) in [("hello.txt", "mine"), ("sub/zeros", "ours")] {
        let report = there.join(file);
        fs::remove_file(&report).unwrap();
        fs::write(&report, contents).unwrap();
        for arguments in ["c3bc", "c3bc --dry-run", "c3bc --shard 1/2"] {
            let ran = restore(arguments, "--report", &report, &there).exits(2);
            ran.says(&[
                "the report ",
                " has the place of something of the snapshot",
                "hint: name a place outside",
            ]);
        }
        assert_eq!(fs::read_to_string(&report).unwrap(), contents);
    }
    // Where files stay that are there, or newer, it would empty them, or keep out what is not there yet.
    let report = there.join("hello.txt");
    for arguments in ["c3bc --newer", "c3bc --existing error"] {
        let refused = || {
            let ran = restore(arguments, "--report", &report, &there).exits(2);
            ran.says(&[" has the place of something of the snapshot"]);
        };
        fs::write(&report, "mine").unwrap();
        refused();
        assert_eq!(fs::read_to_string(&report).unwrap(), "mine", "{arguments}");
        fs::remove_file(&report).unwrap();
        refused();
        assert!(!report.exists(), "{arguments}");
    }
    // An older report may be written anew there.
    fs::write(&report, "{\"kind\":\"target\",\"class\":\"NoSpace\"}\n").unwrap();
    for (arguments, code) in [("c3bc --existing error", 3), ("c3bc --newer", 0)] {
        restore(arguments, "--report", &report, &there).exits(code);
        let text = fs::read_to_string(&report).unwrap();
        let is_report = text.lines().all(|line| line.starts_with('{')) && text.is_empty() == (code == 0);
        assert!(is_report, "{arguments}: {text}");
    }
    // It is empty now, as a file of the snapshot is that has lost its bytes.
    for arguments in ["c3bc --newer", "c3bc --existing error"] {
        let ran = restore(arguments, "--report", &report, &there).exits(2);
        ran.says(&[" has the place of something of the snapshot"]);
    }
    restore("c3bc/hello.txt c3bc/sub", "--report", &there.join("hello.txt"), &there).exits(2);
    restore("c3bc --exclude hello.txt", "--report", &there.join("hello.txt"), &there).exits(0);
    assert_eq!(fs::read(there.join("hello.txt")).unwrap(), b"");
}

#[test]
fn an_empty_file_is_an_older_report_only_where_the_snapshot_has_one() {
    let place = Place::new();
    let line = "{\"path\":\"x\",\"kind\":\"target\",\"class\":\"NoSpace\"}\n";
    let files = [("report", line, 0), ("empty", "", 0), ("notes", "mine", 2)];
    let repository = place.written(|writer| {
        let entries = files.map(|(name, text, _)| {
            let object = writer.file(text.as_bytes());
            json!({"name": name, "type": "f", "mode": "0644", "size": text.len(), "obj": object})
        });
        let root = writer.directory(&entries);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    });
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    for (name, ..) in files {
        fs::write(target.join(name), "").unwrap();
    }
    for (name, _, code) in files {
        let restore = KopiaRs::written(&repository, "restore latest --newer --report").arg(target.join(name));
        restore.arg(&target).run().exits(code);
        assert_eq!(fs::read(target.join(name)).unwrap(), b"", "{name}");
    }
}

#[test]
fn one_file_is_not_for_two_of_what_is_written() {
    let place = Place::new();
    let file = place.path("file.tar");
    fs::write(&file, "mine").unwrap();
    for more in ["", " --overwrite", " --dry-run"] {
        let export = KopiaRs::golden("sources", &format!("export c3bc{more}")).arg(&file);
        export.arg("--report").arg(&file).run().exits(2).says(&["the report ", "would be the archive, too"]);
    }
    for option in ["--page", "--metrics", "--rotate 9 --state"] {
        let verify = KopiaRs::golden("sources", &format!("verify {option}")).arg(&file);
        verify.arg("--report").arg(&file).run().exits(2).says(&["would be the report, too"]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}
