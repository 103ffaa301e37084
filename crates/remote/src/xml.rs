//! Reads the XML of listings and errors, element by element.
//!
//! Servers may be hostile: nothing is kept but the path to where the reader is and the text there, entities
//! are only those that XML itself has, and depth is bounded. The caller has bounded the length.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// How deep elements may lie. Listings of stores have five levels.
const MAX_DEPTH: usize = 32;

/// How long the path of an element may be, in bytes: some is done for each attribute.
const MAX_PATH: usize = 4 << 10;

/// Calls `visit` with the path and text of each element, when it ends: those inside come before.
///
/// A path is the local names from the root, joined by `/`. Attributes come before their element, as
/// `PATH/@NAME`. The text is what lies directly in the element. What is no whole XML document is an error,
/// which says in a few words why.
pub(crate) fn walk(xml: &[u8], mut visit: impl FnMut(&str, &str)) -> Result<(), String> {
    let xml = std::str::from_utf8(xml).map_err(|_| "it is not UTF-8")?;
    let mut reader = Reader::from_str(xml.trim_start_matches('\u{feff}'));
    let mut place = Place::default();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => place.enter(&start, &mut visit)?,
            Event::Empty(start) => {
                place.enter(&start, &mut visit)?;
                place.leave(&mut visit);
            }
            Event::End(_) => place.leave(&mut visit),
            Event::Text(text) => place.text(&text.xml10_content()),
            Event::CData(text) => place.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = resolve(&reference).ok_or("it holds an entity that XML does not know")?;
                place.text(character.encode_utf8(&mut [0; 4]));
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    match (place.roots, place.texts.len()) {
        (1, 0) => Ok(()),
        (_, 0) => Err("it has not one root".into()),
        _ => Err("it ends before its end".into()),
    }
}

/// Where the reader is.
#[derive(Default)]
struct Place {
    /// The local names of all open elements, joined by `/`.
    path: String,
    /// The text of each open element.
    texts: Vec<String>,
    roots: usize,
}

impl Place {
    fn enter(&mut self, start: &BytesStart<'_>, visit: &mut impl FnMut(&str, &str)) -> Result<(), String> {
        if self.texts.len() == MAX_DEPTH {
            return Err("its elements lie too deep".into());
        }
        match self.texts.is_empty() {
            true => self.roots += 1,
            false => self.path.push('/'),
        }
        self.path.push_str(start.local_name().into_inner());
        self.texts.push(String::new());
        if self.path.len() > MAX_PATH {
            return Err("the names of its elements are too long".into());
        }
        // Looking for doubled names would take a time that grows with the square of their number.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let length = self.path.len();
            self.path.push_str("/@");
            self.path.push_str(attribute.key.local_name().into_inner());
            visit(&self.path, &attribute.value);
            self.path.truncate(length);
        }
        Ok(())
    }

    fn leave(&mut self, visit: &mut impl FnMut(&str, &str)) {
        let text = self.texts.pop().unwrap_or_default();
        visit(&self.path, &text);
        self.path.truncate(self.path.rfind('/').unwrap_or(0));
    }

    fn text(&mut self, text: &str) {
        if let Some(last) = self.texts.last_mut() {
            last.push_str(text);
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    match &*reference.xml10_content() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(xml: &str) -> Result<Vec<(String, String)>, String> {
        let mut all = Vec::new();
        walk(xml.as_bytes(), |path, text| all.push((path.to_string(), text.to_string())))?;
        Ok(all)
    }

    #[test]
    fn text_is_joined_from_its_pieces_and_names_lose_their_namespace() {
        let xml = "\u{feff}<?xml version=\"1.0\"?>\n<r xmlns='u'><n:a k=\"v\">x &amp; <![CDATA[<y>]]>&#x7a;&lt;</n:a><b/></r>";
        let owned = |path: &str, text: &str| (path.to_string(), text.to_string());
        let wanted = [
            owned("r/@xmlns", "u"),
            owned("r/a/@k", "v"),
            owned("r/a", "x & <y>z<"),
            owned("r/b", ""),
            owned("r", ""),
        ];
        assert_eq!(walked(xml).unwrap(), wanted);
    }

    #[test]
    fn what_is_not_one_whole_document_is_an_error() {
        for xml in [
            "",
            "text",
            "<a>",
            "<a><b></a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&boom;</a>",
            "<a b></a>",
            "<!DOCTYPE html><p>x",
        ] {
            assert!(walked(xml).is_err(), "{xml}");
        }
        assert!(walked(&"<a>".repeat(100_000)).unwrap_err().contains("deep"));
        assert!(walk(b"<a>\xff</a>", |_, _| {}).is_err());
        assert!(walked(&format!("<{}/>", "a".repeat(5000))).unwrap_err().contains("long"));
    }

    #[test]
    fn doubled_attributes_are_not_looked_for() {
        // That takes a time that grows with the square of their number, and a page may hold millions.
        assert_eq!(walked("<a k='1' k='2'/>").unwrap().len(), 3);
    }
}
