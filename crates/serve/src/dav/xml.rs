//! What a PROPFIND is answered.

use std::fmt::Write;

use kopia_format::Timestamp;
use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use super::wanted::{Name, Wanted};
use crate::download;
use crate::pages::html;

/// The namespace of WebDAV's own names.
pub(super) const DAV: &str = "DAV:";

/// How a list of resources begins and ends.
pub(super) const HEAD: &str =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n";
pub(super) const TAIL: &str = "</D:multistatus>\n";

/// Answer to a Depth of infinity, which would be everything.
pub(super) const FINITE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
                                 <D:error xmlns:D=\"DAV:\"><D:propfind-finite-depth/></D:error>\n";

/// A file or folder, as clients are told of it.
#[derive(Debug)]
pub(super) struct Resource {
    name: String,
    is_folder: bool,
    size: u64,
    modified: Option<Timestamp>,
    tag: String,
}

impl Resource {
    /// Makes a folder that no snapshot has.
    pub(super) fn folder(name: &str, modified: Option<Timestamp>) -> Self {
        Self { name: name.into(), is_folder: true, size: 0, modified, tag: String::new() }
    }

    /// Makes the resource of an entry under a name.
    pub(super) fn of(entry: &Entry, name: &str) -> Self {
        Self {
            name: name.into(),
            is_folder: entry.kind() == EntryKind::Directory,
            size: entry.size(),
            modified: Some(entry.modified()),
            tag: download::tag(entry),
        }
    }

    /// Writes its properties, as far as they are wanted. `path` is that of its URL, without a slash at its
    /// end.
    pub(super) fn write(&self, out: &mut String, path: &str, wanted: &Wanted) {
        let slash = if self.is_folder { "/" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(out, "<D:response><D:href>{path}{slash}</D:href>");
        let properties = self.properties();
        let (mut there, mut missing) = (String::new(), String::new());
        match wanted {
            Wanted::All => properties.iter().for_each(|(name, value)| element(&mut there, name, value)),
            Wanted::Names => properties.iter().for_each(|(name, _)| element(&mut there, name, "")),
            Wanted::Some(names) => {
                for name in names {
                    match properties.iter().find(|(known, _)| name.is_dav(known)) {
                        Some((known, value)) => element(&mut there, known, value),
                        None => missing.push_str(&empty(name)),
                    }
                }
            }
        }
        for (found, status) in [(there, "200 OK"), (missing, "404 Not Found")] {
            // There must be at least one, even if nothing is wanted.
            if !found.is_empty()
                || status.starts_with('2') && matches!(wanted, Wanted::Some(names) if names.is_empty())
            {
                let _ = write!(
                    out,
                    "<D:propstat><D:prop>{found}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"
                );
            }
        }
        out.push_str("</D:response>\n");
    }

    /// Returns the properties it has, by their names, with values in XML.
    fn properties(&self) -> Vec<(&'static str, String)> {
        let kind = if self.is_folder { "<D:collection/>" } else { "" };
        let mut properties = vec![("resourcetype", kind.into()), ("displayname", escape(&self.name))];
        let date = self.modified.and_then(|time| Some((time, html::http_date(time)?)));
        if let Some((time, date)) = date {
            properties.extend([("getlastmodified", date), ("creationdate", time.to_string())]);
        }
        if !self.is_folder {
            properties.extend([
                ("getcontentlength", self.size.to_string()),
                ("getcontenttype", "application/octet-stream".into()),
                ("getetag", escape(&self.tag)),
            ]);
        }
        properties.push(("supportedlock", String::new()));
        properties
    }
}

fn element(out: &mut String, name: &str, value: &str) {
    let _ = match value {
        "" => write!(out, "<D:{name}/>"),
        value => write!(out, "<D:{name}>{value}</D:{name}>"),
    };
}

/// Writes the name of a property that is not there. It came from a parser, so it is a name.
fn empty(name: &Name) -> String {
    let (namespace, local) = (escape(&name.namespace), escape(&name.local));
    match (&*namespace, &*local) {
        (DAV, local) => format!("<D:{local}/>"),
        // In a document that sets no default, that is no namespace at all.
        ("", local) => format!("<{local}/>"),
        (namespace, local) => format!("<x:{local} xmlns:x=\"{namespace}\"/>"),
    }
}

/// Writes a text as XML 1.0 has it: what that has no character for becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => drop(write!(escaped, "&#{};", u32::from(c))),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_told_and_what_is_not_there_named() {
        let folder = Resource::folder("a<b\u{1}", Some(Timestamp::default()));
        let of = |body: &str| {
            let mut out = String::new();
            folder.write(&mut out, "/dav/a%3Cb%01", &Wanted::parse(body.as_bytes()).unwrap());
            out
        };
        let all = of("");
        for part in [
            "<D:href>/dav/a%3Cb%01/</D:href>",
            "<D:resourcetype><D:collection/></D:resourcetype>",
            "<D:displayname>a&lt;b\u{fffd}</D:displayname>",
            "<D:getlastmodified>Thu, 01 Jan 1970 00:00:00 GMT</D:getlastmodified>",
            "<D:creationdate>1970-01-01T00:00:00Z</D:creationdate>",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert!(!all.contains("getcontentlength") && !all.contains("404"));
        let some = of(
            "<a:propfind xmlns:a='DAV:'><a:prop><a:displayname/><a:getetag/><q xmlns='u:&amp;'/><r/></a:prop>\
             </a:propfind>",
        );
        assert!(some.contains("</D:displayname></D:prop><D:status>HTTP/1.1 200 OK"), "{some}");
        assert!(some.contains("<D:prop><D:getetag/><x:q xmlns:x=\"u:&amp;"), "{some}");
        assert!(some.contains("<r/></D:prop><D:status>HTTP/1.1 404"), "{some}");
        let names = of("<propfind xmlns='DAV:'><propname/></propfind>");
        assert!(names.contains("<D:displayname/>") && !names.contains("1970"), "{names}");
        assert!(of("<propfind xmlns='DAV:'><prop/></propfind>").contains("<D:prop></D:prop>"));
    }
}
