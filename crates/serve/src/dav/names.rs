//! Names of folders that stand for sources and snapshots, which every system can have.

use std::collections::HashMap;

use kopia_format::Timestamp;

/// Makes a name of what may hold slashes and colons: these and what Windows cannot have become `_`.
pub(super) fn plain(text: &str) -> String {
    let is_bad = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    let name: String = text.chars().map(|c| if is_bad(c) { '_' } else { c }).collect();
    let name = name.trim_start_matches('_').trim_end_matches(['_', '.', ' ']);
    // The root of a file system has nothing else.
    if name.is_empty() { "root".into() } else { name.into() }
}

/// Names a snapshot by its time, to the second and in UTC, so that names sort as times do.
pub(super) fn of_time(time: Timestamp) -> String {
    let whole = Timestamp::new(time.seconds(), 0).unwrap_or_default();
    whole.to_string().replace(':', "-")
}

/// Tells names apart that are the same: the second becomes `NAME~2`.
pub(super) fn told_apart<T>(named: impl IntoIterator<Item = (String, T)>) -> Vec<(String, T)> {
    let mut counts: HashMap<String, u32> = HashMap::new();
    let number = |(name, what): (String, T)| {
        let count = counts.entry(name.to_lowercase()).or_default();
        *count += 1;
        if *count == 1 { (name, what) } else { (format!("{name}~{count}"), what) }
    };
    named.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_become_names() {
        for (text, name) in [
            ("/home/anna", "home_anna"),
            ("C:\\Users\\Anna", "C__Users_Anna"),
            ("/", "root"),
            ("/a\nb/.", "a_b"),
            ("anna@laptop", "anna@laptop"),
        ] {
            assert_eq!(plain(text), name);
        }
        let time = Timestamp::new(1_767_323_045, 123).unwrap();
        assert_eq!(of_time(time), "2026-01-02T03-04-05Z");
    }

    #[test]
    fn equal_names_are_numbered() {
        let names = ["a", "b", "A", "a"].map(|name| (name.to_owned(), ()));
        let apart: Vec<_> = told_apart(names).into_iter().map(|(name, ())| name).collect();
        assert_eq!(apart, ["a", "b", "A~2", "a~3"]);
    }
}
