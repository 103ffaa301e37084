//! The same calls to both, compared line by line. Without `kopia` on PATH these have nothing to compare.

use std::path::Path;

use kopia_testkit::servers;
use serde_json::Value;

use crate::client::{Class, Client};

/// Calls whose lines are the same; `ROOT` is a folder of the golden repository `sources`.
const SAME: [&str; 18] = [
    "snapshot list --json --all",
    "snapshot list --json app@media:/data --max-results 2",
    "snapshot list --json nobody@nowhere:/x",
    "snapshot list --all",
    "snapshot list --all --show-identical --manifest-id --owner --mtime",
    "show ROOT",
    "show ROOT/sub/deeper",
    "show ROOT/hello.txt",
    "ls -l ROOT",
    "ls -o -r ROOT",
    "ls ROOT/sub",
    "blob list",
    "index list --json --sort name",
    "manifest list --json --filter type:policy",
    "manifest show a4619bca821361727192a30a1de54e5a",
    "policy list --json",
    "policy show --global --json",
    "policy show app@media:/data --json",
];

/// Fields that differ: times of files that were copied, and what is not read here.
const DIFFERENT: [&str; 4] = ["timestamp", "volume", "path", "description"];

fn without(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !DIFFERENT.contains(&&**name));
            fields.values_mut().for_each(without);
        }
        Value::Array(values) => values.iter_mut().for_each(without),
        _ => {}
    }
}

/// Returns lines that can be compared. kopia walks over labels and blobs in any order, and names blobs by times of
/// files, which copies do not share.
fn lines(stdout: &str) -> Vec<String> {
    let line = |line: &str| {
        let json = line.trim_start_matches(' ').trim_end_matches(',');
        match serde_json::from_str::<Value>(json) {
            Ok(Value::Object(mut fields)) if line.starts_with(" {") => {
                fields.retain(|name, _| name != "timestamp");
                Value::Object(fields).to_string()
            }
            _ => line.to_owned(),
        }
    };
    let mut lines: Vec<_> = stdout.lines().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn lines_are_the_same() {
    let Some(theirs) = Client::theirs("sources") else { return };
    let theirs = theirs.connected();
    let ours = Client::ours("sources").connected();
    for words in SAME {
        let words = words.replace("ROOT", "k41691c442dfb24587cf7b485cbfce8e3");
        let (theirs, ours) = (theirs.run(&words).exits(0), ours.run(&words).exits(0));
        if words.starts_with("blob") {
            // kopia itself has written some by now, and times are those of copies.
            let names = |text: &str| {
                let names = text.lines().filter_map(|line| line.split(' ').next().map(str::to_owned));
                let mut names: Vec<_> =
                    names.filter(|name| !name.starts_with("_log") && !name.starts_with('s')).collect();
                names.sort();
                names
            };
            assert_eq!(names(&ours.stdout), names(&theirs.stdout));
            continue;
        }
        assert_eq!(lines(&ours.stdout), lines(&theirs.stdout), "{words}");
    }
    let status = |client: &Client| {
        let mut status = client.run("repository status --json").exits(0).json();
        status["configFile"] = "".into();
        status["clientOptions"]["hostname"] = "".into();
        without(&mut status);
        status
    };
    assert_eq!(status(&ours), status(&theirs));
    let text = |client: &Client| {
        let said = client.run("repository status --reconnect-token").exits(0).stdout;
        let (said, _) = said.split_once("--token").expect("a token");
        let repository = client.repository();
        let said =
            said.replace(repository.to_str().unwrap(), "R").replace(client.config().to_str().unwrap(), "C");
        said.lines()
            .filter(|line| !line.starts_with("Storage available"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(text(&ours), text(&theirs));
}

#[test]
fn failures_have_one_exit_status_and_class() {
    let Some(theirs) = Client::theirs("sources") else { return };
    let (theirs, ours) = (theirs.connected(), Client::ours("sources").connected());
    for words in [
        "repository connect filesystem --path /nonexistent/repo",
        "repository connect filesystem --path relative",
        "repository connect nix",
        "repository connect filesystem",
        "repository set-client",
        "show k41691c442dfb24587cf7b485cbfce8e3/none",
        "show garbage",
        "manifest show none",
        "snapshot verify abcdef",
        "snapshot list --bogus",
        "snapshot restore 0123456789abcdef0123456789abcdef out",
        "policy show",
    ] {
        let (theirs, ours) = (theirs.run(words), ours.run(words));
        assert_eq!(ours.code, theirs.code, "{words}: {}{}", ours.stderr, theirs.stderr);
        let class = Class::of(&theirs.stderr);
        assert_eq!(Class::of(&ours.stderr), class, "{words}: {}{}", ours.stderr, theirs.stderr);
    }
    let wrong =
        |client: Client| client.with("KOPIA_PASSWORD", "wrong").run("repository status --json").exits(1);
    wrong(theirs).is(Class::Auth);
    wrong(ours).is(Class::Auth);
}

#[test]
fn each_goes_on_where_the_other_connected() {
    let Some(kopia) = servers::kopia() else { return };
    let own = Path::new(env!("CARGO_BIN_EXE_kopia-rs"));
    let check = |client: Client| {
        let client = client.with("KOPIA_PASSWORD", "");
        let all = client.run("snapshot list --json --all").exits(0).json();
        assert_eq!(all.as_array().unwrap().len(), 7);
        client.run("repository set-client --username u --hostname h").exits(0);
        client.run("repository throttle set --read-requests-per-second 900").exits(0);
        client
    };
    let client = check(Client::ours("sources").connected().by(&kopia, false));
    let client = check(client.by(own, true));
    let limits = client.by(&kopia, false).run("repository throttle get --json").exits(0).json();
    assert_eq!(limits["readsPerSecond"], 900);
    let client = check(Client::theirs("sources").unwrap().connected().by(own, true));
    check(client.by(&kopia, false));
}
