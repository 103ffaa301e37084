//! `gone`: what existed once.

use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{KopiaRs, Place, written};
use crate::finding::{changing, file, folder, lines};

/// Four snapshots: `a` goes after the first, the folder `d` after the second, `d/x` before that; `k` stays, and
/// `b` comes back.
fn vanishing(writer: &mut RepositoryWriter) {
    let [a, b, k, x, y] = ["a", "b", "k", "x", "y"].map(|name| file(writer, name, name.as_bytes(), 1));
    let full = folder(writer, "d", &[x, y.clone()]);
    let less = folder(writer, "d", &[y]);
    let states =
        [vec![full, a, b.clone(), k.clone()], vec![less, b.clone(), k.clone()], vec![k.clone()], vec![b, k]];
    for entries in states {
        let root = folder(writer, "data", &entries);
        writer.snapshot("app@host:/data", root);
    }
}

/// What is gone, and the second at which the last snapshot began that has it.
fn found(command: KopiaRs) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
    let of = |line: &serde_json::Value| (text(&line["path"]), text(&line["startTime"])[17..19].to_string());
    lines(command).iter().map(of).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(path, second)| (path.to_string(), second.to_string())).collect()
}

#[test]
fn each_thing_comes_once_with_the_last_snapshot_that_has_it() {
    let place = Place::new();
    let repository = place.path("one");
    written(&repository, |writer| {
        vanishing(writer);
    });
    let run = |arguments: &str| KopiaRs::written(&repository, arguments);
    assert_eq!(found(run("gone app@host:/data")), pairs(&[("d", "01"), ("a", "00")]));
    assert_eq!(
        found(run("gone latest -R")),
        pairs(&[("d", "01"), ("d/y", "01"), ("a", "00"), ("d/x", "00")])
    );
    // A path that is gone itself.
    assert_eq!(found(run("gone latest/d")), pairs(&[("d", "01")]));
    assert_eq!(found(run("gone latest/d/x")), pairs(&[("x", "00")]));
    assert_eq!(found(run("gone latest/k")), []);
    let ids = run("gone -0 latest").run().exits(0);
    let first = ids.text().split('\0').next().unwrap().to_string();
    assert_eq!(run(&format!("ls {first}")).run().exits(0).text(), "y\n", "{first} is a WHAT");
}

#[test]
fn without_a_path_all_sources_are_looked_at() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        vanishing(writer);
        changing(writer);
    });
    let run = |arguments: &str| KopiaRs::written(&repository, arguments);
    let text = run("gone").run().exits(0);
    // The newest of /data is now one that `changing` wrote.
    let shown: Vec<_> = text.text().lines().map(|line| line.split("  ").last().unwrap()).collect();
    let expected = ["old.txt", "b", "k", "d/", "a"].map(|path| format!("app@host:/data/{path}"));
    assert_eq!(shown, expected);
}

#[test]
fn what_lies_in_a_folder_that_cannot_be_read_is_not_called_gone() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let a = file(writer, "a", b"a", 1);
        let whole = folder(writer, "d", &[a]);
        let lost = json!({"name": "d", "type": "d", "mode": "0755", "obj": format!("k{:032x}", 7)});
        for entry in [whole, lost] {
            let root = folder(writer, "data", &[entry]);
            writer.snapshot("app@host:/data", root);
        }
    });
    // As well where it is the folder that is looked at.
    for what in ["latest", "latest/d"] {
        let ran = KopiaRs::written(&repository, &format!("gone {what}")).run().exits(3).says(&["/d: "]);
        assert_eq!(ran.text(), "", "{what}");
    }
}

#[test]
fn what_a_snapshot_refuses_is_told_and_neither_gone_nor_away() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let [one, two] = ["one", "two"].map(|text| file(writer, "a", text.as_bytes(), 1));
        let refused = json!({"name": "a", "type": "?", "obj": format!("{:032x}", 7)});
        for entry in [one.clone(), refused.clone(), one, two, refused] {
            let root = folder(writer, "data", &[entry]);
            writer.snapshot("app@host:/data", root);
        }
    });
    let run = |arguments: &str| KopiaRs::written(&repository, arguments).run();
    for what in ["latest", "latest/a"] {
        let ran = run(&format!("gone {what}")).exits(3).says(&["/a: ", "has the unknown type"]);
        assert_eq!(ran.text(), "", "{what}");
    }
    let log = run("log latest/a --json").exits(3).says(&["/a: ", "has the unknown type"]);
    let versions = log.json_lines();
    let versions: Vec<_> =
        versions.iter().map(|line| (line["version"].as_u64(), line["snapshots"].as_u64())).collect();
    assert_eq!(versions, [(Some(2), Some(1)), (Some(1), Some(2))]);
    // Nothing is compared with what an older snapshot has, where the one before has something else.
    let list = run("snapshots app@host:/data --json").exits(0).json();
    let id = |number: usize| list[number]["id"].as_str().unwrap().to_string();
    run(&format!("diff {}/a", id(2))).exits(1).says(&["has the unknown type"]);
    run(&format!("diff {}/a", id(3))).exits(0);
}
