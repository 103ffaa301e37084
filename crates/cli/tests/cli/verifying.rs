//! `verify`.

use std::fs;

use kopia_testkit::{damage, faults, golden};
use serde_json::Value;

use crate::common::{KopiaRs, Place, names};

#[test]
fn a_sound_repository_is_said_to_be_sound() {
    let ran = KopiaRs::golden("sources", "verify").run().exits(0);
    assert!(ran.text().contains("damage    none"), "{ran:?}");
    let json = KopiaRs::golden("sources", "verify --json").run().exits(0).json();
    assert_eq!(json["contents"]["verified"], json["contents"]["of"]);
    assert_eq!((&json["damageCount"], &json["lossCount"]), (&0.into(), &0.into()));
    let part = KopiaRs::golden("sources", "verify app@media:/data --json").run().exits(0).json();
    assert!(part["contents"]["of"].as_u64() < json["contents"]["of"].as_u64());
}

#[test]
fn damage_is_named_with_what_it_costs() {
    let place = Place::new();
    let case = golden::case("sources");
    let copy = damage::copy_repository(&case);
    // Every pack of files is gone; folders are still there.
    let packs = copy.blobs("p");
    assert!(!packs.is_empty());
    packs.iter().for_each(damage::Blob::delete);
    let report = place.path("report");
    let ran = KopiaRs::new("verify --json --report")
        .arg(&report)
        .repository(&copy.path())
        .env("KOPIA_PASSWORD", &case.password)
        .run()
        .exits(3)
        .says(&["hello.txt: ", "error: pack p", " cannot be read; the first: ", " is not in "]);
    let json = ran.json();
    let losses = json["losses"].as_array().expect("a list");
    assert!(losses.iter().any(|loss| loss["path"] == "hello.txt" && loss["source"].is_string()), "{json}");
    let lines = fs::read_to_string(&report).expect("it was written");
    let wanted =
        json["damageCount"].as_u64().expect("a number") + json["lossCount"].as_u64().expect("a number");
    assert_eq!(lines.lines().count() as u64, wanted);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let (what, blob) = (&line["reason"], line["blob"].as_str().expect("the pack"));
        assert!(*what == "missing_blob" && blob.starts_with('p'), "{line}");
        assert!(
            line["offset"].is_u64() && line["content"].is_string() && line["message"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn a_percentage_takes_other_packs_each_time() {
    let read = |_| {
        let ran = KopiaRs::golden("sources", "verify --percent 10 --json").run().exits(0);
        let json = ran.says(&["note: 10 % of the packs", "the next run takes others"]).json();
        (json["packs"]["verified"].as_u64(), json["storedBytes"]["verified"].as_u64())
    };
    let runs: std::collections::HashSet<_> = (0..20).map(read).collect();
    // As many packs each time; that they are the same twenty times is less likely than one in a million.
    assert!(runs.len() > 1 && runs.iter().all(|run| run.0 == runs.iter().next().unwrap().0), "{runs:?}");
}

#[test]
fn parts_that_make_no_sense_are_refused() {
    for arguments in [
        "verify --shard 2/2",
        "verify --shard 1",
        "verify --percent 0",
        "verify --percent 101",
        "verify --at 2026",
    ] {
        KopiaRs::golden("sources", arguments).run().exits(2);
    }
}

#[test]
fn a_damaged_index_names_the_flag_that_goes_without_it() {
    let case = golden::case("sources");
    let copy = damage::copy_repository(&case);
    let index = &copy.blobs("xn")[0];
    index.truncate(30);
    let command = |arguments: &str| {
        KopiaRs::new(arguments).repository(&copy.path()).env("KOPIA_PASSWORD", &case.password).run()
    };
    command("verify").exits(1).says(&[&index.id, "--degraded"]);
    let ran = command("verify --degraded").exits(3).says(&["error: lost: index blob ", &index.id]);
    assert!(ran.text().contains("indexes   1 lost; the packs were asked instead"), "{}", ran.text());
    let json = command("verify --degraded --json").exits(3).json();
    let (sentence, part) = (&json["lost"][0], &json["lostParts"][0]);
    assert_eq!((&part["message"], &part["part"]), (sentence, &"index_blob".into()));
    assert_eq!((&part["blob"], &part["reason"]), (&(*index.id).into(), &"corrupt_blob".into()));
    // One that is named is whole all the same.
    command("verify --degraded app@media:/data").exits(0);
}

/// Runs `verify` with a state of its own.
fn rotate(place: &Place, options: &str) -> KopiaRs {
    KopiaRs::golden("sources", &format!("verify --json {options} --state")).arg(place.path("state"))
}

#[test]
fn runs_take_turns_until_everything_was_read() {
    let place = Place::new();
    let (mut read, mut runs) = (0, 0);
    loop {
        let json = rotate(&place, "--rotate 300").run().exits(0).json();
        let (rotation, all) = (&json["rotation"], json["packs"]["of"].as_u64().unwrap());
        read += json["packs"]["verified"].as_u64().unwrap();
        runs += 1;
        assert_eq!((&rotation["packs"], &rotation["soundPacks"]), (&all.into(), &read.into()), "{json}");
        if read == all {
            // Several runs, none of which read what another had read.
            assert!(json["restorableAsOf"].is_string() && runs > 1, "{runs} runs: {json}");
            break;
        }
        assert!(json["restorableAsOf"].is_null() && rotation["completeBy"].is_string(), "{json}");
    }
    let text = |options: &str| {
        let ran = KopiaRs::golden("sources", &format!("verify {options}")).run().exits(0);
        ran.text().lines().last().unwrap().to_owned()
    };
    let rotated = |days: u32| {
        text(&format!("--rotate {days} --state {}", place.path(&format!("state-{days}")).display()))
    };
    assert!(rotated(300).starts_with("not everything was read yet: "));
    assert!(rotated(1).starts_with("restorable as of 2"));
    assert!(text("").starts_with("restorable as of 2"));
}

#[test]
fn a_state_that_is_of_no_use_is_kept_beside_the_new_one() {
    let place = Place::new();
    let state = place.path("state");
    rotate(&place, "--rotate 1").run().exits(0).says(&["note: this is the first run; "]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&state).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let good = fs::read(&state).unwrap();
    fs::write(&state, &good[..good.len() - 9]).unwrap();
    let ran = rotate(&place, "--rotate 1").run().exits(0);
    ran.says(&["it is damaged, or something else; all begins anew, and it is kept as ", "state.old"]);
    assert_eq!(fs::read(place.path("state.old")).unwrap(), good[..good.len() - 9]);
    let other = KopiaRs::golden("maintained-v3", "verify --rotate 1 --state").arg(&state).run().exits(0);
    other.says(&["it is of another repository; ", "state.old-2"]);
    assert!(!rotate(&place, "--rotate 1").run().exits(0).stderr.contains("first run"));
    // Without a name for it, it lies where the state of programs does.
    let home = place.path("home");
    KopiaRs::golden("sources", "verify --rotate 9").env("XDG_STATE_HOME", &home).run().exits(0);
    let names: Vec<_> = fs::read_dir(home.join("kopia-rs")).unwrap().collect();
    assert_eq!(names.len(), 1);
    KopiaRs::golden("sources", "verify --rotate 9 --state").arg(place.path("no/state")).run().exits(2);
    for arguments in
        ["verify latest --rotate 9", "verify --rotate 9 --percent 5", "verify --rotate 0", "verify --seed 1"]
    {
        KopiaRs::golden("sources", arguments).run().exits(2);
    }
    let inside = golden::case("sources").repository.join("state");
    KopiaRs::golden("sources", "verify --rotate 9 --state")
        .arg(&inside)
        .run()
        .exits(2)
        .says(&["would lie in the repository"]);
    assert!(!inside.exists());
    // Links, and with them /dev/stdout, stay what they are.
    let link = place.path("link");
    std::os::unix::fs::symlink(&state, &link).unwrap();
    for option in ["--metrics", "--page", "--rotate 9 --state"] {
        let refused = KopiaRs::golden("sources", &format!("verify {option}")).arg(&link).run().exits(2);
        refused.says(&["is a link, or no ordinary file"]);
    }
    assert_eq!(fs::read_link(&link).unwrap(), state);
}

#[test]
fn a_seed_reads_the_same_again() {
    let read = |arguments: &str| {
        KopiaRs::golden("sources", &format!("verify --percent 10 --json {arguments}")).run().exits(0)
    };
    let ran = read("");
    let json = ran.json();
    let seed = json["seed"].as_u64().unwrap();
    ran.says(&[&format!("--seed {seed} these again")]);
    for _ in 0..3 {
        assert_eq!(read(&format!("--seed {seed}")).json()["storedBytes"], json["storedBytes"]);
    }
}

#[test]
fn damage_is_in_the_metrics_and_on_the_page() {
    let place = Place::new();
    let [metrics, page] = ["verify.prom", "verify.html"].map(|name| place.path(name));
    let verify = |command: KopiaRs| command.arg("--metrics").arg(&metrics).arg("--page").arg(&page);
    verify(KopiaRs::golden("sources", "verify")).run().exits(0);
    let [text, html] = [&metrics, &page].map(|path| fs::read_to_string(path).unwrap());
    assert!(
        text.contains("# TYPE kopia_rs_verify_success gauge\nkopia_rs_verify_success{repository=\""),
        "{text}"
    );
    assert!(text.contains("kopia_rs_verify_restorable_as_of_timestamp_seconds{"), "{text}");
    assert!(html.contains("class=\"verdict\">restorable as of ") && html.ends_with("</html>\n"), "{html}");
    let case = golden::case("sources");
    let copy = damage::copy_repository(&case);
    copy.blobs("p").iter().for_each(damage::Blob::delete);
    let state = place.path("state");
    for _ in 0..2 {
        let command = KopiaRs::new("verify --rotate 1 --state").arg(&state).repository(&copy.path());
        verify(command.env("KOPIA_PASSWORD", &case.password)).run().exits(3);
    }
    let [text, html] = [&metrics, &page].map(|path| fs::read_to_string(path).unwrap());
    assert!(text.contains("kopia_rs_verify_success{") && !text.contains("restorable_as_of"), "{text}");
    assert!(
        !text.contains("\nkopia_rs_verify_packs_damaged{} 0\n")
            && text.contains("kopia_rs_verify_packs_damaged{")
    );
    assert!(
        html.contains("class=\"verdict bad\">not restorable as a whole") && html.contains("hello.txt"),
        "{html}"
    );
    assert!(
        !html.contains("<script")
            && html.contains("default-src &#39;none&#39;") != html.contains("default-src 'none'")
    );
    let inside = copy.path().join("x.prom");
    for password in [&*case.password, "wrong"] {
        let command = KopiaRs::new("verify --metrics").arg(&inside).repository(&copy.path());
        command.env("KOPIA_PASSWORD", password).run().exits(2).says(&["would lie in the repository"]);
        assert!(!inside.exists());
    }
}

#[test]
fn whatever_is_written_tells_that_the_list_is_incomplete() {
    let place = Place::new();
    let [metrics, page] = ["verify.prom", "verify.html"].map(|name| place.path(name));
    let repository = faults::repository("manifest-damaged");
    // The snapshot that can still be named is sound.
    for (arguments, code) in [
        ("--degraded verify latest --json", 3),
        ("--degraded verify --json", 3),
        ("--degraded verify ID --json", 0),
    ] {
        let listed = KopiaRs::new("--degraded snapshots --json").repository(&repository);
        let listed = listed.env("KOPIA_PASSWORD", faults::PASSWORD).run().exits(3).json();
        let arguments = arguments.replace("ID", listed[0]["id"].as_str().unwrap());
        let ran = KopiaRs::new(&arguments).repository(&repository).env("KOPIA_PASSWORD", faults::PASSWORD);
        let ran = ran.arg("--metrics").arg(&metrics).arg("--page").arg(&page).run().exits(code);
        let [text, html] = [&metrics, &page].map(|path| fs::read_to_string(path).unwrap());
        let success = text.lines().find(|line| line.starts_with("kopia_rs_verify_success")).unwrap();
        assert!(success.ends_with(if code == 0 { " 1" } else { " 0" }), "{arguments}: {success}");
        assert_eq!(html.contains("class=\"verdict bad\">"), code == 3, "{arguments}: {html}");
        assert_eq!(html.contains("the list of snapshots is incomplete"), code == 3, "{arguments}: {html}");
        let says_all =
            html.contains("\">what was read is sound, but the list of snapshots is incomplete</p>");
        assert_eq!(says_all, arguments.contains("latest"), "{arguments}: {html}");
        assert_eq!(ran.json()["hasGaps"].as_bool(), (code == 3).then_some(true), "{arguments}");
    }
}

#[test]
fn metrics_tell_also_of_a_run_without_a_result() {
    let place = Place::new();
    let file = place.path("verify.prom");
    let sources = |arguments: &str| KopiaRs::golden("sources", &format!("verify {arguments}"));
    let none = || KopiaRs::new("verify");
    let nowhere = place.path("nowhere");
    for (command, code, class) in [
        (sources("").env("KOPIA_PASSWORD", "wrong"), 1, "AuthFailure"),
        (none().repository(&nowhere).env("KOPIA_PASSWORD", "any"), 1, "NotFound"),
        (sources("nobody@nowhere:/x"), 1, "NotFound"),
        (none(), 2, "Usage"),
        (sources("--frobnicate"), 2, "Usage"),
    ] {
        sources("").arg("--metrics").arg(&file).run().exits(0);
        assert!(fs::read_to_string(&file).unwrap().lines().any(|line| line.ends_with("} 1")));
        command.arg("--metrics").arg(&file).run().exits(code);
        let text = fs::read_to_string(&file).unwrap();
        let has = |name: &str, end: &str| {
            text.lines()
                .any(|line| line.starts_with(&format!("kopia_rs_verify_{name}")) && line.ends_with(end))
        };
        assert!(has("success", " 0") && has("error{", &format!("class=\"{class}\"}} 1")), "{class}: {text}");
        assert!(has("end_timestamp_seconds", "") && !text.contains("verify_packs"), "{text}");
        assert_eq!(text.contains("{repository=\""), code == 1, "{text}");
    }
    assert_eq!(names(&place.path("")), ["verify.prom"]);
}
