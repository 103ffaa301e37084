//! Which properties a PROPFIND wants.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::xml::DAV;

/// How many properties a request may name.
const MOST: usize = 100;

/// Properties that are wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All that there are.
    All,
    /// The names of all that there are.
    Names,
    /// These, whether they are there or not.
    Some(Vec<Name>),
}

/// The name of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) local: String,
}

impl Wanted {
    /// Reads the body of a request; `None` if it is no PROPFIND.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Some(Self::All);
        }
        let mut reader = NsReader::from_str(text);
        let (mut depth, mut wanted, mut in_prop) = (0_usize, None, false);
        loop {
            let (namespace, event) = reader.read_resolved_event().ok()?;
            let is_empty = matches!(event, Event::Empty(_));
            match event {
                Event::Start(start) | Event::Empty(start) => {
                    let name = Name::of(&namespace, &start);
                    match depth {
                        0 if !name.is_dav("propfind") => return None,
                        1 if name.is_dav("prop") => {
                            in_prop = !is_empty;
                            wanted.get_or_insert(Self::Some(Vec::new()));
                        }
                        1 if name.is_dav("allprop") => wanted = Some(Self::All),
                        1 if name.is_dav("propname") => wanted = Some(Self::Names),
                        2 if in_prop => match &mut wanted {
                            Some(Self::Some(names)) if names.len() < MOST => names.push(name),
                            Some(Self::Some(_)) => return None,
                            _ => {}
                        },
                        _ => {}
                    }
                    depth += usize::from(!is_empty);
                }
                Event::End(_) => {
                    depth = depth.checked_sub(1)?;
                    in_prop &= depth > 1;
                }
                // What entities a client declares is none of our business.
                Event::DocType(_) => return None,
                Event::Eof => return wanted.filter(|_| depth == 0),
                _ => {}
            }
        }
    }
}

impl Name {
    fn of(namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Self {
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.into_inner().to_owned(),
            _ => String::new(),
        };
        Self { namespace, local: start.local_name().into_inner().to_owned() }
    }

    /// Returns whether it is this name of WebDAV's own.
    pub(super) fn is_dav(&self, local: &str) -> bool {
        self.namespace == DAV && self.local == local
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(names: &[(&str, &str)]) -> Option<Wanted> {
        let name = |(namespace, local): &(&str, &str)| Name {
            namespace: (*namespace).into(),
            local: (*local).into(),
        };
        Some(Wanted::Some(names.iter().map(name).collect()))
    }

    #[test]
    fn clients_say_it_in_many_ways() {
        let of = |text: &str| Wanted::parse(text.as_bytes());
        assert_eq!(of(""), Some(Wanted::All));
        assert_eq!(of("<D:propfind xmlns:D='DAV:'><D:allprop/></D:propfind>"), Some(Wanted::All));
        assert_eq!(of("<propfind xmlns='DAV:'><propname></propname></propfind>"), Some(Wanted::Names));
        let both = "<?xml version=\"1.0\"?><a:propfind xmlns:a='DAV:' xmlns:z='urn:x'><a:prop>\
                    <a:getetag/><z:q><z:inner/></z:q></a:prop></a:propfind>";
        assert_eq!(of(both), some(&[("DAV:", "getetag"), ("urn:x", "q")]));
        assert_eq!(of("<propfind xmlns='DAV:'><prop/></propfind>"), some(&[]));
    }

    #[test]
    fn anything_else_is_none() {
        let many = "<x/>".repeat(MOST + 1);
        for text in [
            "x",
            "<propfind/>",
            "<propfind xmlns='DAV:'>",
            "<propfind xmlns='DAV:'/>",
            "<propfind xmlns='DAV:'><prop></propfind>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><propfind xmlns='DAV:'><allprop/></propfind>",
            &format!("<propfind xmlns='DAV:'><prop>{many}</prop></propfind>"),
        ] {
            assert_eq!(Wanted::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Wanted::parse(b"\xff"), None);
    }
}
