//! Storage over networks, by the variables that a Job has for it: real servers, started for each test.
//!
//! B2 and Google Drive have no server of their own to test with; their variables are tested where they are
//! read.

mod servers;

use std::fs;
use std::path::Path;

use kopia_testkit::http_server::{HttpServer, Response};
use kopia_testkit::servers::{Sshd, user};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{Job, Pod, Ran, names, restored, snapshot};
use servers::{ACCOUNT, ACCOUNT_KEY, Azurite, CERTIFICATE, Gcs, Moto, WebDav};

const APP: &str = "app@media:/data";
const TIME: &str = "2026-01-01T00:00:00Z";

/// What must never be in a log.
const SECRETS: [&str; 3] = ["s3cr3t", ACCOUNT_KEY, "PRIVATE KEY"];

/// The blobs of a repository with one snapshot.
fn blobs() -> Vec<(String, Vec<u8>)> {
    let mut writer = RepositoryWriter::new();
    snapshot(&mut writer, APP, TIME);
    writer.finish()
}

/// A Job of which only variables say where the repository is.
fn job(pod: &Pod) -> Job {
    pod.job(APP).without("KOPIA_REPOSITORY")
}

/// Runs a Job that restores, into a volume that is empty.
#[track_caller]
fn restores(pod: &Pod, job: &Job) -> Ran {
    let _ = fs::remove_file(pod.volume().join("text"));
    let ran = job.run().exits(0).says(&["Repository connected: "]).never_says(&SECRETS);
    assert_eq!(restored(pod), TIME);
    ran.ends_with(&["Snapshot restore completed successfully"])
}

/// Runs a Job that fails without a word of there being nothing to restore.
#[track_caller]
fn fails(pod: &Pod, job: &Job, says: &[&str]) {
    let _ = fs::remove_file(pod.volume().join("text"));
    let ran = job.run().exits(1).ends_with(says).never_says(&SECRETS);
    ran.never_says(&["No eligible", "No data will", "original script"]);
    assert!(names(&pod.volume()).is_empty());
}

fn s3(job: Job, moto: &Moto) -> Job {
    let job = job.env("KOPIA_S3_ENDPOINT", moto.address()).env("KOPIA_S3_DISABLE_TLS", "true");
    job.env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "s3cr3t")
}

#[test]
fn s3_by_the_variables_of_a_job() {
    let Some(moto) = Moto::start(&[]) else { return };
    let pod = Pod::new();
    let (flat, deep) = (moto.bucket("", &blobs()), moto.bucket("a/b/", &blobs()));
    let address = moto.address();
    restores(&pod, &s3(job(&pod), &moto).env("KOPIA_S3_BUCKET", &flat));
    // The prefix is the URL's, and always ends with a slash; the bucket is the variable's.
    for url in [format!("s3://{deep}/a/b"), format!("s3://{deep}/a//b//")] {
        restores(&pod, &s3(job(&pod), &moto).env("KOPIA_REPOSITORY", url));
    }
    let both = s3(job(&pod), &moto).env("KOPIA_S3_BUCKET", &deep).env("KOPIA_REPOSITORY", "s3://other/a/b");
    restores(&pod, &both).says(&[&format!(
        "WARN: KOPIA_S3_BUCKET goes before KOPIA_REPOSITORY, which names other: \
        the repository is s3://{deep}/a/b/ at {address}"
    )]);
    // The other names of the same, a scheme before the host, and keys that expire.
    let other =
        job(&pod).env("AWS_S3_ENDPOINT", format!("http://{address}")).env("AWS_S3_DISABLE_TLS", "true");
    let other = other.env("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "s3cr3t");
    let other = other.env("AWS_SESSION_TOKEN", "s3cr3t-token").env("AWS_DEFAULT_REGION", "eu-west-1");
    restores(&pod, &other.env("KOPIA_REPOSITORY", format!("s3://{flat}")));
    // The script is asked for other operations, not for what can be read here.
    let job =
        s3(job(&pod), &moto).env("KOPIA_S3_BUCKET", &flat).env("KOPIA_RS_FALLBACK", "/nonexistent/script");
    restores(&pod, &job);
}

#[test]
fn s3_that_holds_no_repository_is_no_first_deployment_unless_somebody_said_so() {
    let Some(moto) = Moto::start(&[]) else { return };
    let pod = Pod::new();
    let (empty, deep) = (moto.bucket("", &[]), moto.bucket("a/b/", &blobs()));
    let empty = s3(job(&pod), &moto).env("KOPIA_S3_BUCKET", empty);
    fails(&pod, &empty, &["ERROR: unable to open the repository"]);
    empty.env("KOPIA_RS_ON_MISSING", "continue").run().exits(0).says(&["=== No data will be restored ==="]);
    let off = s3(job(&pod), &moto).env("KOPIA_REPOSITORY", format!("s3://{deep}/a"));
    fails(&pod, &off, &["ERROR: unable to open the repository"]);
    let missing = s3(job(&pod), &moto).env("KOPIA_S3_BUCKET", "nothere");
    fails(&pod, &missing.env("KOPIA_RS_ON_MISSING", "continue"), &["there is no bucket nothere"]);
    let half = s3(job(&pod), &moto).env("KOPIA_S3_BUCKET", deep).without("AWS_SECRET_ACCESS_KEY");
    fails(&pod, &half, &["AWS_SECRET_ACCESS_KEY must be defined"]);
}

#[test]
fn s3_by_the_role_of_the_pod() {
    let Some(moto) = Moto::start(&[]) else { return };
    let pod = Pod::new();
    let token = pod.path("token");
    fs::write(&token, "a.b.c").unwrap();
    let role = s3(job(&pod), &moto).env("KOPIA_S3_BUCKET", moto.bucket("", &blobs()));
    let role = role.without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let role = role.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup");
    let role = role.env("AWS_ENDPOINT_URL_STS", format!("http://{}", moto.address()));
    restores(&pod, &role.env("AWS_WEB_IDENTITY_TOKEN_FILE", &token));
    fs::remove_file(&token).unwrap();
    let ran = |job: Job| fails(&pod, &job, &["ERROR: unable to open the repository", "token"]);
    ran(s3(job(&pod), &moto)
        .env("KOPIA_S3_BUCKET", "bucket0")
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token));
}

#[test]
fn s3_by_pod_identity() {
    let Some(moto) = Moto::start(&[]) else { return };
    let pod = Pod::new();
    // What EKS runs on every node.
    let agent = HttpServer::start(|asked| match asked.header("authorization") {
        Some("pod-token") => Response::new(
            200,
            r#"{"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"s3cr3t","Token":"s3cr3t-token","Expiration":"2099-01-01T00:00:00Z"}"#,
        ),
        _ => Response::new(401, "no"),
    });
    let token = pod.path("token");
    fs::write(&token, "pod-token").unwrap();
    let job = s3(job(&pod), &moto).env("KOPIA_S3_BUCKET", moto.bucket("", &blobs()));
    let job = job.without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let url = format!("http://{}/v1/credentials", agent.address());
    let job = job.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    restores(&pod, &job.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token));
    assert_eq!(agent.requests().len(), 1);
}

#[test]
fn custom_ca_is_trusted() {
    let Some(moto) = Moto::start(&["-c", CERTIFICATE, "-k", servers::KEY]) else { return };
    let pod = Pod::new();
    // It speaks TLS alone, so the repository gets there over TLS, too: by a restore of nothing it is enough
    // that the bucket is asked for.
    let job = || {
        let job = s3(job(&pod), &moto).without("KOPIA_S3_DISABLE_TLS").env("KOPIA_S3_BUCKET", "nothere");
        job.env("KOPIA_S3_ENDPOINT", format!("https://localhost:{}", moto.port()))
    };
    fails(&pod, &job(), &["the certificate of localhost"]);
    for trusting in [
        job().env("CUSTOM_CA", CERTIFICATE),
        job().env("SSL_CERT_FILE", CERTIFICATE),
        job().additional(&["--disable-tls-verification"]),
    ] {
        fails(&pod, &trusting, &["there is no bucket nothere"]);
    }
    // No authority at all, as in an image that holds nothing.
    let none = job().env("SSL_CERT_FILE", "/dev/null");
    fails(&pod, &none, &["ERROR: unable to open the repository", "SSL_CERT_FILE"]);
    fails(&pod, &job().env("CUSTOM_CA", "/nonexistent/ca.crt"), &["CUSTOM_CA", "/nonexistent/ca.crt"]);
}

#[test]
fn azure_by_the_variables_of_a_job() {
    let Some(azurite) = Azurite::start() else { return };
    let pod = Pod::new();
    let container = azurite.container(&blobs());
    let job = || {
        let job = job(&pod).env("AZURE_STORAGE_DOMAIN", azurite.domain());
        job.additional(&["--disable-tls"])
    };
    let chosen = || job().env("KOPIA_AZURE_CONTAINER", &container);
    let kopias =
        chosen().env("KOPIA_AZURE_STORAGE_ACCOUNT", ACCOUNT).env("KOPIA_AZURE_STORAGE_KEY", ACCOUNT_KEY);
    restores(&pod, &kopias);
    restores(&pod, &chosen().env("AZURE_STORAGE_ACCOUNT", ACCOUNT).env("AZURE_STORAGE_KEY", ACCOUNT_KEY));
    // As the fork's documentation has it, which its script does not understand.
    let url = job().env("KOPIA_REPOSITORY", format!("azure://{container}"));
    restores(&pod, &url.env("AZURE_ACCOUNT_NAME", ACCOUNT).env("AZURE_ACCOUNT_KEY", ACCOUNT_KEY));
    let config = json!({"storage": {"type": "azureBlob", "config": {"container": container, "storageAccount": ACCOUNT,
        "storageKey": ACCOUNT_KEY, "storageDomain": azurite.domain(), "doNotUseTLS": true}}});
    let structured = pod.job(APP).without("KOPIA_REPOSITORY");
    restores(&pod, &structured.env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", config.to_string()));
    let missing = job().env("KOPIA_AZURE_CONTAINER", "nothere").env("AZURE_ACCOUNT_NAME", ACCOUNT);
    fails(&pod, &missing.env("AZURE_ACCOUNT_KEY", ACCOUNT_KEY), &["there is no container nothere"]);
}

#[test]
fn google_by_the_variables_of_a_job() {
    let Some(gcs) = Gcs::start() else { return };
    let pod = Pod::new();
    let bucket = gcs.bucket(&blobs());
    let job = || job(&pod).env("STORAGE_EMULATOR_HOST", gcs.address());
    restores(&pod, &job().env("KOPIA_GCS_BUCKET", &bucket).env("GOOGLE_PROJECT_ID", "p"));
    restores(&pod, &job().env("KOPIA_REPOSITORY", format!("gcs://{bucket}")));
    fails(&pod, &job().env("KOPIA_GCS_BUCKET", "nothere"), &["there is no bucket nothere"]);
}

#[test]
fn webdav_by_the_variables_of_a_job() {
    let Some(server) = WebDav::start(&blobs(), &[]) else { return };
    let pod = Pod::new();
    let job = |password: &str| {
        let job = job(&pod).env("WEBDAV_URL", server.url("http", "127.0.0.1"));
        job.env("WEBDAV_USERNAME", "u").env("WEBDAV_PASSWORD", password)
    };
    restores(&pod, &job("s3cr3t"));
    // VolSync demands some KOPIA_REPOSITORY in its Secret.
    restores(&pod, &job("s3cr3t").env("KOPIA_REPOSITORY", "webdav://webdav.example.com/backups"));
    restores(&pod, &job("").env("KOPIA_WEBDAV_PASSWORD", "s3cr3t"));
    fails(&pod, &job("wrong"), &["ERROR: unable to open the repository", "does not know the credentials"]);
}

#[test]
fn webdav_with_a_certificate_of_its_own() {
    let Some(server) = WebDav::start(&blobs(), &["--cert", CERTIFICATE, "--key", servers::KEY]) else {
        return;
    };
    let pod = Pod::new();
    let job = || {
        let job = job(&pod).env("WEBDAV_URL", server.url("https", "localhost"));
        job.env("WEBDAV_USERNAME", "u").env("WEBDAV_PASSWORD", "s3cr3t")
    };
    fails(&pod, &job(), &["the certificate of localhost"]);
    restores(&pod, &job().env("CUSTOM_CA", CERTIFICATE));
}

#[test]
fn sftp_by_the_variables_of_a_job() {
    let Some(sshd) = Sshd::start() else { return };
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, TIME);
    });
    let job = || {
        let job = job(&pod).env("SFTP_HOST", "127.0.0.1").env("SFTP_PORT", sshd.port().to_string());
        job.env("SFTP_PATH", pod.repository())
            .env("SFTP_USERNAME", user())
            .env("SFTP_KEY_FILE", sshd.key("user"))
    };
    let known = sshd.known("host");
    restores(&pod, &job().env("SFTP_KNOWN_HOSTS_DATA", &known));
    restores(&pod, &job().env("SFTP_KNOWN_HOSTS", &known));
    let file = pod.path("known_hosts");
    fs::write(&file, &known).unwrap();
    restores(&pod, &job().env("SFTP_KNOWN_HOSTS", &file));
    let text = fs::read_to_string(sshd.key("user")).unwrap();
    restores(&pod, &job().env("SFTP_KNOWN_HOSTS", &file).env("SFTP_KEY_FILE", text));
    let missing = job().env("SFTP_KNOWN_HOSTS", &file).env("SFTP_PATH", "/nonexistent/path");
    fails(&pod, &missing, &["/nonexistent/path"]);
    let stranger = job().env("SFTP_KNOWN_HOSTS", &file).env("SFTP_KEY_FILE", sshd.key("stranger"));
    fails(&pod, &stranger, &["ERROR: unable to open the repository"]);
    let unknown = job().env("SFTP_KNOWN_HOSTS_DATA", sshd.known("stranger"));
    fails(&pod, &unknown, &["ERROR: unable to open the repository", "127.0.0.1"]);
    // A pod has no home in which hosts are known.
    let nobody = job().env("HOME", "/nonexistent");
    fails(&pod, &nobody, &["ERROR: unable to open the repository"]);
}

#[test]
fn rclone_by_the_variables_of_a_job() {
    let Some(rclone) = kopia_testkit::servers::program("rclone") else { return };
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, TIME);
    });
    let remote = |path: &Path| format!("[there]\ntype = alias\nremote = {}\n", path.display());
    let job = |path: &str| job(&pod).env("RCLONE_EXE", &rclone).env("RCLONE_REMOTE_PATH", path);
    let config = remote(&pod.path(""));
    restores(&pod, &job("there:/repository").env("RCLONE_CONFIG", &config));
    restores(
        &pod,
        &job("there:repository").env("RCLONE_CONFIG", &config).env("KOPIA_REPOSITORY", "rclone://x:/y"),
    );
    // A path is rclone's own variable.
    let file = pod.path("rclone.conf");
    fs::write(&file, &config).unwrap();
    restores(&pod, &job("there:repository").env("RCLONE_CONFIG", &file));
    fails(&pod, &job("nowhere:x").env("RCLONE_CONFIG", &config), &["ERROR: unable to open the repository"]);
    let no_program = job("there:repository").env("RCLONE_EXE", "/nonexistent/rclone");
    fails(&pod, &no_program, &["/nonexistent/rclone"]);
}

#[test]
fn a_structured_configuration_of_s3_is_read_as_it_is() {
    let Some(moto) = Moto::start(&[]) else { return };
    let pod = Pod::new();
    // Kopia's own prefix is taken byte for byte.
    let bucket = moto.bucket("kopia-", &blobs());
    let config = json!({"storage": {"type": "s3", "config": {"bucket": bucket, "prefix": "kopia-", "endpoint": moto.address(),
        "doNotUseTLS": true, "accessKeyID": "AKIAEXAMPLE", "secretAccessKey": "s3cr3t"}}});
    let job = pod.job(APP).env("KOPIA_REPOSITORY", format!("s3://{bucket}"));
    restores(&pod, &job.env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", config.to_string()));
}

#[test]
fn hashes_that_cannot_be_compared_are_not_promised_to_be() {
    let (pod, server) = (Pod::new(), HttpServer::kopia_rest_api());
    let url = format!("kopia+http://ui@{}", server.address());
    let job = job(&pod).env("KOPIA_REPOSITORY", url).additional(&["--verify-hashes"]);
    fails(&pod, &job, &["--verify-hashes can compare nothing"]);
}
