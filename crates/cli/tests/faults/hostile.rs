//! Whatever a server of any kind answers to everything, the command tells one error and writes nothing.

use std::process::Command;

use kopia_testkit::http_server::{HttpServer, Response};

use crate::common::clean;
use crate::network::{SECRET, run};

/// A key of Azure: [`SECRET`] in base64.
const AZURE_KEY: &str = "czNjcjN0L29mK3RoZT10ZXN0";

/// What is spoken, where, and by which variables.
type Kind = (&'static str, String, Vec<(&'static str, String)>);

fn kinds(server: &HttpServer) -> [Kind; 6] {
    let (address, port) = (server.address(), server.port());
    let s3 = format!("s3://b/k/?endpoint={address}&disable-tls");
    [
        ("S3", format!("{s3}&region=us-east-1"), Vec::new()),
        ("S3 without a region", s3, Vec::new()),
        ("GCS", "gs://b/k/".into(), vec![("STORAGE_EMULATOR_HOST", address.clone())]),
        (
            "Azure",
            format!("azblob://c/k/?storage-account=account&storage-domain=localhost:{port}&disable-tls"),
            Vec::new(),
        ),
        ("WebDAV", format!("webdav://me@{address}/k"), Vec::new()),
        ("a server", format!("kopia+http://ui@{address}"), Vec::new()),
    ]
}

fn restores_nothing(name: &str, answer: Response) {
    let server = HttpServer::start(move |_| answer.clone());
    for (kind, url, variables) in kinds(&server) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
        command.args(["restore", "latest", "--quiet"]).arg(&target).args(["--repository", &url]);
        clean(&mut command);
        command.env("KOPIA_PASSWORD", SECRET).env("KOPIA_WEBDAV_PASSWORD", SECRET);
        command.env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE").env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("AZURE_STORAGE_KEY", AZURE_KEY).envs(variables);
        let ran = run(&mut command);
        let name = format!("{kind}, {name}");
        ran.failed(&name);
        assert!(!ran.said.contains(AZURE_KEY), "{name}: {}", ran.said);
        assert!(ran.said.contains("127.0.0.1") || ran.said.contains("localhost"), "{name}: {}", ran.said);
        assert!(!target.exists(), "{name}: something was written");
    }
}

#[test]
fn a_page_for_people() {
    let page = Response::new(200, "<html>\x1b[31m<body>Sign in</body></html>");
    restores_nothing("a page", page.clone().header("content-type", "text/html"));
    restores_nothing("a page of no type", page);
    restores_nothing("403", Response::new(403, "<html>no").header("content-type", "text/html"));
    restores_nothing("404", Response::new(404, "<html>no").header("content-type", "text/html"));
}

#[test]
fn a_redirect() {
    restores_nothing("in a circle", Response::new(307, "").header("location", "/again"));
    restores_nothing("elsewhere", Response::new(302, "").header("location", "http://elsewhere.invalid/?a=b"));
    restores_nothing("nowhere", Response::new(301, ""));
}

#[test]
fn nothing() {
    restores_nothing("nothing", Response::new(200, ""));
    restores_nothing("no content", Response::new(204, ""));
    restores_nothing("a status that is none", Response::new(999, ""));
    restores_nothing("a part of nothing", Response::new(206, "").header("content-range", "bytes 0-0/0"));
}

#[test]
fn too_much() {
    restores_nothing("a long head", Response::new(200, "").header("x-long", &"a".repeat(1 << 20)));
    restores_nothing("no end", Response::new(200, vec![b' '; 1 << 16]).endless());
    restores_nothing("no end, in a refusal", Response::new(400, vec![b'<'; 1 << 16]).endless());
    let deep = |text: &str, kind| Response::new(200, text.repeat(1 << 20)).header("content-type", kind);
    restores_nothing("deep XML", deep("<a>", "application/xml"));
    restores_nothing("deep JSON", deep("[", "application/json"));
    restores_nothing("deep objects", deep("{\"a\":", "application/json"));
}

/// Nobody asked for it to be packed.
#[test]
fn a_packed_answer() {
    let bytes = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    for encoding in ["gzip", "br", "aws-chunked"] {
        restores_nothing(encoding, Response::new(200, &bytes[..]).header("content-encoding", encoding));
    }
}
