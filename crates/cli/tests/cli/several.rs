//! Several things at once, in every command that takes them, and paths without their first names.

use std::fs;
use std::path::Path;
use std::process::Command;

use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{KopiaRs, Place, names};
use crate::finding::{file, folder};

/// `one/docs/{a,b}`, `two/docs/c`, `two/pics/d`, `top`.
fn some(writer: &mut RepositoryWriter) {
    let [a, b, c, d, top] = ["a", "b", "c", "d", "top"].map(|name| file(writer, name, name.as_bytes(), 2));
    let docs = folder(writer, "docs", &[a, b]);
    let one = folder(writer, "one", &[docs]);
    let (docs, pics) = (folder(writer, "docs", &[c]), folder(writer, "pics", &[d]));
    let two = folder(writer, "two", &[docs, pics]);
    let root = folder(writer, "data", &[one, two, top]);
    writer.snapshot("app@host:/data", root);
}

fn run(place: &Place, arguments: &str) -> KopiaRs {
    KopiaRs::written(&place.written(some), arguments)
}

#[test]
fn several_go_below_the_target_by_their_last_names() {
    let place = Place::new();
    let target = place.path("target");
    let ran = run(&place, "restore latest/one/docs /data/two/pics latest/top").arg(&target).run().exits(0);
    ran.says(&["one/docs of app@host:/data", "two/pics of app@host:/data", "top of app@host:/data"]);
    assert_eq!(names(&target), ["docs", "pics", "top"]);
    assert_eq!(
        (names(&target.join("docs")), names(&target.join("pics"))),
        (vec!["a".into(), "b".into()], vec!["d".into()])
    );
    assert_eq!(fs::read(target.join("top")).unwrap(), b"top");
    // A source by the last name of its path, and one by itself as ever.
    run(&place, "restore app@host:/data latest/one").arg(place.path("both")).run().exits(0);
    assert_eq!(names(&place.path("both")), ["data", "one"]);
    let ran = run(&place, "restore latest/one latest/top").arg(place.path("x.tar")).run().exits(2);
    ran.says(&["x.tar would be a folder, and not an archive"]);
}

#[test]
fn two_of_one_name_are_refused() {
    let place = Place::new();
    let target = place.path("target");
    let ran = run(&place, "restore latest/one/docs latest/two/docs").arg(&target).run().exits(2);
    ran.says(&[
        "latest/one/docs and latest/two/docs",
        "would both become docs",
        "hint: take them one by one",
    ]);
    assert!(!target.exists());
}

#[test]
fn a_dry_run_names_what_a_path_lies_in() {
    let place = Place::new();
    let ran = run(&place, "restore latest/one/docs latest/top --dry-run").arg(place.path("target")).run();
    let text = ran.exits(0).text().to_owned();
    assert!(text.contains("write   docs/a\n") && text.contains("write   top\n"), "{text}");
    let lines = run(&place, "restore latest/one/docs latest/top --dry-run --json").arg(place.path("target"));
    let lines = lines.run().exits(0).json_lines();
    let paths: Vec<_> = lines.iter().filter_map(|line| line["path"].as_str()).collect();
    assert!(paths.contains(&"docs/b") && paths.contains(&"top"), "{paths:?}");
}

#[test]
fn a_report_names_what_a_path_lies_in() {
    let place = Place::new();
    let target = place.path("target");
    for path in ["docs/a", "pics/d"] {
        fs::create_dir_all(target.join(path)).unwrap();
        fs::write(target.join(path).join("mine"), "mine").unwrap();
    }
    let command = run(&place, "restore latest/one/docs latest/two/pics --report").arg(place.path("report"));
    command.arg(&target).run().exits(3).says(&["error: docs/a: ", "error: pics/d: "]);
    let report = fs::read_to_string(place.path("report")).unwrap();
    let paths: Vec<_> = report
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].clone())
        .collect();
    assert_eq!(paths, [json!("docs/a"), json!("pics/d")]);
}

#[test]
fn the_first_names_of_paths_can_be_left_out() {
    let place = Place::new();
    let strip = |arguments: &str, target: &str| {
        run(&place, &format!("restore latest {arguments}")).arg(place.path(target)).run()
    };
    let ran = strip("--strip-components 2", "two").exits(0);
    let ran = ran.says(&["note: 1 entry falls away by --strip-components 2"]);
    assert_eq!(names(&place.path("two")), ["a", "b", "c", "d"]);
    // However many folders that are, it is one restore for who asked for it.
    assert!(ran.text().starts_with("restored 4 files (4 B) ") && ran.text().lines().count() == 1);
    assert_eq!(ran.stderr.matches("restoring").count(), 1);
    let json = strip("--strip-components 2 --json", "json").exits(0).json();
    assert_eq!((&json["files"], &json["path"], &json["bytes"]), (&json!(4), &json!(""), &json!(4)));
    let lines = strip("--strip-components 2 --dry-run --json", "dry").exits(0).json_lines();
    let sums: Vec<_> = lines.iter().filter(|line| line["action"] == "sum").collect();
    assert_eq!((sums.len(), &sums[0]["written"]), (1, &json!(4)), "{lines:?}");
    let ran = strip("--strip-components 1", "clash").exits(1);
    ran.says(&["one/docs and two/docs would both become docs"]);
    assert!(!place.path("clash").exists());
    strip("--strip-components 1 --include /two/pics --exclude top", "pics").exits(0);
    assert_eq!(names(&place.path("pics")), ["pics"]);
    strip("--strip-components 2 --exclude /two/docs/", "some").exits(0);
    assert_eq!(names(&place.path("some")), ["a", "b", "d"]);
    strip("--strip-components 3", "none").exits(1).says(&["--strip-components 3 leaves nothing of latest"]);
    strip("--strip-components 2 --delete-extra", "extra").exits(2);
}

#[test]
fn folders_without_the_first_names_can_be_restored_in_shards() {
    let place = Place::new();
    let strip = |more: &str| {
        let arguments = format!("restore latest --strip-components 2 {more}");
        run(&place, &arguments).arg(place.path("target")).run().exits(0);
    };
    ["--shard 0/2", "--shard 1/2", "--finish 2"].into_iter().for_each(strip);
    assert_eq!(names(&place.path("target")), ["a", "b", "c", "d"]);
}

#[test]
fn options_may_stand_anywhere_and_a_missing_target_is_named() {
    let place = Place::new();
    let target = place.path("target");
    let ran = run(&place, "restore latest/one --dry-run").arg(&target).run().exits(0);
    assert!(ran.text().contains("write   docs/a") && !target.exists(), "{}", ran.text());
    run(&place, "restore latest/one --quiet latest/two/pics --existing skip").arg(&target).run().exits(0);
    assert_eq!(names(&target), ["one", "pics"]);
    run(&place, "restore latest/top -- ").arg(place.path("-t")).run().exits(0);
    assert_eq!(fs::read(place.path("-t")).unwrap(), b"top");
    for (arguments, missing) in [
        ("restore", "  <WHAT>...\n  <TARGET>\n"),
        ("restore latest", "provided:\n  <TARGET>\n"),
        ("restore latest --dry-run", "provided:\n  <TARGET>\n"),
    ] {
        let ran = run(&place, arguments).run().exits(2);
        ran.says(&["error: the following required arguments were not provided:", missing])
            .says(&["Usage: kopia-rs restore <WHAT>... <TARGET>\n", "try '--help'"]);
    }
    run(&place, "restore latest").arg("").run().exits(2).says(&["a value is required for '<TARGET>'"]);
    let help = run(&place, "restore -h").run().exits(0);
    assert!(
        help.text().contains("Usage: kopia-rs restore [OPTIONS] <WHAT>... <TARGET>\n"),
        "{}",
        help.text()
    );
}

/// Lists a tar.
fn listed(archive: &Path) -> Vec<String> {
    let output = Command::new("tar").arg("-tf").arg(archive).output().expect("there is a tar");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn an_archive_of_several_is_what_a_restore_of_them_is() {
    let place = Place::new();
    let whats = "latest/one/docs /data/two/pics latest/top";
    run(&place, &format!("restore {whats}")).arg(place.path("restored")).run().exits(0);
    let archive = place.path("x.tar");
    let ran = run(&place, &format!("export {whats} --json")).arg(&archive).run().exits(0);
    let json = ran.json();
    assert_eq!((&json["files"], &json["folders"], &json["object"]), (&json!(4), &json!(2), &json!(null)));
    let parts = json["parts"].as_array().unwrap();
    let of = |key: &str| parts.iter().map(|part| part[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("name"), ["docs", "pics", "top"]);
    assert_eq!(of("path"), ["one/docs", "two/pics", "top"]);
    assert_eq!(listed(&archive), ["./docs/", "./docs/a", "./docs/b", "./pics/", "./pics/d", "./top"]);
    let unpacked = place.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar").arg("-xpf").arg(&archive).arg("-C").arg(&unpacked).status();
    assert!(tar.expect("there is a tar").success());
    for name in ["docs", "pics"] {
        let (one, other) = (Tree::scan(unpacked.join(name)), Tree::scan(place.path("restored").join(name)));
        assert_eq!(compare(&other, &one, &Compare::settable()), [""; 0]);
    }
    assert_eq!(fs::read(unpacked.join("top")).unwrap(), b"top");
    // The last is the file; standard output has to be named.
    let streamed = run(&place, &format!("export {whats} - --quiet")).run().exits(0);
    assert!(streamed.stdout == fs::read(&archive).unwrap());
    let dry = run(&place, &format!("export {whats} - --dry-run --json")).run().exits(0).json();
    assert_eq!((&dry["files"], &dry["folders"], &dry["bytes"]), (&json!(4), &json!(2), &json!(6)));
    run(&place, "export latest/one latest/two")
        .run()
        .exits(2)
        .says(&["- after several WHAT is standard output"]);
    run(&place, "export latest/one/docs latest/two/docs -")
        .run()
        .exits(2)
        .says(&["latest/one/docs and latest/two/docs would both become docs", "one by one"]);
    // Patterns begin at each.
    let ran =
        run(&place, &format!("export {whats} --include /a --include top")).arg(place.path("y.tar")).run();
    ran.exits(0);
    assert_eq!(listed(&place.path("y.tar")), ["./docs/", "./docs/a", "./pics/", "./top"]);
}

#[test]
fn an_archive_can_leave_out_the_first_names_of_paths() {
    let place = Place::new();
    let strip = |arguments: &str, name: &str| {
        run(&place, &format!("export latest {arguments}")).arg(place.path(name)).run()
    };
    let ran = strip("--strip-components 2", "two.tar").exits(0);
    ran.says(&["note: 1 entry falls away by --strip-components 2"]);
    assert_eq!(listed(&place.path("two.tar")), ["./a", "./b", "./c", "./d"]);
    strip("--strip-components 1", "clash.tar")
        .exits(1)
        .says(&["one/docs and two/docs would both become docs"]);
    assert!(!place.path("clash.tar").exists());
    strip("--strip-components 1 --exclude /one/", "one.tar").exits(0);
    assert_eq!(listed(&place.path("one.tar")), ["./docs/", "./docs/c", "./pics/", "./pics/d"]);
    strip("--strip-components 3", "none.tar")
        .exits(1)
        .says(&["--strip-components 3 leaves nothing of latest"]);
    let dry = run(&place, "export latest --strip-components 2 --dry-run --json").run().exits(0).json();
    assert_eq!((&dry["files"], &dry["folders"]), (&json!(4), &json!(0)));
    // Of several, each keeps its own name.
    let several =
        run(&place, "export latest/one latest/two --strip-components 1").arg(place.path("s.tar")).run();
    several.exits(0);
    assert_eq!(listed(&place.path("s.tar")), ["./one/a", "./one/b", "./two/c", "./two/d"]);
    // What tar would leave of the whole archive is the same.
    run(&place, "export latest/two").arg(place.path("all.tar")).run().exits(0);
    let unpacked = place.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    // For tar, the dot that paths begin with is a name, too.
    let mut tar = Command::new("tar");
    tar.args(["--strip-components=2", "-xpf"]).arg(place.path("all.tar")).arg("-C").arg(&unpacked);
    assert!(tar.status().expect("there is a tar").success());
    run(&place, "restore latest/two --strip-components 1").arg(place.path("stripped")).run().exits(0);
    assert_eq!(names(&unpacked), names(&place.path("stripped")));
}

#[test]
fn ls_shows_each_below_a_heading() {
    let place = Place::new();
    let ran = run(&place, "ls latest/one latest/top /data/two/pics").run().exits(0);
    assert_eq!(ran.text(), "latest/one:\ndocs/\nlatest/top\n\n/data/two/pics:\nd\n");
    let lines = run(&place, "ls latest/one latest/top --json").run().exits(0).json_lines();
    let of = |key: &str| lines.iter().map(|line| line[key].clone()).collect::<Vec<_>>();
    assert_eq!(
        (of("what"), of("path")),
        (vec![json!("latest/one"), json!("latest/top")], vec![json!("docs"), json!("top")])
    );
    // Without headings, each name is a WHAT.
    let ran = run(&place, "ls -R -0 latest/two latest/top").run().exits(0);
    assert_eq!(
        ran.text(),
        "latest/two/docs/\0latest/two/pics/\0latest/two/docs/c\0latest/two/pics/d\0latest/top\0"
    );
    // All are looked for before the first is shown.
    let ran = run(&place, "ls latest/one latest/none").run().exits(1);
    assert_eq!(ran.text(), "");
}

#[test]
fn verify_packs_and_du_take_several() {
    let place = Place::new();
    let json = |arguments: &str| run(&place, arguments).arg("--json").run().exits(0).json();
    let both = json("verify latest/one latest/two/pics");
    assert_eq!((&both["files"], &both["folders"]), (&json!(3), &json!(3)));
    let ran = run(&place, "verify latest/one latest/two --include b --include c --json").run().exits(0);
    assert_eq!(ran.json()["files"], json!(2));
    let (one, two) = (json("packs latest/one"), json("packs latest/two"));
    let both = json("packs latest/one latest/two");
    for key in ["files", "bytes", "bytesToRead", "reads"] {
        let number = |json: &serde_json::Value| json[key].as_u64().unwrap();
        assert_eq!(number(&both), number(&one) + number(&two), "{key}");
    }
    let blobs: Vec<_> = both["packs"].as_array().unwrap().iter().map(|pack| &pack["blob"]).collect();
    assert_eq!(blobs.len(), one["packs"].as_array().unwrap().len(), "the same packs: {blobs:?}");
    let rows = run(&place, "du latest/one/docs latest/two --json").run().exits(0).json_lines();
    let of = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("path"), ["docs", "two", "two/docs", "two/pics", ""]);
    assert_eq!(of("bytes"), [2, 2, 1, 1, 4]);
    assert_eq!((of("files").pop(), of("folders").pop()), (Some(json!(4)), Some(json!(4))));
    let text = run(&place, "du latest/one latest/two --unique").run().exits(0);
    assert!(text.text().lines().count() == 4 && text.text().contains("  one/\n"), "{}", text.text());
    run(&place, "du latest/one latest/two --ncdu").run().exits(2).says(&["--ncdu takes one WHAT"]);
    run(&place, "du latest/one/docs latest/two/docs").run().exits(2).says(&["would both become docs"]);
}
