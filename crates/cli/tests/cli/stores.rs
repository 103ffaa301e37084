//! What is said of stores over networks that hold no repository, or do not let it be read.

use kopia_testkit::golden;
use kopia_testkit::http_server::{HttpServer, Request, Response};

use crate::common::{KopiaRs, Place};

/// The bucket of every server here.
const BUCKET: &str = "/backups/";

/// Starts a server of S3 that has a golden repository at `prefix`.
fn s3(prefix: &'static str) -> HttpServer {
    let case = golden::case("sources");
    let blobs: Vec<(String, Vec<u8>)> =
        case.cheap_blobs().into_iter().map(|(name, bytes)| (format!("{prefix}{name}"), bytes)).collect();
    HttpServer::start(move |request| match request.path.split_once('?') {
        Some(("/", _)) | None if request.path == "/" => Response::new(200, BUCKETS),
        Some((BUCKET, query)) => list(&blobs, query),
        Some(_) => Response::new(404, ""),
        None => get(&blobs, request),
    })
}

const BUCKETS: &str = "<ListAllMyBucketsResult><Buckets><Bucket><Name>backups</Name></Bucket></Buckets></ListAllMyBucketsResult>";

fn get(blobs: &[(String, Vec<u8>)], request: &Request) -> Response {
    let Some(key) = request.path.strip_prefix(BUCKET) else {
        return Response::new(404, "<Error><Code>NoSuchBucket</Code></Error>");
    };
    match blobs.iter().find(|(name, _)| name == key) {
        Some((_, bytes)) => Response::file(request, bytes),
        None => Response::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
    }
}

/// Lists up to the next slash, as it is asked for.
fn list(blobs: &[(String, Vec<u8>)], query: &str) -> Response {
    let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
    let prefix = prefix.replace("%2F", "/");
    let mut items: Vec<String> = blobs
        .iter()
        .filter_map(|(name, bytes)| {
            let rest = name.strip_prefix(&*prefix)?;
            Some(match rest.find('/') {
                Some(end) => {
                    format!("<CommonPrefixes><Prefix>{prefix}{}</Prefix></CommonPrefixes>", &rest[..=end])
                }
                None => format!("<Contents><Key>{name}</Key><Size>{}</Size></Contents>", bytes.len()),
            })
        })
        .collect();
    items.sort();
    items.dedup();
    Response::new(200, format!("<ListBucketResult>{}</ListBucketResult>", items.concat()))
        .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
}

fn at(server: &HttpServer, prefix: &str, arguments: &str) -> KopiaRs {
    let url = format!("s3://backups/{prefix}?endpoint={}&disable-tls&region=us-east-1", server.address());
    command(&url, arguments)
}

fn command(url: &str, arguments: &str) -> KopiaRs {
    let command = KopiaRs::new(arguments).env("KOPIA_REPOSITORY", url).env("KOPIA_PASSWORD", "golden");
    command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "hush")
}

#[test]
fn a_prefix_that_is_off_is_found_and_the_next_command_works() {
    let server = s3("a/k/");
    for prefix in ["a/k", "a/", "", "a/k/deeper/", "/a/k/", "a/l/"] {
        let ran = at(&server, prefix, "doctor").run().exits(1);
        let ran = ran.says(&["run the same command with --prefix a/k/"]);
        assert!(!ran.text().contains("hush") && !ran.stderr.contains("hush"), "{ran:?}");
        at(&server, prefix, "snapshots --prefix a/k/").run().exits(0);
    }
    // Other commands look around with two requests at most.
    let before = server.requests().len();
    at(&server, "a/k", "ls latest").run().exits(1).says(&["hint: ", "--prefix a/k/"]);
    assert!(server.requests().len() - before <= 3, "{:?}", &server.requests()[before..]);
    let json = at(&server, "a/k", "doctor --json").run().exits(1).json();
    assert_eq!(json["findings"][0]["kind"], "elsewhereInStore");
    assert_eq!(json["findings"][0]["found"][0]["relation"], "missingSlash");
    // Its clock is that of 1994.
    assert_eq!(json["findings"][1]["kind"], "clockSkew");
}

#[test]
fn a_bucket_that_is_not_there_has_others_beside_it() {
    let server = s3("");
    let url = format!("s3://backup/?endpoint={}&disable-tls&region=us-east-1", server.address());
    command(&url, "doctor")
        .run()
        .exits(1)
        .says(&["there is no bucket backup", "these buckets are there: backups"]);
    command(&url, "snapshots").run().exits(1).says(&["hint: these buckets are there: backups"]);
}

#[test]
fn a_repository_that_opens_is_looked_through() {
    let server = s3("k/");
    let ran = at(&server, "k/", "doctor").run().exits(0);
    assert!(ran.text().contains("app@media:/data"), "{}", ran.text());
}

#[test]
fn a_server_that_wants_tls_is_told() {
    let go = HttpServer::start(|_| Response::new(400, "Client sent an HTTP request to an HTTPS server.\n"));
    at(&go, "k/", "snapshots").run().exits(1).says(&["speaks TLS alone", "hint: leave --disable-tls out"]);
}

/// Says no as S3 does.
fn no(status: u16, code: &str) -> Response {
    Response::new(status, format!("<Error><Code>{code}</Code><Message>a test</Message></Error>"))
}

/// Asserts what a command and `doctor` say of a server: one error, and what to do.
#[track_caller]
fn both_say(server: &HttpServer, why: &str, what: &str) {
    let ran = at(server, "k/", "snapshots").run().exits(1).says(&[why, &format!("hint: {what}")]);
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{}", ran.stderr);
    let doctor = at(server, "k/", "doctor").run().exits(1);
    let said = format!("{}{}", doctor.text(), doctor.stderr);
    assert!(said.contains(why) && said.contains(what), "{said}");
    assert!(!said.contains("hush") && !ran.stderr.contains("hush"), "{said}{}", ran.stderr);
}

#[test]
fn a_clock_that_the_server_does_not_take_is_told() {
    let refuses = HttpServer::start(|_| {
        no(403, "RequestTimeTooSkewed").header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
    });
    both_say(&refuses, "ahead of that of 127.0.0.1", "set the clock of this machine");
}

#[test]
fn keys_that_have_expired_are_told() {
    let expired = HttpServer::start(|_| no(400, "ExpiredToken"));
    both_say(&expired, "the credentials from", "get new ones (`aws sso login`");
}

#[test]
fn keys_that_read_and_may_not_list_are_told() {
    let whole = s3("k/");
    let port = whole.port();
    let server = HttpServer::start(move |request| match request.path.contains("list-type=2") {
        true => no(403, "AccessDenied"),
        false => kopia_testkit::http_server::forward(port, request),
    });
    both_say(&server, "does not allow listing bucket backups", "reading is allowed and listing is not");
}

#[test]
fn a_region_that_is_another_is_followed_or_told() {
    let whole = s3("k/");
    let port = whole.port();
    let moved = |status, region: &'static str| {
        HttpServer::start(move |request| {
            let signed = request.header("authorization").unwrap_or_default();
            match signed.contains("/eu-west-3/s3/") {
                true => kopia_testkit::http_server::forward(port, request),
                false => Response::new(status, "").header("x-amz-bucket-region", region),
            }
        })
    };
    for status in [301, 400] {
        let ran = at(&moved(status, "eu-west-3"), "k/", "snapshots").run().exits(0);
        ran.says(&["note: ", "bucket backups is not in region us-east-1 but in eu-west-3"]);
    }
    let refuses = HttpServer::start(|_| no(400, "AuthorizationHeaderMalformed"));
    both_say(&refuses, "bucket backups is not in region us-east-1", "name the bucket's region with --region");
    // Each region names another one.
    let circle = HttpServer::start(|request| {
        let signed = request.header("authorization").unwrap_or_default();
        let next = if signed.contains("/eu-west-3/s3/") { "us-west-1" } else { "eu-west-3" };
        Response::new(301, "").header("x-amz-bucket-region", next)
    });
    both_say(&circle, "bucket backups is not in region", "add --region");
}

#[test]
fn a_time_before_there_was_a_repository_is_told() {
    let whole = s3("k/");
    let port = whole.port();
    let server = HttpServer::start(move |request| {
        let query = request.path.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let has = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
        if has("versioning") {
            let status = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
            return Response::new(200, status);
        }
        if has("versions") {
            let version = "<Version><Key>k/kopia.repository</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>\
                           <Size>1</Size><LastModified>2026-05-01T00:00:00.000Z</LastModified></Version>";
            return Response::new(200, format!("<ListVersionsResult>{version}</ListVersionsResult>"));
        }
        kopia_testkit::http_server::forward(port, request)
    });
    let view = |command: &str| at(&server, "k/", command).arg("--point-in-time=2026-03-01T00:00:00Z");
    let says = ["holds a repository now", "and held none at 2026-03-01"];
    view("snapshots").run().exits(1).says(&says).says(&["give a later time, or leave --point-in-time out"]);
    let doctor = view("doctor --json").run().exits(1);
    assert_eq!(doctor.json()["findings"][0]["kind"], "notThereYet");
}

#[test]
fn hashes_that_cannot_be_compared_are_not_promised_to_be() {
    let server = HttpServer::kopia_rest_api();
    let place = Place::new();
    for (command, name) in [("restore", "target"), ("export", "target.tar")] {
        let command = KopiaRs::new(&format!("{command} latest")).arg(place.path(name));
        let command = command.options("--verify-hashes --repository");
        let command = command.arg(format!("kopia+http://ui@{}", server.address()));
        let ran = command.env("KOPIA_PASSWORD", "hush").run().exits(1);
        ran.says(&["error: --verify-hashes can compare nothing", "hint: leave it out, or read by kopia://"]);
        assert!(!place.path(name).exists());
    }
}
