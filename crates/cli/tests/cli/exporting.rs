//! `export`: an archive in a file or on standard output.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use kopia_testkit::damage;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, names, written};
use crate::terminal::Terminal;

fn sources(arguments: &str) -> KopiaRs {
    KopiaRs::golden("sources", arguments)
}

/// Unpacks a tar into a new folder and scans that.
fn unpacked(place: &Place, archive: &std::path::Path, name: &str) -> Tree {
    let folder = place.path(name);
    fs::create_dir(&folder).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xpf").arg(archive).args(["--numeric-owner", "--warning=no-timestamp", "-C"]).arg(&folder);
    assert!(tar.status().expect("there is a tar").success());
    Tree::scan(folder)
}

#[test]
fn a_tar_in_a_file_and_on_standard_output_is_what_a_restore_is() {
    let place = Place::new();
    sources("restore app@media:/data").arg(place.path("restored")).run().exits(0);
    let expected = Tree::scan(place.path("restored"));
    let ran = sources("export app@media:/data").arg(place.path("x.tar")).run().exits(0);
    assert!(
        ran.text().starts_with("exported 7 files (") && ran.text().contains("/x.tar ("),
        "{}",
        ran.text()
    );
    let streamed = sources("export app@media:/data --quiet").run().exits(0);
    assert_eq!(streamed.stderr, "");
    assert!(fs::read(place.path("x.tar")).unwrap() == streamed.stdout);
    let found = unpacked(&place, &place.path("x.tar"), "unpacked");
    assert_eq!(compare(&expected, &found, &Compare::settable()), [""; 0]);
    // Nothing but the archive is left.
    assert_eq!(names(place.path("x.tar").parent().unwrap()), ["restored", "unpacked", "x.tar"]);
}

#[test]
fn the_name_or_an_option_says_which_kind_it_is() {
    let place = Place::new();
    for (name, option, start) in [
        ("x.tar.zst", "", &[0x28, 0xb5, 0x2f, 0xfd][..]),
        ("x.tgz", "", &[0x1f, 0x8b]),
        ("x.zip", "", b"PK\x03\x04"),
        ("x", "--format zip", b"PK\x03\x04"),
        ("y.zip", "--format tar.gz --level 1", &[0x1f, 0x8b]),
    ] {
        sources(&format!("export c3bc {option}")).arg(place.path(name)).run().exits(0);
        assert!(fs::read(place.path(name)).unwrap().starts_with(start), "{name}");
    }
    let ran = sources("export c3bc").arg(place.path("x.rar")).run().exits(2);
    ran.says(&["does not say which kind", "hint: give --format, one of tar, tar.zst, tar.gz, zip"]);
}

#[test]
fn a_file_that_exists_is_replaced_only_if_that_is_wanted() {
    let place = Place::new();
    let path = place.path("x.tar");
    fs::write(&path, "old").unwrap();
    sources("export c3bc").arg(&path).run().exits(1).says(&["x.tar exists already", "hint: --overwrite"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    sources("export c3bc --overwrite").arg(&path).run().exits(0);
    assert!(fs::read(&path).unwrap().len() > 1000);
    symlink(&path, place.path("link.tar")).unwrap();
    for option in ["", "--overwrite"] {
        let ran = sources(&format!("export c3bc {option}")).arg(place.path("link.tar")).run();
        ran.exits(1).says(&["is a link, which is not followed"]);
    }
    fs::create_dir(place.path("d.tar")).unwrap();
    sources("export c3bc").arg(place.path("d.tar")).run().exits(1).says(&["d.tar is a folder"]);
    sources("export c3bc").arg(place.path("none/x.tar")).run().exits(1).says(&["none/x.tar: "]);
    sources("export c3bc --format tar").arg("/dev/null").run().exits(0);
    assert_eq!(names(path.parent().unwrap()), ["d.tar", "link.tar", "x.tar"]);
}

#[test]
fn what_another_process_of_the_same_number_writes_is_left_alone() {
    let place = Place::new();
    // The first processes of two containers have one number; a shell hands its own on.
    let another = "echo another > .kopia-rs-export-$$";
    let ran = sources("export c3bc x.tar").in_folder(&place.path("")).after(another).run().exits(0);
    ran.says(&[". has 1 unfinished archive (.kopia-rs-export-…); delete what no export writes any more"]);
    let names = names(&place.path(""));
    assert!(names.len() == 2 && names[1] == "x.tar", "{names:?}");
    assert_eq!(fs::read_to_string(place.path(&names[0])).unwrap(), "another\n");
}

#[test]
fn nothing_is_written_into_the_repository() {
    let place = Place::new();
    written(&place.path("repo"), |writer| {
        let root = writer.directory(&[]);
        writer.snapshot("a@b:/c", json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
    });
    let before = names(&place.path("repo"));
    let ran = KopiaRs::written(&place.path("repo"), "export latest").arg(place.path("repo/x.tar")).run();
    ran.exits(1).says(&["x.tar would lie in the repository"]);
    assert_eq!(names(&place.path("repo")), before);
}

/// Two files of three pieces each; the second piece of `a` is damaged.
fn damaged(place: &Place) -> KopiaRs {
    let path = place.path("repo");
    let mut writer = RepositoryWriter::new().piece_size(1000);
    let a = writer.file(&[[1; 1000], [2; 1000], [3; 1000]].concat());
    let b = writer.file(&[[4; 1000], [5; 1000], [6; 1000]].concat());
    let file = |name: &str, object: &str| json!({"name": name, "type": "f", "mode": "0644", "size": 3000, "obj": object});
    let root = writer.directory(&[file("a", &a), file("b", &b)]);
    writer.snapshot("a@b:/c", json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
    writer.finish_in(&path).unwrap();
    damage::blobs(&path, "p")[0].flip_bit(32 + 1028 + 100, 0);
    KopiaRs::written(&path, "export latest")
}

#[test]
fn what_is_damaged_is_left_out_named_and_reported() {
    let place = Place::new();
    let ran = damaged(&place)
        .arg(place.path("x.tar"))
        .arg("--report")
        .arg(place.path("report"))
        .run()
        .exits(3)
        .says(&["error: a: content ", "error: 1 entry is missing, doubled or incomplete"]);
    assert!(ran.text().starts_with("exported 1 file (3.0 kB) and 1 folder to"), "{}", ran.text());
    let report: Value = serde_json::from_slice(&fs::read(place.path("report")).unwrap()).unwrap();
    assert_eq!((&report["path"], &report["reason"]), (&json!("a"), &json!("corrupt_content")));
    let found = unpacked(&place, &place.path("x.tar"), "unpacked");
    assert_eq!(found.entries().iter().map(|entry| &*entry.path).collect::<Vec<_>>(), ["", "b"]);
    fs::remove_dir_all(place.path("repo")).unwrap();
    let ran = damaged(&place).arg(place.path("y.tar")).arg("--salvage").arg("--json").run().exits(3);
    let json = ran.json();
    assert_eq!(json["problems"][0]["salvaged"]["lost"], json!([[1000, 2000]]));
    assert_eq!((&json["files"], &json["format"]), (&json!(2), &json!("tar")));
    let found = unpacked(&place, &place.path("y.tar"), "salvaged");
    assert_eq!(found.get("a").map(|entry| entry.size), Some(3000));
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let place = Place::new();
    let ran = sources("export app@media:/data --dry-run").arg(place.path("x.tar")).run().exits(0);
    assert!(ran.text().starts_with("would export 7 files ("), "{}", ran.text());
    assert!(!place.path("x.tar").exists());
    let json = sources("export app@media:/data --dry-run --json").run().exits(0).json();
    assert_eq!(json["files"], 7);
}

#[test]
fn the_archive_has_standard_output_for_itself() {
    let ran = sources("export c3bc --json").run().exits(0);
    assert_eq!(&ran.stdout[257..262], b"ustar");
    let last: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["target"], last["archiveBytes"].as_u64()),
        (&json!("-"), Some(ran.stdout.len() as u64))
    );
    let terminal = Terminal::open();
    let ran = sources("export c3bc").stdout(terminal.inside()).run().exits(2);
    ran.says(&["standard output is a terminal", "hint: give a FILE, or pipe it"]);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let (mut reader, pipe) = std::io::pipe().unwrap();
    let case = kopia_testkit::golden::case("sources");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
    command.args(["export", "c3bc", "--quiet", "--repository"]).arg(&case.repository);
    command.env_clear().env("KOPIA_PASSWORD", &case.password).stdout(pipe).stderr(Stdio::piped());
    rustix::pipe::fcntl_setpipe_size(&reader, 4096).unwrap();
    let child = command.spawn().unwrap();
    drop(command);
    reader.read_exact(&mut [0]).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}

#[test]
fn a_signal_leaves_no_file_behind() {
    let place = Place::new();
    // Its archive is a pipe that nobody reads: it waits there when the signal comes.
    let pipe = place.path("pipe.tar");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0)
        .unwrap();
    // Opened for both directions it waits for no writer, so that the pipe is small before anything is in it.
    let mut reader = File::options().read(true).write(true).open(&pipe).unwrap();
    rustix::pipe::fcntl_setpipe_size(&reader, 4096).unwrap();
    let case = kopia_testkit::golden::case("sources");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
    command.args(["export", "c3bc"]).arg(&pipe).arg("--repository").arg(&case.repository);
    command.env_clear().env("KOPIA_PASSWORD", &case.password).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    reader.read_exact(&mut [0]).unwrap();
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("error: stopped by SIGINT; the archive is not whole"), "{said}");
}

#[test]
fn one_that_is_killed_leaves_no_file_behind() {
    let place = Place::new();
    let folder = place.path("out");
    fs::create_dir(&folder).unwrap();
    let unnamed = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::TMPFILE;
    if rustix::fs::open(&folder, unnamed, rustix::fs::Mode::RWXU).is_err() {
        kopia_testkit::facilities::left_out("temporary files need a name in this file system");
        return;
    }
    let case = kopia_testkit::golden::case("sources");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
    command.args(["export", "db@media:/var/lib/db", "--limit-download", "100K", "--progress", "json"]);
    command.arg(folder.join("x.tar")).arg("--repository").arg(&case.repository);
    command.env_clear().env("KOPIA_PASSWORD", &case.password).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The first progress is told of once the archive is open and all that it was tried out with is gone.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(r#""event":"progress""#)), "it ended before it could be killed");
    let handles = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().flatten();
    let mut files = handles.filter_map(|handle| fs::read_link(handle.path()).ok());
    assert!(files.any(|file| file.parent() == Some(&*folder)), "the archive is not in its folder");
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it ended before it could be killed");
    assert_eq!(names(&folder), [""; 0]);
    let ran = sources("export c3bc").arg(folder.join("x.tar")).run().exits(0);
    assert!(!ran.stderr.contains("unfinished"), "{}", ran.stderr);
    assert_eq!(names(&folder), ["x.tar"]);
}

#[test]
fn names_that_windows_takes_for_something_else_are_noted_in_a_zip() {
    let place = Place::new();
    let repository = place.path("repository");
    let mut writer = RepositoryWriter::new();
    let text = writer.file(b"text");
    let file = |name: &str| json!({"name": name, "type": "f", "mode": "0644", "size": 4, "obj": text});
    let root = writer.directory(&[file("ab:c"), file("..\\x")]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    writer.finish_in(&repository).expect("a repository");
    let export =
        |archive: &str| KopiaRs::written(&repository, "export latest --json").arg(place.path(archive)).run();
    let ran = export("x.zip").exits(3).says(&["note: 1 name has \\ or :", "would lead out of the folder"]);
    let problem = &ran.json()["problems"][0];
    assert_eq!((&problem["path"], &problem["reason"]), (&json!("..\\x"), &json!("leads_out")));
    assert_eq!((&ran.json()["foreignNames"], &problem["class"]), (&json!(1), &json!("Unsupported")));
    let dry = KopiaRs::written(&repository, "export latest --json --dry-run").arg(place.path("y.zip")).run();
    let dry = dry.exits(3).says(&["would lead out of the folder"]).json();
    assert_eq!((&dry["problems"][0], &dry["problemCount"]), (problem, &json!(1)));
    assert_eq!((&dry["files"], &dry["bytes"]), (&json!(1), &json!(4)));
    let ran = export("x.tar").exits(0);
    assert_eq!((&ran.json()["foreignNames"], &ran.json()["files"]), (&json!(0), &json!(2)));
}

#[test]
fn what_restores_kept_is_foreseen_as_it_is_exported() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let text = writer.file(b"text");
        let file = json!({"name": "journal", "type": "f", "mode": "0600", "size": 4, "obj": text});
        let kept = writer.directory(&[file]);
        let name = ".kopia-rs-undo-app-20200102T030405Z";
        let root = writer.directory(&[json!({"name": name, "type": "d", "mode": "0700", "obj": kept})]);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    });
    let run = |arguments: &str, target: &str| {
        KopiaRs::written(&repository, arguments).arg(place.path(target)).run()
    };
    let dry = run("export latest --json --dry-run", "x.tar").exits(0).json();
    let exported = run("export latest --json", "x.tar").exits(0).json();
    for count in ["files", "folders", "symlinks", "bytes", "problemCount"] {
        assert_eq!(dry[count], exported[count], "{count}");
    }
    assert_eq!((&dry["files"], &dry["bytes"]), (&json!(1), &json!(4)));
    // A restore does without it, and says so before.
    for arguments in ["restore latest --dry-run", "restore latest"] {
        run(arguments, "restored").exits(3).says(&["its name is that of folders that keep"]);
    }
}

#[test]
fn a_dry_run_counts_each_problem_once_however_many_there_are() {
    // More than are kept of problems.
    const LOST: u64 = 10_050;
    let place = Place::new();
    let repository = place.written(|writer| {
        let (text, gone) = (writer.file(b"text"), "0123456789abcdef0123456789abcdef".to_owned());
        let file = |name: String, object: &String| {
            json!({"name": name, "type": "f", "mode": "0644", "size": 4, "obj": object})
        };
        // None of these has a place in a zip either.
        let lost = (0..LOST).map(|number| file(format!("C:{number}"), &gone));
        let here = (0..60).map(|number| file(number.to_string(), &text));
        let root = writer.directory(&lost.chain(here).collect::<Vec<_>>());
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    });
    for options in [" --dry-run", ""] {
        let export = KopiaRs::written(&repository, &format!("export latest --json{options}"));
        let json = export.arg(place.path("x.zip")).run().exits(3).json();
        assert_eq!((&json["files"], &json["problemCount"]), (&json!(60), &json!(LOST)), "{options}");
    }
}

#[test]
fn a_dry_run_ends_as_the_export_does() {
    let place = Place::new();
    let repository = place.written(|writer| {
        let text = writer.file(b"text");
        let gone = "0123456789abcdef0123456789abcdef".to_owned();
        let file = |(name, object): (&str, &String)| {
            json!({"name": name, "type": "f", "mode": "0644", "size": 4, "obj": object})
        };
        // Some have no place in a zip, some no bytes, and some a name of which there are two.
        let twice = [("C:x", &gone), ("C:x", &text), ("C:y", &text), ("C:y", &text)].map(file);
        let once = [("C:z", &gone), ("gone", &gone), ("here", &text)].map(file);
        let pieces = json!([{"s": 0, "l": 4, "o": text}, {"s": 4, "l": 4, "o": gone}]);
        let list = json!({"stream": "kopia:indirect", "entries": pieces}).to_string();
        let half = format!("I{}", writer.object(Some('x'), list.as_bytes()));
        let half = ["C:half", "half"]
            .map(|name| json!({"name": name, "type": "f", "mode": "0644", "size": 8, "obj": half}));
        let root = writer.directory(&[&twice[..], &once[..], &half[..]].concat());
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    });
    for (archive, salvage) in [("x.zip", ""), ("x.tar", ""), ("x.zip", " --salvage"), ("x.tar", " --salvage")]
    {
        let export = |options: &str, code| {
            let line = format!("export latest --json{salvage}{options}");
            KopiaRs::written(&repository, &line).arg(place.path(archive)).run().exits(code)
        };
        let [foreseen, done] = [" --dry-run", ""].map(|options| {
            let mut json = export(options, 3).json();
            let lines = json["problems"].take();
            let of = |line: &Value| [&line["path"], &line["reason"], &line["class"]].map(Value::to_string);
            let mut problems: Vec<_> = lines.as_array().unwrap().iter().map(of).collect();
            problems.sort();
            (problems, ["files", "symlinks", "bytes", "problemCount"].map(|key| json[key].take()))
        });
        assert_eq!(foreseen, done, "{archive}{salvage}");
        // The first ends it where that is asked for.
        fs::remove_file(place.path(archive)).unwrap();
        for more in ["", " --dry-run"] {
            let ran = export(&format!(" --fail-fast{more}"), 1);
            let last: Value = serde_json::from_str(ran.text().lines().last().unwrap()).unwrap();
            assert_eq!(last["error"]["exitStatus"], 1, "{last}");
            assert!(!place.path(archive).exists(), "{archive}");
        }
    }
    // A file that was asked for by its name is all or nothing.
    for what in ["latest/gone", "latest/gone latest/here"] {
        for options in [" --dry-run", ""] {
            let line = format!("export {what} --json{options}");
            KopiaRs::written(&repository, &line).arg(place.path("y.tar")).run().exits(1);
            assert!(!place.path("y.tar").exists(), "{what}{options}");
        }
    }
}
