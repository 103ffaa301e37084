//! The bytes of a file, all of them or a range.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{StatusCode, header};
use kopia_repository::beginning::Image;
use kopia_repository::{Entry, Result};

use crate::answer::Answer;
use crate::pages::html;
use crate::range::Wanted;
use crate::request::Request;
use crate::site::Site;
use crate::{route, url};

/// What is said of files: browsers are to save them, whatever they are.
const ANY: &str = "application/octet-stream";

/// Answers with a file that is to be saved.
pub(crate) fn file(site: &Arc<Site>, entry: &Entry, request: &Request) -> Result<Answer> {
    let answer = bytes(site, entry, request, ANY)?;
    Ok(answer.with(header::CONTENT_DISPOSITION, &url::disposition(html::name_of(entry))))
}

/// Answers with an image for a page; with nothing if the file is none.
pub(crate) fn image(site: &Arc<Site>, entry: &Entry, request: &Request) -> Result<Answer> {
    let mut start = [0; Image::LONGEST_MARK];
    let count = entry.open()?.read_full_at(&mut start, 0)?;
    match Image::of(&start[..count]) {
        Some(image) => bytes(site, entry, request, image.media_type()),
        None => Ok(route::nothing_there()),
    }
}

/// Answers with the bytes of a file that are wanted.
///
/// Damage at their beginning is an error; damage further on breaks the body off.
pub(crate) fn bytes(site: &Arc<Site>, entry: &Entry, request: &Request, kind: &str) -> Result<Answer> {
    let (length, tag) = (entry.size(), tag(entry));
    let finish = |answer: Answer| {
        let modified = html::http_date(entry.modified());
        let answer = answer.with(header::ETAG, &tag).with(header::ACCEPT_RANGES, "bytes");
        modified.iter().fold(answer, |answer, time| answer.with(header::LAST_MODIFIED, time))
    };
    let known = request.header(header::IF_NONE_MATCH).unwrap_or_default();
    if known
        .split(',')
        .any(|known| matches!(known.trim().trim_start_matches("W/"), known if known == tag || known == "*"))
    {
        return Ok(finish(Answer::empty(StatusCode::NOT_MODIFIED)));
    }
    // What goes on must be the same object; whoever knows a time alone gets everything.
    let goes_on = request.header(header::IF_RANGE).is_none_or(|known| known == tag);
    let header = request.header(header::RANGE).filter(|_| goes_on && !request.is_head());
    let (status, range) = match Wanted::parse(header, length) {
        Wanted::All => (StatusCode::OK, 0..length),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let answer = Answer::empty(StatusCode::RANGE_NOT_SATISFIABLE);
            return Ok(finish(answer.with(header::CONTENT_RANGE, &format!("bytes */{length}"))));
        }
    };
    let reader = entry.open()?;
    let mut chunk = if request.is_head() { Default::default() } else { reader.chunk_at(range.start)? };
    let (site, path) = (site.clone(), request.raw_path().to_owned());
    let (mut offset, end) = (range.start, range.end);
    let content_range = format!("bytes {offset}-{}/{length}", end.saturating_sub(1));
    let answer = Answer::written(status, Some(end - offset), move |sink| {
        loop {
            chunk.truncate(usize::try_from(end - offset).unwrap_or(usize::MAX));
            offset += chunk.len() as u64;
            sink.send(Bytes::from_owner(std::mem::take(&mut chunk)))?;
            if offset >= end {
                return Ok(());
            }
            match reader.chunk_at(offset) {
                Ok(next) if !next.is_empty() => chunk = next,
                read => {
                    // Fewer bytes than it said when it was opened are an error nobody has words for.
                    read.err().iter().for_each(|error| site.notice(&path, error));
                    sink.fail();
                    return Ok(());
                }
            }
        }
    });
    let answer = finish(answer.with(header::CONTENT_TYPE, kind));
    Ok(if status == StatusCode::PARTIAL_CONTENT {
        answer.with(header::CONTENT_RANGE, &content_range)
    } else {
        answer
    })
}

/// Returns the tag of a file: its object, which is the same wherever its bytes are.
pub(crate) fn tag(entry: &Entry) -> String {
    format!("\"{}\"", entry.object())
}
