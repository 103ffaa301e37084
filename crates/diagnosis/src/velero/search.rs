//! Finds the repositories of all namespaces below a place: a bucket, a prefix in one, or a copy of either.

use std::io;
use std::path::Path;

use kopia_storage::{Shape, Surroundings};
use serde::Serialize;

use super::{KOPIA, is_namespace};
use crate::{Effort, neighbours};

/// How many directories between the place and `kopia/` are gone through. Prefixes have one level, or few.
const LEVELS: usize = 4;

/// How many directories are looked into in all: one for each namespace, and what lies on the way.
const LOOKS: usize = 5000;

/// How many directories are looked into that do not hold `kopia/`.
const DETOURS: usize = 200;

/// What Velero has beside `kopia/`, with a directory for each backup.
const OTHERS: [&str; 5] = ["backups", "restores", "metadata", "plugins", "restic"];

/// A repository that holds the volumes of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceRepository {
    /// The namespace, as the directory is named.
    pub namespace: String,
    /// Where it is: the path of its directory, or the prefix of its keys, which ends with `/`.
    pub root: String,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Search {
    /// Sorted by place.
    pub found: Vec<NamespaceRepository>,
    /// Whether there was more than is looked at.
    pub is_cut: bool,
    /// Why something could not be looked at; the first of it.
    pub error: Option<io::Error>,
    /// Whether something beside the names of directories says that they are Velero's: what else it keeps in a
    /// bucket, or a blob that no other program writes.
    pub is_marked: bool,
}

/// What Velero writes into its repositories (`pkg/repository/udmrepo/kopialib/repo_init.go`).
const MARK: &str = "udmrepo.Repository";

/// What a repository must hold.
const FORMAT_BLOB: &str = "kopia.repository";

/// Searches a directory of the local system, which is a copy of a bucket or holds one. Links are not followed.
///
/// For a hint, only what has `kopia/` nearby is found.
pub fn in_directory(directory: &Path, effort: Effort) -> Search {
    let Some(root) = directory.to_str() else { return Search::default() };
    let root = if root.ends_with('/') { root.into() } else { format!("{root}/") };
    let walk = Walk::of(&Local);
    let walk = if effort == Effort::Hint { Walk { looks: 200, detours: 8, ..walk } } else { walk };
    walk.search(&root)
}

/// Searches a bucket, or the directories of a server, below the place that a view is of.
pub fn in_store(around: &dyn Surroundings) -> Search {
    let root = around.root();
    let root = if root.is_empty() || root.ends_with('/') { root } else { format!("{root}/") };
    Walk::of(&Store(around)).search(&root)
}

/// A tree of directories, each named with `/` at its end.
trait Tree {
    /// Returns the names of the directories in one, and whether that is all.
    fn directories(&self, place: &str) -> io::Result<(Vec<String>, bool)>;

    /// Returns whether one holds a blob.
    fn holds(&self, place: &str, blob: &str) -> io::Result<bool>;
}

struct Local;

impl Tree for Local {
    fn directories(&self, place: &str) -> io::Result<(Vec<String>, bool)> {
        let mut names = Vec::new();
        for entry in Path::new(place).read_dir()? {
            let entry = entry?;
            if names.len() == LOOKS {
                return Ok((names, false));
            }
            if entry.file_type()?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok((names, true))
    }

    fn holds(&self, place: &str, blob: &str) -> io::Result<bool> {
        let place = Path::new(place);
        if blob == FORMAT_BLOB {
            return Ok(neighbours::layout(place).is_some());
        }
        let is_file = |name: &str| place.join(name).symlink_metadata().is_ok_and(|it| it.is_file());
        Ok(is_file(blob) || is_file(&format!("{blob}.f")))
    }
}

struct Store<'a>(&'a dyn Surroundings);

impl Tree for Store<'_> {
    fn directories(&self, place: &str) -> io::Result<(Vec<String>, bool)> {
        let (level, is_all) = self.0.look_through(place, LOOKS)?;
        let directory = |name: &str| Some(name.strip_prefix(place)?.strip_suffix('/')?.to_string());
        let names = level.iter().filter_map(|near| directory(&near.name));
        Ok((names.filter(|name| !name.is_empty()).collect(), is_all))
    }

    fn holds(&self, place: &str, blob: &str) -> io::Result<bool> {
        let key = format!("{place}{blob}");
        let is_keys = self.0.shape() == Shape::Keys;
        let level = self.0.look(if is_keys { &key } else { place })?;
        let file = format!("{key}.f");
        Ok(level.iter().any(|near| near.name == key || !is_keys && near.name == file))
    }
}

struct Walk<'a> {
    tree: &'a dyn Tree,
    looks: usize,
    detours: usize,
    search: Search,
}

impl<'a> Walk<'a> {
    fn of(tree: &'a dyn Tree) -> Self {
        Self { tree, looks: LOOKS, detours: DETOURS, search: Search::default() }
    }

    fn search(mut self, root: &str) -> Search {
        let stem = root.trim_end_matches('/');
        let above = &stem[..stem.rfind('/').map_or(0, |slash| slash + 1)];
        if &stem[above.len()..] == KOPIA && self.namespaces(root) {
            let beside = self.directories(above);
            self.mark(&beside);
        } else {
            self.below(root, LEVELS);
        }
        if let Some(first) = self.search.found.first().filter(|_| !self.search.is_marked) {
            let root = first.root.clone();
            self.search.is_marked = self.look(|tree| tree.holds(&root, MARK)).unwrap_or_default();
        }
        self.search.found.sort_by(|one, other| one.root.cmp(&other.root));
        self.search
    }

    /// Goes down to the nearest directories `kopia/`.
    fn below(&mut self, place: &str, levels: usize) {
        let names = self.directories(place);
        if names.iter().any(|name| name == KOPIA) && self.namespaces(&format!("{place}{KOPIA}/")) {
            self.mark(&names);
            return;
        }
        for name in names.iter().filter(|name| !OTHERS.contains(&&***name)) {
            if levels == 0 || self.detours == 0 {
                self.search.is_cut = true;
                return;
            }
            self.detours -= 1;
            self.below(&format!("{place}{name}/"), levels - 1);
        }
    }

    /// Notes whether the directories beside `kopia/` are Velero's, too.
    fn mark(&mut self, beside: &[String]) {
        self.search.is_marked |= beside.iter().any(|name| OTHERS.contains(&&**name));
    }

    /// Takes the repositories in a directory `kopia/`; returns whether there is one.
    fn namespaces(&mut self, place: &str) -> bool {
        let before = self.search.found.len();
        for namespace in self.directories(place).into_iter().filter(|name| is_namespace(name)) {
            let root = format!("{place}{namespace}/");
            if self.look(|tree| tree.holds(&root, FORMAT_BLOB)).unwrap_or_default() {
                self.search.found.push(NamespaceRepository { namespace, root });
            }
        }
        self.search.found.len() > before
    }

    fn directories(&mut self, place: &str) -> Vec<String> {
        let (names, is_all) = self.look(|tree| tree.directories(place)).unwrap_or((Vec::new(), true));
        self.search.is_cut |= !is_all;
        names
    }

    fn look<R>(&mut self, look: impl FnOnce(&dyn Tree) -> io::Result<R>) -> Option<R> {
        if self.looks == 0 {
            self.search.is_cut = true;
            return None;
        }
        self.looks -= 1;
        look(self.tree).map_err(|error| self.search.error.get_or_insert(error).kind()).ok()
    }
}

#[cfg(test)]
mod tests {
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
            let search = in_directory(&base.join(at), Effort::Doctor);
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
        for (at, expected) in [
            ("a", false),
            ("a/kopia", false),
            ("b", true),
            ("b/kopia/", true),
            ("c", true),
            ("c/kopia", true),
        ] {
            let search = in_directory(&folder.path().join(at), Effort::Hint);
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
        let search = Walk::of(&Endless).search("");
        assert!(search.found.is_empty() && search.is_cut);
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
        let search = Walk::of(&Refusing).search("kopia/");
        let found: BTreeSet<_> = search.found.iter().map(|one| &*one.root).collect();
        assert_eq!(found, BTreeSet::from(["kopia/b/"]));
        assert_eq!(search.error.unwrap().kind(), io::ErrorKind::PermissionDenied);
    }
}
