//! The store against a server that does as it is told: what real ones do too rarely to wait for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant, SystemTime};

use kopia_connection::storage::S3Role;
use kopia_connection::{Environment, Secret};
use kopia_storage::{ErrorKind, Surroundings, ThawSpeed, ThawTime, Warmth};
use kopia_testkit::http_server::{Bucket, HttpServer, Request as Asked, Response};

use super::*;
use crate::patience::Patience;

fn options(variables: &[(&str, &str)]) -> Options {
    let patience = Patience {
        connect: Duration::from_secs(2),
        silence: Duration::from_secs(2),
        pause: Duration::from_millis(2),
        dead: Duration::from_millis(200),
        ..Patience::default()
    };
    // Nobody is asked by the way.
    let forbidden = [("AWS_EC2_METADATA_DISABLED", "true")];
    let environment = variables.iter().chain(&forbidden).copied().collect();
    Options { patience, environment, ..Options::default() }
}

fn place(server: &HttpServer) -> S3 {
    let mut place = S3::default();
    place.bucket = "bucket".into();
    place.prefix = "k/".into();
    place.endpoint = Some(server.address());
    place.disable_tls = true;
    place.access_key = Some("AKID".into());
    place.secret_key = Some("s3cr3t-key".into());
    place
}

fn open_at(server: &HttpServer) -> S3Store {
    open(&place(server), &Limits::default(), &options(&[])).unwrap()
}

fn error(status: u16, code: &str, more: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>because</Message>{more}</Error>");
    Response::new(status, body).header("content-type", "application/xml")
}

fn id(name: &str) -> BlobId {
    BlobId::new(name).unwrap()
}

/// Reads a blob from a server that always answers alike, and returns the failure.
fn failure_of(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> (Failure, Error) {
    let server = HttpServer::start(answer);
    let error = open_at(&server).read(&id("p1")).unwrap_err();
    let words = format!("{error}: {}", error.failure().unwrap());
    assert!(!words.contains("s3cr3t"), "{words}");
    (error.failure().unwrap().clone(), error)
}

#[test]
fn a_key_is_the_prefix_and_the_id_byte_for_byte() {
    for (prefix, path) in
        [("kopia", "/bucket/kopiap1"), ("/a//", "/bucket//a//p1"), ("../é /", "/bucket/../%C3%A9%20/p1")]
    {
        let server = HttpServer::start(|asked| Response::file(asked, b"bytes"));
        let mut place = place(&server);
        place.prefix = prefix.into();
        let store = open(&place, &Limits::default(), &options(&[])).unwrap();
        assert_eq!(store.read(&id("p1")).unwrap(), b"bytes");
        assert_eq!(server.requests()[0].path, path);
    }
}

#[test]
fn what_a_server_says_no_with_is_told_apart() {
    let told = |status, code: &'static str| failure_of(move |_| error(status, code, "")).0;
    assert!(matches!(told(404, "NoSuchBucket"), Failure::NoContainer { name, .. } if name == "bucket"));
    assert!(
        matches!(told(403, "InvalidAccessKeyId"), Failure::WrongKey { credentials, .. } if credentials == "the connection")
    );
    assert!(matches!(told(403, "SignatureDoesNotMatch"), Failure::WrongSecret { .. }));
    assert!(matches!(told(400, "ExpiredToken"), Failure::Expired { .. }));
    assert!(
        matches!(told(403, "AccessDenied"), Failure::NotPermitted { right: Some(right), .. } if right.contains("s3:GetObject"))
    );
    assert!(matches!(told(301, "PermanentRedirect"), Failure::WrongRegion { region: None, .. }));
    assert!(
        matches!(told(418, "Teapot"), Failure::Refusal { status, message, .. } if status == "418 Teapot" && message == "because")
    );
    let (cold, error) =
        failure_of(|_| error(403, "InvalidObjectState", "<StorageClass>DEEP_ARCHIVE</StorageClass>"));
    assert_eq!((cold, error.kind()), (Failure::Cold { class: "DEEP_ARCHIVE".into() }, ErrorKind::TryAgain));

    let server = HttpServer::start(|_| super::tests::error(404, "NoSuchKey", ""));
    assert!(open_at(&server).read(&id("p1")).unwrap_err().is_not_found());
    let error = failure_of(|_| Response::new(404, "<html>404").header("content-type", "text/html")).0;
    assert!(matches!(error, Failure::Nonsense { .. }), "a web server knows no blobs: {error}");
}

#[test]
fn html_is_told_in_one_error() {
    let server = HttpServer::start(|_| Response::new(200, "<html><body>Welcome!</body></html>"));
    let error = open_at(&server).list("").unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::Nonsense { expected: "an S3 server", .. })), "{error:?}");
}

/// A page of a listing with these keys.
fn page(keys: &[&str], next: Option<&str>) -> Response {
    let next = next.map(|next| {
        format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>")
    });
    let keys: String =
        keys.iter().map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")).collect();
    Response::new(200, format!("<ListBucketResult>{keys}{}</ListBucketResult>", next.unwrap_or_default()))
}

#[test]
fn a_listing_has_this_repositorys_blobs_and_no_others() {
    let server = HttpServer::start(|asked| match asked.path.contains("continuation-token=a%2Fb") {
        true => page(&["k/x1"], None),
        false => page(&["k/q2", "k/", "k/.storageconfig", "k/sub/p3", "other", "k/p1"], Some("a/b")),
    });
    let listed = open_at(&server).list("").unwrap();
    assert_eq!(listed.iter().map(|blob| blob.id.as_str()).collect::<Vec<_>>(), ["p1", "q2", "x1"]);
    let asked = &server.requests()[0].path;
    assert_eq!(asked, "/bucket/?list-type=2&delimiter=%2F&encoding-type=url&prefix=k%2F");
}

#[test]
fn a_listing_without_end_ends() {
    let liars: [fn(&Asked) -> Response; 3] = [
        |asked| page(&[&format!("k/p{}", asked.number)], Some("again")),
        |asked| page(&["k/p1"], Some(&format!("t{}", asked.number))),
        |asked| page(&[], Some(&format!("t{}", asked.number))),
    ];
    for liar in liars {
        let server = HttpServer::start(liar);
        let error = open_at(&server).list("").unwrap_err();
        assert!(matches!(error.failure(), Some(Failure::EndlessListing { .. })), "{error:?}");
    }
}

#[test]
fn another_region_is_followed_and_asked_for_once() {
    let of = |asked: &Asked| asked.header("authorization").unwrap_or_default().contains("/eu-west-1/s3/");
    let ways: [fn() -> Response; 4] = [
        || error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
        || Response::new(301, "").header("x-amz-bucket-region", "eu-west-1"),
        || error(403, "SignatureDoesNotMatch", ""),
        || Response::new(307, "").header("location", "https://bucket.s3-eu-west-1.amazonaws.com/k/p1"),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let server = HttpServer::start(move |asked| match &*asked.path {
            _ if of(asked) => Response::file(asked, b"bytes"),
            "/bucket/?location" => Response::new(200, "<LocationConstraint>EU</LocationConstraint>"),
            _ => way(),
        });
        let store = open_at(&server);
        assert_eq!(store.read(&id("p1")).unwrap(), b"bytes");
        assert_eq!(store.read(&id("p2")).unwrap(), b"bytes");
        assert_eq!(server.requests().len(), if number == 2 { 4 } else { 3 });
    }
}

#[test]
fn a_wrong_clock_is_corrected_once_by_the_servers() {
    let ahead = Duration::from_secs(7200);
    let server = HttpServer::start(move |asked| {
        let now = jiff::Timestamp::try_from(SystemTime::now() + ahead).unwrap();
        let stamp = asked.header("x-amz-date").unwrap();
        // What was right a moment ago may be of the hour before.
        let mut times = [now, now - jiff::SignedDuration::from_mins(5)].into_iter();
        let right = times.any(|time| stamp.starts_with(&time.strftime("%Y%m%dT%H").to_string()));
        let answer =
            if right { Response::file(asked, b"bytes") } else { error(403, "RequestTimeTooSkewed", "") };
        answer.header("date", &now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
    });
    let notes = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&notes);
    let options = Options {
        notice: Arc::new(move |note| taken.lock().unwrap().push(note.to_string())),
        ..options(&[])
    };
    let store = open(&place(&server), &Limits::default(), &options).unwrap();
    assert_eq!(store.read(&id("p1")).unwrap(), b"bytes");
    assert_eq!(store.read(&id("p2")).unwrap(), b"bytes");
    assert_eq!(server.requests().len(), 3);
    let notes = notes.lock().unwrap();
    assert!(notes.len() == 1 && notes[0].contains("s behind that of"), "{notes:?}");

    let skewed =
        |_: &Asked| error(403, "RequestTimeTooSkewed", "").header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert!(matches!(failure_of(skewed).0, Failure::ClockSkew { seconds: 1.., .. }));
}

#[test]
fn sixteen_reads_are_in_flight() {
    let all = Barrier::new(16);
    let server = HttpServer::start(move |asked| {
        // None is answered before all are there.
        all.wait();
        Response::file(asked, b"bytes")
    });
    let mut patient = options(&[]);
    patient.patience.silence = Duration::from_secs(60);
    let store = open(&place(&server), &Limits::default(), &patient).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..2).for_each(|_| assert_eq!(store.read(&id("p1")).unwrap(), b"bytes")));
        }
    });
    assert_eq!((server.most_in_flight(), server.connections()), (16, 16));
}

#[test]
fn limits_of_the_connection_hold() {
    let server = HttpServer::start(|asked| Response::file(asked, b"bytes").after(Duration::from_millis(60)));
    let mut limits = Limits::default();
    limits.concurrent_reads = Some(2);
    limits.reads_per_second = Some(50.0);
    let store = open(&place(&server), &limits, &options(&[])).unwrap();
    assert_eq!(store.profile().parallel_reads, 2);
    let started = Instant::now();
    std::thread::scope(|scope| (0..10).for_each(|_| drop(scope.spawn(|| store.read(&id("p1")).unwrap()))));
    assert_eq!(server.most_in_flight(), 2);
    assert!(started.elapsed() > Duration::from_millis(180), "{:?}", started.elapsed());
}

/// A page of versions, from new to old: key, version, year, and whether it was deleted.
fn versions(all: &[(&str, &str, u16, bool)]) -> Response {
    let one = |(key, version, year, deleted): &(&str, &str, u16, bool)| {
        let kind = if *deleted { "DeleteMarker" } else { "Version" };
        let time = format!("{year}-01-01T00:00:00.000Z");
        format!(
            "<{kind}><Key>{key}</Key><VersionId>{version}</VersionId><LastModified>{time}</LastModified><Size>5</Size></{kind}>"
        )
    };
    Response::new(
        200,
        format!("<ListVersionsResult>{}</ListVersionsResult>", all.iter().map(one).collect::<String>()),
    )
}

#[test]
fn a_view_of_the_past_shows_what_was_there() {
    let server = HttpServer::start(|asked| match asked.path.split_once('?') {
        Some((_, "versioning")) => {
            Response::new(200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        }
        Some((_, query)) if query.starts_with("versions&") => versions(&[
            ("k/p1", "new", 2024, true),
            ("k/p1", "o/ld", 2022, false),
            ("k/p1", "oldest", 2020, false),
            ("k/p2", "gone", 2021, true),
            ("k/p2", "was", 2020, false),
            ("k/p3", "later", 2024, false),
        ]),
        Some((_, "versionId=o%2Fld")) => Response::file(asked, b"bytes"),
        _ => error(404, "NoSuchVersion", ""),
    });
    let mut place = place(&server);
    place.point_in_time = Some("2023-01-01T00:00:00Z".parse().unwrap());
    let store = open(&place, &Limits::default(), &options(&[])).unwrap();
    assert_eq!(store.list("").unwrap().iter().map(|blob| blob.id.as_str()).collect::<Vec<_>>(), ["p1"]);
    assert_eq!((store.length(&id("p1")).unwrap(), store.read(&id("p1")).unwrap()), (5, b"bytes".to_vec()));
    assert!(store.read(&id("p2")).unwrap_err().is_not_found());
    assert!(store.read_range(&id("p3"), 0, 0, Vec::new()).unwrap_err().is_not_found());
    assert_eq!(server.requests().len(), 3, "versions are listed once");
}

#[test]
fn a_bucket_without_versions_has_no_past() {
    let server = HttpServer::start(|_| Response::new(200, "<VersioningConfiguration/>"));
    let mut place = place(&server);
    place.point_in_time = Some("2023-01-01T00:00:00Z".parse().unwrap());
    let error = open(&place, &Limits::default(), &options(&[])).unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::NotVersioned { .. })), "{error:?}");
}

// Credentials

const GIVEN: &str = r#"{"Code":"Success","AccessKeyId":"GIVEN","SecretAccessKey":"x","Token":"t0k3n","Expiration":"2099-01-01T00:00:00Z"}"#;

/// Returns the id of the key that a request was signed with.
fn signer(asked: &Asked) -> String {
    let text = asked.header("authorization").unwrap_or_default();
    text.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or("nobody").to_string()
}

/// Reads a blob without keys in the connection, and returns whom the request was signed by.
fn read_with(
    variables: &[(&str, &str)],
    change: impl FnOnce(&mut S3),
) -> std::result::Result<String, Failure> {
    let server = HttpServer::start(|asked| Response::file(asked, b"bytes"));
    let mut place = place(&server);
    (place.access_key, place.secret_key) = (Some(String::new()), None);
    change(&mut place);
    let read = open(&place, &Limits::default(), &options(variables)).and_then(|store| store.read(&id("p1")));
    match read {
        Ok(_) => Ok(signer(&server.requests()[0])),
        Err(error) => Err(error.failure().unwrap().clone()),
    }
}

#[test]
fn the_first_source_that_has_keys_is_taken() {
    let variables = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "x")];
    assert_eq!(read_with(&variables, |_| {}).unwrap(), "ENV");
    let given =
        |place: &mut S3| (place.access_key, place.secret_key) = (Some("OWN".into()), Some("x".into()));
    assert_eq!(read_with(&variables, given).unwrap(), "OWN");
    assert_eq!(read_with(&[("AWS_ACCESS_KEY", "OLD"), ("AWS_SECRET_KEY", "x")], |_| {}).unwrap(), "OLD");
    assert_eq!(read_with(&[], |_| {}).unwrap(), "nobody", "a public bucket opens");
}

#[test]
fn without_credentials_a_denial_says_where_was_looked() {
    let server = HttpServer::start(|_| error(403, "AccessDenied", ""));
    let mut place = place(&server);
    (place.access_key, place.secret_key) = (None, None);
    let error = open(&place, &Limits::default(), &options(&[])).unwrap().read(&id("p1")).unwrap_err();
    assert!(
        matches!(error.failure(), Some(Failure::NoCredentials { looked, .. }) if looked.contains("AWS_PROFILE")),
        "{error:?}"
    );
}

#[test]
fn a_container_is_asked_with_the_token_of_its_file() {
    let service = HttpServer::start(|asked| match (asked.header("authorization"), &*asked.path) {
        (Some("pod-token"), "/v1/credentials") => Response::new(200, GIVEN),
        _ => Response::new(401, "no"),
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "pod-token\n").unwrap();
    let url = format!("http://{}/v1/credentials", service.address());
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url);
    let file = file.path().to_str().unwrap();
    assert_eq!(
        read_with(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)], |_| {}).unwrap(),
        "GIVEN"
    );
    let refused = read_with(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong")], |_| {}).unwrap_err();
    assert!(matches!(refused, Failure::Credentials { .. }), "{refused}");
    let elsewhere = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x")];
    assert!(matches!(read_with(&elsewhere, |_| {}).unwrap_err(), Failure::Unusable { .. }));
}

#[test]
fn a_machine_is_asked_by_both_versions() {
    for token in [true, false] {
        let service = HttpServer::start(move |asked| match (&*asked.method, &*asked.path) {
            ("PUT", "/latest/api/token") if token => Response::new(200, "imds"),
            ("GET", _) if token && asked.header("x-aws-ec2-metadata-token") != Some("imds") => {
                Response::new(401, "")
            }
            ("GET", "/latest/meta-data/iam/security-credentials/") => Response::new(200, "my-role"),
            ("GET", "/latest/meta-data/iam/security-credentials/my-role") => Response::new(200, GIVEN),
            _ => Response::new(405, ""),
        });
        let url = format!("http://{}", service.address());
        let variables =
            [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url), ("AWS_EC2_METADATA_DISABLED", "false")];
        // The later of two alike counts, so the test's own "true" must not be there.
        let server = HttpServer::start(|asked| Response::file(asked, b"bytes"));
        let mut place = place(&server);
        (place.access_key, place.secret_key) = (None, None);
        let options = Options { environment: variables.into_iter().collect::<Environment>(), ..options(&[]) };
        open(&place, &Limits::default(), &options).unwrap().read(&id("p1")).unwrap();
        let asked = &server.requests()[0];
        assert_eq!((&*signer(asked), asked.header("x-amz-security-token")), ("GIVEN", Some("t0k3n")));
    }
}

/// A token service that gives other keys each time, and the forms that it got.
fn token_service() -> HttpServer {
    HttpServer::start(|asked| {
        let keys = format!(
            "<AccessKeyId>ROLE{}</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration>",
            asked.number
        );
        Response::new(
            200,
            format!("<R><AssumeRoleResult><Credentials>{keys}</Credentials></AssumeRoleResult></R>"),
        )
    })
}

#[test]
fn a_web_identity_is_taken_to_the_token_service() {
    let sts = token_service();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a.jwt/+=\n").unwrap();
    let url = format!("http://{}", sts.address());
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path().to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ENDPOINT_URL_STS", &*url),
    ];
    assert_eq!(read_with(&variables, |_| {}).unwrap(), "ROLE0");
    let form = String::from_utf8(sts.requests()[0].body.clone()).unwrap();
    assert!(
        form.contains("Action=AssumeRoleWithWebIdentity&")
            && form.contains("&WebIdentityToken=a.jwt%2F%2B%3D"),
        "{form}"
    );
    assert_eq!(sts.requests()[0].header("authorization"), None);
}

#[test]
fn keys_that_expire_in_the_middle_are_got_anew_once() {
    let sts = token_service();
    let expired = AtomicUsize::new(0);
    let server = HttpServer::start(move |asked| match &*signer(asked) {
        "ROLE0" if expired.fetch_add(1, Ordering::SeqCst) > 0 => error(400, "ExpiredToken", ""),
        _ => Response::file(asked, b"bytes"),
    });
    let mut place = place(&server);
    let mut role = S3Role::default();
    role.arn = "arn:aws:iam::1:role/r".into();
    role.endpoint = Some(format!("http://{}", sts.address()));
    place.role = Some(role);
    let store = open(&place, &Limits::default(), &options(&[])).unwrap();
    store.read(&id("p1")).unwrap();
    std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| store.read(&id("p1")).unwrap()))));
    assert_eq!(sts.requests().len(), 2);
    assert!(
        signer(&sts.requests()[0]) == "AKID"
            && sts.requests()[0].header("authorization").unwrap().contains("/sts/")
    );
}

#[test]
fn profiles_give_keys_roles_and_reasons() {
    let sts = token_service();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let config = "[default]\nregion = x\n[profile role]\nrole_arn = arn:r\nsource_profile = own\n[profile sso]\nsso_session = s\n\
                  [profile loop]\nrole_arn = arn:r\nsource_profile = loop2\n[profile loop2]\nrole_arn = arn:r\nsource_profile = loop\n\
                  [profile program]\ncredential_process = printf '{\"AccessKeyId\":\"PROGRAM\",\"SecretAccessKey\":\"x\"}'\n";
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let credentials = "# mine\n[own]\naws_access_key_id=PROFILE\naws_secret_access_key = a=b\n";
    std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
    let read = |profile: &str| {
        let server = HttpServer::start(|asked| Response::file(asked, b"bytes"));
        let mut place = place(&server);
        place.profile = Some(profile.into());
        let mut options = options(&[("AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address()))]);
        options.environment = options.environment.with_home(home.path());
        match open(&place, &Limits::default(), &options).and_then(|store| store.read(&id("p1"))) {
            Ok(_) => signer(&server.requests()[0]),
            Err(error) => error.failure().unwrap().to_string(),
        }
    };
    assert_eq!([read("own"), read("role"), read("program")], ["PROFILE", "ROLE0", "PROGRAM"]);
    for (profile, why) in
        [("sso", "single sign-on"), ("loop", "circle"), ("default", "no keys"), ("none", "no such profile")]
    {
        assert!(read(profile).contains(why), "{profile}: {}", read(profile));
    }
}

#[test]
fn secrets_are_in_no_text() {
    let server = HttpServer::start(|asked| Response::file(asked, b""));
    let mut place = place(&server);
    place.session_token = Some(Secret::from("s3cr3t-token"));
    let store = open(&place, &Limits::default(), &options(&[])).unwrap();
    let _ = store.read(&id("p1"));
    let text = format!("{store:?} {}", store.location());
    assert!(!text.contains("s3cr3t"), "{text}");
    assert_eq!(store.location(), format!("s3://bucket/k/ at {}", server.address()));
}

#[test]
fn what_is_cold_is_known_and_fetched_when_asked() {
    let server = HttpServer::start(|asked| match (&*asked.method, &*asked.path) {
        ("GET", _) => Response::new(
            200,
            "<ListBucketResult><Contents><Key>k/p1</Key><Size>7</Size><StorageClass>GLACIER</StorageClass></Contents>\
             <Contents><Key>k/p2</Key><Size>7</Size><StorageClass>GLACIER_IR</StorageClass></Contents></ListBucketResult>",
        ),
        ("HEAD", "/bucket/k/p1") => Response::new(200, "").header("x-amz-storage-class", "GLACIER"),
        ("HEAD", "/bucket/k/p2") => Response::new(200, ""),
        ("HEAD", "/bucket/k/p3") => {
            Response::new(200, "").header("x-amz-storage-class", "DEEP_ARCHIVE").header(
                "x-amz-restore",
                "ongoing-request=\"false\", expiry-date=\"Sun, 06 Nov 1994 08:49:37 GMT\"",
            )
        }
        ("HEAD", "/bucket/k/p4") => {
            Response::new(200, "").header("x-amz-restore", "ongoing-request=\"true\"")
        }
        ("POST", "/bucket/k/p1?restore") => Response::new(202, ""),
        ("POST", "/bucket/k/p3?restore") => Response::new(200, ""),
        ("POST", "/bucket/k/p4?restore") => error(409, "RestoreAlreadyInProgress", ""),
        _ => error(404, "NoSuchKey", ""),
    });
    let store = open_at(&server);
    let cold = store.cold().unwrap();
    let listed = cold.list_cold("p").unwrap();
    assert!(listed.len() == 1 && listed[0].info.id == id("p1") && listed[0].class == "GLACIER", "{listed:?}");
    let until = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
    let warm = [
        Warmth::Cold { class: "GLACIER".into() },
        Warmth::Warm { until: None },
        Warmth::Warm { until },
        Warmth::Thawing,
    ];
    for (name, warmth) in ["p1", "p2", "p3", "p4"].into_iter().zip(warm) {
        assert_eq!(cold.warmth(&id(name)).unwrap(), warmth);
    }
    for (name, warmth) in [("p1", Warmth::Thawing), ("p3", Warmth::Warm { until }), ("p4", Warmth::Thawing)] {
        assert_eq!(cold.thaw(&id(name), ThawSpeed::Standard, 7).unwrap(), warmth);
    }
    assert!(cold.thaw(&id("p5"), ThawSpeed::Bulk, 7).unwrap_err().is_not_found());
    let asked = server.requests().into_iter().find(|asked| asked.method == "POST").unwrap();
    let body = String::from_utf8(asked.body).unwrap();
    assert!(body.contains("<Days>7</Days><GlacierJobParameters><Tier>Standard</Tier>"), "{body}");
    let (hour, times) = (Duration::from_secs(3600), |class, speed| cold.thaw_time(class, speed));
    assert_eq!(times("GLACIER", ThawSpeed::Standard), ThawTime::Within(3 * hour, 5 * hour));
    assert_eq!(times("DEEP_ARCHIVE", ThawSpeed::Bulk), ThawTime::Within(hour, 48 * hour));
    assert_eq!(times("DEEP_ARCHIVE", ThawSpeed::Expedited), ThawTime::NotOffered);
    assert!(!cold.thaws_for_good());
}

#[test]
fn a_level_ends_after_as_many_pages_as_full_ones_would_take() {
    let keys = ["a", "b", "c", "d", "e"].map(|key| (key.to_string(), vec![0]));
    let bucket = Bucket::new("bucket", keys).with_pages_of(1);
    let server = HttpServer::start(move |asked| bucket.answer(asked));
    let around = survey(&place(&server), &Limits::default(), &options(&[])).unwrap();
    for (enough, names, is_all) in [(10, 1, false), (1500, 2, false), (5000, 5, true)] {
        let (level, all) = around.look_through("", enough).unwrap();
        assert_eq!((level.len(), all), (names, is_all), "{enough}");
    }
}
