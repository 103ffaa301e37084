//! Tokens of each kind that expire in the middle of a restore.

use std::sync::Arc;

use kopia_testkit::attempts::at_best;

use super::*;
use crate::golden::{self, Tokens};

/// Answers as a container does, without asking who wants to know.
fn container(blobs: &std::collections::BTreeMap<String, Vec<u8>>, asked: &Asked) -> Response {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    if query.contains("comp=list") {
        let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=k%2F")).unwrap();
        let blobs = blobs.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, bytes)| {
            let length = format!("<Content-Length>{}</Content-Length>", bytes.len());
            format!("<Blob><Name>k/{name}</Name><Properties>{length}</Properties></Blob>")
        });
        let blobs: String = blobs.collect();
        return Response::new(
            200,
            format!("<EnumerationResults><Blobs>{blobs}</Blobs></EnumerationResults>"),
        );
    }
    let name = path.strip_prefix("/c/k/").or_else(|| path.strip_prefix("/c/k%2F"));
    match name.and_then(|name| blobs.get(name)) {
        Some(bytes) => Response::file(asked, bytes),
        None => refused(404, "BlobNotFound", "no"),
    }
}

/// Restores with a first token that is good for so many requests, and returns how many tokens were issued.
fn restore(variables: &[(&str, &str)], good_for: usize) -> usize {
    let tokens = Arc::new(Tokens::new(good_for));
    let (shared, blobs) = (Arc::clone(&tokens), golden::blobs());
    let server = HttpServer::start(move |asked| {
        if asked.path.contains("/token") {
            let token = shared.issue();
            return Response::new(200, format!(r#"{{"access_token":"{token}","expires_in":"86399"}}"#));
        }
        let refusal = refused(401, "InvalidAuthenticationInfo", "The token is expired.");
        shared.guard(asked, refusal, || container(&blobs, asked))
    });
    let url = format!("http://{}", server.address());
    let hosts = [
        ("AZURE_AUTHORITY_HOST", url.clone()),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.clone()),
        ("IDENTITY_ENDPOINT", format!("{url}/token")),
    ];
    let variables = variables.iter().map(|(name, value)| (*name, value.to_string()));
    let environment: Environment = hosts.into_iter().chain(variables).collect();
    golden::restore(open_with(&server, None, environment).unwrap());
    tokens.issued()
}

#[test]
fn a_restore_goes_on_when_its_token_expires() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "a.b.c").unwrap();
    let file = file.to_str().unwrap();
    let application = [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "app")];
    let kinds: [(&str, &[(&str, &str)]); 4] = [
        ("a machine", &[]),
        ("App Service", &[("IDENTITY_HEADER", "hush")]),
        ("a pod", &[application[0], application[1], ("AZURE_FEDERATED_TOKEN_FILE", file)]),
        ("a secret", &[application[0], application[1], ("AZURE_CLIENT_SECRET", "hush")]),
    ];
    for (kind, variables) in kinds {
        // At the opening, while indexes are read, and while files are.
        for good_for in [0, 5, 12] {
            // On a machine that has no time, a thread may hear that the old token is refused only when the new one is
            // no longer just got, and gets another.
            let issued = at_best(|| restore(variables, good_for), |issued| *issued == 2);
            assert_eq!(issued, 2, "{kind}, after {good_for} requests");
        }
    }
}
