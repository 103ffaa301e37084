//! Against Azurite, Microsoft's emulator.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kopia_connection::storage::{Azure, AzureIdentity};
use kopia_connection::{Environment, Storage};
use kopia_format::BlobId;
use kopia_storage::testing::conformance;
use kopia_storage::{BlobStore, Error, ErrorKind, Failure, ThawSpeed, Warmth};
use kopia_testkit::servers::{self, Server};

use crate::support::{check_golden, golden, send};

/// The account of all emulators, with its published key.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A key that is none of the account's.
const OTHER_KEY: &str =
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

struct Azurite {
    server: Server,
    containers: AtomicUsize,
    _directory: tempfile::TempDir,
}

impl Azurite {
    fn start() -> Option<Self> {
        let program = servers::program("azurite-blob")?;
        let directory = tempfile::tempdir().unwrap();
        let port = servers::free_port();
        let mut command = Command::new(program);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.args(["--loose", "--skipApiVersionCheck", "--silent", "--inMemoryPersistence"]);
        command.current_dir(directory.path());
        let server = Server::start(&mut command, port);
        Some(Self { server, containers: AtomicUsize::new(0), _directory: directory })
    }

    /// Makes a request that is signed by hand, with the key.
    fn put(&self, target: &str, more: &[(&str, &str)], body: &[u8]) {
        let date = jiff::fmt::rfc2822::DateTimePrinter::new();
        let date = date.timestamp_to_rfc9110_string(&jiff::Timestamp::now()).unwrap();
        let headers = [&[("x-ms-date", &*date), ("x-ms-version", "2021-12-02")], more].concat();
        let mut sorted = headers.clone();
        sorted.sort_unstable();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let length = if body.is_empty() { String::new() } else { body.len().to_string() };
        let mut text = format!("PUT\n\n\n{length}\n\n\n\n\n\n\n\n\n");
        sorted.iter().for_each(|(name, value)| text.push_str(&format!("{name}:{value}\n")));
        text.push_str(&format!("/{ACCOUNT}{path}"));
        query.split('&').filter(|pair| !pair.is_empty()).for_each(|pair| {
            text.push_str(&format!("\n{}", pair.replacen('=', ":", 1)));
        });
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        let authorization = format!("SharedKey {ACCOUNT}:{signature}");
        let host = format!("{ACCOUNT}.blob.localhost:{}", self.server.port());
        let own = [("host", &*host), ("authorization", &*authorization)];
        let (status, answer) =
            send(self.server.port(), &format!("PUT {target}"), &[&headers[..], &own].concat(), body);
        assert!(matches!(status, 200..=202), "{target}: {status} {answer}");
    }

    /// Makes a container with these blobs behind a prefix.
    fn container(&self, prefix: &str, blobs: &[(BlobId, Vec<u8>)]) -> String {
        let name = format!("container{}", self.containers.fetch_add(1, Ordering::SeqCst));
        self.put(&format!("/{name}?restype=container"), &[], b"");
        for (id, bytes) in blobs {
            let path = format!("/{name}/{prefix}{id}");
            self.put(
                &path,
                &[("x-ms-blob-type", "BlockBlob"), ("x-ms-meta-kopiamtime", "1600000000000000007")],
                bytes,
            );
        }
        name
    }

    fn place(&self, container: &str, prefix: &str, identity: Option<AzureIdentity>) -> Storage {
        let mut place = Azure::default();
        place.container = container.into();
        place.prefix = prefix.into();
        place.account = ACCOUNT.into();
        place.domain = Some(format!("blob.localhost:{}", self.server.port()));
        place.disable_tls = true;
        place.identity = identity;
        Storage::Azure(place)
    }
}

fn key(key: &str) -> Option<AzureIdentity> {
    Some(AzureIdentity::Key(key.into()))
}

#[test]
fn a_container_keeps_the_contract_of_stores() {
    let Some(azurite) = Azurite::start() else { return };
    conformance::check(|blobs| {
        let container = azurite.container("a/b-", blobs);
        super::open(azurite.place(&container, "a/b-", key(KEY)), Environment::empty()).unwrap()
    });
}

#[test]
fn a_repository_in_a_container_reads_right() {
    let Some(azurite) = Azurite::start() else { return };
    let (case, blobs) = golden();
    let container = azurite.container("kopia", &blobs);
    // Beside it, and below its prefix, lies what is not of it.
    azurite.put(&format!("/{container}/kopiasub/p1"), &[("x-ms-blob-type", "BlockBlob")], b"other");
    azurite.put(&format!("/{container}/other"), &[("x-ms-blob-type", "BlockBlob")], b"other");
    let environment: Environment = [("AZURE_STORAGE_KEY", KEY)].into_iter().collect();
    let store = super::open(azurite.place(&container, "kopia", None), environment).unwrap();
    let listed = store.list("").unwrap();
    assert_eq!(listed.len(), blobs.len());
    let noted = std::time::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 7);
    assert!(listed.iter().all(|blob| blob.modified == Some(noted)));
    let port = azurite.server.port();
    assert_eq!(store.location(), format!("azblob://{container}/kopia at {ACCOUNT}.blob.localhost:{port}"));
    check_golden(&case, store);
}

#[test]
fn faults_on_the_way_are_survived_or_told() {
    let Some(azurite) = Azurite::start() else { return };
    let (case, blobs) = golden();
    let container = azurite.container("k/", &blobs);
    crate::faults::check(&case, azurite.server.port(), &|port| {
        let Storage::Azure(mut place) = azurite.place(&container, "k/", key(KEY)) else {
            unreachable!("it is one of Azure")
        };
        place.domain = Some(format!("blob.localhost:{port}"));
        super::open_impatiently(Storage::Azure(place))
    });
}

#[test]
fn a_signature_opens_until_it_expires() {
    let Some(azurite) = Azurite::start() else { return };
    let container = azurite.container("", &[("p1".parse().unwrap(), b"bytes".to_vec())]);
    let sas =
        |expiry: &str, permissions: &str| Some(AzureIdentity::Sas(signature(expiry, permissions).into()));
    let open = |identity| super::open(azurite.place(&container, "", identity), Environment::empty());
    let store = open(sas("2099-01-01T00:00:00Z", "rl")).unwrap();
    assert_eq!(store.read(&"p1".parse().unwrap()).unwrap(), b"bytes");
    assert_eq!(store.list("").unwrap().len(), 1);

    let expired = open(sas("2020-01-01T00:00:00Z", "rl")).unwrap_err();
    assert_eq!(expired.kind(), ErrorKind::NotAllowed, "{:?}", expired.failure());
    let cannot_list = open(sas("2099-01-01T00:00:00Z", "r")).unwrap_err();
    assert!(
        matches!(cannot_list.failure(), Some(Failure::NotPermitted { .. })),
        "{:?}",
        cannot_list.failure()
    );
    for error in [expired, cannot_list] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("sig=") && !text.contains("2099"), "{text}");
    }
}

/// Returns the signature of an account, for reading by 2021-12-02. Authority: Microsoft's "Create an account
/// SAS".
fn signature(expiry: &str, permissions: &str) -> String {
    let text = format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{expiry}\n\n\n2021-12-02\n\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let signed = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let signed = signed.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("?sv=2021-12-02&ss=b&srt=sco&sp={permissions}&se={}&sig={signed}", expiry.replace(':', "%3A"))
}

#[test]
fn what_is_wrong_is_told_apart() {
    let Some(azurite) = Azurite::start() else { return };
    let container = azurite.container("", &[]);
    let open = |container: &str, identity| {
        let error: Error =
            super::open(azurite.place(container, "", identity), Environment::empty()).unwrap_err();
        error.failure().cloned().unwrap()
    };
    let missing = open("nothere", key(KEY));
    assert!(matches!(&missing, Failure::NoContainer { name, .. } if name == "nothere"), "{missing:?}");
    // The emulator says less than Azure does, which tells a wrong key from a missing right.
    let wrong = open(&container, key(OTHER_KEY));
    assert!(matches!(wrong, Failure::WrongSecret { .. } | Failure::NotPermitted { .. }), "{wrong:?}");
    let none = open(&container, key("no base64"));
    assert!(matches!(none, Failure::Credentials { .. }), "{none:?}");
}

#[test]
fn a_blob_is_fetched_from_the_archive_when_asked() {
    let Some(azurite) = Azurite::start() else { return };
    let (p1, p2): (BlobId, BlobId) = ("p1".parse().unwrap(), "p2".parse().unwrap());
    let container = azurite.container("", &[(p1.clone(), b"cold".to_vec()), (p2.clone(), b"warm".to_vec())]);
    azurite.put(&format!("/{container}/p1?comp=tier"), &[("x-ms-access-tier", "Archive")], b"");
    let store = super::open(azurite.place(&container, "", key(KEY)), Environment::empty()).unwrap();
    let error = store.read(&p1).unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::Cold { class }) if class == "Archive"), "{error:?}");
    let cold = store.cold().unwrap();
    let listed: Vec<_> = cold.list_cold("").unwrap().into_iter().map(|blob| blob.info.id).collect();
    assert_eq!(listed, std::slice::from_ref(&p1));
    assert_eq!(cold.warmth(&p2).unwrap(), Warmth::Warm { until: None });
    // The emulator does at once what takes Azure hours.
    assert!(!matches!(cold.thaw(&p1, ThawSpeed::Standard, 7).unwrap(), Warmth::Cold { .. }));
    assert_eq!(store.read(&p2).unwrap(), b"warm");
}
