//! Finds the repositories of all namespaces below a place: a bucket, a prefix in one, or a copy of either.

use std::io;
use std::path::Path;
use std::time::Instant;

use kopia_format::BlobId;
use kopia_storage::{BlobStore, Shape, Surroundings};
use serde::Serialize;

use super::{KOPIA, is_namespace};
use crate::text::chain;
use crate::{Effort, neighbours};

/// How many directories between the place and `kopia/` are gone through. Prefixes have one level, or few.
const LEVELS: usize = 4;

/// How many directories are looked into in all: one for each namespace, and what lies on the way.
const LOOKS: usize = 5000;

/// How many directories are looked into that do not hold `kopia/`.
const DETOURS: usize = 200;

/// The same, of what is called like something that Velero has beside `kopia/`.
const ASIDES: usize = 50;

/// How many looks there are whatever the clock says, so that a small tree gets the same answer on a machine that has
/// no time.
const UNHURRIED: usize = 20;

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
    /// Why something on the way could not be looked at; the first of it.
    pub error: Option<io::Error>,
    /// Why namespaces could not be looked at, each with its place, and what ended the search.
    pub refused: Vec<io::Error>,
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
/// For a hint, only what has `kopia/` nearby is found. Without an effort, which is for whoever asked for the
/// namespaces, the way to `kopia/` is bounded as with [`Effort::Doctor`], but what lies in it is looked at however
/// long that takes.
pub fn in_directory(directory: &Path, effort: Option<Effort>) -> Search {
    let Some(root) = directory.to_str() else { return Search::default() };
    let root = if root.ends_with('/') { root.into() } else { format!("{root}/") };
    let walk = Walk::of(&Local, effort);
    let walk = if effort == Some(Effort::Hint) { Walk { looks: 200, detours: 8, ..walk } } else { walk };
    walk.search(&root)
}

/// Searches a bucket, or the directories of a server, below the place that a view is of. The effort is that of
/// [`in_directory`].
pub fn in_store(around: &dyn Surroundings, effort: Option<Effort>) -> Search {
    let root = around.root();
    let root = if root.is_empty() || root.ends_with('/') { root } else { format!("{root}/") };
    Walk::of(&Store(around), effort).search(&root)
}

/// Returns whether a repository has the blob that Velero writes into its own, and no other program does.
pub fn is_marked(store: &dyn BlobStore) -> bool {
    BlobId::new(MARK).is_ok_and(|id| store.length(&id).is_ok())
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
        let directory = if place.is_empty() { "." } else { place };
        for entry in Path::new(directory).read_dir()? {
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
    asides: usize,
    unhurried: usize,
    until: Instant,
    /// Whether what lies in `kopia/` is looked at after that, too.
    is_patient: bool,
    /// Whether the server gives no answers any more.
    is_over: bool,
    search: Search,
}

impl<'a> Walk<'a> {
    fn of(tree: &'a dyn Tree, effort: Option<Effort>) -> Self {
        Self {
            tree,
            looks: LOOKS,
            detours: DETOURS,
            asides: ASIDES,
            unhurried: UNHURRIED,
            until: effort.unwrap_or(Effort::Doctor).budget().until,
            is_patient: effort.is_none(),
            is_over: false,
            search: Search::default(),
        }
    }

    fn search(mut self, root: &str) -> Search {
        let stem = root.trim_end_matches('/');
        let above = &stem[..stem.rfind('/').map_or(0, |slash| slash + 1)];
        if &stem[above.len()..] == KOPIA && self.namespaces(root) {
            // Nobody asked for what lies above, so nothing is missing if that refuses.
            let beside = self.tree.directories(above).unwrap_or_default().0;
            self.mark(&beside);
        } else {
            self.below(root, LEVELS, false);
        }
        if let Some(first) = self.search.found.first().filter(|_| !self.search.is_marked && !self.is_over) {
            let root = first.root.clone();
            self.search.is_marked = self.tree.holds(&root, MARK).unwrap_or_default();
        }
        self.search.found.sort_by(|one, other| one.root.cmp(&other.root));
        self.search
    }

    /// Goes down to the nearest directories `kopia/`. What is called like something of Velero's comes last, as it
    /// may be the prefix of a location, and is given up without a word: there may be thousands of backups in it.
    fn below(&mut self, place: &str, levels: usize, is_aside: bool) {
        let names = match self.look(true, place, |tree| tree.directories(place)) {
            Some((names, is_all)) => {
                self.search.is_cut |= !is_all && !is_aside;
                names
            }
            None => return,
        };
        let is_location = names.iter().any(|name| name == KOPIA);
        if is_location && self.namespaces(&format!("{place}{KOPIA}/")) {
            self.mark(&names);
            return;
        }
        let is_other = |name: &String| OTHERS.contains(&&**name);
        let (others, names): (Vec<_>, Vec<_>) = names.into_iter().partition(is_other);
        let others = others.into_iter().filter(|_| !is_location).map(|name| (name, true));
        for (name, is_aside) in names.into_iter().map(|name| (name, is_aside)).chain(others) {
            let left = if is_aside { &mut self.asides } else { &mut self.detours };
            if levels == 0 || *left == 0 {
                self.search.is_cut |= !is_aside;
                continue;
            }
            *left -= 1;
            self.below(&format!("{place}{name}/"), levels - 1, is_aside);
        }
    }

    /// Notes whether the directories beside `kopia/` are Velero's, too.
    fn mark(&mut self, beside: &[String]) {
        self.search.is_marked |= beside.iter().any(|name| OTHERS.contains(&&**name));
    }

    /// Takes the repositories in a directory `kopia/`; returns whether there is one.
    fn namespaces(&mut self, place: &str) -> bool {
        let before = self.search.found.len();
        let Some((names, is_all)) = self.look(false, place, |tree| tree.directories(place)) else {
            return false;
        };
        self.search.is_cut |= !is_all;
        for namespace in names.into_iter().filter(|name| is_namespace(name)) {
            let root = format!("{place}{namespace}/");
            if self.look(false, &root, |tree| tree.holds(&root, FORMAT_BLOB)).unwrap_or_default() {
                self.search.found.push(NamespaceRepository { namespace, root });
            }
        }
        self.search.found.len() > before
    }

    /// Looks at a place on the way, or at one that belongs to Velero, as long as there is some effort left.
    fn look<R>(
        &mut self,
        is_on_the_way: bool,
        place: &str,
        look: impl FnOnce(&dyn Tree) -> io::Result<R>,
    ) -> Option<R> {
        let is_hurried = self.unhurried == 0 && (is_on_the_way || !self.is_patient);
        let is_late = is_hurried && Instant::now() > self.until;
        if self.is_over {
            // That is told already.
            return None;
        }
        if self.looks == 0 || is_late {
            self.search.is_cut = true;
            return None;
        }
        self.looks -= 1;
        self.unhurried = self.unhurried.saturating_sub(1);
        let error = match look(self.tree) {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        let shown = if place.is_empty() { "the bucket" } else { place };
        let told = io::Error::new(error.kind(), format!("{shown}: {}", chain(&error)));
        let is_of_place = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory
        );
        if !is_of_place {
            // The next place would get the same answer, after the same wait.
            self.is_over = true;
        }
        if is_of_place && is_on_the_way {
            self.search.error.get_or_insert(told);
        } else {
            self.search.refused.push(told);
        }
        None
    }
}

#[cfg(test)]
mod tests;
