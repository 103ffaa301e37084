//! What names look like: globs as in shells, and regular expressions.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::glob;

/// The most memory that a compiled pattern takes, in bytes.
const MAX_COMPILED: usize = 8 << 20;

/// A pattern of names or paths.
#[derive(Debug, Clone)]
pub struct Pattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Of a name alone.
    Name(Regex),
    /// Of a whole path.
    Path(Regex),
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
    /// Without `/` it is compared with names. With one it is compared with the end of a path, from a folder's
    /// name on; with one at its start, with all of the path.
    ///
    /// # Errors
    /// [`BadPattern`], such as for a bracket that is not closed.
    pub fn glob(text: &str, ignore_case: bool) -> Result<Self, BadPattern> {
        let build = |glob: &str| {
            let regex = glob::to_regex(glob);
            compile(&regex.map_err(|why| BadPattern(format!("the glob '{text}' {why}")))?, ignore_case)
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
        compile(text, ignore_case).map(|regex| Self(Kind::Path(regex)))
    }

    /// Returns whether a name matches, or its path, which is made only if it matters.
    pub fn matches(&self, name: &str, path: impl FnOnce() -> String) -> bool {
        match &self.0 {
            Kind::Name(regex) => regex.is_match(name),
            Kind::Path(regex) => regex.is_match(&path()),
        }
    }
}

fn compile(regex: &str, ignore_case: bool) -> Result<Regex, BadPattern> {
    let built = RegexBuilder::new(regex).case_insensitive(ignore_case).size_limit(MAX_COMPILED).build();
    built.map_err(|error| BadPattern(error.to_string()))
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
            ("a?[0-9]", &["ab1", "d/aä2"], &["a1", "ab"]),
            ("ä[à-ü]?", &["äöß", "x/äéx"], &["äxx", "äö"]),
            ("[!a]\\x", &["äx"], &["ax", "ä\\x"]),
            ("[b-b]", &["b"], &["a", "c", "-"]),
            ("{a,b}.c", &["a.c", "x/b.c"], &["c.c"]),
            ("d/*.txt", &["d/a.txt", "x/d/a.txt"], &["d/e/a.txt", "xd/a.txt"]),
            ("/d/*", &["d/a"], &["x/d/a", "d/e/a"]),
            ("/d/**", &["d/a", "d/e/a", "d/e\n/a"], &["x/d/a"]),
            ("docs/", &["docs", "x/docs"], &["docs/a"]),
            ("a\\*", &["a*"], &["ab"]),
            ("d/**/a", &["d/a", "d/x/y/a", "x/d/a"], &["d/xa", "da"]),
            ("a**", &["ab", "x/a"], &["a/b"]),
            ("[]a-]x[!]/]", &["]xb", "-xb", "ax-"], &["bxb", "ax]"]),
            ("d[/.]a", &["d.a"], &["d/a"]),
            ("{a,{b,c}?}.(x)", &["a.(x)", "bx.(x)", "cx.(x)"], &["b.(x)", "a.x"]),
            ("/**", &["a", "d/a"], &[]),
            ("/**/**", &["a", "d/a"], &[]),
            ("a,b.c", &["a,b.c"], &["a", "b.c"]),
            ("{,x}y", &["y", "xy"], &["xxy"]),
        ] {
            let pattern = Pattern::glob(glob, false).unwrap();
            yes.iter().for_each(|path| assert!(is_match(&pattern, path), "{glob} {path}"));
            no.iter().for_each(|path| assert!(!is_match(&pattern, path), "{glob} {path}"));
        }
        assert!(is_match(&Pattern::glob("*.TXT", true).unwrap(), "a.txt"));
        assert!(is_match(&Pattern::glob("[à-ü].TXT", true).unwrap(), "Ä.txt"));
        for (glob, why) in [
            ("a[", "the glob 'a[' has a '[' that is not closed"),
            ("/[]", "the glob '/[]' has a '[' that is not closed"),
            ("{a", "the glob '{a' has a '{' that is not closed"),
            ("a}", "the glob 'a}' has a '}' that was not opened"),
            ("a\\", "the glob 'a\\' ends after a '\\'"),
            ("[z-a]", "the glob '[z-a]' has a range that ends before it begins, 'z-a'"),
        ] {
            assert_eq!(Pattern::glob(glob, false).unwrap_err().to_string(), why);
        }
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
