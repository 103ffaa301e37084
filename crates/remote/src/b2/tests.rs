//! Against a server that does as B2 does, and as it does on bad days.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use kopia_storage::testing::conformance;
use kopia_testkit::http_server::{HttpServer, Request as Asked, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::*;
use crate::support::{check_golden, golden};

const KEY: &str = "the-application-key";

/// What the server does wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bad {
    /// Tokens are good for so many requests.
    token_uses: Option<usize>,
    /// Listings and downloads are refused with this.
    refusal: Option<(u16, &'static str)>,
    /// The key is limited to another bucket.
    other_bucket: bool,
    /// The key may do nothing but this.
    capability: Option<&'static str>,
}

#[derive(Debug)]
struct Fake {
    files: Vec<(String, Vec<u8>)>,
    bad: Bad,
    /// How many tokens were given, and how often the last was used.
    tokens: AtomicUsize,
    uses: AtomicUsize,
    url: OnceLock<String>,
}

fn refused(status: u16, code: &str) -> Response {
    Response::new(status, json!({"status": status, "code": code, "message": "words"}).to_string())
}

impl Fake {
    fn answer(&self, asked: &Asked) -> Response {
        let authorization = asked.header("authorization").unwrap_or_default();
        if asked.path == "/b2api/v2/b2_authorize_account" {
            let wanted = format!("Basic {}", base64(&format!("id:{KEY}")));
            return if authorization == wanted { self.authorize() } else { refused(401, "bad_auth_token") };
        }
        let token = format!("token{}", self.tokens.load(Ordering::SeqCst));
        if authorization != token {
            return refused(401, "bad_auth_token");
        }
        if self.bad.token_uses.is_some_and(|most| self.uses.fetch_add(1, Ordering::SeqCst) >= most) {
            return refused(401, "expired_auth_token");
        }
        match (&*asked.path, self.bad.refusal) {
            ("/b2api/v2/b2_list_buckets", _) => Self::buckets(&json_of(asked)),
            (_, Some((status, code))) => refused(status, code),
            ("/b2api/v2/b2_list_file_names", _) => self.files(&json_of(asked)),
            (path, _) => self.file(asked, path),
        }
    }

    fn authorize(&self) -> Response {
        let number = self.tokens.fetch_add(1, Ordering::SeqCst) + 1;
        self.uses.store(0, Ordering::SeqCst);
        let url = self.url.get().expect("the server was started");
        let capabilities =
            self.bad.capability.map_or_else(|| vec!["listFiles", "readFiles"], |only| vec![only]);
        let (id, name) = if self.bad.other_bucket { (Some("id2"), Some("other")) } else { (None, None) };
        let allowed =
            json!({"bucketId": id, "bucketName": name, "namePrefix": null, "capabilities": capabilities});
        let body = json!({
            "accountId": "account", "apiUrl": url, "downloadUrl": url, "allowed": allowed,
            "authorizationToken": format!("token{number}"),
        });
        Response::new(200, body.to_string())
    }

    fn buckets(asked: &Value) -> Response {
        assert_eq!(asked["accountId"], "account");
        let is_there = asked["bucketName"] == "bucket" || asked["bucketName"].is_null();
        let buckets = if is_there { json!([{"bucketId": "id1", "bucketName": "bucket"}]) } else { json!([]) };
        Response::new(200, json!({"buckets": buckets}).to_string())
    }

    /// Gives pages of three files.
    fn files(&self, asked: &Value) -> Response {
        assert_eq!(asked["bucketId"], "id1");
        let (prefix, start) =
            (asked["prefix"].as_str().unwrap(), asked["startFileName"].as_str().unwrap_or(""));
        let mut wanted: Vec<_> =
            self.files.iter().filter(|(name, _)| name.starts_with(prefix) && &**name >= start).collect();
        wanted.sort_unstable();
        let next = wanted.get(3).map(|(name, _)| name);
        let files: Vec<_> = wanted
            .iter()
            .take(3)
            .map(|(name, bytes)| {
                json!({"fileName": name, "contentLength": bytes.len(), "action": "upload", "uploadTimestamp": 1_700_000_000_000_u64})
            })
            .collect();
        Response::new(200, json!({"files": files, "nextFileName": next}).to_string())
    }

    fn file(&self, asked: &Asked, path: &str) -> Response {
        let name = path.strip_prefix("/file/bucket/").unwrap();
        let name = percent_decode_str(name).decode_utf8_lossy();
        match self.files.iter().find(|(other, _)| *other == name) {
            Some((_, bytes)) => Response::file(asked, bytes),
            None => refused(404, "not_found"),
        }
    }
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

fn json_of(asked: &Asked) -> Value {
    assert_eq!(asked.method, "POST");
    serde_json::from_slice(&asked.body).unwrap()
}

/// A store that keeps its server.
#[derive(Debug)]
struct Served {
    store: B2Store,
    server: HttpServer,
}

fn serve(prefix: &str, blobs: &[(BlobId, Vec<u8>)], bad: Bad) -> Result<Served> {
    let files = blobs.iter().map(|(id, bytes)| (format!("{prefix}{id}"), bytes.clone()));
    let files = files.chain([(format!("{prefix}sub/p1"), vec![1]), ("zzz".into(), vec![2])]).collect();
    let fake = Arc::new(Fake { files, bad, tokens: 0.into(), uses: 0.into(), url: OnceLock::new() });
    let shared = Arc::clone(&fake);
    let server = HttpServer::start(move |asked| shared.answer(asked));
    let url = format!("http://{}", server.address());
    fake.url.set(url.clone()).unwrap();
    let store = open_at(&url, &place("bucket", prefix, KEY), &Limits::default(), &Options::default())?;
    Ok(Served { store, server })
}

fn place(bucket: &str, prefix: &str, key: &str) -> B2 {
    let mut place = B2::default();
    place.bucket = bucket.into();
    place.prefix = prefix.into();
    place.key_id = "id".into();
    place.key = Some(key.into());
    place
}

impl BlobStore for Served {
    fn location(&self) -> String {
        self.store.location()
    }
    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.store.list(prefix)
    }
    fn length(&self, id: &BlobId) -> Result<u64> {
        self.store.length(id)
    }
    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.store.read(id)
    }
    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.store.read_range(id, offset, length, buffer)
    }
    fn profile(&self) -> ReadProfile {
        self.store.profile()
    }
}

#[test]
fn a_bucket_keeps_the_contract_of_stores() {
    conformance::check(|blobs| serve("a/b-", blobs, Bad::default()).unwrap());
}

/// Tokens expire all the time.
#[test]
fn a_repository_reads_right_while_tokens_expire() {
    let (case, blobs) = golden();
    let bad = Bad { token_uses: Some(7), ..Bad::default() };
    let served = serve("kopia", &blobs, bad).unwrap();
    // A token that was just got counts as good, whatever a server says, so time has to pass between two of
    // them.
    let ids = [blobs[0].0.clone(), blobs[1].0.clone()];
    for id in ids.iter().cycle().take(6) {
        served.store.length(id).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    served.store.length(&ids[0]).unwrap();
    let signed_in =
        served.server.requests().iter().filter(|asked| asked.path.ends_with("authorize_account")).count();
    assert_eq!(signed_in, 2);
    check_golden(&case, serve("kopia", &blobs, Bad::default()).unwrap());
}

#[test]
fn what_b2_refuses_is_told_apart() {
    let opened = |bad| serve("", &[], bad).unwrap_err().failure().cloned().unwrap();
    let other = opened(Bad { other_bucket: true, ..Bad::default() });
    assert!(matches!(&other, Failure::NotPermitted { action, .. } if action.contains("other")), "{other:?}");
    let rights = opened(Bad { capability: Some("listFiles"), ..Bad::default() });
    assert!(
        matches!(&rights, Failure::NotPermitted { right: Some(right), .. } if right == "readFiles"),
        "{rights:?}"
    );

    let listed = |status, code| {
        let served = serve("", &[], Bad { refusal: Some((status, code)), ..Bad::default() }).unwrap();
        served.store.list("").unwrap_err().failure().cloned().unwrap()
    };
    let cap = listed(403, "transaction_cap_exceeded").to_string();
    assert!(cap.contains("cap of calls is reached") && cap.contains("midnight"), "{cap}");
    assert!(matches!(listed(401, "unauthorized"), Failure::NotPermitted { .. }));
    assert!(matches!(listed(400, "bad_request"), Failure::Refusal { message, .. } if message == "words"));
}

#[test]
fn what_lies_around_is_seen_and_which_buckets_there_are() {
    let around = |bucket: &str, bad: Bad| {
        let fake = Fake {
            files: vec![("k/p1".into(), vec![1]), ("zzz".into(), vec![2])],
            bad,
            tokens: 0.into(),
            uses: 0.into(),
            url: OnceLock::new(),
        };
        let fake = Arc::new(fake);
        let shared = Arc::clone(&fake);
        let server = HttpServer::start(move |asked| shared.answer(asked));
        let url = format!("http://{}", server.address());
        fake.url.set(url.clone()).unwrap();
        let around = survey_at(&url, &place(bucket, "k/", KEY), &Limits::default(), &Options::default());
        (around.unwrap(), server)
    };
    let (there, _server) = around("bucket", Bad::default());
    assert_eq!(there.root(), "k/");
    assert_eq!(there.look("").unwrap().len(), 2);
    assert_eq!(there.containers().unwrap(), ["bucket"]);
    let (missing, _server) = around("nothere", Bad::default());
    assert!(missing.look("").is_err());
    assert_eq!(missing.containers().unwrap(), ["bucket"]);
    // A key for one bucket may know no others.
    let (other, _server) = around("nothere", Bad { other_bucket: true, ..Bad::default() });
    assert_eq!(other.containers().unwrap(), ["other"]);
}

#[test]
fn a_wrong_key_and_a_bucket_that_is_not_there_are_told() {
    let fake = serve("", &[], Bad::default()).unwrap();
    let url = format!("http://{}", fake.server.address());
    let open = |place: &B2| {
        let error = open_at(&url, place, &Limits::default(), &Options::default()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        error.failure().cloned().unwrap()
    };
    assert!(matches!(open(&place("bucket", "", "s3cr3t")), Failure::WrongKey { .. }));
    assert!(
        matches!(open(&place("nothere", "", KEY)), Failure::NoContainer { name, .. } if name == "nothere")
    );
    let mut none = place("bucket", "", "");
    none.key = None;
    assert!(matches!(open(&none), Failure::NoCredentials { .. }));
}
