//! JSON as Go reads it, for documents that kopia writes and people edit.
//!
//! Names of fields are found in any case, unknown ones are ignored, the last of doubled ones counts, and
//! `null` stands for what is missing. What follows the first value is ignored, as by Go's `json.Decoder`.
//! Values are borrowed from the text, so that a caller who wipes the text leaves no copy of a secret behind;
//! errors quote none of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a document makes no sense. No part of the document is in it but the names of fields that were asked
/// for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing but white space.
    #[error("it is empty")]
    Empty,
    /// It is no JSON, or no object.
    #[error("expected an object, found something else at line {line} column {column}")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// A field is of another type than Kopia's.
    #[error("the value of {name:?} is of another type, or out of its range")]
    Field {
        /// The field as kopia spells it.
        name: &'static str,
    },
}

/// An object whose values are still text. `null` is an object without fields.
#[derive(Debug, Clone, Default)]
pub struct Object<'t> {
    /// The folded name and the value of each field, in the order in which they stand.
    fields: Vec<(String, &'t RawValue)>,
}

impl<'t> Object<'t> {
    /// Reads the object that a text begins with.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Malformed`].
    pub fn parse(text: &'t str) -> Result<Self, Error> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Self>();
        let malformed =
            |error: serde_json::Error| Error::Malformed { line: error.line(), column: error.column() };
        values.next().ok_or(Error::Empty)?.map_err(malformed)
    }

    /// Returns a field that Go keeps in a plain variable, which `null` leaves as it is: a number, text,
    /// `bool`.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn value<T: Deserialize<'t>>(&self, name: &'static str) -> Result<Option<T>, Error> {
        self.named(name).find(|value| value.get() != "null").map(|value| read(name, value)).transpose()
    }

    /// Returns a field that Go keeps behind a pointer, which `null` empties: a list, an object.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn pointer<T: Deserialize<'t>>(&self, name: &'static str) -> Result<Option<T>, Error> {
        let last = self.named(name).next().filter(|value| value.get() != "null");
        last.map(|value| read(name, value)).transpose()
    }

    /// Returns the JSON of a field as it stands, unless it is `null`.
    pub fn text(&self, name: &str) -> Option<&'t str> {
        self.named(name).next().map(RawValue::get).filter(|text| *text != "null")
    }

    /// Returns the values of a field, the last one first.
    fn named(&self, name: &str) -> impl Iterator<Item = &'t RawValue> {
        let name = folded(name);
        self.fields.iter().rev().filter(move |(other, _)| *other == name).map(|(_, value)| *value)
    }
}

fn read<'t, T: Deserialize<'t>>(name: &'static str, value: &'t RawValue) -> Result<T, Error> {
    serde_json::from_str(value.get()).map_err(|_| Error::Field { name })
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor)
    }
}

/// Reads an object field by field.
struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Object<'de>, E> {
        Ok(Object::default())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            fields.push((folded(&name), value));
        }
        Ok(Object { fields })
    }
}

/// Returns a name in lower case as Go folds it: two letters outside ASCII are other cases of letters within.
fn folded(name: &str) -> String {
    let fold = |letter: char| match letter {
        'ſ' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_the_last_counts() {
        let object = Object::parse(r#"{"KEY":1,"other":{"key":9},"\u212aey":2,"text":"a","Text":null} rest"#);
        let object = object.unwrap();
        assert_eq!(object.value("key"), Ok(Some(2)));
        assert_eq!(object.value("Text"), Ok(Some("a".to_owned())), "null leaves a plain variable as it is");
        assert_eq!(object.pointer::<String>("text"), Ok(None), "null empties a pointer");
        assert_eq!((object.text("other"), object.text("text")), (Some(r#"{"key":9}"#), None));
        assert_eq!(object.value::<u8>("missing"), Ok(None));
        let inner = object.pointer::<Object<'_>>("Other").unwrap().unwrap();
        assert_eq!(inner.value("key"), Ok(Some(9)));
    }

    #[test]
    fn null_is_an_object_without_fields() {
        assert!(Object::parse(" null").unwrap().fields.is_empty());
        let list = Object::parse(r#"{"list":[null,{"a":1}]}"#).unwrap().pointer::<Vec<Object<'_>>>("list");
        let lengths: Vec<_> = list.unwrap().unwrap().iter().map(|object| object.fields.len()).collect();
        assert_eq!(lengths, [0, 1]);
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_it() {
        assert_eq!(Object::parse(" \n").unwrap_err(), Error::Empty);
        for bad in ["[1]", "hush", r#""hush""#, r#"{"a":"hush"#, r#"{"a":hush}"#, "\u{feff}{}", "5"] {
            let said = Object::parse(bad).unwrap_err().to_string();
            assert!(said.contains("expected an object") && !said.contains("hush"), "{said}");
        }
        let object = Object::parse(r#"{"a":"hush"}"#).unwrap();
        assert_eq!(object.value::<u8>("a").unwrap_err(), Error::Field { name: "a" });
        assert!(Object::parse(&format!("{{\"a\":{}", "[".repeat(1 << 20))).is_err());
    }
}
