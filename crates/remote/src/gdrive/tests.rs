//! Against a server that does as Drive does, and as it does on bad days.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_storage::testing::conformance;
use kopia_testkit::http_server::{HttpServer, Request as Asked, Response};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::*;
use crate::patience::hasty;
use crate::support::{check_golden, golden};

/// A file: its name, its bytes, and the directory that it is in.
type Files = Vec<(String, Vec<u8>, &'static str)>;

/// Returns a parameter of the query, decoded.
fn parameter(path: &str, name: &str) -> Option<String> {
    let (_, query) = path.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// Returns what stands in quotes behind a word of a query.
fn quoted<'q>(query: &'q str, before: &str) -> Option<&'q str> {
    query.split_once(before)?.1.split('\'').next()
}

/// Answers as Drive does. Pages have two files, and ids are numbers.
fn drive(files: &Files, asked: &Asked) -> Response {
    let (path, _) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    if let Some(id) = path.strip_prefix("/drive/v3/files/") {
        let file = id.parse().ok().and_then(|id: usize| files.get(id));
        return match file {
            Some((_, bytes, _)) if asked.method == "GET" => Response::file(asked, bytes),
            Some(_) => Response::new(405, ""),
            None => Response::new(404, r#"{"error":{"code":404,"errors":[{"reason":"notFound"}]}}"#),
        };
    }
    let query = parameter(&asked.path, "q").unwrap();
    let folder = query.split('\'').nth(1).unwrap();
    if folder == "application/vnd.google-apps.folder" {
        let folders = json!([{"id": "0B1", "name": "backups"}, {"id": "folder", "name": "kopia"}]);
        return Response::new(200, json!({"files": folders}).to_string());
    }
    if !files.iter().any(|(_, _, other)| *other == folder) && folder != "folder" {
        return Response::new(
            404,
            r#"{"error":{"code":404,"message":"File not found: .","errors":[{"reason":"notFound"}]}}"#,
        );
    }
    let begins = quoted(&query, "name contains '").unwrap_or("");
    let is = quoted(&query, "name = '");
    let wanted = files.iter().enumerate().filter(|(_, (name, _, other))| {
        *other == folder && name.starts_with(begins) && is.is_none_or(|is| is == name)
    });
    let skip: usize = parameter(&asked.path, "pageToken").map_or(0, |token| token.parse().unwrap());
    let page: Vec<_> = wanted.skip(skip).take(3).collect();
    let next = (page.len() == 3).then(|| (skip + 2).to_string());
    let files: Vec<_> = page
        .iter()
        .take(2)
        .map(|(id, (name, bytes, _))| {
            json!({"id": id.to_string(), "name": name, "size": bytes.len().to_string(), "modifiedTime": "2023-11-14T22:13:20.000Z"})
        })
        .collect();
    Response::new(200, json!({"files": files, "nextPageToken": next}).to_string())
}

/// A store that keeps its server.
#[derive(Debug)]
struct Served {
    store: DriveStore,
    server: HttpServer,
}

fn serve(files: Files) -> Result<Served, Failure> {
    answering("folder", move |asked| drive(&files, asked))
}

fn answering(
    folder: &str,
    answer: impl Fn(&Asked) -> Response + Send + Sync + 'static,
) -> Result<Served, Failure> {
    let server = HttpServer::start(answer);
    let mut place = GoogleDrive::default();
    place.folder_id = folder.into();
    let options = Options { patience: hasty(), ..Options::default() };
    let network = Network::new(&options, &Limits::default());
    let store =
        DriveStore::new(&format!("http://{}", server.address()), &place, &Limits::default(), None, &network)?;
    Ok(Served { store, server })
}

fn files(blobs: &[(BlobId, Vec<u8>)]) -> Files {
    blobs.iter().map(|(id, bytes)| (id.to_string(), bytes.clone(), "folder")).collect()
}

/// Keeps the servers of stores, which are handed out without them.
#[derive(Debug)]
struct Kept(Arc<Served>);

impl BlobStore for Kept {
    fn location(&self) -> String {
        self.0.store.location()
    }
    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.0.store.list(prefix)
    }
    fn length(&self, id: &BlobId) -> Result<u64> {
        self.0.store.length(id)
    }
    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.0.store.read(id)
    }
    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.0.store.read_range(id, offset, length, buffer)
    }
    fn profile(&self) -> ReadProfile {
        self.0.store.profile()
    }
}

#[test]
fn a_directory_keeps_the_contract_of_stores() {
    conformance::check(|blobs| Kept(Arc::new(serve(files(blobs)).unwrap())));
}

#[test]
fn a_repository_in_a_directory_reads_right() {
    let (case, blobs) = golden();
    let mut all = files(&blobs);
    all.push(("p1".into(), b"of another directory".to_vec(), "other"));
    check_golden(&case, Kept(Arc::new(serve(all).unwrap())));
}

#[test]
fn two_files_of_one_name_are_refused() {
    let twice = |name: &str| (name.to_string(), b"x".to_vec(), "folder");
    let served = serve(vec![twice("p1"), twice("q1"), twice("p1")]).unwrap();
    let p1 = BlobId::new("p1").unwrap();
    for _ in 0..2 {
        let error = served.store.read(&p1).unwrap_err();
        let said = error.failure().unwrap().to_string();
        assert!(said.contains("several files named p1"), "{said}");
        assert_eq!(served.store.list("").unwrap().len(), 2);
    }
    assert_eq!(served.store.read(&BlobId::new("q1").unwrap()).unwrap(), b"x");
}

#[test]
fn a_file_is_looked_for_once() {
    let served = serve(files(&[(BlobId::new("p1").unwrap(), b"bytes".to_vec())])).unwrap();
    let p1 = BlobId::new("p1").unwrap();
    for _ in 0..3 {
        assert_eq!(*served.store.read_range(&p1, 1, 2, Vec::new()).unwrap(), *b"yt");
    }
    let listings = served.server.requests().iter().filter(|asked| asked.path.contains("?q=")).count();
    assert_eq!(listings, 2, "the one of opening, and one");
}

#[test]
fn what_drive_refuses_is_told_apart() {
    let answer = |status: u16, reason: &'static str| {
        let body = json!({"error": {"code": status, "message": "words", "errors": [{"reason": reason}]}})
            .to_string();
        answering("folder", move |_| Response::new(status, body.clone())).unwrap_err()
    };
    assert!(matches!(answer(404, "notFound"), Failure::NoContainer { kind: "folder", .. }));
    assert!(matches!(answer(401, "authError"), Failure::WrongKey { .. }));
    assert!(matches!(answer(403, "insufficientFilePermissions"), Failure::NotPermitted { .. }));
    assert!(
        matches!(answer(403, "accessNotConfigured"), Failure::Refusal { message, .. } if message == "words")
    );
    assert!(matches!(
        answering("f", |_| Response::new(200, "<html>")).unwrap_err(),
        Failure::Nonsense { .. }
    ));

    let failed = AtomicUsize::new(0);
    let busy = r#"{"error":{"code":403,"errors":[{"reason":"userRateLimitExceeded"}]}}"#;
    let served = answering("folder", move |asked| match failed.fetch_add(1, Ordering::SeqCst) {
        0..3 => Response::new(403, busy),
        _ => drive(&Vec::new(), asked),
    });
    assert_eq!(served.unwrap().server.requests().len(), 4, "a limit of the rate is waited for");
}

#[test]
fn other_directories_are_named_by_id_and_name() {
    let served = serve(vec![("p1".into(), vec![1], "folder"), ("notes".into(), vec![], "folder")]).unwrap();
    let Served { store, server: _server } = served;
    let around = Around(store);
    assert_eq!(around.containers().unwrap(), ["0B1 (backups)", "folder (kopia)"]);
    let names =
        |prefix: &str| around.look(prefix).unwrap().into_iter().map(|near| near.name).collect::<Vec<_>>();
    assert_eq!((names("").len(), names("n")), (2, vec!["notes".to_string()]));
}
