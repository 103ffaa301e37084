//! Both lists of patterns, and where each of them may go on in a directory.

use std::sync::Arc;

use super::Choice;
use super::rule::Rule;

/// Patterns of what is taken, then those of what is left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rules {
    rules: Box<[Rule]>,
    /// How many of them say what is taken.
    includes: usize,
    /// Those that may begin in any directory.
    floating: Box<[Live]>,
    /// Whether one of these says what is taken.
    includes_anywhere: bool,
}

/// A rule, and how many of its steps lead to a directory.
pub(super) type Live = (u32, u32);

/// What rules say of an entry by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    /// Whether it is to be taken.
    pub(super) included: bool,
    /// Whether it is to be left out.
    pub(super) excluded: bool,
}

impl Rules {
    pub(super) fn new(choice: &Choice) -> Self {
        let rules: Box<[Rule]> = choice.include.iter().chain(&choice.exclude).cloned().collect();
        let floating = (0..).zip(&rules).filter(|(_, rule)| rule.floating).map(|(number, _)| (number, 0));
        let floating = floating.collect();
        let includes_anywhere = choice.include.iter().any(|rule| rule.floating && !rule.negated);
        Self { rules, includes: choice.include.len(), floating, includes_anywhere }
    }

    /// Returns whether everything is taken that is not left out.
    pub(super) fn takes_all(&self) -> bool {
        self.includes == 0
    }

    /// Returns where rules go on from in a root.
    pub(super) fn root(&self) -> Arc<[Live]> {
        (0..).zip(&self.rules).filter(|(_, rule)| !rule.floating).map(|(number, _)| (number, 0)).collect()
    }

    /// Returns what rules say of an entry of a directory, and adds where they go on from in it. Calls `met`
    /// with each that matches.
    pub(super) fn say(
        &self,
        live: &[Live],
        name: &str,
        is_directory: bool,
        below: &mut Vec<Live>,
        mut met: impl FnMut(usize),
    ) -> Said {
        let (mut include, mut exclude) = (None, None);
        for &(number, at) in live.iter().chain(&self.floating) {
            let index = number as usize;
            let rule = &self.rules[index];
            let matches = rule.advance(at as usize, name, |at| below.push((number, at as u32)));
            if matches && (is_directory || !rule.directories_only) {
                met(index);
                let last = if index < self.includes { &mut include } else { &mut exclude };
                *last = (*last).max(Some(index));
            }
        }
        let holds = |last: Option<usize>| last.is_some_and(|index| !self.rules[index].negated);
        Said { included: holds(include), excluded: holds(exclude) }
    }
    /// Returns whether something may be taken for what it is in a directory in which rules go on from there.
    pub(super) fn may_include(&self, live: &[Live]) -> bool {
        let includes = |&(number, _): &Live| {
            let index = number as usize;
            index < self.includes && !self.rules[index].negated
        };
        self.includes_anywhere || live.iter().any(includes)
    }

    /// Returns whether a rule says what is left out.
    pub(super) fn excludes(&self, (number, _): Live) -> bool {
        number as usize >= self.includes
    }

    /// Returns the rules that say what is taken.
    pub(super) fn includes(&self) -> &[Rule] {
        &self.rules[..self.includes]
    }

    /// Returns a number that stands for the rules and the path where they begin, the same on every machine and
    /// in every build: FNV-1a.
    pub(super) fn digest(&self, path: &str) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let mut hash = step(0xcbf2_9ce4_8422_2325, u8::from(self.takes_all()));
        for (index, rule) in self.rules.iter().enumerate() {
            hash = step(hash, u8::from(index < self.includes) << 1 | u8::from(rule.ignores_case()));
            // No UTF-8 has this byte.
            hash = rule.text().bytes().chain([0xff]).fold(hash, step);
        }
        path.bytes().fold(hash, step)
    }
}
