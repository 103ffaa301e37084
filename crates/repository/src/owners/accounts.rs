//! Names and numbers of users or groups, as `/etc/passwd` and `/etc/group` have them.

use std::collections::{BTreeMap, HashMap};

use super::IdMap;

/// The users or groups of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accounts {
    names: BTreeMap<u32, Box<str>>,
    ids: HashMap<Box<str>, u32>,
}

impl Accounts {
    /// Reads the text of `passwd` or `group`: name, password, number and more, with colons between them.
    ///
    /// Lines that are not such are left out. Of several names of a number, and numbers of a name, the first
    /// counts, as for the system.
    pub fn parse(text: &[u8]) -> Self {
        let mut accounts = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let mut fields = line.trim_end_matches('\r').split(':');
            let (name, id) = (fields.next().unwrap_or_default(), fields.nth(1));
            // A line that begins with `+` or `-` takes in, or leaves out, what a directory service has.
            if name.is_empty() || name.starts_with(['#', '+', '-']) {
                continue;
            }
            if let Some(Ok(id)) = id.map(str::parse) {
                accounts.names.entry(id).or_insert_with(|| name.into());
                accounts.ids.entry(name.into()).or_insert(id);
            }
        }
        accounts
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns the number of a name.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// Returns the name of a number.
    pub fn name(&self, id: u32) -> Option<&str> {
        self.names.get(&id).map(|name| &**name)
    }
}

impl IdMap {
    /// Maps each number that has a name there to the number that the name has `here`.
    ///
    /// What has been mapped before stays so. Returns the names that are not known here, in the order of their
    /// numbers, which stay as they are.
    pub fn add_names(&mut self, there: &Accounts, here: impl Fn(&str) -> Option<u32>) -> Vec<String> {
        let mut unknown = Vec::new();
        for (id, name) in there.names.iter().filter(|(id, _)| **id != u32::MAX) {
            if self.has(*id) {
                continue;
            }
            if here(name).is_none_or(|to| self.add(*id..=*id, to).is_err()) {
                unknown.push(name.to_string());
            }
        }
        unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_account_is_left_out() {
        let text = b"root:x:0:0:root:/root:/bin/sh\n# note:x:5:\n\n+nis:x:6::\n:x:7:\nshort:x\nodd:x:y:\n\
            \xff:x:8:\nanna:x:1000:1000::/home/anna:/bin/sh\r\nanna:x:1001:\nalso:x:1000:\nlast:*:4294967296:";
        let accounts = Accounts::parse(text);
        assert_eq!([0, 1000, 1001].map(|id| accounts.name(id)), [Some("root"), Some("anna"), Some("anna")]);
        assert_eq!(
            ["anna", "also", "note", "+nis", "last"].map(|name| accounts.id(name)),
            [Some(1000), Some(1000), None, None, None]
        );
        assert!(!accounts.is_empty() && Accounts::parse(b"\0\0\n::::").is_empty());
    }

    #[test]
    fn names_that_are_not_known_here_keep_their_numbers() {
        let there = Accounts::parse(b"root:x:0:\nanna:x:1000:\nben:x:1001:\ncleo:x:1002:\nodd:x:4294967295:");
        let here = |name: &str| match name {
            "root" => Some(0),
            "anna" => Some(2000),
            "cleo" => Some(2002),
            _ => None,
        };
        let mut map = IdMap::default();
        map.add(1002..=1002, 3000).unwrap();
        assert_eq!(map.add_names(&there, here), ["ben"]);
        assert_eq!([0, 1000, 1001, 1002, 5].map(|id| map.get(id)), [0, 2000, 1001, 3000, 5]);
        // It is one of the others, where these become somebody else.
        map.set_rest(9).unwrap();
        assert_eq!([map.get(1001), map.get(5)], [9, 9]);
    }
}
