//! Which names are one in a file system.
//!
//! exFAT, NTFS, CIFS, HFS+ and directories of ext4 with the casefold flag find `readme` by `README`. HFS+,
//! APFS, ZFS on request and those directories of ext4 find `é` of one character by `é` of two: names that look
//! alike and differ in their Unicode normalization form.

mod foresee;
mod probe;

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfd_quick};

pub use foresee::{FoldedNames, folded_names};

/// Which names are one in a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Folding {
    case: Case,
    form: Form,
}

/// The case of which letters makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Case {
    #[default]
    None,
    Ascii,
    /// Of all that have one letter in the other case.
    Simple,
    /// Of all: `ß` is `ss`.
    Full,
}

/// The Unicode normalization form of which characters makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Form {
    #[default]
    None,
    /// All but those that Apple's file systems leave as they are.
    Apple,
    All,
}

impl Folding {
    /// Returns whether names are one only if they are equal.
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Returns what is equal for all names that are one.
    pub(crate) fn key(self, name: &str) -> Cow<'_, str> {
        let decomposed = self.form.decompose(name);
        match self.case {
            Case::None => decomposed,
            Case::Ascii => decomposed.to_ascii_lowercase().into(),
            Case::Simple => decomposed.chars().map(lower).collect::<String>().into(),
            // Long forms of composed characters are decomposed in turn.
            Case::Full => self.form.decompose(&full_fold(&decomposed)).into_owned().into(),
        }
    }
}

impl Form {
    fn decompose(self, name: &str) -> Cow<'_, str> {
        if self == Self::None || name.is_ascii() {
            return name.into();
        }
        if self == Self::All {
            return nfd(name);
        }
        let mut whole = String::with_capacity(name.len());
        // No mark is sorted across what is left as it is.
        for run in name.split_inclusive(is_left_by_apple) {
            let last = run.chars().next_back().filter(|&last| is_left_by_apple(last));
            let (rest, last) = run.split_at(run.len() - last.map_or(0, char::len_utf8));
            whole.extend(rest.nfd());
            whole.push_str(last);
        }
        whole.into()
    }
}

/// Returns whether Apple's file systems leave a character as it is (Technical Note TN1150).
fn is_left_by_apple(letter: char) -> bool {
    matches!(letter, '\u{2000}'..='\u{2fff}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2faff}')
}

/// Returns whether two names look the same: they differ in nothing but their normalization form.
pub(crate) fn differ_in_form(name: &str, other: &str) -> bool {
    name != other && nfd(name) == nfd(other)
}

fn nfd(name: &str) -> Cow<'_, str> {
    match is_nfd_quick(name.chars()) {
        unicode_normalization::IsNormalized::Yes => name.into(),
        _ => name.nfd().collect::<String>().into(),
    }
}

/// Character by character: as such file systems do it, no name becomes longer (ß stays ß).
fn lower(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

/// Folds case as Unicode's `CaseFolding.txt` does in full: some letters become several.
fn full_fold(name: &str) -> String {
    let fold = |letter: char| {
        let up = |letter: char| letter.to_uppercase().flat_map(char::to_lowercase);
        // The dotless i is the one letter that only its upper case would make another one.
        let dotless = (letter == 'ı').then_some(letter);
        let folded = letter.to_lowercase().flat_map(up).filter(move |_| dotless.is_none());
        dotless.into_iter().chain(folded)
    };
    name.chars().flat_map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(case: Case, form: Form, a: &str, b: &str) -> bool {
        let folding = Folding { case, form };
        folding.key(a) == folding.key(b)
    }

    #[test]
    fn names_that_differ_in_case_have_one_key() {
        let one = |case, a, b| one(case, Form::None, a, b);
        assert!(!one(Case::None, "a", "A") && one(Case::None, "a", "a"));
        assert!(one(Case::Ascii, "a", "A") && !one(Case::Ascii, "é", "É"));
        assert!(one(Case::Simple, "éA", "Éa") && !one(Case::Simple, "ß", "ss"));
        // Its lower case is two characters, which no file system without long forms makes of it.
        assert!(!one(Case::Simple, "İ", "i"));
        for (a, b) in [("Straße", "STRASSE"), ("ẞ", "ss"), ("ﬁ", "FI"), ("ς", "Σ"), ("ŉ", "ʼN")] {
            assert!(one(Case::Full, a, b), "{a} {b}");
        }
        assert!(one(Case::Full, "İ", "i\u{307}") && !one(Case::Full, "İ", "i") && !one(Case::Full, "ı", "I"));
    }

    #[test]
    fn names_that_differ_in_their_normalization_form_have_one_key() {
        let (composed, decomposed) = ("é", "e\u{301}");
        for case in [Case::None, Case::Ascii, Case::Simple, Case::Full] {
            for form in [Form::Apple, Form::All] {
                assert!(one(case, form, composed, decomposed), "{case:?} {form:?}");
                assert!(!one(case, form, composed, "e") && one(case, form, "plain", "plain"));
                assert_eq!(one(case, form, composed, "E\u{301}"), case != Case::None);
                // The order of marks at different places makes no difference, nor do Hangul's blocks.
                assert!(
                    one(case, form, "a\u{323}\u{302}", "ậ")
                        && one(case, form, "각", "\u{1100}\u{1161}\u{11a8}")
                );
            }
            assert!(!one(case, Form::None, composed, decomposed));
        }
        // Of what Apple leaves alone nothing is changed, and all beside it.
        let angstrom = "\u{212b}é\u{f900}";
        assert!(one(Case::None, Form::Apple, angstrom, "\u{212b}e\u{301}\u{f900}"));
        assert!(!one(Case::None, Form::Apple, angstrom, "Åé\u{8c48}"));
        assert!(one(Case::None, Form::All, angstrom, "Åé\u{8c48}"));
        // A long form that is composed in turn.
        assert!(one(Case::Full, Form::All, "ΐ", "ι\u{308}\u{301}"));
    }

    #[test]
    fn names_that_look_the_same_are_told_from_others() {
        assert!(differ_in_form("é", "e\u{301}"));
        for other in ["é", "É", "E\u{301}", "e"] {
            assert!(!differ_in_form("é", other), "{other}");
        }
    }
}
