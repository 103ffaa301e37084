//! The same by WebDAV (RFC 4918), as far as reading goes: OPTIONS, PROPFIND, GET and HEAD.

mod names;
mod place;
mod propfind;
mod wanted;
mod xml;

use std::sync::Arc;

use hyper::{Method, StatusCode, header};
use kopia_format::directory::EntryKind;
use kopia_repository::{Error, Result};

use crate::answer::Answer;
use crate::download;
use crate::request::Request;
use crate::site::{Site, chain};
use place::Place;

/// What can be done here.
const ALLOWED: &str = "OPTIONS, GET, HEAD, PROPFIND";

/// What is said of the bytes of files.
const ANY: &str = "application/octet-stream";

/// Answers a request below `/dav`.
pub(crate) fn answer(site: &Arc<Site>, request: &Request, path: &[&str]) -> Answer {
    match request.method.as_str() {
        "OPTIONS" => Answer::empty(StatusCode::OK)
            .with(header::ALLOW, ALLOWED)
            // Class 1: nothing can be locked, so clients do not try to write.
            .with(header::HeaderName::from_static("dav"), "1")
            .with(header::HeaderName::from_static("ms-author-via"), "DAV"),
        "GET" | "HEAD" | "PROPFIND" => {
            found(site, request, path).unwrap_or_else(|error| failed(site, request, &error))
        }
        _ => Answer::text(StatusCode::METHOD_NOT_ALLOWED, "Nothing can be changed here.")
            .with(header::ALLOW, ALLOWED),
    }
}

fn found(site: &Arc<Site>, request: &Request, path: &[&str]) -> Result<Answer> {
    let Some(place) = Place::find(site, path)? else {
        return Ok(Answer::text(StatusCode::NOT_FOUND, "There is nothing at this address."));
    };
    match place {
        place if request.method != Method::GET && request.method != Method::HEAD => {
            propfind::answer(site, request, path, place)
        }
        Place::Entry(entry) if entry.kind() == EntryKind::File => download::bytes(site, &entry, request, ANY),
        // A browser that came here by mistake.
        _ => Ok(Answer::see_other(StatusCode::SEE_OTHER, "/")),
    }
}

fn failed(site: &Site, request: &Request, error: &Error) -> Answer {
    match error {
        Error::NotFound { .. } | Error::WrongKind { .. } => {
            Answer::text(StatusCode::NOT_FOUND, &chain(error))
        }
        error => {
            site.notice(request.raw_path(), error);
            Answer::text(StatusCode::INTERNAL_SERVER_ERROR, &chain(error))
        }
    }
}
