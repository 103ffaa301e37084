//! What names look like: globs as in shells, and regular expressions.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};

/// The most memory that a compiled pattern takes, in bytes.
const MAX_COMPILED: usize = 8 << 20;

/// A pattern of names or paths.
#[derive(Debug, Clone)]
pub struct Pattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Of a name alone.
    Name(GlobMatcher),
    /// Of a whole path.
    Path(GlobMatcher),
    Regex(Regex),
}

/// A pattern that is none, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

impl Pattern {
    /// Makes a glob: `*` and `?` stand for what is in a name, `**` for folders, `[a-z]` and `{a,b}` for choices.
    ///
    /// `?` and brackets stand for one byte, so a letter outside ASCII takes two or more of them.
    ///
    /// Without `/` it is compared with names. With one it is compared with the end of a path, from a folder's
    /// name on; with one at its start, with all of the path.
    ///
    /// # Errors
    /// [`BadPattern`], such as for a bracket that is not closed.
    pub fn glob(text: &str, ignore_case: bool) -> Result<Self, BadPattern> {
        let build = |text: &str| {
            let glob = GlobBuilder::new(text).literal_separator(true).case_insensitive(ignore_case).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| BadPattern(error.to_string()))
        };
        let text = text.strip_suffix('/').unwrap_or(text);
        Ok(Self(match text.strip_prefix('/') {
            Some(path) => Kind::Path(build(path)?),
            None if text.contains('/') => Kind::Path(build(&format!("**/{text}"))?),
            None => Kind::Name(build(text)?),
        }))
    }

    /// Makes a regular expression, in the syntax of the crate `regex`, that matches anywhere in a path.
    ///
    /// # Errors
    /// [`BadPattern`] for what is none, or would take too much memory.
    pub fn regex(text: &str, ignore_case: bool) -> Result<Self, BadPattern> {
        let built = RegexBuilder::new(text).case_insensitive(ignore_case).size_limit(MAX_COMPILED).build();
        built.map(|regex| Self(Kind::Regex(regex))).map_err(|error| BadPattern(error.to_string()))
    }

    /// Returns whether a name matches, or its path, which is made only if it matters.
    pub fn matches(&self, name: &str, path: impl FnOnce() -> String) -> bool {
        match &self.0 {
            Kind::Name(glob) => glob.is_match(name),
            Kind::Path(glob) => glob.is_match(path()),
            Kind::Regex(regex) => regex.is_match(&path()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &Pattern, path: &str) -> bool {
        pattern.matches(path.rsplit('/').next().unwrap(), || path.into())
    }

    #[test]
    fn globs_are_of_names_or_of_paths() {
        for (glob, yes, no) in [
            ("*.txt", &["a.txt", "d/b.txt", ".txt"][..], &["a.txt.gz", "a.TXT", "x.txt/y"][..]),
            ("a?[0-9]", &["ab1", "d/a_2"], &["a1", "ab"]),
            ("{a,b}.c", &["a.c", "x/b.c"], &["c.c"]),
            ("d/*.txt", &["d/a.txt", "x/d/a.txt"], &["d/e/a.txt", "xd/a.txt"]),
            ("/d/*", &["d/a"], &["x/d/a", "d/e/a"]),
            ("/d/**", &["d/a", "d/e/a"], &["x/d/a"]),
            ("docs/", &["docs", "x/docs"], &["docs/a"]),
            ("a\\*", &["a*"], &["ab"]),
        ] {
            let pattern = Pattern::glob(glob, false).unwrap();
            yes.iter().for_each(|path| assert!(is_match(&pattern, path), "{glob} {path}"));
            no.iter().for_each(|path| assert!(!is_match(&pattern, path), "{glob} {path}"));
        }
        assert!(is_match(&Pattern::glob("*.TXT", true).unwrap(), "a.txt"));
        assert!(Pattern::glob("a[", false).unwrap_err().to_string().contains("a["));
    }

    #[test]
    fn regular_expressions_match_anywhere_in_a_path() {
        let pattern = Pattern::regex(r"^d/.*\d{3}$", false).unwrap();
        assert!(is_match(&pattern, "d/x/a123") && !is_match(&pattern, "x/d/a123"));
        assert!(is_match(&Pattern::regex("A", true).unwrap(), "b/a"));
        assert!(Pattern::regex("(", false).is_err());
        assert!(Pattern::regex("(a{1000}){1000}", false).is_err(), "it takes too much memory");
    }
}
