//! S3 against moto, which is started here. It is left out where moto is not installed.
#![cfg(feature = "s3")]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/mod.rs"]
mod support;

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_connection::storage::{S3, S3Role};
use kopia_connection::{Connection, Environment, Secret, Storage};
use kopia_format::BlobId;
use kopia_remote::{Opened, Options, connect, survey};
use kopia_repository::{Repository, verify};
use kopia_storage::failure::CertificateProblem;
use kopia_storage::testing::conformance;
use kopia_storage::{BlobStore, Failure, ThawSpeed, Warmth};
use kopia_testkit::servers::{self, Server};
use support::{check_golden, golden, send};

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/localhost.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/localhost.key.pem");

struct Moto {
    server: Server,
    buckets: AtomicUsize,
}

impl Moto {
    /// Starts moto. It asks for right signatures after so many requests.
    fn start(free_requests: usize, arguments: &[&str]) -> Option<Self> {
        let port = servers::free_port();
        let mut command = Command::new(servers::program("moto_server")?);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).args(arguments);
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", free_requests.to_string());
        Some(Self { server: Server::start(&mut command, port), buckets: AtomicUsize::new(0) })
    }

    fn open_to_all() -> Option<Self> {
        Self::start(1_000_000, &[])
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    fn send(&self, head: &str, service: &str, body: &[u8]) -> String {
        let address = self.address();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential=root/20260101/us-east-1/{service}/aws4_request");
        let headers = [
            ("host", &*address),
            ("authorization", &*authorization),
            (
                "content-type",
                if service == "s3" { "application/x-kopia" } else { "application/x-www-form-urlencoded" },
            ),
        ];
        let (status, answer) = send(self.server.port(), head, &headers, body);
        assert!(status < 300, "{head}: {status} {answer}");
        answer
    }

    fn bucket(&self, prefix: &str, blobs: &[(BlobId, Vec<u8>)]) -> String {
        let name = format!("bucket{}", self.buckets.fetch_add(1, Ordering::SeqCst));
        self.send(&format!("PUT /{name}"), "s3", b"");
        blobs.iter().for_each(|(id, bytes)| self.put(&name, &format!("{prefix}{id}"), bytes));
        name
    }

    fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        self.send(&format!("PUT /{bucket}/{}", key.replace(' ', "%20")), "s3", bytes);
    }

    /// Makes a user who may do so much, and returns the user's keys.
    fn user(&self, name: &str, actions: &str) -> (String, String) {
        let form = |form: &str| self.send("POST /", "iam", form.as_bytes());
        form(&format!("Action=CreateUser&Version=2010-05-08&UserName={name}"));
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{actions},"Resource":"*"}}]}}"#
        );
        let policy: String = policy.bytes().map(|byte| format!("%{byte:02X}")).collect();
        form(&format!(
            "Action=PutUserPolicy&Version=2010-05-08&UserName={name}&PolicyName=p&PolicyDocument={policy}"
        ));
        let keys = form(&format!("Action=CreateAccessKey&Version=2010-05-08&UserName={name}"));
        let field = |name: &str| {
            let (_, rest) = keys.split_once(&format!("<{name}>")).expect("an answer has keys");
            rest.split('<').next().expect("an element ends").to_string()
        };
        (field("AccessKeyId"), field("SecretAccessKey"))
    }

    fn place(&self, bucket: &str, prefix: &str) -> S3 {
        let mut place = S3::default();
        place.bucket = bucket.into();
        place.prefix = prefix.into();
        place.endpoint = Some(self.address());
        place.disable_tls = true;
        place.access_key = Some("AKIAEXAMPLE".into());
        place.secret_key = Some(Secret::from("s3cr3t"));
        place
    }
}

fn open(place: S3) -> kopia_storage::Result<Box<dyn BlobStore>> {
    open_with(place, Environment::empty())
}

fn open_with(place: S3, environment: Environment) -> kopia_storage::Result<Box<dyn BlobStore>> {
    let mut options = Options::default();
    options.environment = environment;
    options.patience.dead = Duration::from_millis(100);
    match connect(&Connection::new(Storage::S3(place)), &options)? {
        Opened::Blobs(store) => Ok(store),
        _ => panic!("a bucket is a store of blobs"),
    }
}

fn id(name: &str) -> BlobId {
    name.parse().expect("the names here are valid")
}

#[test]
fn a_bucket_keeps_the_contract_of_stores() {
    let Some(moto) = Moto::open_to_all() else { return };
    for prefix in ["a/b-", "", "/c//"] {
        conformance::check(|blobs| open(moto.place(&moto.bucket(prefix, blobs), prefix)).unwrap());
    }
}

#[test]
fn a_repository_in_a_bucket_reads_right() {
    let Some(moto) = Moto::open_to_all() else { return };
    let (case, blobs) = golden();
    let bucket = moto.bucket("kopia", &blobs);
    for key in ["kopiasub/p1", "other", "kopia.storageconfig", "p1"] {
        moto.put(&bucket, key, b"other");
    }
    let store = open(moto.place(&bucket, "kopia")).unwrap();
    assert_eq!(store.list("").unwrap().len(), blobs.len());
    check_golden(&case, store);
}

#[test]
fn faults_on_the_way_are_survived_or_told() {
    let Some(moto) = Moto::open_to_all() else { return };
    let (case, blobs) = golden();
    let bucket = moto.bucket("k/", &blobs);
    faults::check(&case, moto.server.port(), &|port| {
        let mut place = moto.place(&bucket, "k/");
        place.endpoint = Some(format!("127.0.0.1:{port}"));
        place.region = Some("us-east-1".into());
        let mut options = Options::default();
        faults::impatient(&mut options);
        match connect(&Connection::new(Storage::S3(place)), &options)? {
            Opened::Blobs(store) => Ok(store),
            _ => panic!("a bucket is a store of blobs"),
        }
    });
}

#[test]
fn a_repository_that_kopia_keeps_in_a_bucket_reads_right() {
    let Some(program) = servers::kopia() else { return };
    let Some(moto) = Moto::open_to_all() else { return };
    let (bucket, home) = (moto.bucket("", &[]), tempfile::tempdir().unwrap());
    let source = home.path().join("source");
    std::fs::create_dir(&source).unwrap();
    (0..50_usize)
        .for_each(|n| std::fs::write(source.join(n.to_string()), n.to_string().repeat(n * 100)).unwrap());
    let kopia = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.env_clear().env("HOME", home.path()).env("KOPIA_PASSWORD", "pw").args(arguments);
        command.env("KOPIA_CONFIG_PATH", home.path().join("config")).env("KOPIA_CHECK_FOR_UPDATES", "false");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (bucket_flag, endpoint) = (format!("--bucket={bucket}"), format!("--endpoint={}", moto.address()));
    let keys =
        ["--access-key=AKIAEXAMPLE", "--secret-access-key=s3cr3t", "--disable-tls", "--prefix=/a//kopia"];
    kopia(&[&["repository", "create", "s3", &bucket_flag, &endpoint][..], &keys].concat());
    kopia(&["snapshot", "create", &source.display().to_string()]);
    let listed = kopia(&["snapshot", "list", "--json"]);

    let store = open(moto.place(&bucket, "/a//kopia")).unwrap();
    let repository = Repository::open(store, &Password::from("pw")).unwrap();
    let snapshots = repository.snapshots().unwrap();
    let ids: Vec<_> = snapshots.iter().map(|snapshot| snapshot.id().to_string()).collect();
    assert!(ids.len() == 1 && listed.contains(&ids[0]), "{ids:?}: {listed}");
    let report = repository.verify(&verify::Options::default(), &()).unwrap();
    assert!(report.is_sound() && report.contents.verified >= 50, "{report:?}");
}

#[test]
fn a_listing_of_many_pages_is_whole() {
    let Some(moto) = Moto::open_to_all() else { return };
    let blobs: Vec<_> = (0..1100).map(|number| (id(&format!("p{number:06}")), vec![1; 1])).collect();
    let store = open(moto.place(&moto.bucket("a+b%20c/", &blobs), "a+b c/")).unwrap();
    let listed = store.list("p").unwrap();
    assert_eq!(listed.len(), blobs.len());
    assert!(listed.iter().all(|blob| blob.length == 1 && blob.modified.is_some()));
}

#[test]
fn signatures_are_checked_and_denials_told_apart() {
    let Some(moto) = Moto::start(11, &[]) else { return };
    let bucket = moto.bucket("k/", &[(id("p1"), b"bytes".to_vec())]);
    let (all, reads) = (moto.user("all", r#""s3:*""#), moto.user("reads", r#"["s3:GetObject"]"#));
    let none = moto.user("none", r#""ec2:*""#);
    let store = |(id, secret): &(String, String)| {
        let mut place = moto.place(&bucket, "k/");
        (place.access_key, place.secret_key) = (Some(id.clone()), Some(Secret::from(&**secret)));
        open(place).unwrap()
    };
    // Listings are not tried: moto computes a wrong signature where a query has a slash, as it has in any
    // client's.
    assert_eq!(&*store(&all).read_range(&id("p1"), 1, 3, Vec::new()).unwrap(), b"yte");
    assert_eq!(store(&reads).read(&id("p1")).unwrap(), b"bytes");
    assert!(store(&all).read(&id("p2")).unwrap_err().is_not_found());
    let failure = |error: kopia_storage::Error| error.failure().expect("a server said so").clone();
    let denied = failure(store(&none).read(&id("p1")).unwrap_err());
    let named =
        matches!(&denied, Failure::NotPermitted { right: Some(right), .. } if right.contains("s3:GetObject"));
    assert!(named, "{denied}");
    let denied = failure(store(&none).length(&id("p1")).unwrap_err());
    assert!(matches!(denied, Failure::NotPermitted { .. }), "{denied}");
    let wrong = failure(store(&(all.0.clone(), "wrong".into())).read(&id("p1")).unwrap_err());
    assert!(matches!(wrong, Failure::WrongSecret { .. }), "{wrong}");
    let unknown = failure(store(&("AKIANOBODY".into(), "x".into())).read(&id("p1")).unwrap_err());
    assert!(matches!(unknown, Failure::WrongKey { .. }), "{unknown}");
}

#[test]
fn a_bucket_that_is_not_there_is_told() {
    let Some(moto) = Moto::open_to_all() else { return };
    let store = open(moto.place("nothere", "")).unwrap();
    for error in [store.list("").unwrap_err(), store.read(&id("kopia.repository")).unwrap_err()] {
        let there = matches!(error.failure(), Some(Failure::NoContainer { name, .. }) if name == "nothere");
        assert!(there, "{error:?}");
    }
}

#[test]
fn roles_are_assumed_with_keys_and_with_tokens() {
    let Some(moto) = Moto::open_to_all() else { return };
    let bucket = moto.bucket("", &[(id("p1"), b"bytes".to_vec())]);
    let url = format!("http://{}", moto.address());
    let mut place = moto.place(&bucket, "");
    let mut role = S3Role::default();
    role.arn = "arn:aws:iam::123456789012:role/backup".into();
    role.endpoint = Some(url.clone());
    place.role = Some(role);
    assert_eq!(open(place).unwrap().read(&id("p1")).unwrap(), b"bytes");

    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "a.b.c").unwrap();
    let environment: Environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.path().to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup"),
        ("AWS_ENDPOINT_URL_STS", &*url),
    ]
    .into_iter()
    .collect();
    let mut place = moto.place(&bucket, "");
    (place.access_key, place.secret_key) = (Some(String::new()), None);
    assert_eq!(open_with(place, environment).unwrap().read(&id("p1")).unwrap(), b"bytes");
}

#[test]
fn a_view_of_the_past_has_what_was_deleted_and_overwritten() {
    let Some(moto) = Moto::open_to_all() else { return };
    let bucket = moto.bucket("", &[]);
    let versioned = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let mut place = moto.place(&bucket, "v/");
    place.point_in_time = Some("2020-01-01T00:00:00Z".parse().unwrap());
    let error = open(place.clone()).map(drop).unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::NotVersioned { .. })), "{error:?}");
    moto.send(&format!("PUT /{bucket}?versioning"), "s3", versioned);
    moto.put(&bucket, "v/p1", b"first");
    moto.put(&bucket, "v/p2", b"second");
    // The times of versions are whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then = kopia_format::Timestamp::new(now.as_secs() as i64, 0).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    moto.put(&bucket, "v/p1", b"overwritten");
    moto.send(&format!("DELETE /{bucket}/v/p2"), "s3", b"");
    moto.put(&bucket, "v/p3", b"later");
    place.point_in_time = Some(then);
    let view = open(place.clone()).unwrap();
    let names = |store: &dyn BlobStore| {
        store.list("").unwrap().iter().map(|blob| blob.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&*view), ["p1", "p2"]);
    assert_eq!(
        (view.read(&id("p1")).unwrap(), view.read(&id("p2")).unwrap()),
        (b"first".to_vec(), b"second".to_vec())
    );
    assert!(view.read(&id("p3")).unwrap_err().is_not_found());
    place.point_in_time = None;
    let today = open(place).unwrap();
    assert_eq!(
        (names(&*today), today.read(&id("p1")).unwrap()),
        (vec!["p1".into(), "p3".into()], b"overwritten".to_vec())
    );
}

#[test]
fn cold_blobs_are_named_with_their_class() {
    let Some(moto) = Moto::open_to_all() else { return };
    let bucket = moto.bucket("", &[]);
    let address = moto.address();
    let headers = [
        ("host", &*address),
        ("authorization", "AWS4-HMAC-SHA256 Credential=root/20260101/us-east-1/s3/aws4_request"),
        ("x-amz-storage-class", "DEEP_ARCHIVE"),
    ];
    assert_eq!(send(moto.server.port(), &format!("PUT /{bucket}/p1"), &headers, b"cold").0, 200);
    let store = open(moto.place(&bucket, "")).unwrap();
    assert_eq!(store.length(&id("p1")).unwrap(), 4);
    let error = store.read(&id("p1")).unwrap_err();
    assert!(
        matches!(error.failure(), Some(Failure::Cold { class }) if class.contains("DEEP_ARCHIVE")),
        "{error:?}"
    );
    let cold = store.cold().unwrap();
    assert_eq!(cold.list_cold("p").unwrap().len(), 1);
    assert_eq!(cold.warmth(&id("p1")).unwrap(), Warmth::Cold { class: "DEEP_ARCHIVE".into() });
    cold.thaw(&id("p1"), ThawSpeed::Bulk, 1).unwrap();
    // moto fetches at once.
    assert!(matches!(cold.warmth(&id("p1")).unwrap(), Warmth::Warm { until: Some(_) }));
    assert_eq!(store.read(&id("p1")).unwrap(), b"cold");
}

#[test]
fn certificates_are_checked_as_the_connection_says() {
    let Some(moto) = Moto::start(1_000_000, &["-c", CERTIFICATE, "-k", KEY]) else { return };
    let read = |change: &dyn Fn(&mut S3), environment: &[(&str, &str)]| {
        let mut place = moto.place("nothere", "");
        place.disable_tls = false;
        place.endpoint = Some(format!("localhost:{}", moto.server.port()));
        change(&mut place);
        let error = open_with(place, environment.iter().copied().collect())
            .and_then(|store| store.list(""))
            .unwrap_err();
        error.failure().unwrap_or_else(|| panic!("{error:?}")).clone()
    };
    let trusted = |failure: Failure| assert!(matches!(failure, Failure::NoContainer { .. }), "{failure}");
    let roots = std::fs::read(CERTIFICATE).unwrap();
    trusted(read(&|place| place.root_ca = Some(roots.clone()), &[]));
    trusted(read(&|place| place.disable_tls_verification = true, &[]));
    trusted(read(&|_| {}, &[("SSL_CERT_FILE", CERTIFICATE)]));
    let unknown = read(&|_| {}, &[]);
    let problem = matches!(unknown, Failure::Certificate { problem: CertificateProblem::UnknownIssuer, .. });
    assert!(problem, "{unknown}");
    let other = read(
        &|place| {
            (place.root_ca, place.endpoint) =
                (Some(roots.clone()), Some(format!("127.0.0.1:{}", moto.server.port())))
        },
        &[],
    );
    assert!(
        matches!(other, Failure::Certificate { problem: CertificateProblem::WrongName { .. }, .. }),
        "{other}"
    );
    let plain = read(&|place| place.disable_tls = true, &[]);
    assert!(!matches!(plain, Failure::NoContainer { .. }), "{plain}");
}

#[test]
fn what_lies_around_is_seen() {
    let Some(moto) = Moto::open_to_all() else { return };
    let (_, blobs) = golden();
    let bucket = moto.bucket("a b/k/", &blobs[..2]);
    moto.put(&bucket, "top", b"x");
    let around = survey(&Connection::new(Storage::S3(moto.place(&bucket, "a b"))), &Options::default());
    let around = around.unwrap().unwrap();
    assert_eq!(around.root(), "a b");
    let look = |prefix: &str| {
        let mut names: Vec<_> = around.look(prefix).unwrap().into_iter().map(|near| near.name).collect();
        names.sort();
        names
    };
    assert_eq!(look(""), ["a b/", "top"]);
    assert_eq!(look("a b"), ["a b/"]);
    assert_eq!(look("a b/"), ["a b/k/"]);
    assert_eq!(look("a b/k/").len(), 2);
    assert_eq!(around.containers().unwrap(), [bucket]);
    assert!(around.clock_ahead().is_some_and(|seconds| seconds.abs() < 60));
}
