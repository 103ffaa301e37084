//! What Kopiur's client reads, from golden repositories.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kopia_testkit::damage;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

use crate::client::{Class, Client};

#[test]
fn connecting_writes_what_the_next_calls_need() {
    let client = Client::ours("sources").connected();
    assert_eq!(fs::metadata(client.config()).unwrap().permissions().mode() & 0o777, 0o600);
    let stored = client.path("kopia.config.kopia-password");
    assert_eq!(fs::read_to_string(&stored).unwrap(), "Z29sZGVu");
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o777, 0o600);
    // The password that was stored will do from now on.
    let client = client.with("KOPIA_PASSWORD", "");
    let status = client.run("repository status --json").exits(0).json();
    assert_eq!(status["uniqueIDHex"].as_str().map(str::len), Some(64));
    assert_eq!(
        (&status["storage"]["type"], &status["clientOptions"]["username"]),
        (&"filesystem".into(), &"root".into())
    );
    assert_eq!(status["storage"]["config"]["path"].as_str(), client.repository().to_str());
    assert_eq!(status["contentFormat"]["epochParameters"]["Enabled"], true);
    assert_eq!(status["blobRetention"], serde_json::json!({}));
    client.run("repository set-client --username=kopiur --hostname=ns").exits(0);
    let status = client.run("repository status --json").exits(0).json();
    assert_eq!(status["clientOptions"]["hostname"], "ns");
    client
        .run("repository throttle set --download-bytes-per-second 100000000 --read-requests-per-second 5000")
        .exits(0);
    let limits = client.run("repository throttle get --json").exits(0).json();
    assert_eq!(limits["readsPerSecond"], 5000);
    client.run("repository disconnect").exits(0);
    assert!(!client.config().exists() && !stored.exists());
    client.run("repository status --json").exits(1).says("repository is not connected");
    let unstored = Client::ours("sources");
    let path = unstored.repository();
    let path = path.to_str().unwrap();
    unstored
        .run_all(&[
            "repository",
            "connect",
            "filesystem",
            "--path",
            path,
            "--readonly",
            "--no-persist-credentials",
        ])
        .exits(0);
    assert!(!unstored.path("kopia.config.kopia-password").exists());
    assert!(fs::read_to_string(unstored.config()).unwrap().contains("\"readonly\": true"));
}

#[test]
fn failures_are_told_apart_by_their_words() {
    let client = Client::ours("sources").connected();
    let wrong = client.with("KOPIA_PASSWORD", "wrong");
    wrong.run("repository status --json").exits(1).is(Class::Auth).says("invalid repository password");
    let config = fs::read(wrong.config()).unwrap();
    wrong.connect().exits(1).is(Class::Auth).says("error connecting to repository: ");
    assert_eq!(fs::read(wrong.config()).unwrap(), config, "what was connected before stays");
    let client = Client::ours("sources");
    fs::create_dir(client.path("empty")).unwrap();
    let of = |name: &str| client.path(name).to_str().unwrap().to_owned();
    let connect = |path: &str| client.run_all(&["repository", "connect", "filesystem", "--path", path]);
    connect(&of("empty"))
        .exits(1)
        .is(Class::NotFound)
        .says("repository not initialized in the provided storage");
    connect(&of("none")).exits(1).is(Class::NotFound).says("no such file or directory");
    connect("relative").exits(1).is(Class::Unknown).says("filesystem repository path must be absolute");
    assert!(!client.config().exists());
    client.run("repository connect filesystem").exits(1).says("required flag(s) '--path' not provided");
    client
        .run("repository status --frob")
        .exits(1)
        .says("kopia: error: unknown long flag '--frob', try --help");
    let refused = "repository connect s3 --bucket b --endpoint 127.0.0.1:1 --disable-tls --access-key=a --secret-access-key=b";
    if cfg!(feature = "networks") {
        client.run(refused).exits(1).is(Class::Unavailable);
    }
}

#[test]
fn snapshots_are_listed_with_kopias_fields() {
    let client = Client::ours("sources").connected();
    let all = client.run("snapshot list --json").exits(0).json();
    assert_eq!(all.as_array().unwrap().len(), 7);
    let first = &all[0];
    assert_eq!(first["source"]["userName"], "app-src");
    let reasons = r#"["latest-1","hourly-1","daily-1","weekly-1","monthly-1","annual-1"]"#;
    assert_eq!(first["retentionReason"].to_string(), reasons);
    let some = client.run("snapshot list --json app@media:/data").exits(0).json();
    assert_eq!(some.as_array().unwrap().len(), 3);
    assert_eq!(some[0]["retentionReason"].to_string(), r#"["latest-3","monthly-3"]"#);
    assert_eq!(some[0]["tags"]["tag:env"], "prod");
    assert_eq!(
        client.run("snapshot list --json --all nobody@nowhere:/x").exits(0).json(),
        serde_json::json!([])
    );
    assert_eq!(
        client.run("snapshot list --json --tags env:prod").exits(0).json().as_array().unwrap().len(),
        1
    );
    let text = client.run("snapshot list --all").exits(0).stdout;
    assert!(text.contains("app@media:/data\n  2026-01-02 03:04:05 UTC kf64b5326b106469a05e8a093f9d5dd98 161.3 KB drwxr-xr-x files:6 dirs:3 (latest-3,monthly-3)\n"), "{text}");
}

#[test]
fn objects_are_shown_and_listed() {
    let client = Client::ours("sources").connected();
    let root = "k41691c442dfb24587cf7b485cbfce8e3";
    let directory = client.run(&format!("show {root}")).exits(0).json();
    assert_eq!(
        (&directory["stream"], directory["entries"].as_array().unwrap().len()),
        (&"kopia:directory".into(), 6)
    );
    let file = client.run(&format!("show {root}/hello.txt")).exits(0).stdout;
    assert_eq!(file.len(), 14);
    client.run(&format!("show {root}/nonexist")).exits(1).says("unable to parse ID").is(Class::NotFound);
    client.run("show garbage").exits(1).says("can't parse object ID garbage");
    let listed = client.run(&format!("ls -o -r {root}")).exits(0).stdout;
    assert!(
        listed.contains(
            "5fb164d11766e5407cfa9381c22ea833   k41691c442dfb24587cf7b485cbfce8e3/sub/deeper/mixed\n"
        ),
        "{listed}"
    );
}

#[test]
fn a_snapshot_is_restored_with_kopias_switches() {
    let client = Client::ours("sources").connected();
    let id = "c3bc32134c182e42c92f268ef49f84a0";
    let target = client.path("restored");
    let restore = |more: &str| client.run(&format!("snapshot restore {id} {} {more}", target.display()));
    restore("--no-ignore-permission-errors --write-files-atomically --parallel 2 --skip-owners")
        .exits(0)
        .says("Restored 7 files, 3 directories and 1 symbolic links (117.3 KB).");
    assert_eq!(fs::read(target.join("hello.txt")).unwrap().len(), 14);
    // To kopia, what has the same length and time is the same.
    let hello = fs::File::options().read(true).write(true).open(target.join("hello.txt")).unwrap();
    let time = hello.metadata().unwrap().modified().unwrap();
    std::io::Write::write_all(&mut &hello, b"mine").unwrap();
    hello.set_modified(time).unwrap();
    let is_mine = || fs::read(target.join("hello.txt")).unwrap().starts_with(b"mine");
    fs::write(target.join("extra"), "extra").unwrap();
    restore("--skip-existing").exits(0);
    assert!(is_mine());
    restore("--no-overwrite-files").exits(1);
    restore("--no-overwrite-directories").exits(1).says("non-empty directory already exists");
    restore("--delete-extra").exits(0);
    assert!(!is_mine() && !target.join("extra").exists());
    let file = client.path("file");
    client
        .run(&format!("restore app@media:/data/hello.txt {}", file.display()))
        .exits(0)
        .says("Snapshot source");
    assert_eq!(fs::read(&file).unwrap().len(), 14);
    let none = client.run(&format!("restore 0123456789abcdef0123456789abcdef {}", file.display()));
    none.exits(1).is(Class::NotFound);
}

#[test]
fn damage_is_found_and_what_is_sound_is_not_complained_of() {
    let client = Client::ours("sources").connected();
    let sound = client
        .run("snapshot verify --verify-files-percent 100 --max-errors 3 --parallel 2 --json")
        .exits(0)
        .json();
    assert_eq!(sound["errorCount"], 0);
    let stats = &sound["stats"];
    let count = |name: &str| stats[name].as_u64().unwrap();
    // As kopia 0.23.1 counts them.
    assert_eq!((count("processedObjectCount"), count("processedBytes")), (1121, 3_771_778));
    assert_eq!((count("readFileCount"), count("expectedTotalFileCount")), (1114, 1137));
    let none = client.run("snapshot verify --json").exits(0).json();
    assert_eq!(none["stats"]["readFileCount"], 0);
    client.run("snapshot verify").exits(0).says("Finished processing");
    client.run("snapshot verify abcdef").exits(1).is(Class::NotFound);
    let pack = kopia_testkit::damage::blobs(&client.repository(), "p");
    pack[0].delete();
    // What is not read is known to be lost by its pack alone.
    let found = client.run("snapshot verify --json --max-errors=-1").exits(1).json();
    assert_eq!((&found["errorCount"], found["errorStrings"].as_array().map(Vec::len)), (&1.into(), Some(1)));
    let verify = "snapshot verify --json --verify-files-percent 100";
    // As many errors as kopia counts before it stops.
    for (most, count) in [("", 1), ("--max-errors 3", 3)] {
        let found = client.run(&format!("{verify} {most}")).exits(1);
        let found = if count > 1 { found.says("encountered 3 errors").json() } else { found.json() };
        assert_eq!(found["errorCount"], count, "{most}");
        assert_eq!(found["errorStrings"].as_array().map(Vec::len), Some(count), "{most}");
    }
    let all = client.run(&format!("{verify} --max-errors=-1")).exits(1).json();
    assert!(all["errorCount"].as_u64().unwrap() > 3);
}

#[test]
fn names_of_damaged_files_make_no_other_failure_of_it() {
    let client = Client::ours("sources").with("KOPIA_PASSWORD", PASSWORD);
    let repository = client.path("repository");
    let mut writer = RepositoryWriter::new();
    let mut files = Vec::new();
    for name in ["clock", "other", "package-lock.json"] {
        let object = writer.file(name.as_bytes());
        files.push(json!({"name": name, "type": "f", "mode": "0644", "size": name.len(), "obj": object}));
    }
    let root = writer.directory(&files);
    let root = json!({"name": "data", "type": "d", "mode": "0755", "obj": root});
    let id = writer.snapshot("app@host:/data", root);
    writer.finish_in(&repository).unwrap();
    for pack in damage::blobs(&repository, "p") {
        pack.zero(0..pack.read().len());
    }
    let path = repository.to_str().unwrap();
    client.run_all(&["repository", "connect", "filesystem", "--path", path]).exits(0);
    let target = client.path("restored");
    for words in [
        format!("snapshot restore {id} {}", target.display()),
        "snapshot verify --verify-files-percent 100 --max-errors=-1".into(),
    ] {
        let ran = client.run(&words).exits(1).is(Class::Unknown);
        let ran = ran.says("other: ").says("2 entries are not named here");
        assert!(!ran.stderr.contains("clock"), "{}", ran.stderr);
    }
}

#[test]
fn inner_lists() {
    let client = Client::ours("sources").connected();
    assert_eq!(client.run("index list --json").exits(0).json().as_array().unwrap().len(), 8);
    let blobs = client.run("blob list --json").exits(0).json();
    let names: Vec<_> = blobs.as_array().unwrap().iter().map(|blob| blob["id"].as_str().unwrap()).collect();
    assert!(names.contains(&"kopia.blobcfg") && names.iter().any(|name| name.starts_with('p')), "{names:?}");
    let manifests = client.run("manifest list --json --filter type:snapshot").exits(0).json();
    assert_eq!(manifests.as_array().unwrap().len(), 7);
    let shown = client.run("manifest show d10d05992f2f195f9795d75c690b50ef").exits(0).stdout;
    assert!(shown.starts_with("// id: d10d05992f2f195f9795d75c690b50ef\n// length: 601\n"), "{shown}");
    client.run("manifest show none").exits(1).is(Class::NotFound);
    assert_eq!(client.run("policy list --json").exits(0).json().as_array().unwrap().len(), 6);
    let policy = client.run("policy show app@media:/data --json").exits(0).json();
    assert_eq!(
        (&policy["scheduling"]["manual"], &policy["retention"]["keepLatest"]),
        (&true.into(), &10.into())
    );
}
