//! What patterns take, in fixed cases and as git sees it.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::hash::RandomState;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::glob::Glob;
use super::scope::Inner;
use super::*;

/// Begins with a choice in a root of which nothing is known.
fn begin(choice: &Choice) -> (Chosen, Scope) {
    let rules = Arc::new(Rules::new(choice));
    let (is_within, live) = (rules.takes_all(), Some(rules.root()));
    let (on_the_way, unmatched) = (None, Vec::new());
    let inner = Inner { rules, hasher: RandomState::new(), on_the_way, unmatched, is_nothing: false };
    (Chosen::new(inner), Scope { is_within, live, ..Scope::default() })
}

/// Returns what is taken of a path, which ends in `/` if it is a directory's.
fn take(choice: &Choice, path: &str) -> Option<Scope> {
    let (chosen, mut scope) = begin(choice);
    let names: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    for (number, name) in names.iter().enumerate() {
        let is_directory = number + 1 < names.len() || path.ends_with('/');
        scope = chosen.take(&scope, name, is_directory)?;
    }
    Some(scope)
}

fn excluding(patterns: &[&str], ignore_case: bool) -> Choice {
    let mut choice = Choice::default();
    patterns.iter().for_each(|pattern| choice.exclude(pattern, ignore_case).unwrap());
    choice
}

fn including(patterns: &[&str]) -> Choice {
    let mut choice = Choice::default();
    patterns.iter().for_each(|pattern| choice.include(pattern, false).unwrap());
    choice
}

/// Patterns, what they match, and what not.
const CASES: [(&[&str], &[&str], &[&str]); 26] = [
    (&["*.o"], &["a.o", "d/b.o", ".o", "d.o/x"], &["a.oo", "a.O", "d/x"]),
    (&["/a"], &["a", "a/b"], &["d/a", "A"]),
    (&["a/"], &["a/", "d/a/", "a/b"], &["a", "d/a"]),
    (&["/d/"], &["d/x"], &["e/d/x", "d"]),
    (&["d/a"], &["d/a", "d/a/b"], &["e/d/a", "a"]),
    (&["**/d/a"], &["d/a", "e/d/a", "e/f/d/a"], &["e/d/b"]),
    (&["d/**"], &["d/a", "d/e/f"], &["d/", "e/d/a"]),
    (&["d/**/a"], &["d/a", "d/e/a", "d/e/f/a"], &["a", "e/a"]),
    (&["d/*/a"], &["d/e/a"], &["d/a", "d/e/f/a"]),
    (&["**"], &["a", "d/a"], &[]),
    (&["/**"], &["a", "d/a"], &[]),
    (&["d**a"], &["dxa", "e/da"], &["d/a"]),
    (&["*", "!*.c"], &["a", "d/", "d/a.c"], &["a.c"]),
    (&["*", "!*/", "!*.c"], &["a", "d/a"], &["d/", "a.c", "d/a.c"]),
    (&["d/", "!d/a"], &["d/a"], &["a"]),
    (&["d/*", "!d/a"], &["d/b"], &["d/a", "d/"]),
    (&["!a", "a"], &["a"], &["b"]),
    (&["\\!a", "\\#b", "c\\*"], &["!a", "#b", "c*"], &["a", "b", "cd"]),
    (&["[a-c]?"], &["ax", "cä"], &["dx", "a", "Ax"]),
    (&["[!a-c]", "[]x]y", "[a\\]]z"], &["d", "]y", "xy", "]z"], &["a", "zy"]),
    (&["[[:digit:]_-]x"], &["1x", "_x", "-x"], &["ax", "[x"]),
    (&["[[:]x", "[[:a]y"], &["[x", ":x", "[y", "ay"], &["x", "ax", "y"]),
    (&["{a,b}"], &["{a,b}"], &["a", "b"]),
    (&["a*b*c"], &["abc", "axxbxbxc", "abcc"], &["ab", "acb"]),
    (&["/**/b"], &["b", "a/b", "a/c/b"], &["a"]),
    (&["a\\/b"], &["a/b"], &["c/a/b"]),
];

#[test]
fn patterns_leave_out_what_they_match_and_all_below_it() {
    for (patterns, yes, no) in CASES {
        let choice = excluding(patterns, false);
        yes.iter().for_each(|path| assert!(take(&choice, path).is_none(), "{patterns:?} {path}"));
        no.iter().for_each(|path| assert!(take(&choice, path).is_some(), "{patterns:?} {path}"));
    }
    let choice = excluding(&["*.JPG", "[A-C]x", "ÄRGER"], true);
    ["a.jpg", "a.Jpg", "bX", "ärger", "ÄRger"]
        .iter()
        .for_each(|path| assert!(take(&choice, path).is_none(), "{path}"));
    ["dx", "a.jpx", "bären"].iter().for_each(|path| assert!(take(&choice, path).is_some(), "{path}"));
}

#[test]
fn patterns_take_what_they_match_and_all_below_it() {
    for (patterns, yes, no) in CASES {
        let choice = including(patterns);
        let is_taken =
            |path: &str| take(&choice, path).is_some_and(|scope| scope.is_within || !path.ends_with('/'));
        yes.iter().for_each(|path| assert!(is_taken(path), "{patterns:?} {path}"));
        no.iter().for_each(|path| assert!(!is_taken(path), "{patterns:?} {path}"));
    }
    let mut choice = including(&["docs", "*.txt"]);
    choice.exclude("*.tmp", false).unwrap();
    choice.exclude("/docs/old/", false).unwrap();
    for (path, expected) in [
        ("docs/a", true),
        ("docs/a.tmp", false),
        ("docs/old/a", false),
        ("x/docs/old/a", true),
        ("x/a.txt", true),
        ("x/a", false),
    ] {
        assert_eq!(take(&choice, path).is_some(), expected, "{path}");
    }
}

#[test]
fn what_nothing_can_match_in_is_not_entered() {
    let choice = including(&["/a/b/*.txt", "/c/**/x", "!/d/y"]);
    for (path, expected) in [("a/", true), ("a/b/", true), ("a/c/", false), ("c/e/f/", true), ("d/", false)] {
        assert_eq!(take(&choice, path).is_some(), expected, "{path}");
    }
    assert!(take(&including(&["*.txt"]), "anything/below/").is_some());
    // What is left out is no reason to enter a directory.
    let mut choice = including(&["/a/b/*.txt"]);
    choice.exclude("/c/d/x", false).unwrap();
    assert!(take(&choice, "a/").is_some() && take(&choice, "c/").is_none());
}

#[test]
fn directories_share_where_patterns_go_on() {
    let (chosen, root) = begin(&including(&["/a/**/x", "/b/c"]));
    let a = chosen.take(&root, "a", true).unwrap();
    let below = chosen.take(&a, "d", true).unwrap();
    assert!(Arc::ptr_eq(a.live.as_ref().unwrap(), below.live.as_ref().unwrap()));
    assert_eq!(a.live.as_deref().unwrap().len(), 1);
}

#[test]
fn which_pattern_took_a_directory_makes_no_difference_in_it() {
    let (chosen, root) = begin(&including(&["/a", "/a/b/c", "/d"]));
    let [a, d] = ["a", "d"].map(|name| chosen.take(&root, name, true).unwrap());
    // So a directory that lies in both is the same to walks that visit it once.
    assert_eq!(a.state(), d.state());
    assert_eq!(a.state(), (true, None));
}

#[test]
fn classes_have_the_characters_that_git_says_they_have() {
    // Each range by its first and its last character.
    for (class, ranges) in [
        ("alnum", "09AZaz"),
        ("alpha", "AZaz"),
        ("blank", "\t\t  "),
        ("cntrl", "\0\x1f\x7f\x7f"),
        ("digit", "09"),
        ("graph", "!~"),
        ("lower", "az"),
        ("print", " ~"),
        ("punct", "!/:@[`{~"),
        ("space", "\t\n\r\r  "),
        ("upper", "AZ"),
        ("xdigit", "09AFaf"),
    ] {
        let glob = Glob::new(&format!("[[:{class}:]]"), false).unwrap();
        for c in (0..=u8::MAX).map(char::from) {
            let ends: Vec<char> = ranges.chars().collect();
            let expected = ends.chunks(2).any(|ends| (ends[0]..=ends[1]).contains(&c));
            assert_eq!(glob.matches(&c.to_string(), false), expected, "{class} {c:?}");
        }
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    for (pattern, why) in [
        ("", "empty"),
        ("/", "empty"),
        ("!", "empty"),
        ("a//b", "empty"),
        ("a[b", "not closed"),
        ("a[/]b", "not closed"),
        ("[[:alphas:]]", "not known"),
        ("a\\", "escapes nothing"),
    ] {
        let error = Choice::default().exclude(pattern, false).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(&format!("{pattern:?}")), "{error}");
    }
    let error = Choice::default().include_lines("# a\n\nb\n[c", false).unwrap_err().to_string();
    assert!(error.starts_with("line 4: "), "{error}");
}

#[test]
fn a_digest_stands_for_patterns_their_lists_and_their_case() {
    let digest = |choice: &Choice| begin(choice).0.digest();
    let mut both = including(&["a"]);
    both.exclude("b", false).unwrap();
    let choices = [
        including(&["a", "b"]),
        including(&["b", "a"]),
        including(&["ab"]),
        excluding(&["a", "b"], false),
        excluding(&["a", "b"], true),
        both,
    ];
    let digests: HashSet<u64> = choices.iter().map(digest).collect();
    assert_eq!(digests.len(), choices.len());
    // As any build and machine has it: shards have to agree.
    assert_eq!(digest(&including(&["a", "b"])), 0x44ec_4c13_c046_1098);
}

/// Numbers that look random, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }

    fn pattern(&mut self) -> String {
        let mut pattern = String::from(self.of(&["", "", "", "!", "/", "**/", "!/"]));
        // Not `a**`: before a `/`, some versions of git take it for `**`, against their documentation.
        let names = [
            "a",
            "b",
            "*",
            "**",
            "a*",
            "*b",
            "?",
            "[ab]",
            "[!a]",
            "ab",
            "***",
            "B",
            "[[:upper:]]",
            "\\a",
            "[a-b]*",
            "x.c",
            "*.c",
            "{a,b}",
            "[b-]",
            "*a*b*",
        ];
        for number in 0..=self.below(3) {
            pattern += if number > 0 { "/" } else { "" };
            pattern += self.of(&names);
        }
        pattern + self.of(&["", "", "", "/"])
    }
}

/// Makes a tree of files and directories, and returns its paths, those of directories with `/`.
fn tree(place: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for one in ["a", "b", "ab", "B", "x.c"] {
        paths.push(format!("{one}/"));
        for two in ["a", "b", "ba", "x.c"] {
            paths.push(format!("{one}/{two}/"));
            paths.extend(["a", "b", "aab", "x.c", "Ab"].map(|three| format!("{one}/{two}/{three}")));
        }
        paths.extend(["c", "d.c", "A", "b-"].map(|two| format!("{one}/{two}")));
    }
    paths.extend(["c", "A", "abb", "y.c", "-", "{a,b}"].map(Into::into));
    for path in &paths {
        match path.strip_suffix('/') {
            Some(directory) => fs::create_dir_all(place.join(directory)).unwrap(),
            None => fs::write(place.join(path), "").unwrap(),
        }
    }
    paths
}

#[test]
fn patterns_match_what_git_says_they_match() {
    let place = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(place.path()).args(arguments);
        git.env("HOME", place.path()).env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_DIR");
        git
    };
    if !git(&["init", "-q"]).status().is_ok_and(|status| status.success()) {
        kopia_testkit::facilities::left_out("there is no git");
        return;
    }
    let paths = tree(place.path());
    // With `/` at its end git would take a path for one in it.
    let bare = |path: &str| path.trim_end_matches('/').to_owned();
    let input = paths.iter().map(|path| bare(path)).collect::<Vec<_>>().join("\0");
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..250 {
        let ignore_case = round % 4 == 3;
        let patterns: Vec<String> = (0..=random.below(4)).map(|_| random.pattern()).collect();
        fs::write(place.path().join(".git/info/exclude"), patterns.join("\n")).unwrap();
        let case = format!("core.ignorecase={ignore_case}");
        let mut check = git(&["-c", &case, "check-ignore", "--no-index", "-z", "--stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        check.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap().stdout;
        let output = String::from_utf8(output).unwrap();
        let ignored: BTreeSet<&str> = output.split('\0').filter(|path| !path.is_empty()).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let choice = excluding(&patterns, ignore_case);
        for path in &paths {
            let expected = ignored.contains(&*bare(path));
            assert_eq!(take(&choice, path).is_none(), expected, "{patterns:?} {path} {ignore_case}");
        }
    }
}
