//! One of several parts of a whole, for processes that share the work.

use std::str::FromStr;

/// One of several parts of equal size, which make up the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// Returns shard `number`, counted from 0, of `of`; nothing if there is no such shard.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        (number < of).then_some(Self { number, of })
    }

    /// Returns its number, counted from 0.
    pub fn number(self) -> u32 {
        self.number
    }

    /// Returns how many shards there are.
    pub fn of(self) -> u32 {
        self.of
    }
}

/// The whole.
impl Default for Shard {
    fn default() -> Self {
        Self { number: 0, of: 1 }
    }
}

/// Reads `i/n`, with i from 0 to n - 1.
impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        let shard = numbers.and_then(|(number, of)| Self::new(number, of));
        shard.ok_or_else(|| "a shard is i/n with i from 0 to n - 1, such as 0/4".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_read() {
        assert_eq!("0/1".parse(), Ok(Shard::default()));
        assert_eq!("3/4".parse(), Ok(Shard { number: 3, of: 4 }));
        for text in ["", "1", "4/4", "0/0", "-1/4", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
