//! Repositories that are not in a folder, as users of kopia have them: a configuration, a token, a URL with
//! options and variables. Servers are real ones, started here; without them these tests are left out.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kopia_testkit::attempts::at_best;
use kopia_testkit::golden::{self, Case};
use kopia_testkit::http_server::{Bucket, HttpServer};
use kopia_testkit::servers::{self, Server, Sshd};
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, Ran};

/// Secrets of the stores here, right and wrong ones. None may ever be said.
const SECRETS: [&str; 6] = [
    "store-secret-M3",
    "wrong-secret-X9",
    "session-token-K5",
    "AAAAstore0secret",
    "golden-is-wrong",
    "c3RvcmUtc2VjcmV0LU0z",
];

fn case() -> Case {
    golden::case("epochs")
}

/// What is said of a repository, wherever it is.
fn listed() -> Value {
    KopiaRs::golden("epochs", "snapshots --json").run().exits(0).json()
}

/// Runs a command, and looks through all that it said for secrets.
#[track_caller]
fn run(command: KopiaRs) -> Ran {
    let ran = command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").run();
    for secret in SECRETS {
        let is_said = ran.stderr.contains(secret) || String::from_utf8_lossy(&ran.stdout).contains(secret);
        assert!(!is_said, "{secret} is said: {ran:?}");
    }
    ran
}

/// Lists, verifies and restores, and compares with what the same repository in a folder gives.
#[track_caller]
fn check(command: impl Fn(&str) -> KopiaRs) {
    let command = |arguments: &str| command(arguments).env("KOPIA_PASSWORD", &case().password);
    assert_eq!(run(command("snapshots --json")).exits(0).json(), listed());
    run(command("status")).exits(0);
    run(command("verify")).exits(0);
    let place = Place::new();
    let (near, far) = (place.path("near"), place.path("far"));
    KopiaRs::golden("epochs", "restore latest").arg(&near).run().exits(0);
    run(command("restore latest").arg(&far)).exits(0);
    assert_eq!(tree(&far), tree(&near));
}

/// Every path with its bytes, sorted.
fn tree(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![path.to_path_buf()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.push((path, bytes));
    }
    let mut found: Vec<_> =
        found.into_iter().map(|(at, bytes)| (at.strip_prefix(path).unwrap().into(), bytes)).collect();
    found.sort();
    found
}

/// A token, and the home of somebody whose kopia is connected to a storage.
fn connected(storage: &Value, place: &Place) -> (String, PathBuf) {
    let token = json!({"version": "1", "storage": storage, "password": case().password}).to_string();
    let home = place.path("home");
    let settings = home.join(".config/kopia");
    fs::create_dir_all(&settings).unwrap();
    let config = json!({"storage": storage, "hostname": "laptop", "username": "alice"});
    fs::write(settings.join("repository.config"), config.to_string()).unwrap();
    let password = STANDARD.encode(case().password);
    fs::write(settings.join("repository.config.kopia-password"), password).unwrap();
    (URL_SAFE_NO_PAD.encode(token), home)
}

/// Reads by a configuration and by a token alone.
#[track_caller]
fn check_connected(storage: &Value) {
    let place = Place::new();
    let (token, home) = connected(storage, &place);
    let ours = |arguments: &str| KopiaRs::new(arguments).env("HOME", &home).env("PATH", path());
    assert_eq!(run(ours("--json")).exits(0).json(), listed());
    let connections = run(ours("connections")).exits(0);
    assert!(connections.text().contains("stored") && connections.text().contains("alice@laptop"));
    run(ours("connections --json")).exits(0);
    let file = place.path("token");
    fs::write(&file, token + "\n").unwrap();
    let by_token = KopiaRs::new("snapshots --json --token-file").arg(&file).env("PATH", path());
    assert_eq!(run(by_token).exits(0).json(), listed());
}

fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Sends a request to a server here, which must do it.
fn send(port: u16, head: &str, headers: &str, body: &[u8]) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = body.len();
    let text = format!("{head} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    stream.write_all(&[text.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 2"), "{head}: {}", String::from_utf8_lossy(&answer));
}

/// Starts moto with a bucket `backups`, in which the repository has the prefix `laptop/`.
fn moto() -> Option<Server> {
    let program = servers::program("moto_server")?;
    let port = servers::free_port();
    let server =
        Server::start(Command::new(program).args(["-H", "127.0.0.1", "-p", &port.to_string()]), port);
    let headers = format!(
        "host: 127.0.0.1:{port}\r\ncontent-type: application/x-kopia\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=root/20260101/us-east-1/s3/aws4_request\r\n"
    );
    send(port, "PUT /backups", &headers, b"");
    for (name, bytes) in case().cheap_blobs() {
        send(port, &format!("PUT /backups/laptop/{name}"), &headers, &bytes);
    }
    Some(server)
}

#[test]
fn a_bucket() {
    let Some(server) = moto() else { return };
    let endpoint = format!("127.0.0.1:{}", server.port());
    let keys = |command: KopiaRs| {
        let command = command.env("AWS_ACCESS_KEY_ID", "AAAAstore0id").env("AWS_SESSION_TOKEN", SECRETS[2]);
        command.env("AWS_SECRET_ACCESS_KEY", SECRETS[0])
    };
    let url = format!("s3://backups/laptop/?endpoint={endpoint}&disable-tls");
    check(|arguments| keys(KopiaRs::new(arguments)).arg("--repository").arg(&url));
    // The same by options alone, with the keys among them.
    check(|arguments| {
        let more =
            "--prefix laptop/ --disable-tls --access-key id --region us-east-1 --repository s3://backups";
        let command = KopiaRs::new(&format!("{arguments} {more} --endpoint {endpoint}"));
        command.arg(format!("--secret-access-key={}", SECRETS[0]))
    });
    check_connected(&json!({"type": "s3", "config": {
        "bucket": "backups", "prefix": "laptop/", "endpoint": endpoint, "doNotUseTLS": true,
        "accessKeyID": "id", "secretAccessKey": SECRETS[0], "sessionToken": SECRETS[2], "duration": "0s",
    }}));
    for (url, says) in [
        (format!("s3://backups/laptop?endpoint={endpoint}&disable-tls"), "s3://backups/laptop"),
        (format!("s3://nowhere/laptop/?endpoint={endpoint}&disable-tls"), "s3://nowhere/laptop/"),
    ] {
        run(keys(KopiaRs::new("snapshots --repository")).arg(url).env("KOPIA_PASSWORD", "golden"))
            .exits(1)
            .says(&[says]);
    }
    let wrong = keys(KopiaRs::new("snapshots --repository")).arg(&url).env("KOPIA_PASSWORD", SECRETS[4]);
    run(wrong).exits(1).says(&["password"]);
}

#[test]
fn a_directory_of_webdav() {
    let Some(program) = servers::program("rclone") else { return };
    let port = servers::free_port();
    let mut command = Command::new(program);
    command.args(["serve", "webdav", "--read-only", "--addr", &format!("127.0.0.1:{port}")]);
    command.arg(case().repository).env("RCLONE_USER", "me").env("RCLONE_PASS", SECRETS[0]);
    let server = Server::start(command.env("RCLONE_CONFIG", "/nonexistent"), port);
    let url = format!("webdav://127.0.0.1:{}/", server.port());
    check(|arguments| {
        let command = KopiaRs::new(arguments).env("KOPIA_REPOSITORY", &url);
        command.env("KOPIA_WEBDAV_USERNAME", "me").env("KOPIA_WEBDAV_PASSWORD", SECRETS[0])
    });
    check_connected(&json!({"type": "webdav", "config": {
        "url": format!("http://127.0.0.1:{port}/"), "username": "me", "password": SECRETS[0], "atomicWrites": false,
    }}));
    let wrong = KopiaRs::new("snapshots --webdav-username me --repository").arg(&url);
    let wrong = wrong.arg(format!("--webdav-password={}", SECRETS[1])).env("KOPIA_PASSWORD", "golden");
    run(wrong).exits(1).says(&["127.0.0.1"]);
}

#[test]
fn what_rclone_reaches() {
    if servers::program("rclone").is_none() {
        return;
    }
    let place = Place::new();
    let repository = case().repository.canonicalize().unwrap();
    let text = format!("[far]\ntype = alias\nremote = {}\n", repository.display());
    let config = place.path("my rclone.conf");
    fs::write(&config, &text).unwrap();
    let command = |arguments: &str| {
        KopiaRs::new(arguments)
            .arg("--repository=rclone:far:")
            .env("PATH", path())
            .env("HOME", place.path("home"))
    };
    check(|arguments| command(arguments).arg("--embed-rclone-config").arg(&config));
    // Each argument is one, whatever blanks it has.
    let config = config.to_str().unwrap();
    let given = command("snapshots --json --rclone-args=--config").arg(format!("--rclone-args={config}"));
    assert_eq!(run(given.env("KOPIA_PASSWORD", "golden")).exits(0).json(), listed());
    let given = command("snapshots --json").arg(format!("--rclone-env=RCLONE_CONFIG={config}"));
    assert_eq!(run(given.env("KOPIA_PASSWORD", "golden")).exits(0).json(), listed());
    check_connected(&json!({"type": "rclone", "config": {
        "remotePath": "far:", "embeddedConfig": text, "rcloneArgs": null, "rcloneEnv": [], "atomicWrites": true,
    }}));
}

#[test]
fn a_directory_of_an_ssh_server() {
    let Some(sshd) = Sshd::start() else { return };
    let (user, port) = (servers::user(), sshd.port());
    let repository = case().repository.canonicalize().unwrap();
    let (key, known) = (sshd.key("user"), sshd.key("known"));
    fs::write(&known, sshd.known("host")).unwrap();
    let url = format!("sftp://{user}@127.0.0.1{}", repository.display());
    check(|arguments| {
        let command = KopiaRs::new(&format!("{arguments} --port {port} --repository {url}"));
        command.arg("--keyfile").arg(&key).arg("--known-hosts").arg(&known)
    });
    let texts = [fs::read_to_string(&key).unwrap(), fs::read_to_string(&known).unwrap()];
    let storage = |more: Value| {
        let mut config =
            json!({"path": repository, "host": "127.0.0.1", "username": user, "dirShards": null});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"type": "sftp", "config": config})
    };
    check_connected(&storage(json!({"port": port, "keyData": texts[0], "knownHostsData": texts[1]})));
    let ssh = format!("-p {port} -i {} -o UserKnownHostsFile={}", key.display(), known.display());
    check_connected(&storage(json!({"externalSSH": true, "sshCommand": "ssh", "sshArguments": ssh})));
    let command = KopiaRs::new("snapshots --json --external --repository").arg(&url).env("PATH", path());
    let command = command.arg(format!("--ssh-args={ssh}")).env("KOPIA_PASSWORD", "golden");
    assert_eq!(run(command).exits(0).json(), listed());
}

/// Asserts what a command and `doctor` say of a place: why, and what to do.
#[track_caller]
fn both_say(command: impl Fn(&str) -> KopiaRs, why: &[&str], what: &str) {
    let command = |arguments: &str| command(arguments).env("KOPIA_PASSWORD", &case().password);
    let ran = run(command("snapshots")).exits(1).says(why).says(&[&format!("hint: {what}")]);
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{}", ran.stderr);
    let ran = run(command("doctor")).exits(1);
    let said = format!("{}{}", ran.text(), ran.stderr);
    assert!(why.iter().chain([&what]).all(|words| said.contains(words)), "{said}");
}

#[test]
fn an_ssh_server_that_shows_another_key_is_told() {
    let Some(sshd) = Sshd::start() else { return };
    let (user, port, key) = (servers::user(), sshd.port(), sshd.key("user"));
    let url =
        format!("sftp://{user}@127.0.0.1:{port}{}", case().repository.canonicalize().unwrap().display());
    let (unknown, changed) = (sshd.key("unknown"), sshd.key("changed"));
    fs::write(&unknown, "").unwrap();
    fs::write(&changed, sshd.known("stranger")).unwrap();
    let ours = |known: &Path| {
        let known = known.to_path_buf();
        let (url, key) = (url.clone(), key.clone());
        move |arguments: &str| {
            let command = KopiaRs::new(arguments).arg("--repository").arg(&url).arg("--keyfile").arg(&key);
            command.arg("--known-hosts").arg(&known)
        }
    };
    let line = sshd.known("host");
    let line = line.rsplit_once(' ').map_or(&*line, |(line, _)| line);
    both_say(ours(&unknown), &["if it is the right one, add this line to", line], "or give a file that has");
    let why = ["is not one of those in", "ask who runs it before you change that file"];
    both_say(ours(&changed), &why, "if its key was changed on purpose");
    // What ssh itself says of them.
    let theirs = |known: &Path| {
        let known = known.display().to_string();
        let (url, key) = (url.clone(), key.display().to_string());
        move |arguments: &str| {
            let ssh = format!("-F none -p {port} -i {key} -oBatchMode=yes -oUserKnownHostsFile={known}");
            let command = KopiaRs::new(arguments).arg("--external").arg("--repository").arg(&url);
            command.arg(format!("--ssh-args={ssh}")).env("PATH", path())
        }
    };
    for known in [&unknown, &changed] {
        both_say(theirs(known), &["Host key verification failed"], "connect once by hand");
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_and_a_proxy_without_http_2_are_told() {
    let Some(program) = servers::program("moto_server") else { return };
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../remote/tests/keys").canonicalize().unwrap();
    let (right, other) = (keys.join("localhost.pem"), keys.join("other-certificate.pem"));
    let port = servers::free_port();
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string(), "-c"]).arg(&right);
    let _server = Server::start(command.arg("-k").arg(keys.join("localhost.key.pem")), port);
    let bucket = format!("s3://backups/?endpoint=localhost:{port}&region=us-east-1");
    let s3 = |arguments: &str| {
        let command = KopiaRs::new(arguments).arg("--repository").arg(&bucket);
        command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", SECRETS[0])
    };
    let why = ["the certificate of localhost:", "is not trusted: no known authority vouches for it"];
    let what = "give the authority's certificate with --root-ca-pem-path FILE";
    both_say(s3, &why, what);
    both_say(|arguments| s3(arguments).arg("--root-ca-pem-path").arg(&other), &why, what);
    let kopia = |arguments: &str| {
        let url = format!("kopia://alice@laptop@localhost:{port}");
        KopiaRs::new(arguments).arg("--repository").arg(url).arg("--root-ca-pem-path").arg(&right)
    };
    both_say(kopia, &["HTTP/1", "has to pass HTTP/2 on, with its trailers"], "a server to read from");
}

/// A limit holds wherever the repository is, and whoever says it.
#[test]
fn what_is_read_takes_as_long_as_limits_say() {
    let repository = case().repository.canonicalize().unwrap();
    let storage = |limits: Value| {
        let mut config = json!({"path": repository});
        config.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        json!({"type": "filesystem", "config": config})
    };
    let place = Place::new();
    let timed = |command: KopiaRs| {
        let started = Instant::now();
        assert_eq!(run(command).exits(0).json(), listed());
        started.elapsed()
    };
    let bytes: u64 = case().cheap_blobs().values().map(|bytes| bytes.len() as u64).sum();
    assert!(bytes > 4096, "the repository is large enough to be read slowly");
    let limited = |option: &str| KopiaRs::golden("epochs", "snapshots --json").arg(option);
    for command in [limited("--limit-download=20K"), limited("--read-requests-per-second=4")] {
        assert!(timed(command) > Duration::from_millis(600));
    }
    for limits in [json!({"maxDownloadSpeedBytesPerSecond": 20480}), json!({"readsPerSecond": 4})] {
        let (token, _) = connected(&storage(limits), &place);
        assert!(timed(KopiaRs::new("snapshots --json --token").arg(token)) > Duration::from_millis(600));
    }
    KopiaRs::golden("epochs", "status --limit-download fast").run().exits(2).says(&["limit-download", "20M"]);
}

/// As kopia keeps them: `throttlingLimits` of a configuration, which go before those of the storage.
#[test]
fn limits_of_a_connected_bucket_are_kept() {
    let blobs = case().cheap_blobs().into_iter().map(|(name, bytes)| (format!("k/{name}"), bytes));
    let bucket = Bucket::new("backups", blobs);
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let server = HttpServer::start(move |request| {
        let answer = bucket.answer(request);
        count.fetch_add(answer.body().len(), Ordering::SeqCst);
        answer.after(Duration::from_millis(20))
    });
    let (place, address) = (Place::new(), server.address());
    let mut targets = 0;
    // Returns how long a restore took with these limits, and what the server saw meanwhile.
    let mut restore = |limits: Value| {
        let storage = json!({"type": "s3", "config": {
            "bucket": "backups", "prefix": "k/", "endpoint": address, "doNotUseTLS": true, "region": "us-east-1",
            "accessKeyID": "id", "secretAccessKey": SECRETS[0], "concurrentReads": 1, "readsPerSecond": 1,
        }});
        let file = place.path("repository.config");
        fs::write(&file, json!({"storage": storage, "throttlingLimits": limits}).to_string()).unwrap();
        targets += 1;
        let command = KopiaRs::new("restore latest --quiet").arg(place.path(&format!("target-{targets}")));
        let (before, started) = (server.requests().len(), Instant::now());
        run(command.arg("--config").arg(&file).env("KOPIA_PASSWORD", &case().password)).exits(0);
        let took = started.elapsed();
        let requests = server.requests().split_off(before);
        let (lists, reads): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|request| request.path.contains("list-type=2"));
        (took, lists.len() as f64, reads.len() as f64)
    };
    // Whatever is asked for at once comes one after the other.
    restore(json!({"concurrentReads": 1}));
    assert_eq!(server.most_in_flight(), 1);
    // On a machine that has no time, what is asked for at once may come one after the other as well.
    at_best(|| restore(json!({"concurrentReads": 2})), |_| server.most_in_flight() > 1);
    assert_eq!(server.most_in_flight(), 2);
    let (_, lists, reads) = at_best(|| restore(json!({})), |_| server.most_in_flight() > 2);
    assert!(server.most_in_flight() > 2 && lists >= 2.0 && reads >= 3.0, "{lists} lists, {reads} reads");
    let (took, _, reads) = restore(json!({"readsPerSecond": 5}));
    assert!(took.as_secs_f64() > (reads - 1.0) / 5.0, "{reads} reads in {took:?}");
    let (took, lists, _) = restore(json!({"listsPerSecond": 4}));
    assert!(took.as_secs_f64() > (lists - 1.0) / 4.0, "{lists} lists in {took:?}");
    let before = sent.load(Ordering::SeqCst);
    let (took, ..) = restore(json!({"maxDownloadSpeedBytesPerSecond": 40_000}));
    let bytes = sent.load(Ordering::SeqCst) - before;
    assert!(bytes > 10_000 && took.as_secs_f64() > bytes as f64 / 40_000.0, "{bytes} bytes in {took:?}");
}

#[test]
fn all_that_can_be_said_is_listed() {
    let listed = KopiaRs::new("connections --kinds").run().exits(0);
    for says in [
        "S3: s3://BUCKET/PREFIX\n",
        "--limit-download RATE",
        "--known-hosts-data LINES",
        "[env: AZURE_STORAGE_SAS_TOKEN]",
        "a Kopia repository server: kopia://USER@HOST@SERVER:PORT, or",
    ] {
        assert!(listed.text().contains(says), "{says:?} is not in:\n{}", listed.text());
    }
    let kinds = KopiaRs::new("connections --kinds --json").run().exits(0).json();
    assert_eq!(kinds.as_array().unwrap().len(), 10);
    assert!(kinds[1]["options"].as_array().unwrap().iter().any(|option| option["name"] == "endpoint"));
    // `--help` has what every store knows, and says where the rest is.
    let help = KopiaRs::new("--help").run().exits(0);
    assert!(help.text().contains("--limit-download") && help.text().contains("connections --kinds"));
    assert!(!help.text().contains("--sas-token"));
}
