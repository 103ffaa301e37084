//! One pattern: the names that lead from the root to what it matches.

use std::fmt;

use super::glob::Glob;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    text: Box<str>,
    ignore_case: bool,
    /// Whether it takes back what patterns before it matched.
    pub(super) negated: bool,
    /// Whether only directories match.
    pub(super) directories_only: bool,
    /// Whether the path that it matches may begin in any directory.
    pub(super) floating: bool,
    steps: Box<[Step]>,
}

/// What matches one component of a path, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(Glob),
    /// `**`: any number of directories; at the end, everything.
    Deep,
}

/// A pattern that is none, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule {
    pattern: String,
    why: &'static str,
    line: Option<usize>,
}

impl BadRule {
    /// Names the line of a file that it stands in, from 1 on.
    pub(super) fn in_line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{:?} is no pattern: {}", self.pattern, self.why)
    }
}

impl std::error::Error for BadRule {}

impl Rule {
    pub(super) fn new(text: &str, ignore_case: bool) -> Result<Self, BadRule> {
        let bad = |why| BadRule { pattern: text.into(), why, line: None };
        let (negated, path) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (directories_only, path) = path.strip_suffix('/').map_or((false, path), |path| (true, path));
        let anchored = path.contains('/');
        let names = split(path.strip_prefix('/').unwrap_or(path));
        let glob = |name: &str| Glob::new(name, ignore_case).map(Step::Name).map_err(bad);
        if names.iter().any(String::is_empty) {
            return Err(bad("a name in it is empty"));
        }
        let mut steps = Vec::new();
        for name in &names {
            match is_deep(name) && anchored {
                true if steps.last() == Some(&Step::Deep) => {}
                true => steps.push(Step::Deep),
                false => steps.push(glob(name)?),
            }
        }
        let begins_deep = steps.len() > 1 && steps[0] == Step::Deep;
        if begins_deep {
            steps.remove(0);
        }
        let floating = !anchored || begins_deep;
        Ok(Self { text: text.into(), ignore_case, negated, directories_only, floating, steps: steps.into() })
    }

    /// Returns the pattern as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether upper and lower case are one.
    pub(super) fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// Goes on by a name from so many steps; returns whether the rule matches there, and calls `live` with
    /// what it may go on from below.
    pub(super) fn advance(&self, mut at: usize, name: &str, mut live: impl FnMut(usize)) -> bool {
        loop {
            let is_last = at + 1 == self.steps.len();
            match self.steps.get(at) {
                Some(Step::Deep) => {
                    live(at);
                    if is_last {
                        return true;
                    }
                    at += 1;
                }
                Some(Step::Name(glob)) if glob.matches(name, self.ignore_case) => {
                    if !is_last {
                        live(at + 1);
                    }
                    return is_last;
                }
                Some(Step::Name(_)) | None => return false,
            }
        }
    }
}

/// Splits a path, where `\` before a `/` changes nothing.
fn split(path: &str) -> Vec<String> {
    let mut names: Vec<String> = path.split('/').map(Into::into).collect();
    let last = names.len() - 1;
    for name in &mut names[..last] {
        let escapes = name.len() - name.trim_end_matches('\\').len();
        if escapes % 2 == 1 {
            name.pop();
        }
    }
    names
}

fn is_deep(name: &str) -> bool {
    name.len() > 1 && name.bytes().all(|byte| byte == b'*')
}
