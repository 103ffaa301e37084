//! A real kopia that serves a copy of a golden repository.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use kopia_testkit::damage::{RepositoryCopy, copy_repository};
use kopia_testkit::golden::Case;
use kopia_testkit::servers::{Server, find, free_port};
use tempfile::TempDir;

/// The password of the user `alice@laptop`.
pub(crate) const PASSWORD: &str = "wonderland";

/// The server, with everything of its own in one directory.
pub(crate) struct Kopia {
    place: TempDir,
    password: String,
    port: u16,
    /// Whether it speaks TLS, as it does unless it was started with `--insecure`.
    speaks_tls: bool,
    server: Option<Server>,
    _repository: RepositoryCopy,
}

impl Kopia {
    /// Serves a copy of a repository to `alice@laptop`, who may see all snapshots.
    pub(crate) fn serve(case: &Case) -> Self {
        Self::serve_with(case, true)
    }

    /// Serves a copy of a repository without TLS, to the user `ui` of its UI.
    pub(crate) fn serve_insecure(case: &Case) -> Self {
        Self::serve_with(case, false)
    }

    fn serve_with(case: &Case, speaks_tls: bool) -> Self {
        let place = tempfile::tempdir().expect("there is room");
        let repository = copy_repository(case);
        let (port, password) = (free_port(), case.password.clone());
        let mut kopia = Self { place, password, port, speaks_tls, server: None, _repository: repository };
        let path = kopia._repository.path();
        kopia.run(&["repository", "connect", "filesystem", "--path", path.to_str().expect("a plain path")]);
        kopia.run(&["server", "user", "add", "alice@laptop", &format!("--user-password={PASSWORD}")]);
        kopia.run(&["server", "acl", "enable"]);
        let rule = ["--user", "alice@laptop", "--access", "READ", "--target", "type=snapshot"];
        kopia.run(&[&["server", "acl", "add"][..], &rule].concat());
        kopia.start(if speaks_tls { &["--tls-generate-cert"] } else { &[] });
        kopia
    }

    /// Kills the server and starts it again, with the same certificate.
    pub(crate) fn restart(&mut self) {
        self.server = None;
        self.start(&[]);
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.speaks_tls { "https" } else { "kopia+http" }, self.port)
    }

    /// Returns the certificate in PEM. kopia listens before it has made one.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let started = Instant::now();
        loop {
            let read = std::fs::read(self.place.path().join("certificate.pem"));
            match read.ok().filter(|pem| pem.trim_ascii_end().ends_with(b"-----END CERTIFICATE-----")) {
                Some(pem) => return pem,
                None => assert!(started.elapsed() < Duration::from_secs(60), "kopia makes no certificate"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the certificate's SHA-256 in hex.
    pub(crate) fn fingerprint(&self) -> String {
        use rustls_pki_types::CertificateDer;
        use rustls_pki_types::pem::PemObject;
        let certificate = CertificateDer::from_pem_slice(&self.certificate()).expect("it is PEM");
        digest(&SHA256, &certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn start(&mut self, more: &[&str]) {
        let file = |name: &str| self.place.path().join(name).display().to_string();
        let mut command = self.command();
        command
            .args(["server", "start", "--server-username=ui", "--server-password=ui"])
            .args(["--address", &format!("127.0.0.1:{}", self.port)])
            .args(more);
        if self.speaks_tls {
            let files = [file("certificate.pem"), file("key.pem")];
            command.args(["--no-ui", "--tls-cert-file", &files[0], "--tls-key-file", &files[1]]);
        } else {
            command.arg("--insecure");
        }
        let server = Server::start(&mut command, self.port);
        self.server = Some(server);
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).output().expect("kopia starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kopia {arguments:?}: {errors}");
        output
    }

    fn command(&self) -> Command {
        let place: &Path = self.place.path();
        let mut command = Command::new(find("kopia").expect("kopia is installed"));
        command
            .env("HOME", place)
            .env("KOPIA_CONFIG_PATH", place.join("repository.config"))
            .env("KOPIA_CACHE_DIRECTORY", place.join("cache"))
            .env("KOPIA_CHECK_FOR_UPDATES", "false")
            .env("KOPIA_PERSIST_CREDENTIALS_ON_CONNECT", "false")
            .env("KOPIA_PASSWORD", &self.password);
        command
    }
}
