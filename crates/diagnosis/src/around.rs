//! Searches a bucket, or the directories of a server, for repositories around a place that holds none.

use std::collections::HashSet;
use std::io;
use std::time::Instant;

use kopia_storage::{Near, Shape, Surroundings};
use serde::Serialize;

use crate::effort::Effort;

const FORMAT_BLOB: &str = "kopia.repository";
/// What it is called in directories.
const FORMAT_FILE: &str = "kopia.repository.f";

/// How many names of other things are kept.
const NAMES: usize = 5;

/// How many repositories are looked for.
const ENOUGH: usize = 10;

/// A repository in the same bucket, or on the same server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorePlace {
    /// The prefix of its keys, or the path of its directory.
    pub root: String,
    /// Where that is.
    pub relation: RootRelation,
}

/// Where another repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RootRelation {
    /// Its prefix is the given one with a `/` at the end.
    MissingSlash,
    /// Its prefix is the given one without the `/` at its end.
    ExtraSlash,
    /// Its prefix differs in a `/` at the beginning.
    LeadingSlash,
    /// In the user's own directory.
    Home,
    /// Where the path begins further down.
    Tail,
    /// Some levels higher.
    Above,
    /// One level lower, or two.
    Below,
    /// Beside the given place, or one above it.
    Beside,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Nearest first.
    pub(crate) found: Vec<StorePlace>,
    /// Other things at the place, or around it if nothing is there.
    pub(crate) holds: Vec<String>,
    /// Whether blobs of a repository are at the place.
    pub(crate) has_blobs: bool,
    /// Whether nothing at all is at the place.
    pub(crate) is_empty: bool,
    /// Whether there was more to look at than the effort allows.
    pub(crate) is_cut: bool,
    /// Why nothing could be looked at.
    pub(crate) error: Option<io::Error>,
}

/// Looks for repositories around a place. `is_missing` says that the directory itself is known not to be
/// there.
pub(crate) fn search(around: &dyn Surroundings, is_missing: bool, effort: Effort) -> Search {
    let requests = match effort {
        Effort::Hint => 2,
        Effort::Doctor => 200,
    };
    let until = effort.budget().until;
    let seen = HashSet::from([around.root()]);
    let mut walk = Walk { around, effort, requests, until, seen, search: Search::default() };
    match around.shape() {
        Shape::Directories { has_home } => walk.directories(has_home, is_missing),
        _ => walk.keys(),
    }
    walk.search
}

struct Walk<'a> {
    around: &'a dyn Surroundings,
    effort: Effort,
    /// How many requests are left.
    requests: usize,
    until: Instant,
    /// Places that need not be looked at again.
    seen: HashSet<String>,
    search: Search,
}

impl Walk<'_> {
    fn keys(&mut self) {
        let root = self.around.root();
        let stem = root.trim_end_matches('/');
        let below = format!("{stem}/");
        let level = self.look(stem).unwrap_or_default();
        let here: Vec<_> = level.iter().filter(|near| near.name.starts_with(&root)).collect();
        self.search.is_empty = here.is_empty();
        if stem != root && names(&level, &format!("{stem}{FORMAT_BLOB}")) {
            self.take(stem, RootRelation::ExtraSlash);
        }
        if stem == root && !stem.is_empty() && names(&level, &below) {
            self.check(&below, RootRelation::MissingSlash);
        }
        let above = ancestors(&root);
        above.iter().for_each(|place| self.check(place, RootRelation::Above));
        match root.strip_prefix('/') {
            Some(rest) => self.check(rest, RootRelation::LeadingSlash),
            None if root.is_empty() => {}
            None => self.check(&format!("/{root}"), RootRelation::LeadingSlash),
        }
        // What has the prefix `k` in common lies below `k/`.
        let inside = match stem {
            "" => level,
            _ if names(&level, &below) => self.look(&below).unwrap_or_default(),
            _ => Vec::new(),
        };
        self.note(&inside, if stem.is_empty() { "" } else { &below });
        self.each(&inside, RootRelation::Below);
        self.deeper(&inside, RootRelation::Below);
        if let Some(parent) = above.first().filter(|_| self.search.found.is_empty()) {
            let beside = self.look(parent).unwrap_or_default();
            self.note(&beside, parent);
            self.each(&beside, RootRelation::Beside);
            self.deeper(&beside, RootRelation::Beside);
        }
    }

    fn directories(&mut self, has_home: bool, is_missing: bool) {
        let root = match self.around.root() {
            root if root == "." => String::new(),
            root if root.is_empty() || root.ends_with('/') => root,
            root => root + "/",
        };
        self.seen.insert(root.clone());
        let level = if is_missing { None } else { self.look(&root) };
        self.search.is_empty = level.as_ref().is_none_or(Vec::is_empty);
        let level = level.unwrap_or_default();
        self.note(&level, &root);
        let mut beside: Vec<Vec<Near>> = Vec::new();
        for place in ancestors(&root) {
            let Some(level) = self.look(&place) else { continue };
            if holds(&level, &place) {
                self.take(&place, RootRelation::Above);
            }
            self.note(&level, &place);
            beside.push(level.into_iter().filter(|near| !root.starts_with(&near.name)).collect());
        }
        if let Some(path) = root.strip_prefix('/').filter(|_| has_home) {
            self.check(path, RootRelation::Home);
        }
        self.each(&level, RootRelation::Below);
        self.deeper(&level, RootRelation::Below);
        // The path may be the server's own, which has more before what the server shows.
        if self.search.is_empty && self.search.found.is_empty() {
            let tails = root.match_indices('/').skip(1).map(|(slash, _)| &root[slash..]);
            tails.filter(|tail| tail.len() > 1).for_each(|tail| self.check(tail, RootRelation::Tail));
        }
        for (number, level) in beside.iter().enumerate() {
            if self.search.found.is_empty() {
                self.each(level, RootRelation::Beside);
            }
            if number == 0 {
                self.deeper(level, RootRelation::Beside);
            }
        }
    }

    /// Keeps the names of what is there, for whoever wonders what else it may be.
    fn note(&mut self, level: &[Near], place: &str) {
        let relative = |near: &Near| near.name.strip_prefix(place).unwrap_or(&near.name).to_string();
        if self.search.holds.is_empty() {
            let names = level.iter().map(relative).filter(|name| !name.is_empty());
            self.search.holds = names.take(NAMES).collect();
        }
        let root = self.around.root();
        let is_directory = self.around.shape() != Shape::Keys;
        let is_here =
            place == root || is_directory && place.trim_end_matches('/') == root.trim_end_matches('/');
        self.search.has_blobs |= is_here && level.iter().any(|near| is_blob(&relative(near)));
    }

    /// Checks each directory.
    fn each(&mut self, level: &[Near], relation: RootRelation) {
        for near in level.iter().filter(|near| near.is_directory()) {
            self.check(&near.name, relation);
        }
    }

    /// Checks what lies two levels below, unless something was found.
    fn deeper(&mut self, level: &[Near], relation: RootRelation) {
        if self.search.found.is_empty() && self.effort == Effort::Doctor {
            for near in level.iter().filter(|near| near.is_directory()) {
                let inside = self.look(&near.name).unwrap_or_default();
                self.each(&inside, relation);
            }
        }
    }

    /// Looks whether a repository is at a place.
    fn check(&mut self, place: &str, relation: RootRelation) {
        if !self.seen.insert(place.into()) {
            return;
        }
        let is_there = match self.around.shape() {
            Shape::Directories { .. } => self.look(place).is_some_and(|level| holds(&level, place)),
            _ => {
                let name = format!("{place}{FORMAT_BLOB}");
                self.look(&name).is_some_and(|level| names(&level, &name))
            }
        };
        if is_there {
            self.take(place, relation);
        }
    }

    fn take(&mut self, place: &str, relation: RootRelation) {
        self.search.found.push(StorePlace { root: place.into(), relation });
    }

    /// Lists one level, if there is some effort left. What cannot be listed holds nothing.
    fn look(&mut self, prefix: &str) -> Option<Vec<Near>> {
        let is_enough = self.search.found.len() >= if self.effort == Effort::Hint { 1 } else { ENOUGH };
        if is_enough || self.requests == 0 || Instant::now() > self.until {
            self.search.is_cut = true;
            return None;
        }
        self.requests -= 1;
        match self.around.look(prefix) {
            Ok(level) => Some(level),
            Err(error) => {
                self.search.error.get_or_insert(error);
                None
            }
        }
    }
}

/// Returns the prefixes of higher levels, nearest first.
fn ancestors(root: &str) -> Vec<String> {
    let mut rest = root.trim_end_matches('/');
    let mut above = Vec::new();
    while !rest.is_empty() {
        let end = rest.rfind('/').map_or(0, |slash| slash + 1);
        above.push(rest[..end].to_string());
        rest = rest[..end].trim_end_matches('/');
    }
    // Paths that begin with a slash end there.
    if root.starts_with('/') {
        above.retain(|place| !place.is_empty());
        if above.is_empty() && root.len() > 1 {
            above.push("/".into());
        }
    }
    above
}

fn names(level: &[Near], name: &str) -> bool {
    level.iter().any(|near| near.name == name)
}

/// Returns whether a directory holds a repository.
fn holds(level: &[Near], place: &str) -> bool {
    [FORMAT_FILE, FORMAT_BLOB].iter().any(|name| names(level, &format!("{place}{name}")))
}

/// Returns whether a name is one that kopia gives to blobs, or to directories of them.
fn is_blob(name: &str) -> bool {
    let is_id = name.len() > 32
        && name.starts_with(['p', 'q', 'x', 'n', 'm'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    is_id
        || name == ".shards"
        || ["kopia.blobcfg", "kopia.maintenance"].iter().any(|own| name.starts_with(own))
}

#[cfg(test)]
mod tests;
