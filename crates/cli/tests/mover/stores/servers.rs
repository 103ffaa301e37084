//! Servers with a repository in them.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_testkit::servers::{Server, free_port, program, send};
use kopia_testkit::writer::write_in;
use tempfile::TempDir;

pub(crate) const CERTIFICATE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../remote/tests/keys/localhost.pem");
pub(crate) const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../remote/tests/keys/localhost.key.pem");

/// The account of all emulators of Azure, with its published key.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

type Blobs = [(String, Vec<u8>)];

/// moto, for S3 and STS.
pub(crate) struct Moto {
    server: Server,
    buckets: AtomicUsize,
}

impl Moto {
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let port = free_port();
        let mut command = Command::new(program("moto_server")?);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).args(arguments);
        Some(Self { server: Server::start(&mut command, port), buckets: AtomicUsize::new(0) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Makes a bucket with these blobs behind a prefix.
    pub(crate) fn bucket(&self, prefix: &str, blobs: &Blobs) -> String {
        let name = format!("bucket{}", self.buckets.fetch_add(1, Ordering::SeqCst));
        let put = |path: &str, body: &[u8]| {
            let address = self.address();
            let authorization = "AWS4-HMAC-SHA256 Credential=root/20260101/us-east-1/s3/aws4_request";
            let headers = [("host", &*address), ("authorization", authorization)];
            let (status, answer) = send(self.port(), &format!("PUT /{path}"), &headers, body);
            assert!(status < 300, "{path}: {status} {answer}");
        };
        put(&name, b"");
        blobs.iter().for_each(|(id, bytes)| put(&format!("{name}/{prefix}{id}"), bytes));
        name
    }
}

/// Azurite, Microsoft's emulator.
pub(crate) struct Azurite {
    server: Server,
    _directory: TempDir,
}

impl Azurite {
    pub(crate) fn start() -> Option<Self> {
        let program = program("azurite-blob")?;
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.args(["--loose", "--skipApiVersionCheck", "--silent", "--inMemoryPersistence"]);
        command.current_dir(directory.path());
        Some(Self { server: Server::start(&mut command, port), _directory: directory })
    }

    pub(crate) fn domain(&self) -> String {
        format!("blob.localhost:{}", self.server.port())
    }

    /// Makes a container with these blobs, by an account's signature for everything until 2099 that the
    /// emulator's key made.
    pub(crate) fn container(&self, blobs: &Blobs) -> String {
        let host = format!("{ACCOUNT}.{}", self.domain());
        let put = |path: &str, query: &str, body: &[u8]| {
            let head = format!("PUT /container{path}?{query}{SIGNATURE}");
            let headers = [("host", &*host), ("x-ms-version", "2021-12-02"), ("x-ms-blob-type", "BlockBlob")];
            let (status, answer) = send(self.server.port(), &head, &headers, body);
            assert_eq!(status, 201, "{path}: {answer}");
        };
        put("", "restype=container&", b"");
        blobs.iter().for_each(|(id, bytes)| put(&format!("/{id}"), "", bytes));
        "container".into()
    }
}

/// HMAC-SHA256 by [`ACCOUNT_KEY`] over Microsoft's text of "Create an account SAS" with these fields.
const SIGNATURE: &str = concat!(
    "sv=2021-12-02&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z",
    "&sig=tznf%2BUguWwNe%2B7oTyobyNUc7TDthIuY2m9EdDOYdBvE%3D"
);

/// fake-gcs-server.
pub(crate) struct Gcs(Server);

impl Gcs {
    pub(crate) fn start() -> Option<Self> {
        let program = program("fake-gcs-server")?;
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]);
        command.args(["-backend", "memory", "-public-host", &format!("127.0.0.1:{port}")]);
        Some(Self(Server::start(&mut command, port)))
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port())
    }

    /// Makes a bucket with these blobs.
    pub(crate) fn bucket(&self, blobs: &Blobs) -> String {
        let address = self.address();
        let post = |target: &str, kind: &str, body: &[u8]| {
            let headers = [("host", &*address), ("content-type", kind)];
            let (status, answer) = send(self.0.port(), &format!("POST {target}"), &headers, body);
            assert_eq!(status, 200, "{target}: {answer}");
        };
        post("/storage/v1/b?project=p", "application/json", br#"{"name":"bucket"}"#);
        for (id, bytes) in blobs {
            let target = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={id}");
            post(&target, "application/x-kopia", bytes);
        }
        "bucket".into()
    }
}

/// rclone, as a server of WebDAV.
pub(crate) struct WebDav {
    server: Server,
    _directory: TempDir,
}

impl WebDav {
    pub(crate) fn start(blobs: &Blobs, more: &[&str]) -> Option<Self> {
        let program = program("rclone")?;
        let directory = tempfile::tempdir().unwrap();
        let repository = directory.path().join("my repo");
        write_in(&repository, blobs.iter().cloned()).unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["serve", "webdav", "--addr", &format!("127.0.0.1:{port}")]).args(more);
        command.arg(directory.path());
        command.env("RCLONE_USER", "u").env("RCLONE_PASS", "s3cr3t").env("RCLONE_CONFIG", "/nonexistent");
        Some(Self { server: Server::start(&mut command, port), _directory: directory })
    }

    pub(crate) fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}/my%20repo/", self.server.port())
    }
}
