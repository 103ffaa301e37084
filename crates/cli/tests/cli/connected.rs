//! What kopia is connected to: configurations, stored passwords and tokens, as kopia writes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kopia_testkit::golden;
use kopia_testkit::servers;
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place};

/// The home of somebody whose kopia is connected.
pub(crate) struct Home {
    pub(crate) place: Place,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self { place: Place::new() };
        fs::create_dir_all(home.settings()).unwrap();
        home
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.place.path("home/.config/kopia")
    }

    /// Connects to the golden repository `sources`, whose password is `golden`.
    pub(crate) fn connect(self, name: &str, password: &str) -> Self {
        let repository = golden::case("sources").repository.canonicalize().unwrap();
        self.write(name, &config(&storage(&repository)), password)
    }

    fn write(self, name: &str, config: &Value, password: &str) -> Self {
        let file = self.settings().join(name);
        fs::write(&file, config.to_string()).unwrap();
        fs::write(self.settings().join(format!("{name}.kopia-password")), STANDARD.encode(password)).unwrap();
        self
    }

    pub(crate) fn command(&self, arguments: &str) -> KopiaRs {
        KopiaRs::new(arguments).env("HOME", self.place.path("home"))
    }
}

/// Storage and configuration as kopia 0.23.1 writes them.
fn storage(repository: &Path) -> Value {
    json!({"type": "filesystem", "config": {"path": repository, "fileMode": 384, "dirMode": 448, "dirShards": null}})
}

fn config(storage: &Value) -> Value {
    json!({
        "storage": storage,
        "caching": {"cacheDirectory": "../../cache", "maxCacheSize": 5_242_880_000_u64},
        "hostname": "laptop", "username": "alice", "description": "My Repository", "enableActions": false,
        "formatBlobCacheDuration": 900_000_000_000_u64,
    })
}

fn token(storage: &Value, password: Option<&str>) -> String {
    let mut token = json!({"version": "1", "storage": storage});
    if let Some(password) = password {
        token["password"] = password.into();
    }
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn sources() -> Value {
    storage(&golden::case("sources").repository.canonicalize().unwrap())
}

#[test]
fn without_any_argument_the_snapshots_are_listed() {
    let home = Home::new().connect("repository.config", "golden");
    let ran = home.command("").run().exits(0).says(&["note: ", "repository.config says"]);
    let asked = KopiaRs::golden("sources", "snapshots").run().exits(0);
    assert_eq!(ran.text(), asked.text());
    assert!(home.command("--quiet").run().exits(0).stderr.is_empty());
    assert_eq!(home.command("--json").run().exits(0).json(), home.command("snapshots --json").run().json());
    // Another command needs no more.
    let file = home.command("cat app@media:/data/hello.txt").run().exits(0);
    assert!(!file.stdout.is_empty());
}

#[test]
fn where_nothing_is_connected_a_command_is_missing() {
    let home = Home::new();
    let ran = home.command("").run().exits(2).says(&["error:", "requires a subcommand"]);
    assert!(ran.stdout.is_empty());
    home.command("status").run().exits(2).says(&["no repository is given", "KOPIA_REPOSITORY"]);
    home.command("connections").run().exits(0).says(&["not connected to any repository"]);
    assert_eq!(home.command("connections --json").run().exits(0).json(), json!([]));
}

#[test]
fn options_and_variables_name_it_in_their_order() {
    let home = Home::new().connect("repository.config", "golden").connect("broken.config", "wrong");
    let file = home.settings().join("repository.config");
    let elsewhere = |command: KopiaRs| command.env("KOPIA_REPOSITORY", "/nonexistent");
    // What is given now counts more than what is set, and that more than what is found.
    elsewhere(home.command("status --config").arg(&file)).run().exits(0);
    elsewhere(home.command("status --config-file repository.config")).run().exits(0);
    elsewhere(home.command("status --token").arg(token(&sources(), Some("golden")))).run().exits(0);
    elsewhere(home.command("status")).run().exits(1).says(&["/nonexistent"]);
    home.command("status").env("KOPIA_CONFIG_PATH", "broken.config").run().exits(1).says(&[
        "the password does not open",
        "KOPIA_PASSWORD",
        "broken.config.kopia-password",
    ]);
    let missing = home.command("status").env("KOPIA_CONFIG_PATH", "/nonexistent/kopia.config");
    missing.run().exits(1).says(&["/nonexistent/kopia.config cannot be read"]);
    home.command("status --config missing.config").run().exits(1).says(&["missing.config cannot be read"]);
    home.command("status --repository /r --token x").run().exits(2).says(&["cannot be used with"]);
    // Options of a store mean nothing to a folder.
    home.command("status --endpoint x")
        .run()
        .exits(2)
        .says(&["option endpoint: it means nothing to a directory"]);
}

#[test]
fn a_stored_password_gives_way() {
    let home = Home::new().connect("repository.config", "wrong");
    home.command("status").run().exits(1).says(&["the password does not open"]);
    home.command("status").env("KOPIA_PASSWORD", "golden").run().exits(0);
    // To kopia an empty one is none.
    let right = Home::new().connect("repository.config", "golden");
    right.command("status").env("KOPIA_PASSWORD", "").run().exits(0);
    right.command("status").env("KOPIA_PASSWORD", "wrong").run().exits(1);
    let file = right.place.path("password");
    fs::write(&file, "wrong\n").unwrap();
    right.command("status --password-file").arg(&file).run().exits(1).says(&["the password does not open"]);
    fs::write(right.settings().join("repository.config.kopia-password"), "hush!").unwrap();
    let ran = right.command("status").run().exits(1).says(&["kopia-password", "base64"]);
    assert!(!ran.stderr.contains("hush"));
    fs::remove_file(right.settings().join("repository.config.kopia-password")).unwrap();
    right.command("status").run().exits(1).says(&["no password is given"]);
}

#[test]
fn tokens_from_everywhere() {
    let place = Place::new();
    let file = place.path("token");
    let (with, without) = (token(&sources(), Some("golden")), token(&sources(), None));
    KopiaRs::new("status --token").arg(&with).run().exits(0);
    KopiaRs::new("status --token").arg(format!("{with}==\n")).run().exits(0);
    KopiaRs::new("status --token").arg(&without).run().exits(1).says(&["no password is given"]);
    KopiaRs::new("status --token").arg(&without).env("KOPIA_PASSWORD", "golden").run().exits(0);
    let (start, end) = with.split_at(60);
    fs::write(&file, format!("{start}\r\n{end}\n")).unwrap();
    KopiaRs::new("status --token-file").arg(&file).run().exits(0);
    KopiaRs::new("status --token-file").arg(place.path("missing")).run().exits(1).says(&["missing"]);
    let stdin = |arguments: &[&str], input: &Path| {
        Command::new(env!("CARGO_BIN_EXE_kopia-rs"))
            .args(arguments)
            .env_clear()
            .env("HOME", "/nonexistent")
            .stdin(fs::File::open(input).unwrap())
            .stderr(Stdio::piped())
            .output()
            .unwrap()
    };
    assert_eq!(stdin(&["status", "--token-stdin"], &file).status.code(), Some(0));
    assert_eq!(stdin(&["--token-stdin"], &file).status.code(), Some(0), "it is read once");
    // What is no token ends in bounded time, and is not quoted.
    for bad in ["hush", "{\"password\":\"hush\"}", &start[..50], &"hush".repeat(400_000)] {
        fs::write(&file, bad).unwrap();
        let ran = KopiaRs::new("status --token-file").arg(&file).run().exits(1);
        assert!(ran.stderr.len() < 400 && !ran.stderr.contains("hush"), "{}", ran.stderr);
    }
    KopiaRs::new("status --token-file /dev/zero").run().exits(1).says(&["more than"]);
    let other = URL_SAFE_NO_PAD.encode(r#"{"version":"2"}"#);
    KopiaRs::new("status --token").arg(other).run().exits(1).says(&["version \"2\""]);
}

#[test]
fn several_connections_are_listed() {
    let s3 = json!({"type": "s3", "config": {
        "bucket": "backups", "prefix": "k/", "endpoint": "minio.lan:9000",
        "accessKeyID": "AKIAEXAMPLE", "secretAccessKey": "hush", "sessionToken": "hush",
    }});
    let server = json!({"apiServer": {"url": "https://kopia.lan:51515", "serverCertFingerprint": "48537c"}});
    let home = Home::new()
        .connect("repository-1700000000001.config", "golden")
        .write("repository-1700000000002.config", &config(&s3), "hush")
        .write("repository-1700000000003.config", &server, "hush")
        .write("repository-1700000000004.config", &json!("hush"), "hush");
    // Without a default of kopia's, one has to be named.
    let ran = home.command("").run().exits(2);
    let ran = ran.says(&["several repositories", "repository-1700000000002.config", "--config"]);
    assert!(!ran.stderr.contains("hush"));
    home.command("status --config repository-1700000000001.config").run().exits(0);
    let home = home.connect("repository.config", "golden");
    home.command("").run().exits(0);

    let listed = home.command("connections").run().exits(0);
    for says in [
        "repository.config (default)\n",
        "  kind:        S3\n  repository:  s3://backups/k/ at minio.lan:9000\n  identity:    alice@laptop\n",
        "  description: My Repository\n  password:    stored\n",
        "  kind:        a Kopia repository server\n  repository:  https://kopia.lan:51515\n",
        "repository-1700000000004.config\n  cannot be used: ",
    ] {
        assert!(listed.text().contains(says), "{says:?} is not in:\n{}", listed.text());
    }
    let json = home.command("connections --json").run().exits(0);
    let list = json.json();
    assert_eq!(list.as_array().unwrap().len(), 5);
    assert_eq!((&list[0]["isDefault"], &list[0]["type"]), (&json!(true), &json!("filesystem")));
    assert_eq!(
        (&list[2]["location"], &list[2]["username"]),
        (&json!("s3://backups/k/ at minio.lan:9000"), &json!("alice"))
    );
    assert_eq!(list[2]["hasPassword"], json!(true));
    assert!(list[4]["error"].is_string());
    for text in [listed.text(), json.text()] {
        assert!(
            !text.contains("hush") && !text.contains("AKIA") && !text.contains(&STANDARD.encode("hush")),
            "{text}"
        );
    }
}

/// With the real kopia, where it is installed: what it writes is what is read.
#[test]
fn as_kopia_itself_connects() {
    let Some(program) = servers::kopia() else { return };
    let place = Place::new();
    let home = place.path("home");
    fs::create_dir_all(place.path("data")).unwrap();
    fs::write(place.path("data/hello.txt"), "hello").unwrap();
    let kopia = |arguments: &[&str]| {
        let output = Command::new(&program)
            .args(arguments)
            .env_clear()
            .env("HOME", &home)
            .env("KOPIA_CACHE_DIRECTORY", place.path("cache"))
            .env("KOPIA_CHECK_FOR_UPDATES", "false")
            .output()
            .unwrap();
        assert!(output.status.success(), "kopia {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let repository = place.path("repository").display().to_string();
    kopia(&["repository", "create", "filesystem", "--path", &repository, "--password", "pässword "]);
    kopia(&["snapshot", "create", &place.path("data").display().to_string()]);
    let ours = |arguments: &str| KopiaRs::new(arguments).env("HOME", &home);
    let listed = ours("--json").run().exits(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(ours("cat latest/hello.txt").run().exits(0).text(), "hello");
    ours("connections").run().exits(0);

    let status = kopia(&["repository", "status", "--reconnect-token", "--reconnect-token-with-password"]);
    let is_token = |line: &&str| line.len() > 60 && !line.contains(char::is_whitespace);
    let token =
        status.lines().find(is_token).or_else(|| status.split_whitespace().find(|word| word.len() > 100));
    let token = token.expect("a token").trim();
    let listed = KopiaRs::new("snapshots --json --token").arg(token).run().exits(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(!status.is_empty() && !ours("status").run().exits(0).stderr.contains(token));
}
