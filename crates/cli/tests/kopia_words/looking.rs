//! `content list`, `diff`, `policy show`, `mount` and tokens, from golden repositories and beside kopia.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kopia_testkit::golden;

use crate::client::Client;

/// The roots of two snapshots of the golden repository `sources`.
const OLD: &str = "kf64b5326b106469a05e8a093f9d5dd98";
const NEW: &str = "k41691c442dfb24587cf7b485cbfce8e3";

/// Repositories with compression, deleted contents, epochs, old indexes.
const CASES: [&str; 8] = [
    "sources",
    "comp-zstd",
    "comp-lz4",
    "format-v1",
    "compacted-v0.8.4",
    "compacted-v0.23.1",
    "maintained-v3",
    "epochs",
];

fn of(client: Client, case: &str) -> Client {
    client.with("KOPIA_PASSWORD", &golden::case(case).password).connected()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn contents_are_listed_with_kopias_fields() {
    let client = of(Client::ours("sources"), "sources");
    let all = client.run("content list").exits(0).stdout;
    assert!(all.starts_with("00119240cafdc53b3fc4ae8875951aa0\n0022db153fcdd8dca7c668bc7723b808\n"), "{all}");
    let long = client.run("content list --long").exits(0).stdout;
    let first = "00119240cafdc53b3fc4ae8875951aa0 4 2026-11-22 23:32:54 UTC p4760f782244441ab3530c709ca0e8012-s5f48516816518233147 3618809+32 -\n";
    assert!(long.starts_with(first), "{long}");
    let json = client.run("content list --json --prefix 0011").exits(0).stdout;
    let expected = r#"{"packFile":"p4760f782244441ab3530c709ca0e8012-s5f48516816518233147","time":1795390374,"originalLength":4,"length":32,"packOffset":3618809,"contentID":"00119240cafdc53b3fc4ae8875951aa0","deleted":false,"formatVersion":3}"#;
    assert_eq!(json, format!("[\n {expected}\n]"));
    let total = client.run("content list --summary --human --prefix zz").exits(0).stdout;
    assert_eq!(total, "Total: 0  contents, 0 B total size\n");
    let total = client.run("content list -sh").exits(0).stdout;
    assert!(total.ends_with("Total: 1.1 K contents, 3.8 MB total size\n"), "{total}");
    let only = |words: &str| client.run(&format!("content list {words}")).exits(0).stdout.lines().count();
    assert_eq!(only("--prefixed") + only("--non-prefixed"), all.lines().count());
    assert_eq!(
        (only("--prefix k1") < only("--prefix k"), only("--deleted-only")),
        (true, only("--deleted") - only(""))
    );
    let packed =
        of(Client::ours("comp-s2-default"), "comp-s2-default").run("content list -c").exits(0).stdout;
    let line = "4680a5052274287201333dda47bf2510 length 33333 packed 61 s2-default 99.8% ";
    assert!(packed.lines().any(|one| one == line), "{packed}");
}

#[test]
fn folders_are_compared_with_kopias_words() {
    let client = of(Client::ours("sources"), "sources");
    let said = client.run(&format!("diff {OLD} {NEW}")).exits(0).stdout;
    let expected = r#". modification times differ: 2022-07-05 05:46:40 +0000 UTC 2022-09-01 02:40:00.000000002 +0000 UTC
added file ./added-1.txt (3000 bytes)
added file ./added-2.txt (3000 bytes)
./hello.txt modes differ: -rw-r--r-- -rw-------
./hello.txt sizes differ: 15 14
./hello.txt modification times differ: 2020-09-13 12:26:40.123456789 +0000 UTC 2022-08-08 23:06:40.000000002 +0000 UTC
changed ./hello.txt at 2022-08-08 23:06:40.000000002 +0000 UTC (size 15 -> 14)
removed file ./random.bin (50000 bytes)
{"fileEntries":{"added":2,"removed":1,"modified":2,"sameContentButDifferentMetadata":0,"sameContentButDifferentMode":0,"sameContentButDifferentModificationTime":0,"sameContentButDifferentUserOwner":0,"sameContentButDifferentGroupOwner":0},"directoryEntries":{"added":0,"removed":0,"modified":1,"sameContentButDifferentMetadata":0,"sameContentButDifferentMode":0,"sameContentButDifferentModificationTime":0,"sameContentButDifferentUserOwner":0,"sameContentButDifferentGroupOwner":0}}"#;
    assert_eq!(said, expected);
    let stats = client.run(&format!("diff --stats-only {OLD} {NEW}")).exits(0).stdout;
    assert_eq!(stats, expected.lines().last().unwrap());
    let print = client.path("print");
    kopia_testkit::program::write(&print, "#!/bin/sh\necho \"$1 $2 $3\"\ncat \"$2\" \"$3\" | wc -c\n");
    let client = client.with("KOPIA_DIFF", &format!("{} -x", print.display())).with("PATH", "/usr/bin:/bin");
    let said = client.run(&format!("compare -f {OLD} {NEW}")).exits(0).stdout;
    for words in [
        "-x old/hello.txt new/hello.txt\n29\n",
        "-x /dev/null new/added-1.txt\n3000\n",
        "-x old/random.bin /dev/null\n50000\n",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    client.run(&format!("diff {OLD} {NEW}/hello.txt")).exits(1).says("must both be directories");
    client
        .run(&format!("diff {OLD}/hello.txt {NEW}/hello.txt"))
        .exits(1)
        .says("comparing files not implemented");
    client.run(&format!("diff {OLD}")).exits(1).says("required argument 'object-path2' not provided");
}

/// The program that compares may take as long as it likes: it is not waited for then, and finds no files any more.
#[test]
fn a_signal_leaves_no_files_that_were_to_be_compared() {
    let client = of(Client::ours("sources"), "sources");
    let (started, folder) = (client.path("started"), client.path("temporary"));
    std::fs::create_dir(&folder).unwrap();
    let print = client.path("print");
    let text = format!("#!/bin/sh\n: > '{0}'\nwhile test -e '{0}'; do sleep 0.1; done\n", started.display());
    kopia_testkit::program::write(&print, &text);
    let client = client.with("KOPIA_DIFF", &print.display().to_string()).with("PATH", "/usr/bin:/bin");
    let client = client.with("TMPDIR", &folder.display().to_string());
    let left = || std::fs::read_dir(&folder).unwrap().count();
    let mut command = client.command(&["diff", "--files", OLD, NEW]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !started.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is compared");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(left(), 1);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), left()), (Some(143), 0), "{said}");
    assert_eq!(said, "error comparing directories: stopped by SIGTERM\n");
    std::fs::remove_file(started).unwrap();
}

#[test]
fn a_policy_is_shown_to_people() {
    let client = of(Client::ours("sources"), "sources");
    let text = client.run("policy show app@media:/data").exits(0).stdout;
    let start = "Policy for app@media:/data:\n\nRetention:\n  Annual snapshots:                        3   inherited from (global)\n";
    assert!(text.starts_with(start), "{text}");
    let manual = "  Scheduled snapshots:\n    None.\n  Manual snapshot:                      true   (defined for this target)\n";
    assert!(text.contains(manual), "{text}");
    let global = client.run("policy show --global").exits(0).stdout;
    assert!(
        global.starts_with("Policy for (global):\n\n") && global.contains("(defined for this target)"),
        "{global}"
    );
    let json = client.run("policy show --global --json --json-indent").exits(0).stdout;
    assert!(json.starts_with("{\n  \"retention\": {\n    \"keepLatest\": 10,\n"), "{json}");
}

#[test]
fn a_token_connects_again() {
    let client = of(Client::ours("sources"), "sources");
    let said = client.run("repository status -t -s").exits(0).stdout;
    assert!(
        said.contains("Epoch Manager:       enabled\nCurrent Epoch: 0\n\nEpoch refresh frequency: 20m0s\n"),
        "{said}"
    );
    let token = |said: &str| {
        let (_, rest) = said.split_once("$ kopia repository connect from-config --token ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    assert!(said.ends_with("Do not store it in an unsecured place.\n"), "{said}");
    let without = client.run("repository status --reconnect-token").exits(0).stdout;
    assert!(!without.contains("NOTICE") && token(&without) != token(&said));
    client.run("repository disconnect").exits(0);
    let client = client.with("KOPIA_PASSWORD", "");
    client.run_all(&["repository", "connect", "from-config", "--token", &token(&said)]).exits(0);
    client.run("snapshot list --json").exits(0);
}

#[test]
fn snapshots_are_mounted_where_kopia_shows_them() {
    if !Path::new("/dev/fuse").exists() || !rustix::process::geteuid().is_root() {
        return;
    }
    let client = of(Client::ours("sources"), "sources");
    let point = client.path("point");
    std::fs::create_dir(&point).unwrap();
    let mut child =
        client.command(&["mount", "all", point.to_str().unwrap()]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let head: Vec<_> = lines.by_ref().take(2).collect();
    assert_eq!(head, [format!("Mounted 'all' on {}", point.display()), "Press Ctrl-C to unmount.".into()]);
    let names = |path: &Path| {
        let names =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(names(&point), ["app-src@media", "app@media", "app@other", "db@media"]);
    assert_eq!(names(&point.join("app@media")), ["data", "data_hello.txt"]);
    let of_data = point.join("app@media/data");
    assert_eq!(names(&of_data), ["20260102-030405", "20260202-030405", "20260302-030405"]);
    assert_eq!(std::fs::read(of_data.join("20260302-030405/hello.txt")).unwrap().len(), 14);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(lines.collect::<Vec<_>>(), ["Unmounting...", "Unmounted."]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(names(&point), [""; 0]);
    client
        .run(&format!("mount {NEW}/hello.txt {}", point.display()))
        .exits(1)
        .says("is not a directory object");
}

#[test]
fn contents_folders_and_policies_are_told_line_by_line_as_kopia_does() {
    for case in CASES {
        let Some(theirs) = Client::theirs(case) else { return };
        let (theirs, ours) = (of(theirs, case), of(Client::ours(case), case));
        for words in [
            "content list",
            "content list --long",
            "content list -c --human",
            "content list --deleted --json",
            "content list --deleted-only -l",
            "content list --prefixed -s",
            "content list --non-prefixed --summary --human",
            "content list --prefix k",
            "policy show --global",
        ] {
            let (ours, theirs) = (ours.run(words).exits(0), theirs.run(words).exits(0));
            assert_eq!(ours.stdout, theirs.stdout, "{case}: {words}");
        }
    }
    let Some(theirs) = Client::theirs("sources") else { return };
    let (theirs, ours) = (theirs.connected(), of(Client::ours("sources"), "sources"));
    let db = "kc6653a3fd496959b55181be35c6f27da";
    for words in [
        format!("diff {OLD} {NEW}"),
        format!("diff {NEW} {db}"),
        format!("diff {db} {OLD} --stats-only"),
        format!("diff {NEW}/sub {OLD}/sub"),
        format!("diff {OLD} c3bc32134c182e42c92f268ef49f84a0"),
        "policy show app@media:/data".into(),
        "policy show app@media:/data/sub @media db@media".into(),
        "policy show me@here:/x --json".into(),
    ] {
        let (ours, theirs) = (ours.run(&words).exits(0), theirs.run(&words).exits(0));
        assert_eq!(sorted(&ours.stdout), sorted(&theirs.stdout), "{words}");
    }
}

/// Policies that stop their parents, for all, a host, a user and paths.
const POLICIES: &str = r##"{"(global)":{"retention":{"keepLatest":5},"files":{"ignore":["*.tmp"],"maxFileSize":123456},"compression":{"compressorName":"zstd","onlyCompress":[".aaa"],"neverCompress":[".zip"],"minSize":5000},"scheduling":{"timeOfDay":[{"hour":3,"min":0}],"cron":["0 1 * * *"]},"actions":{"beforeSnapshotRoot":{"script":"#!/bin/sh\necho a && b <x>","timeout":90,"mode":"optional"}}},"@h":{"compression":{"onlyCompress":[".host"],"maxSize":900000000}},"u@h":{"compression":{"onlyCompress":[".bb"],"noParentOnlyCompress":true,"neverCompress":[".gz"]},"scheduling":{"timeOfDay":[{"hour":12,"min":5}],"noParentTimeOfDay":true,"intervalSeconds":3600},"logging":{"entries":{"cacheHit":7}}},"u@h:/a/b":{"compression":{"onlyCompress":[".c"]},"files":{"noParentIgnore":true,"noParentDotFiles":true,"ignoreCacheDirs":false},"scheduling":{"timeOfDay":[{"hour":1,"min":2}],"manual":false},"actions":{"beforeFolder":{"path":"/bin/x","args":["1","2"]},"afterSnapshotRoot":{"path":"/bin/y"}},"osSnapshots":{"volumeShadowCopy":{"enable":2}},"upload":{"maxParallelFileReads":3},"splitter":{"algorithm":"FIXED-1M"}},"u@h:/np":{"noParent":true,"retention":{"keepDaily":2},"actions":{"beforeFolder":{"path":"/bin/x"}}}}"##;

#[test]
fn policies_come_to_what_kopia_makes_of_them() {
    let Some(theirs) = Client::theirs("sources") else { return };
    let client = theirs.connected();
    std::fs::write(client.path("policies.json"), POLICIES).unwrap();
    client.run("policy import --from-file policies.json").exits(0);
    let calls = ["", " --json"].map(|how| {
        ["u@h:/a/b", "u@h:/a/b/c/d", "u@h:/np", "u@h:/np/below", "u@h", "@h", "other@h:/x", "--global"]
            .map(|what| format!("policy show {what}{how}"))
    });
    let ask = |client: &Client| {
        calls.concat().iter().map(|words| client.run(words).exits(0).stdout).collect::<Vec<_>>()
    };
    let kopia = ask(&client);
    let ours = ask(&client.by(Path::new(env!("CARGO_BIN_EXE_kopia-rs")), true));
    for ((ours, kopia), words) in std::iter::zip(std::iter::zip(ours, kopia), calls.concat()) {
        assert_eq!(ours, kopia, "{words}");
    }
}
