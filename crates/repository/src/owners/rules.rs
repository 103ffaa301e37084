//! Rules that say who becomes whom, as people write them.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{Accounts, IdMap, NoSuchId};

/// Who becomes whom: `1000:2000`, `5000-5999:105000`, `anna:ben`, `*:65534`, several of them with commas
/// between them. The first that concerns a number counts; `*` is for those that no other concerns.
///
/// On the left stands a number, a range or a name of the machine that was backed up; on the right a number, of
/// a range the first, or a name of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    from: Whom,
    to: Account,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    Ids(RangeInclusive<u32>),
    Name(Box<str>),
    Rest,
}

/// A user or group, by number or name. A number may have a `+` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Account {
    /// Its number.
    Id(u32),
    /// Its name.
    Name(Box<str>),
}

/// Why rules cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unresolved {
    /// This machine has no user or group of this name.
    #[error("{0:?} is not known on this machine")]
    Here(Box<str>),
    /// The machine that was backed up has none.
    #[error("{0:?} is not known on the machine that was backed up")]
    There(Box<str>),
    /// A number is too large.
    #[error(transparent)]
    NoSuchId(#[from] NoSuchId),
}

impl Rules {
    /// Reads a file of rules: one a line, `FROM:TO` or, as GNU tar has it, `FROM TO` and `FROM NAME:NUMBER`.
    /// Empty lines, and what follows `#`, are left out.
    ///
    /// # Errors
    /// Which line is no rule.
    pub fn of_file(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let rule = match line.split_once(char::is_whitespace) {
                Some((from, to)) => {
                    let to = to.trim();
                    Rule::parse(from.trim_end_matches(':'), to.split_once(':').map_or(to, |(_, id)| id))
                }
                None => line.parse(),
            };
            rules.push(rule.map_err(|why| format!("line {}: {why}", number + 1))?);
        }
        Ok(Self(rules))
    }

    /// Returns whether names of the machine that was backed up are needed.
    pub fn need_names(&self) -> bool {
        self.0.iter().any(|rule| matches!(rule.from, Whom::Name(_)))
    }

    /// Finds out the numbers of names: of the machine that was backed up, `there`, and `here`.
    ///
    /// # Errors
    /// [`Unresolved`].
    pub fn resolve(
        &self,
        there: Option<&Accounts>,
        here: impl Fn(&str) -> Option<u32>,
    ) -> Result<IdMap, Unresolved> {
        let mut map = IdMap::default();
        for Rule { from, to } in &self.0 {
            let to = to.resolve(&here)?;
            match from {
                Whom::Ids(range) => map.add(range.clone(), to)?,
                Whom::Name(name) => {
                    let id = there.and_then(|there| there.id(name));
                    let id = id.ok_or_else(|| Unresolved::There(name.clone()))?;
                    map.add(id..=id, to)?;
                }
                Whom::Rest if map.rest().is_none() => map.set_rest(to)?,
                Whom::Rest => {}
            }
        }
        Ok(map)
    }
}

impl Account {
    /// Finds out the number, which a name has `here`.
    ///
    /// # Errors
    /// [`Unresolved`].
    pub fn resolve(&self, here: impl Fn(&str) -> Option<u32>) -> Result<u32, Unresolved> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Name(name) => here(name).ok_or_else(|| Unresolved::Here(name.clone())),
        }
    }
}

impl Rule {
    fn parse(from: &str, to: &str) -> Result<Self, String> {
        let from = match from.split_once('-') {
            _ if from == "*" => Whom::Rest,
            Some((first, last)) if is_number(first) && is_number(last) => {
                Whom::Ids(number(first)?..=number(last)?)
            }
            _ => match from.parse()? {
                Account::Id(id) => Whom::Ids(id..=id),
                Account::Name(name) => Whom::Name(name),
            },
        };
        Ok(Self { from, to: to.parse()? })
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once(':').ok_or_else(|| {
            format!("{text:?} is not FROM:TO, such as 1000:2000, 5000-5999:105000, anna:ben or *:65534")
        })?;
        Self::parse(from.trim(), to.trim())
    }
}

impl FromStr for Rules {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        if is_number(digits) {
            return number(digits).map(Self::Id);
        }
        let is_name = !text.is_empty() && !text.starts_with(['-', '+', '*']);
        if !is_name || text.contains([':', ',', '/']) || text.contains(char::is_whitespace) {
            return Err(format!("{text:?} is neither a number nor a name"));
        }
        Ok(Self::Name(text.into()))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number != u32::MAX);
    number.ok_or_else(|| format!("{text} is too large: {NoSuchId}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(name: &str) -> Option<u32> {
        [("ben", 50), ("www-data", 33)].iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
    }

    #[test]
    fn rules_are_followed_in_their_order() {
        let there = Accounts::parse(b"anna:x:1000:");
        let rules: Rules = "5-9:105, 7:1,anna:ben,+12:www-data,*:65534,*:3".parse().unwrap();
        assert!(rules.need_names());
        let map = rules.resolve(Some(&there), here).unwrap();
        assert_eq!([5, 7, 9, 10, 12, 1000].map(|id| map.get(id)), [105, 107, 109, 65534, 33, 50]);
        let rules: Rules = "1:2".parse().unwrap();
        assert!(!rules.need_names() && rules.resolve(None, here).is_ok());
    }

    #[test]
    fn a_name_may_look_like_half_a_range() {
        let there = Accounts::parse(b"web-1:x:7:\n2-b:x:8:");
        let map = "web-1:1,2-b:2".parse::<Rules>().unwrap().resolve(Some(&there), here).unwrap();
        assert_eq!([7, 8, 9].map(|id| map.get(id)), [1, 2, 9]);
    }

    #[test]
    fn a_file_has_a_rule_a_line() {
        let rules = Rules::of_file("# as tar has it\n\n+10 ben\n 11  root:0 # and more\n12:13\n5-6\t105\n");
        let map = rules.unwrap().resolve(None, here).unwrap();
        assert_eq!([10, 11, 12, 5, 6].map(|id| map.get(id)), [50, 0, 13, 105, 106]);
        assert_eq!(Rules::of_file("1:2\nx"), Err(format!("line 2: {}", "x".parse::<Rule>().unwrap_err())));
        assert_eq!(Rules::of_file(""), Ok(Rules::default()));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            "1",
            "1:",
            ":1",
            "1:2,",
            "a b:1",
            "1:2:3",
            "4294967295:1",
            "1:4294967296",
            "-1:2",
            "1:*",
            "1:-5",
            "99999999999-5:1",
        ] {
            assert!(text.parse::<Rules>().is_err(), "{text:?}");
        }
        let refused = |text: &str| text.parse::<Rules>().unwrap().resolve(None, here).unwrap_err();
        assert_eq!(refused("1:nobody-here"), Unresolved::Here("nobody-here".into()));
        assert_eq!(refused("anna:1"), Unresolved::There("anna".into()));
        assert_eq!(refused("9-8:1"), Unresolved::NoSuchId(NoSuchId));
        assert_eq!(refused("0-9:4294967290"), Unresolved::NoSuchId(NoSuchId));
    }
}
