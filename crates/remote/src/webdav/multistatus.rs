//! The answer to `PROPFIND`: a list of paths, with what is known of each.
//!
//! Elements are told apart by their local names: each server has prefixes of its own.

use std::time::SystemTime;

use super::path;
use crate::http::date;
use crate::xml;

/// A path, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Response {
    /// Decoded, without a slash at its end.
    pub(super) path: Vec<u8>,
    pub(super) is_directory: bool,
    pub(super) length: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    /// The status of the path itself, where the server says that alone.
    pub(super) status: Option<u16>,
}

/// Properties with a status in common.
#[derive(Default)]
struct Properties {
    is_directory: bool,
    length: Option<u64>,
    modified: Option<SystemTime>,
    status: Option<u16>,
}

/// How many entries one directory may have: without shards, a repository of 20 TB has a million packs.
const MAX_ENTRIES: usize = 1 << 20;

/// Reads the body of an answer; `None` if it is none.
pub(super) fn parse(body: &[u8]) -> Option<Vec<Response>> {
    let (mut all, mut is_multistatus) = (Vec::new(), false);
    let (mut response, mut properties) = (Response::default(), Properties::default());
    let walked = xml::walk(body, |path, text| {
        let text = text.trim();
        // Paths have their place; others stand deeper, such as that of a lock's owner.
        match path.strip_prefix("multistatus") {
            Some("") => is_multistatus = true,
            // An element may be shorter than what is kept of it.
            Some("/response") if all.len() > MAX_ENTRIES => {}
            Some("/response") => all.push(std::mem::take(&mut response)),
            Some("/response/href") => response.path = path::of_href(text),
            Some("/response/status") => response.status = status(text),
            Some("/response/propstat") => response.take(std::mem::take(&mut properties)),
            Some("/response/propstat/status") => properties.status = status(text),
            Some("/response/propstat/prop/resourcetype/collection") => properties.is_directory = true,
            Some("/response/propstat/prop/getcontentlength") => properties.length = text.parse().ok(),
            Some("/response/propstat/prop/getlastmodified") => properties.modified = date::parse(text),
            _ => {}
        }
    });
    walked.ok().filter(|()| is_multistatus && all.len() <= MAX_ENTRIES).map(|()| all)
}

impl Response {
    /// Adds properties that the path has; those that it has not come with another status.
    fn take(&mut self, properties: Properties) {
        let Properties { is_directory, length, modified, status } = properties;
        if status.is_none_or(|status| (200..300).contains(&status)) {
            self.is_directory |= is_directory;
            self.length = length.or(self.length);
            self.modified = modified.or(self.modified);
        }
    }
}

/// Reads a status such as `HTTP/1.1 200 OK`.
fn status(text: &str) -> Option<u16> {
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// An entry of a directory: its name, and what is known of it.
pub(super) type Named = (Vec<u8>, Response);

/// Tells the directory that was asked for from what is in it.
///
/// Each server knows itself by the path that it was asked for, unless a proxy before it has another: then it
/// is the one that all others lie in.
pub(super) fn split(responses: Vec<Response>, asked: &[u8]) -> Option<(Response, Vec<Named>)> {
    let own = responses.iter().position(|response| response.path == asked);
    let own = own.or_else(|| {
        let shortest = responses.iter().enumerate().min_by_key(|(_, response)| response.path.len());
        shortest.map(|(number, _)| number)
    })?;
    let parent = responses.get(own)?.clone();
    let name = |response: &Response| {
        let rest = response.path.strip_prefix(&parent.path[..])?.strip_prefix(b"/")?;
        (!rest.is_empty() && !rest.contains(&b'/')).then(|| rest.to_vec())
    };
    let inside = responses.into_iter().filter_map(|response| Some((name(&response)?, response))).collect();
    Some((parent, inside))
}

#[cfg(test)]
mod tests;
