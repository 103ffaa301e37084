//! Which snapshots are looked at.

use std::str::FromStr;

use crate::Snapshot;

/// How keys of tags begin in manifests; nobody types it.
const TAG: &str = "tag:";

/// What snapshots must have to be looked at; the default admits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Hosts, of which one must be that of the source, in upper or lower case; any if there are none.
    pub hosts: Vec<String>,
    /// Users, in the same way.
    pub users: Vec<String>,
    /// Paths, one of which the source must be or lie below; any if there are none.
    pub paths: Vec<String>,
    /// Tags, all of which the snapshot must have.
    pub tags: Vec<Tag>,
}

/// A tag that a snapshot must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its key, without `tag:`.
    pub key: String,
    /// Its value; any if it is `None`.
    pub value: Option<String>,
}

impl Filter {
    /// Returns whether a snapshot has all that it must have.
    pub fn admits(&self, snapshot: &Snapshot) -> bool {
        let source = snapshot.source();
        let has = |names: &[String], name: &str| {
            let lower = name.to_lowercase();
            names.is_empty() || names.iter().any(|wanted| wanted.to_lowercase() == lower)
        };
        let tags = snapshot.manifest().tags();
        let has_tag = |tag: &Tag| {
            let value = tags.get(&format!("{TAG}{}", tag.key)).or_else(|| tags.get(&tag.key));
            value.is_some_and(|value| tag.value.as_ref().is_none_or(|wanted| wanted == value))
        };
        has(&self.hosts, &source.host)
            && has(&self.users, &source.user)
            && (self.paths.is_empty() || self.paths.iter().any(|path| lies_in(&source.path, path)))
            && self.tags.iter().all(has_tag)
    }
}

/// Returns whether a path is another one or lies below it, component by component.
fn lies_in(path: &str, other: &str) -> bool {
    let other = other.trim_end_matches(['/', '\\']);
    let below = path.strip_prefix(other);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
}

impl FromStr for Tag {
    type Err = String;

    /// Takes `key=value`, `key:value` as kopia has it, or a key alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = match text.find(['=', ':']) {
            Some(place) => (&text[..place], Some(text[place + 1..].to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err("a tag is KEY=VALUE, or KEY for any value".into());
        }
        Ok(Self { key: key.into(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_by_components() {
        for (path, other, expected) in [
            ("/home/anna", "/home/anna/", true),
            ("/home/anna", "/home", true),
            ("/home/anna", "/", true),
            ("/homes", "/home", false),
            ("/home", "/home/anna", false),
            ("C:\\Users\\Bob", "C:\\Users", true),
        ] {
            assert_eq!(lies_in(path, other), expected, "{path} in {other}");
        }
    }

    #[test]
    fn tags_are_taken_as_kopia_and_people_write_them() {
        let tag = |key: &str, value: Option<&str>| Ok(Tag { key: key.into(), value: value.map(Into::into) });
        assert_eq!("env=prod".parse(), tag("env", Some("prod")));
        assert_eq!("env:a=b".parse(), tag("env", Some("a=b")));
        assert_eq!("env".parse(), tag("env", None));
        assert_eq!("env=".parse(), tag("env", Some("")));
        assert!("=prod".parse::<Tag>().is_err());
    }
}
