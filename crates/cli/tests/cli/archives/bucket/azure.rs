//! What Azure says of blobs in its archive tier. Its emulator moves them at once; here it takes as long as a
//! test wants.

use std::fmt::Write as _;

use kopia_testkit::http_server::{Request, Response};

use super::{Asked, Blob, State};

/// Answers a request as Azure does.
pub(super) fn answer(state: &mut State, request: &Request) -> Response {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let name = path.trim_start_matches("/bucket").trim_start_matches('/').to_string();
    if name.is_empty() {
        return list(state, query);
    }
    let looks = state.looks;
    let Some(blob) = state.blobs.get_mut(&name) else { return error(404, "BlobNotFound") };
    match &*request.method {
        "HEAD" => {
            if let Some(looked) = &mut blob.thawing {
                *looked += 1;
                blob.arrived |= looks.is_some_and(|looks| *looked >= looks);
            }
            let response = Response::new(200, "").header("content-length", &blob.bytes.len().to_string());
            let response = response.header("x-ms-access-tier", tier(blob));
            match is_under_way(blob) {
                true => response.header("x-ms-archive-status", "rehydrate-pending-to-hot"),
                false => response,
            }
        }
        "PUT" if query == "comp=tier" => {
            let header = |name: &str| request.header(name).unwrap_or("none").to_string();
            let tier = format!("{} {}", header("x-ms-access-tier"), header("x-ms-rehydrate-priority"));
            let again = is_under_way(blob);
            blob.thawing.get_or_insert(0);
            state.asked.push(Asked { blob: name, body: String::new(), tier });
            if again { error(409, "BlobBeingRehydrated") } else { Response::new(202, "") }
        }
        "GET" if blob.class.is_some() && !blob.arrived => {
            state.refused += usize::from(name.starts_with('p'));
            error(409, if is_under_way(blob) { "BlobBeingRehydrated" } else { "BlobArchived" })
        }
        "GET" => {
            let response = Response::file(request, &blob.bytes);
            state.read.push(name);
            response
        }
        _ => error(400, "UnsupportedHttpVerb"),
    }
}

fn is_under_way(blob: &Blob) -> bool {
    blob.thawing.is_some() && !blob.arrived
}

/// Returns the tier of a blob; one that is asked for stays in the archive until it is fetched.
fn tier(blob: &Blob) -> &'static str {
    if blob.arrived { "Hot" } else { blob.class.unwrap_or("Cool") }
}

fn list(state: &State, query: &str) -> Response {
    let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
    let mut xml = String::from("<EnumerationResults><Blobs>");
    for (name, blob) in state.blobs.iter().filter(|(name, _)| name.starts_with(prefix)) {
        let _ = write!(
            xml,
            "<Blob><Name>{name}</Name><Properties><Content-Length>{}</Content-Length><AccessTier>{}</AccessTier>\
             </Properties></Blob>",
            blob.bytes.len(),
            tier(blob)
        );
    }
    Response::new(200, xml + "</Blobs></EnumerationResults>")
}

fn error(status: u16, code: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>a test</Message></Error>");
    Response::new(status, text).header("x-ms-error-code", code)
}
