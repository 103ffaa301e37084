//! Servers that are ill or hostile: the command tells one error, soon, within bounded memory, and writes
//! nothing.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kopia_testkit::golden::{self, Case};
use kopia_testkit::http_server::{Bucket, HttpServer, Request, Response};
use kopia_testkit::servers;
use kopia_testkit::tree::{Compare, Tree, compare};

use crate::common::clean;

/// The most memory that the command may ever hold: buffers for 64 MiB on their way, and what it knows.
const MEMORY: u64 = 400 << 20;

/// What hangs is ended after this time. Nothing here waits for more than some seconds.
const WATCHDOG: Duration = Duration::from_secs(150);

pub(crate) const SECRET: &str = "s3cr3t/of+the=test";

/// What the command did.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
    memory: u64,
}

impl Ran {
    /// Asserts that it failed with one error, within bounds, and told no secret.
    #[track_caller]
    pub(crate) fn failed(&self, name: &str) {
        assert_eq!(self.code, Some(1), "{name}: {}", self.said);
        let errors = self.said.lines().filter(|line| line.starts_with("error:")).count();
        assert_eq!(errors, 1, "{name}: {}", self.said);
        assert!(!self.said.contains(SECRET) && !self.said.contains('\x1b'), "{name}: {}", self.said);
        assert!(self.memory < MEMORY, "{name}: {} MiB", self.memory >> 20);
    }
}

/// A repository in a bucket whose answers are spoilt.
struct Place {
    case: Case,
    address: String,
    folder: tempfile::TempDir,
    _server: Option<HttpServer>,
}

impl Place {
    fn new(spoil: impl Fn(&Request, Response) -> Response + Send + Sync + 'static) -> Self {
        let case = golden::case("epochs");
        let blobs = case.cheap_blobs().into_iter().map(|(id, bytes)| (format!("k/{id}"), bytes));
        let bucket = Bucket::new("b", blobs);
        let server = HttpServer::start(move |request| spoil(request, bucket.answer(request)));
        let (address, folder) = (server.address(), tempfile::tempdir().unwrap());
        Self { case, address, folder, _server: Some(server) }
    }

    fn target(&self) -> std::path::PathBuf {
        self.folder.path().join("target")
    }

    /// Restores the newest snapshot.
    fn restore(&self) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
        let (listed, _) = self.case.pairs().pop().unwrap();
        command.args(["restore", "--quiet", &listed.id]).arg(self.target());
        command.arg("--repository");
        command.arg(format!("s3://b/k/?endpoint={}&disable-tls=true&region=us-east-1", self.address));
        clean(&mut command);
        command.env("KOPIA_PASSWORD", &self.case.password);
        command.env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE").env("AWS_SECRET_ACCESS_KEY", SECRET);
        run(&mut command)
    }

    /// Asserts that a restore fails with these words, and leaves nothing.
    #[track_caller]
    fn fails(&self, words: &str) {
        let ran = self.restore();
        ran.failed(words);
        assert!(ran.said.contains(words), "{words:?} is not in:\n{}", ran.said);
        assert!(!self.target().exists(), "something was written");
    }
}

/// Runs a command, and looks at its memory as it goes.
pub(crate) fn run(command: &mut Command) -> Ran {
    let mut said = tempfile::tempfile().unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(said.try_clone().unwrap()).spawn().unwrap();
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    let (started, mut memory) = (Instant::now(), 0);
    let code = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended.code();
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
        memory = memory.max(peak.unwrap_or(0) << 10);
        if started.elapsed() > WATCHDOG {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not end: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut text = String::new();
    said.rewind().unwrap();
    said.read_to_string(&mut text).unwrap();
    Ran { code, said: text, memory }
}

fn is_listing(request: &Request) -> bool {
    request.path.contains("list-type=2")
}

fn is_blob(request: &Request, kind: &str) -> bool {
    request.method == "GET" && request.path.starts_with(&format!("/b/k/{kind}"))
}

#[test]
fn a_restore_from_a_bucket_is_exact_though_answers_are_spoilt_now_and_then() {
    // Counted for each path: of all requests, those of one that others take turns with might all be spoilt.
    let asked = Mutex::new(HashMap::<String, usize>::new());
    let place = Place::new(move |request, answer| {
        let mut asked = asked.lock().unwrap();
        let number = asked.entry(request.path.clone()).or_default();
        *number += 1;
        match *number {
            1 => Response::new(503, "slow down").header("retry-after", "0"),
            2 => {
                let half = answer.body().len() / 2;
                answer.cut_after(half)
            }
            3 => answer.hang_up(),
            _ => answer,
        }
    });
    let ran = place.restore();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.memory < MEMORY, "{} MiB", ran.memory >> 20);
    let (_, expected) = place.case.pairs().pop().unwrap();
    let differences = compare(&expected.load(), &Tree::scan(place.target()), &Compare::settable());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_listing_without_end_is_told() {
    let body = Place::new(|request, answer| match is_listing(request) {
        true => Response::new(200, vec![b' '; 1 << 16]).endless(),
        false => answer,
    });
    body.fails("answered with more than");
    let circle = Place::new(|request, answer| match is_listing(request) {
        true => {
            let page = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>\
                        <Contents><Key>k/p1</Key><Size>1</Size></Contents></ListBucketResult>";
            Response::new(200, page)
        }
        false => answer,
    });
    circle.fails("comes to no end");
}

#[test]
fn a_blob_without_end_is_told() {
    for kind in ["kopia.repository", "x"] {
        let place = Place::new(move |request, answer| match is_blob(request, kind) {
            true => Response::new(200, vec![7; 1 << 16]).endless(),
            false => answer,
        });
        place.fails(kind);
    }
}

#[test]
fn lengths_that_no_machine_has_are_told() {
    let lying = |kind| {
        Place::new(move |request, answer| match is_blob(request, kind) {
            true => {
                let last = request.range().and_then(|range| range.1).unwrap();
                let range = format!("bytes 0-{last}/9000000000000000000");
                Response::new(206, answer.body()).header("content-range", &range)
            }
            false => answer,
        })
    };
    lying("kopia.repository").fails("kopia.repository");
    // Of index blobs no more is read than was listed, and that is there.
    let ran = lying("x").restore();
    assert!(ran.code == Some(0) && ran.memory < MEMORY, "{}", ran.said);
}

#[test]
fn what_is_no_bucket_is_told() {
    let html = "<html>\x1b[31m<body>Sign in</body></html>";
    let hotel = Place::new(move |_, _| Response::new(200, html).header("content-type", "text/html"));
    hotel.fails("S3 server");
    let circle = Place::new(|_, _| Response::new(307, "").header("location", "/b/again"));
    circle.fails("redirects");
    let head = Place::new(|_, answer| answer.header("x-long", &"a".repeat(1 << 20)));
    head.fails("more than");
}

#[test]
fn a_host_that_is_dead_is_told_in_seconds() {
    let mut place = Place::new(|_, answer| answer);
    place.address = format!("127.0.0.1:{}", servers::free_port());
    place.fails("refuses connections");
    place.address = "no-such-host.invalid".into();
    place.fails("is not known");
    // It takes connections and says nothing: that takes the longest, 30 s for each of a few tries.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    place.address = silent.local_addr().unwrap().to_string();
    place.fails("did not answer for 30 s");
}
