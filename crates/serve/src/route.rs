//! From a path to what is shown there.

use std::sync::Arc;

use hyper::{Method, StatusCode, header};
use kopia_export::Format;
use kopia_format::directory::EntryKind;
use kopia_repository::{Error, Result};

use crate::answer::Answer;
use crate::pages::{file, folder, html, source, sources};
use crate::request::Request;
use crate::site::{Site, chain};
use crate::{archive, dav, download, url};

const STYLE: &str = include_str!("assets/style.css");

/// Answers a request that came in. May block.
pub(crate) fn answer(site: &Arc<Site>, request: &Request) -> Answer {
    let Some(path) = &request.path else { return nothing_there() };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if let ["dav", below @ ..] = &path[..] {
        return dav::answer(site, request, below);
    }
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return html::message(StatusCode::METHOD_NOT_ALLOWED, "Not allowed", "Nothing can be changed here.")
            .with(header::ALLOW, "GET, HEAD");
    }
    found(site, request, &path).unwrap_or_else(|error| failed(site, request, &error))
}

fn found(site: &Arc<Site>, request: &Request, path: &[&str]) -> Result<Answer> {
    let (word, id, below) = match path {
        [] => return Ok(sources::page(site)),
        ["style.css"] => return Ok(Answer::bytes("text/css; charset=utf-8", STYLE)),
        ["source", name] => return source::page(site, name, request),
        [word, id, below @ ..] => (*word, *id, below),
        _ => return Ok(nothing_there()),
    };
    let format = word.parse::<Format>().ok();
    if format.is_none() && !matches!(word, "at" | "get" | "image") {
        return Ok(nothing_there());
    }
    let snapshot = site.snapshot(id)?;
    let below: Vec<String> = below.iter().map(ToString::to_string).collect();
    let entry = site.entry(&snapshot, &below)?;
    let is_folder = entry.kind() == EntryKind::Directory;
    match (word, format) {
        (_, Some(format)) => archive::answer(site, &snapshot, &below, &entry, format),
        ("at", _) if is_folder && request.is_folder => folder::page(site, &snapshot, &below, &entry, request),
        ("at", _) if is_folder => {
            let names = ["at", id].into_iter().chain(below.iter().map(String::as_str));
            Ok(Answer::see_other(StatusCode::FOUND, &(url::join("", names) + "/")))
        }
        ("at", _) => file::page(site, &snapshot, &below, &entry),
        ("get", _) if entry.kind() == EntryKind::File => download::file(site, &entry, request),
        ("image", _) if entry.kind() == EntryKind::File => download::image(site, &entry, request),
        _ => Ok(nothing_there()),
    }
}

/// Answers that there is nothing at a path.
pub(crate) fn nothing_there() -> Answer {
    html::message(StatusCode::NOT_FOUND, "Not found", "There is nothing at this address.")
}

/// Answers that something is not there, or cannot be read, and why.
fn failed(site: &Site, request: &Request, error: &Error) -> Answer {
    let (status, title) = match error {
        Error::NotFound { .. } | Error::WrongKind { .. } => (StatusCode::NOT_FOUND, "Not found"),
        error => {
            site.notice(request.raw_path(), error);
            (StatusCode::INTERNAL_SERVER_ERROR, "Cannot be read")
        }
    };
    html::message(status, title, &chain(error))
}
