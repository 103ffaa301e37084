//! What is for the real kopia.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::client::Client;

/// What Kopiur asks for that writes, and what only kopia has.
const WRITING: [&str; 15] = [
    "repository create filesystem --path /r",
    "repository sync-to filesystem --path /r --delete",
    "repository validate-provider",
    "snapshot create /data --json --tags a:b",
    "snapshot delete k1 --delete",
    "snapshot pin k1 --add keep",
    "snapshot expire --all --delete",
    "snapshot estimate /data",
    "policy set --global --compression zstd",
    "maintenance set --owner me",
    "maintenance run --full",
    "snapshot list --storage-stats",
    "server start --address 0.0.0.0:51515",
    "restore k1 /out.tar.gz",
    "index list --superseded",
];

/// Writes a program that says how it was called.
fn fake(directory: &Path) {
    let program = directory.join("kopia");
    kopia_testkit::program::write(&program, "#!/bin/sh\necho \"$#:$*\"\necho \"$CARRIED\"\nexit 7\n");
}

#[test]
fn it_gets_arguments_and_environment_as_they_are() {
    let client = Client::ours("sources").connected();
    let directory = client.path("bin");
    fs::create_dir(&directory).unwrap();
    fake(&directory);
    let path = directory.to_str().unwrap().to_owned();
    let client = client.with("CARRIED", "as it is").with("PATH", &format!("/nonexistent:{path}"));
    for words in WRITING {
        let ran = client.run(words).exits(7);
        assert_eq!(ran.stdout, format!("{}:{words}\nas it is\n", words.split(' ').count()));
    }
    // An option that is not known here may be known to it.
    client.run("repository status --newer-than-this").exits(7);
    // Its version and its help are its own.
    client.run("--version").exits(7);
    client.run("snapshot list --help").exits(7);
    let client = client.with("PATH", "").with("KOPIA_RS_FALLBACK", &format!("{path}/kopia"));
    client.run("snapshot create /data").exits(7);
    // VolSync's script is no kopia.
    let client = client.with("KOPIA_RS_FALLBACK", "/mover-kopia/entry.original.sh").with("PATH", &path);
    client.run("snapshot create /data").exits(7);
    // Called as kopia, it finds the next one behind itself.
    let own = client.path("own");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kopia-rs"), own.join("kopia")).unwrap();
    let both = format!("{}:{path}", own.display());
    let output = Command::new(own.join("kopia"))
        .args(["snapshot", "create", "--", "a b"])
        .env_clear()
        .env("PATH", both)
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), &*String::from_utf8_lossy(&output.stdout)),
        (Some(7), "4:snapshot create -- a b\n\n")
    );
}

#[test]
fn it_gets_limits_and_signals_as_they_are() {
    let client = Client::ours("sources").connected();
    let directory = client.path("bin");
    fs::create_dir(&directory).unwrap();
    let print = "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc; ulimit -Ss; umask";
    kopia_testkit::program::write(
        &directory.join("kopia"),
        // Of the ignored ones, the C library has some real-time signals for itself: the last 32 bits are the others.
        &format!(
            "#!/bin/sh\n{print}\ngrep SigBlk /proc/self/status\n\
             sed -n 's/^SigIgn:.*\\(.\\{{8\\}}\\)$/SigIgn \\1/p' /proc/self/status\n"
        ),
    );
    let shell = |words: &str| {
        let own = env!("CARGO_BIN_EXE_kopia-rs");
        let call = if words.is_empty() { "exec kopia".into() } else { format!("exec {own} kopia {words}") };
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("trap '' HUP INT; ulimit -Sn 77; ulimit -Sc 0; umask 27; {call}")])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", directory.display()))
            .env("KOPIA_CONFIG_PATH", client.config())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = shell("");
    assert!(expected.starts_with("77\n") && expected.contains("SigIgn "), "{expected}");
    for words in WRITING {
        assert_eq!(shell(words), expected, "{words}");
    }
}

#[test]
fn without_it_nothing_is_done_and_that_is_said() {
    let client = Client::ours("sources").connected().with("PATH", "/nonexistent");
    for words in WRITING {
        let ran = client
            .run(words)
            .exits(2)
            .says("kopia-rs never writes to a repository")
            .says("no other kopia is on PATH");
        assert!(ran.stdout.is_empty(), "{words}");
    }
    let version = client.run("--version").exits(0).stdout;
    let build = env!("CARGO_PKG_VERSION");
    assert_eq!(version, format!("0.23.1 build: kopia-rs-{build} from: kopia-rs/kopia-rs\n"));
    let help = client.run("--help").exits(0).stdout;
    assert!(help.starts_with("usage: kopia ") && help.contains("\n  snapshot list\n"), "{help}");
    let own = env!("CARGO_BIN_EXE_kopia-rs");
    client.with("KOPIA_RS_FALLBACK", own).run("snapshot create /data").exits(2).says("names kopia-rs itself");
}
