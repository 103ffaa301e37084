//! PROPFIND: what a folder has, written while the client takes it.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, HeaderName};
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Result, Snapshot};

use super::place::{Place, single_name};
use super::wanted::Wanted;
use super::xml::{FINITE, HEAD, Resource, TAIL};
use crate::answer::Answer;
use crate::body::{Gone, Sink};
use crate::request::Request;
use crate::site::Site;
use crate::url;

const XML: &str = "application/xml; charset=utf-8";

/// How many bytes are gathered before they are sent.
const PIECE: usize = 64 << 10;

/// Answers what lies at a path, and with Depth 1 what lies in that.
pub(super) fn answer(site: &Arc<Site>, request: &Request, path: &[&str], place: Place) -> Result<Answer> {
    let is_deep = match request.header(HeaderName::from_static("depth")).map(str::trim) {
        Some("0") => false,
        Some("1") => true,
        _ => return Ok(Answer::text(StatusCode::FORBIDDEN, FINITE).with(header::CONTENT_TYPE, XML)),
    };
    let Some(wanted) = Wanted::parse(&request.body) else {
        return Ok(Answer::text(StatusCode::BAD_REQUEST, "This is no PROPFIND."));
    };
    // Of a folder that cannot be read at all the status says so.
    if let (Place::Entry(entry), true) = (&place, is_deep)
        && entry.kind() == EntryKind::Directory
    {
        let _ = entry.for_each(|_| ControlFlow::Break(()))?;
    }
    let name = path.last().copied().unwrap_or("kopia-rs").to_owned();
    let base = url::join("", std::iter::once("dav").chain(path.iter().copied()));
    let (site, raw) = (site.clone(), request.raw_path().to_owned());
    let answer = Answer::written(StatusCode::MULTI_STATUS, None, move |sink| {
        let mut list = List { sink, base: &base, wanted: &wanted, text: HEAD.into() };
        match &place {
            Place::Entry(entry) => list.this(&Resource::of(entry, &name)),
            Place::Single(_) | Place::Group(_) => list.this(&Resource::folder(&name, None)),
        }
        if is_deep {
            match &place {
                Place::Group(children) => list.group(children)?,
                Place::Single(root) => {
                    list.child(single_name(root), &Resource::of(root, single_name(root)))?
                }
                Place::Entry(entry) if entry.kind() == EntryKind::Directory => match list.folder(entry) {
                    Ok(sent) => sent?,
                    Err(error) => {
                        site.notice(&raw, &error);
                        sink.fail();
                        return Ok(());
                    }
                },
                Place::Entry(_) => {}
            }
        }
        list.text.push_str(TAIL);
        list.flush()
    });
    Ok(answer.with(header::CONTENT_TYPE, XML))
}

/// A list of resources that is being written.
struct List<'a> {
    sink: &'a Sink,
    /// The path of the folder, without a slash at its end.
    base: &'a str,
    wanted: &'a Wanted,
    text: String,
}

impl List<'_> {
    fn this(&mut self, resource: &Resource) {
        resource.write(&mut self.text, self.base, self.wanted);
    }

    fn child(&mut self, name: &str, resource: &Resource) -> Result<(), Gone> {
        resource.write(&mut self.text, &url::join(self.base, [name]), self.wanted);
        if self.text.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn group(&mut self, children: &[(String, Option<Snapshot>)]) -> Result<(), Gone> {
        for (name, snapshot) in children {
            let time = snapshot.as_ref().map(Snapshot::start_time);
            self.child(name, &Resource::folder(name, time))?;
        }
        Ok(())
    }

    /// Lists files and folders; WebDAV has no links.
    fn folder(&mut self, folder: &Entry) -> kopia_repository::Result<Result<(), Gone>> {
        let mut sent = Ok(());
        let _ = folder.for_each(|entry| {
            if let Ok(entry) = entry.as_ref()
                && entry.kind() != EntryKind::Symlink
            {
                sent = self.child(entry.name(), &Resource::of(entry, entry.name()));
            }
            if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(sent)
    }

    fn flush(&mut self) -> Result<(), Gone> {
        self.sink.send(Bytes::from(std::mem::take(&mut self.text)))
    }
}
