use std::io;

use kopia_storage::failure::CertificateProblem;
use kopia_storage::{HostKeyProblem, MemoryStore, Near, Shape};

use super::*;
use crate::{Audience, RootRelation, StorePlace};

fn remote(backend: Backend) -> Remote {
    let location = "s3://b/k/ at h".into();
    Remote { location, backend, container: "b".into(), point_in_time: None, is_plain: true }
}

fn open(failure: Failure) -> Error {
    Error::Storage(kopia_storage::Error::Open { place: "s3://b/k/ at h".into(), source: failure.into() })
}

/// A bucket of these keys, beside these buckets, with a clock.
#[derive(Debug)]
struct Bucket {
    root: &'static str,
    keys: Vec<&'static str>,
    buckets: Vec<&'static str>,
    ahead: Option<i64>,
}

impl Bucket {
    fn new(root: &'static str, keys: &[&'static str]) -> Self {
        Self { root, keys: keys.to_vec(), buckets: vec!["b1", "b2"], ahead: None }
    }
}

impl Surroundings for Bucket {
    fn root(&self) -> String {
        self.root.into()
    }

    fn shape(&self) -> Shape {
        Shape::Keys
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        let keys = self.keys.iter().filter(|key| key.starts_with(prefix));
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        let near = keys.map(|key| match key[prefix.len()..].find('/') {
            Some(end) => Near::new(&key[..=prefix.len() + end]),
            None => Near::new(*key).with_modified(Some(time)),
        });
        Ok(near.collect())
    }

    fn containers(&self) -> io::Result<Vec<String>> {
        Ok(self.buckets.iter().map(ToString::to_string).collect())
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.ahead
    }
}

fn nothing_there() -> Error {
    Error::NotARepository { location: "s3://b/k/ at h".into() }
}

fn explained(remote: &Remote, error: &Error, around: &dyn Surroundings) -> Vec<Finding> {
    explain_remote(
        RemoteFailure { around: Some(around), ..RemoteFailure::new(remote, error) },
        Effort::Doctor,
    )
}

#[test]
fn a_repository_a_level_off_is_named_for_each_reader() {
    let s3 = remote(Backend::S3);
    let findings = explained(&s3, &nothing_there(), &Bucket::new("k", &["k/kopia.repository"]));
    let found = vec![StorePlace { root: "k/".into(), relation: RootRelation::MissingSlash }];
    assert!(matches!(&findings[..], [Finding::ElsewhereInStore { found: other, .. }] if *other == found));
    let said =
        [Audience::Terminal, Audience::Pod, Audience::VolSync].map(|audience| findings[0].sentence(audience));
    assert!(
        said[0]
            .ends_with("behind a slash that the prefix lacks, at k/: run the same command with --prefix k/")
    );
    assert_eq!(said[0], said[1]);
    assert!(said[2].ends_with(": set KOPIA_REPOSITORY=s3://b/k/"), "{}", said[2]);
    let give = |backend, container: &str, root: &str, audience| {
        let found = vec![StorePlace { root: root.into(), relation: RootRelation::Above }];
        let (given, container) = (String::new(), container.into());
        Finding::ElsewhereInStore { given, backend, container, found, missing: false }.change(audience)
    };
    for (backend, container, root, terminal, job) in [
        (Backend::S3, "b", "", "--prefix ''", "KOPIA_REPOSITORY=s3://b/"),
        (Backend::S3, "b", "a b'c/", r"--prefix 'a b'\''c/'", "KOPIA_REPOSITORY=s3://b/a b'c/"),
        (Backend::S3, "b", "k", "--prefix k", "the prefix k in KOPIA_STRUCTURED_REPOSITORY_CONFIG"),
        (Backend::Sftp, "h", "/srv/k/", "--path /srv/k/", "SFTP_PATH=/srv/k/"),
        (Backend::WebDav, "https://h", "/k/", "--url https://h/k/", "WEBDAV_URL=https://h/k/"),
        (Backend::Rclone, "r:", "k/", "--remote-path r:k/", "RCLONE_REMOTE_PATH=r:k/"),
    ] {
        let wanted = format!("run the same command with {terminal}");
        assert_eq!(give(backend, container, root, Audience::Terminal), wanted);
        assert_eq!(give(backend, container, root, Audience::VolSync), format!("set {job}"));
    }
}

#[test]
fn a_view_from_before_the_repository_is_told_from_a_wrong_prefix() {
    let view = Remote { point_in_time: Some("2020-01-01T00:00:00Z".into()), ..remote(Backend::S3) };
    let findings = explained(&view, &nothing_there(), &Bucket::new("k/", &["k/kopia.repository"]));
    let [Finding::NotThereYet { written: Some(written), .. }] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(written, "2023-11-14T22:13:20Z");
    let elsewhere = explained(&view, &nothing_there(), &Bucket::new("k/", &["kopia.repository"]));
    assert!(matches!(elsewhere[0], Finding::ElsewhereInStore { .. }), "{elsewhere:?}");
}

#[test]
fn what_is_there_instead_is_told() {
    let s3 = remote(Backend::S3);
    let findings = explained(&s3, &nothing_there(), &Bucket::new("k/", &["k/photo.jpg"]));
    assert_eq!(findings[0].fact(), "s3://b/k/ at h holds no repository, but photo.jpg");
    let findings = explained(&s3, &nothing_there(), &Bucket::new("k/", &["l/photo.jpg"]));
    assert_eq!(findings[0].fact(), "s3://b/k/ at h is empty; around it is l/");
    let lost = Bucket::new("k/", &["k/p0123456789abcdef0123456789abcdef-s1"]);
    assert!(matches!(explained(&s3, &nothing_there(), &lost)[0], Finding::FormatBlobMissing { .. }));
}

#[test]
fn other_buckets_are_named_unless_the_bucket_is_among_them() {
    let bucket = |name: &str| Failure::NoContainer { kind: "bucket", name: name.into(), host: "h".into() };
    let said = |name: &str| {
        let (s3, error) = (remote(Backend::S3), open(bucket(name)));
        explained(&s3, &error, &Bucket::new("", &[]))[0].change(Audience::Terminal)
    };
    assert_eq!(said("b"), "these buckets are there: b1, b2");
    assert!(said("b2").starts_with("check how its name is written"));
}

#[test]
fn a_wrong_clock_is_noted() {
    let off = Bucket { ahead: Some(-4000), ..Bucket::new("k/", &[]) };
    let s3 = remote(Backend::S3);
    let findings = explained(&s3, &nothing_there(), &off);
    assert_eq!(findings[1].fact(), "the clock of this machine is 66 min behind that of s3://b/k/ at h");
    let right = Bucket { ahead: Some(20), ..off };
    assert_eq!(explained(&s3, &nothing_there(), &right).len(), 1);
}

#[test]
fn keys_that_read_but_do_not_list_are_told() {
    let host = String::from("h");
    let right = Some("s3:ListBucket".into());
    let failure =
        Failure::NotPermitted { host, action: "listing bucket b".into(), credentials: "c".into(), right };
    let error =
        Error::Storage(kopia_storage::Error::List { place: "s3://b at h".into(), source: failure.into() });
    let s3 = remote(Backend::S3);
    let said = |store: &MemoryStore| {
        let failure = RemoteFailure { store: Some(store), ..RemoteFailure::new(&s3, &error) };
        explain_remote(failure, Effort::Hint)[0].change(Audience::Terminal)
    };
    let golden = kopia_testkit::golden::case("epochs");
    let blobs = golden.cheap_blobs().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    assert!(said(&store).starts_with("reading is allowed and listing is not: have s3:ListBucket"));
    assert!(said(&MemoryStore::new()).starts_with("ask whoever owns it"));
}

/// Every failure that somebody can do something about.
fn failures() -> Vec<Failure> {
    let host = || String::from("s3.amazonaws.com:443");
    let certificate =
        |problem| Failure::Certificate { host: host(), problem, fingerprint: Some("ab".repeat(32)) };
    let (credentials, message) = (String::from("c"), String::from("m"));
    let known_hosts = String::from("f");
    vec![
        Failure::UnknownHost { host: host() },
        Failure::Refused { host: host() },
        Failure::Proxy { proxy: "p".into(), host: host(), why: "w".into() },
        Failure::NoTls { host: host() },
        Failure::WantsTls { host: host() },
        Failure::Disconnected { host: host(), why: "w".into() },
        certificate(CertificateProblem::UnknownIssuer),
        certificate(CertificateProblem::WrongName { names: vec!["n".into()] }),
        certificate(CertificateProblem::NotValidYet),
        certificate(CertificateProblem::NoRoots),
        Failure::NoCredentials { host: host(), looked: "l".into() },
        Failure::WrongKey { host: host(), credentials: credentials.clone(), message: message.clone() },
        Failure::WrongSecret { host: host(), credentials: credentials.clone() },
        Failure::Expired { credentials: credentials.clone() },
        Failure::NotPermitted { host: host(), action: "a".into(), credentials, right: None },
        Failure::ClockSkew { host: host(), seconds: 901 },
        Failure::WrongRegion { bucket: "b".into(), asked: "a".into(), region: Some("r".into()) },
        Failure::WrongRegion { bucket: "b".into(), asked: "a".into(), region: None },
        Failure::NotVersioned { name: "b".into() },
        Failure::Busy { host: host(), status: 503 },
        Failure::Nonsense {
            host: host(),
            expected: "an S3 server",
            status: 200,
            content_type: "text/html".into(),
            beginning: "<html>".into(),
        },
        Failure::NoKopiaServer { host: host(), why: "w".into() },
        Failure::HostKey {
            host: host(),
            key: "k".into(),
            problem: HostKeyProblem::Unknown { known_hosts: known_hosts.clone(), line: "l".into() },
        },
        Failure::HostKey {
            host: host(),
            key: "k".into(),
            problem: HostKeyProblem::Changed { known_hosts, kinds: "ssh-ed25519".into() },
        },
        Failure::Refusal {
            host: host(),
            status: "through ssh".into(),
            message: "Host key verification failed.".into(),
        },
        Failure::Redirected { host: host(), to: "t".into() },
        Failure::Program { program: "rclone".into(), why: "is not installed".into() },
    ]
}

#[test]
fn whatever_a_server_says_no_with_there_is_a_next_step() {
    let backends = [
        Backend::S3,
        Backend::Gcs,
        Backend::Azure,
        Backend::B2,
        Backend::GoogleDrive,
        Backend::Sftp,
        Backend::WebDav,
        Backend::Rclone,
        Backend::Server,
    ];
    for (failure, backend) in
        failures().into_iter().flat_map(|failure| backends.map(|backend| (failure.clone(), backend)))
    {
        if matches!(failure, Failure::UnknownHost { .. }) && backend != Backend::S3 {
            continue;
        }
        let (remote, error) = (remote(backend), open(failure.clone()));
        let advice = hints_of_remote(RemoteFailure::new(&remote, &error));
        assert!(!advice.hints.is_empty(), "{failure:?} {backend:?}");
        for text in advice.texts(Audience::Terminal).into_iter().chain(advice.texts(Audience::Pod)) {
            assert!(!text.is_empty() && !text.contains(['\n']), "{failure:?} {backend:?}: {text}");
        }
        // Nobody gives options to a Job, nor types into it.
        for text in advice.texts(Audience::VolSync) {
            let is_about_others = text.contains("kopia server start") || text.contains("rclone config");
            assert!(
                !text.is_empty() && (is_about_others || !text.contains("--")),
                "{failure:?} {backend:?}: {text}"
            );
        }
    }
}

#[test]
fn the_password_of_a_servers_user_is_named_by_where_it_came_from() {
    let remote = remote(Backend::Server);
    let (host, credentials, message) = (String::from("h"), String::from("c"), String::from("m"));
    let unknown = Failure::WrongKey { host: host.clone(), credentials, message };
    let stored = || PasswordSource::Stored("/c/r.config.kopia-password".into());
    for failure in [unknown, Failure::NoCredentials { host, looked: "l".into() }] {
        let error = open(failure);
        for (source, told, before) in [
            (None, "KOPIA_PASSWORD must be the user's", false),
            (Some(PasswordSource::Environment), "; KOPIA_PASSWORD must be the user's", false),
            (Some(PasswordSource::ServerEnvironment), "KOPIA_SERVER_PASSWORD must be", false),
            (Some(PasswordSource::File("/run/pw".into())), "the password in /run/pw must be", false),
            (Some(PasswordSource::Command), "what the password command prints must be", false),
            (Some(PasswordSource::Prompt), "what is typed must be", false),
            (Some(PasswordSource::KeyRing), "the password in the key ring must be", true),
            (Some(PasswordSource::Connection), "the password of the token or URL must be", true),
            (Some(stored()), "the password that kopia stored in /c/r.config.kopia-password must be", true),
        ] {
            let failure = RemoteFailure { source: source.as_ref(), ..RemoteFailure::new(&remote, &error) };
            let texts = hints_of_remote(failure).texts(Audience::Terminal);
            assert!(texts[0].contains(told), "{texts:?}");
            assert!(texts[0].contains("not the repository's"), "{texts:?}");
            assert_eq!(texts[0].contains("KOPIA_PASSWORD goes before it"), before, "{texts:?}");
        }
    }
}

#[test]
fn an_error_alone_tells_what_is_spoken() {
    for (location, backend) in [
        ("s3://b/k at h", Some(Backend::S3)),
        ("gs://b", Some(Backend::Gcs)),
        ("webdav h/p", Some(Backend::WebDav)),
        ("webdavs://h/p", Some(Backend::WebDav)),
        ("rclone:r:p", Some(Backend::Rclone)),
        ("sftp", None),
        ("/srv/kopia", None),
    ] {
        assert_eq!(Backend::of_location(location), backend, "{location}");
    }
    let expired = Failure::Expired { credentials: "c".into() };
    let error = kopia_storage::Error::List { place: "s3://b/k at h".into(), source: expired.into() };
    let hints = crate::hints_of_storage(&error).hints;
    assert_eq!(hints, [Hint::Store(StoreHint::RenewCredentials(Backend::S3))]);
}
