//! Tokens of each kind that expire in the middle of a restore.

use std::collections::BTreeMap;
use std::path::Path;

use kopia_testkit::attempts::at_best;

use super::*;
use crate::golden::{self, Tokens};

const KEY: &str = include_str!("../../../tests/keys/rfc7515.pem");

/// The file that holds a pod's own token.
const SUBJECT: &str = "subject";

/// Answers as a bucket does, without asking who wants to know.
fn bucket(blobs: &BTreeMap<String, Vec<u8>>, asked: &Asked) -> Response {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    if path.starts_with("/storage/v1/b/bucket/o") {
        let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=k%2F")).unwrap();
        let blobs = blobs.iter().filter(|(name, _)| name.starts_with(prefix));
        let items: Vec<_> = blobs
            .map(|(name, bytes)| json!({"name": format!("k/{name}"), "size": bytes.len().to_string()}))
            .collect();
        return Response::new(200, json!({"items": items}).to_string());
    }
    let name = path.strip_prefix("/bucket/k/").or_else(|| path.strip_prefix("/bucket/k%2F"));
    match name.and_then(|name| blobs.get(name)) {
        Some(bytes) => Response::file(asked, bytes),
        None => refused_in_xml(404, "NoSuchKey"),
    }
}

/// Restores with a first token that is good for so many requests, and returns how many tokens were issued.
fn restore(kind: &str, good_for: usize, directory: &Path) -> usize {
    let tokens = Arc::new(Tokens::new(good_for));
    let (shared, blobs) = (Arc::clone(&tokens), golden::blobs());
    let server = HttpServer::start(move |asked| {
        if asked.path.contains("token") {
            let answer = json!({"access_token": shared.issue(), "expires_in": 3599});
            return Response::new(200, answer.to_string());
        }
        shared.guard(asked, refused(401, "authError"), || bucket(&blobs, asked))
    });
    let url = format!("http://{}/token", server.address());
    let credentials = match kind {
        "a service account" => {
            json!({"type": "service_account", "client_email": "a@p", "private_key": KEY, "token_uri": url})
        }
        "a user" => {
            json!({"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
                   "token_uri": url})
        }
        _ => json!({
            "type": "external_account", "audience": "pool", "token_url": url,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": {"file": directory.join(SUBJECT)},
        }),
    };
    let file = directory.join("credentials.json");
    std::fs::write(&file, credentials.to_string()).unwrap();
    let variable = match kind {
        "the machine" => ("GCE_METADATA_HOST", server.address()),
        _ => ("GOOGLE_APPLICATION_CREDENTIALS", file.display().to_string()),
    };
    let environment: Environment = [variable].into_iter().collect();
    let options = Options { environment, patience: hasty(), ..Options::default() };
    let network = Network::new(&options, &Limits::default());
    let account = Google::new(&GoogleAccount::Ambient, SCOPE, &network).unwrap();
    let origin = Origin::new(false, &server.address()).unwrap();
    let store = GcsStore::new(&place(), &Limits::default(), origin, Some(account), &network).unwrap();
    golden::restore(store);
    tokens.issued()
}

#[test]
fn a_restore_goes_on_when_its_token_expires() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(SUBJECT), "pods-token").unwrap();
    for kind in ["the machine", "a service account", "a user", "a pod"] {
        // At the opening, while indexes are read, and while files are.
        for good_for in [0, 5, 12] {
            // On a machine that has no time, a thread may hear that the old token is refused only when the new one is
            // no longer just got, and gets another.
            let issued = at_best(|| restore(kind, good_for, directory.path()), |issued| *issued == 2);
            assert_eq!(issued, 2, "{kind}, after {good_for} requests");
        }
    }
}
