use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A bucket, or directories, of these names.
#[derive(Debug)]
struct Fake {
    root: &'static str,
    shape: Shape,
    names: Vec<String>,
    looks: AtomicUsize,
}

impl Fake {
    fn keys(root: &'static str, names: &[&str]) -> Self {
        let names = names.iter().map(ToString::to_string).collect();
        Self { root, shape: Shape::Keys, names, looks: AtomicUsize::new(0) }
    }

    fn directories(root: &'static str, names: &[&str]) -> Self {
        Self { shape: Shape::Directories { has_home: true }, ..Self::keys(root, names) }
    }

    fn found(&self, effort: Effort) -> Vec<(String, RootRelation)> {
        let found = search(self, false, effort).found;
        found.into_iter().map(|place| (place.root, place.relation)).collect()
    }
}

impl Surroundings for Fake {
    fn root(&self) -> String {
        self.root.into()
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let below = self.names.iter().filter_map(|name| name.strip_prefix(prefix));
        let mut level: Vec<_> = below
            .filter(|rest| !prefix.is_empty() || !rest.starts_with('/') || self.shape == Shape::Keys)
            .map(|rest| match rest.find('/') {
                Some(end) => Near::new(format!("{prefix}{}", &rest[..=end])),
                None => Near::new(format!("{prefix}{rest}")),
            })
            .collect();
        level.dedup();
        let is_missing = level.is_empty() && self.shape != Shape::Keys;
        if is_missing { Err(io::ErrorKind::NotFound.into()) } else { Ok(level) }
    }
}

#[test]
fn keys_a_level_or_a_slash_off_are_found() {
    use RootRelation::{Above, Below, Beside, ExtraSlash, LeadingSlash, MissingSlash};
    for (root, key, at, relation, is_hinted) in [
        ("a/k", "a/k/kopia.repository", "a/k/", MissingSlash, true),
        ("k", "k/kopia.repository", "k/", MissingSlash, true),
        ("k/", "kkopia.repository", "k", ExtraSlash, true),
        ("a/k/", "a/kopia.repository", "a/", Above, true),
        ("a/k", "a/kopia.repository", "a/", Above, true),
        ("k/", "kopia.repository", "", Above, true),
        ("a/b/c/", "kopia.repository", "", Above, false),
        ("", "k/kopia.repository", "k/", Below, true),
        ("a/", "a/k/kopia.repository", "a/k/", Below, false),
        ("", "a/k/kopia.repository", "a/k/", Below, false),
        ("a/k/", "a/l/kopia.repository", "a/l/", Beside, false),
        ("k/", "/k/kopia.repository", "/k/", LeadingSlash, false),
        ("/k/", "k/kopia.repository", "k/", LeadingSlash, false),
    ] {
        let fake = Fake::keys(root, &[key, &format!("{}p1", key.trim_end_matches("kopia.repository"))]);
        let wanted = vec![(at.to_string(), relation)];
        assert_eq!(fake.found(Effort::Doctor), wanted, "{root}");
        fake.looks.store(0, Ordering::Relaxed);
        assert_eq!(fake.found(Effort::Hint) == wanted, is_hinted, "{root}");
        assert!(fake.looks.load(Ordering::Relaxed) <= 2, "{root}");
    }
}

#[test]
fn directories_a_level_off_are_found() {
    use RootRelation::{Above, Below, Beside, Home, Tail};
    for (root, file, at, relation) in [
        ("/srv/k", "/srv/k/repo/kopia.repository.f", "/srv/k/repo/", Below),
        ("/srv", "/srv/k/repo/kopia.repository.f", "/srv/k/repo/", Below),
        ("/srv/k/repo", "/srv/k/kopia.repository.f", "/srv/k/", Above),
        ("/srv/k", "/srv/l/kopia.repository", "/srv/l/", Beside),
        ("/srv/k", "/srv/l/repo/kopia.repository", "/srv/l/repo/", Beside),
        ("/srv/webdav/repo", "/repo/kopia.repository.f", "/repo/", Tail),
        ("/srv/webdav/a/repo", "/a/repo/kopia.repository.f", "/a/repo/", Tail),
        ("/srv/webdav/b", "/a/repo/kopia.repository.f", "/a/repo/", Beside),
        ("/k", "k/kopia.repository.f", "k/", Home),
        ("k", "k/repo/kopia.repository.f", "k/repo/", Below),
        (".", "repo/kopia.repository.f", "repo/", Below),
    ] {
        let fake = Fake::directories(root, &[file]);
        assert_eq!(fake.found(Effort::Doctor), vec![(at.to_string(), relation)], "{root}");
        fake.looks.store(0, Ordering::Relaxed);
        fake.found(Effort::Hint);
        assert!(fake.looks.load(Ordering::Relaxed) <= 2, "{root}");
    }
}

#[test]
fn what_else_is_there_is_told() {
    let fake = Fake::keys("k/", &["k/photos/1", "k/readme", "k2/x"]);
    let search = search(&fake, false, Effort::Doctor);
    assert_eq!((&search.holds[..], search.has_blobs), (&["photos/".into(), "readme".into()][..], false));
    let lost = Fake::keys("k/", &["k/xn0_0123456789abcdef0123456789abcdef-s0123-c1"]);
    assert!(super::search(&lost, false, Effort::Doctor).has_blobs);
    // Its blobs are not at `k`, which lacks the slash.
    let whole = Fake::keys("k", &["k/kopia.repository", "k/xn0_0123456789abcdef0123456789abcdef-s0123-c1"]);
    assert!(!super::search(&whole, false, Effort::Doctor).has_blobs);
    let nothing = super::search(&Fake::keys("k/", &[]), false, Effort::Doctor);
    assert!(nothing.found.is_empty() && nothing.holds.is_empty() && nothing.is_empty);
}

#[test]
fn a_search_ends_in_a_huge_bucket() {
    let names: Vec<_> = (0..5000).map(|number| format!("{number}/x")).collect();
    let fake = Fake::keys("", &names.iter().map(|name| &**name).collect::<Vec<_>>());
    let search = search(&fake, false, Effort::Doctor);
    assert!(search.is_cut && fake.looks.load(Ordering::Relaxed) <= 200);
}

#[test]
fn higher_levels_come_nearest_first() {
    assert_eq!(ancestors("a/b/c/"), ["a/b/", "a/", ""]);
    assert_eq!(ancestors("a/b"), ["a/", ""]);
    assert_eq!(ancestors("/a/b"), ["/a/", "/"]);
    assert_eq!(ancestors("/a"), ["/"]);
    assert_eq!([ancestors(""), ancestors("/")], [Vec::<String>::new(), Vec::new()]);
}
