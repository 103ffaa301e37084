use std::collections::BTreeSet;
use std::fs;

use super::*;

fn of(paths: &[&str]) -> (tempfile::TempDir, impl Fn(&str) -> Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let base = folder.path().to_path_buf();
    let found = move |at: &str| {
        let search = in_directory(&base.join(at), Some(Effort::Doctor));
        let shown = |one: &NamespaceRepository| {
            let root = one.root.strip_prefix(&format!("{}/", base.display())).unwrap();
            format!("{} at {root}", one.namespace)
        };
        search.found.iter().map(shown).collect()
    };
    (folder, found)
}

#[test]
fn every_namespace_is_found_from_kopia_from_the_prefix_and_from_the_bucket() {
    let (_folder, found) = of(&[
        "bucket/a/b/kopia/shop/kopia.repository",
        "bucket/a/b/kopia/web/kopia.repository.f",
        "bucket/a/b/kopia/empty/x",
        "bucket/a/b/backups/kopia/shop/kopia.repository",
        "bucket/other/kopia/shop/kopia.repository",
        "bucket/photos/kopia.repository",
    ]);
    let two = ["shop at bucket/a/b/kopia/shop/", "web at bucket/a/b/kopia/web/"];
    for at in ["bucket/a/b/kopia", "bucket/a/b/kopia/", "bucket/a/b", "bucket/a"] {
        assert_eq!(found(at), two, "{at}");
    }
    assert_eq!(found("bucket"), [two[0], two[1], "shop at bucket/other/kopia/shop/"]);
    assert!(found("bucket/photos").is_empty() && found("nowhere").is_empty());
}

#[test]
fn what_velero_alone_has_marks_its_repositories() {
    let (folder, _) = of(&[
        "a/kopia/shop/kopia.repository",
        "b/kopia/shop/kopia.repository",
        "b/backups/nightly/velero-backup.json",
        "c/kopia/shop/kopia.repository.f",
        "c/kopia/shop/udmrepo.Repository.f",
    ]);
    for (at, expected) in
        [("a", false), ("a/kopia", false), ("b", true), ("b/kopia/", true), ("c", true), ("c/kopia", true)]
    {
        let search = in_directory(&folder.path().join(at), Some(Effort::Hint));
        assert_eq!((search.found.len(), search.is_marked), (1, expected), "{at}");
    }
}

/// A tree without an end, as a hostile server may show one.
struct Endless;

impl Tree for Endless {
    fn directories(&self, _: &str) -> io::Result<(Vec<String>, bool)> {
        Ok((vec!["a".into(), "b".into(), "kopia".into()], true))
    }

    fn holds(&self, _: &str, _: &str) -> io::Result<bool> {
        Ok(false)
    }
}

#[test]
fn a_search_ends_and_says_that_there_was_more() {
    let search = Walk::of(&Endless, Some(Effort::Doctor)).search("");
    assert!(search.found.is_empty() && search.is_cut);
}

/// A location with many namespaces.
struct Many;

impl Tree for Many {
    fn directories(&self, place: &str) -> io::Result<(Vec<String>, bool)> {
        let all = if place == "kopia/" {
            (0..100).map(|number| format!("n{number}")).collect()
        } else {
            Vec::new()
        };
        Ok((all, true))
    }

    fn holds(&self, _: &str, _: &str) -> io::Result<bool> {
        Ok(true)
    }
}

#[test]
fn only_whoever_asked_for_the_namespaces_waits_for_all() {
    let found = |effort: Option<Effort>| {
        let mut late = Walk::of(&Many, effort);
        late.until -= std::time::Duration::from_secs(11);
        let search = late.search("kopia/");
        (search.found.len(), search.is_cut)
    };
    // The first look is the one into `kopia/`.
    assert_eq!(found(Some(Effort::Doctor)), (UNHURRIED - 1, true));
    assert_eq!(found(None), (100, false));
}

#[test]
fn a_location_may_be_called_like_what_velero_has_beside_its_own() {
    let (_folder, found) = of(&[
        "bucket/backups/kopia/shop/kopia.repository",
        "bucket/restores/prod/kopia/web/kopia.repository",
        "bucket/c/backups/nightly/velero-backup.json",
    ]);
    let expected = ["shop at bucket/backups/kopia/shop/", "web at bucket/restores/prod/kopia/web/"];
    assert_eq!(found("bucket"), expected);
}

/// A server that goes away.
struct Gone;

impl Tree for Gone {
    fn directories(&self, _: &str) -> io::Result<(Vec<String>, bool)> {
        Ok((vec!["a".into(), "b".into()], true))
    }

    fn holds(&self, place: &str, _: &str) -> io::Result<bool> {
        assert_eq!(place, "kopia/a/", "nothing else is asked for");
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn a_server_that_is_gone_is_asked_once() {
    let search = Walk::of(&Gone, None).search("kopia/");
    assert_eq!(search.refused.len(), 1);
    assert_eq!(search.refused[0].kind(), io::ErrorKind::ConnectionReset);
    assert!(search.found.is_empty() && !search.is_cut);
}

/// Namespaces of which one refuses.
struct Refusing;

impl Tree for Refusing {
    fn directories(&self, place: &str) -> io::Result<(Vec<String>, bool)> {
        Ok((if place == "kopia/" { vec!["a".into(), "b".into(), "No".into()] } else { Vec::new() }, true))
    }

    fn holds(&self, place: &str, _: &str) -> io::Result<bool> {
        if place == "kopia/a/" { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(true) }
    }
}

#[test]
fn what_refuses_is_told_and_hides_nothing_else() {
    let search = Walk::of(&Refusing, Some(Effort::Doctor)).search("kopia/");
    let found: BTreeSet<_> = search.found.iter().map(|one| &*one.root).collect();
    assert_eq!(found, BTreeSet::from(["kopia/b/"]));
    let [refused] = &search.refused[..] else { panic!("{:?}", search.refused) };
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(refused.to_string().starts_with("kopia/a/: "), "{refused}");
    assert!(search.error.is_none());
}
