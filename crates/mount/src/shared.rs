//! What those who answer requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fuser::Errno;
use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use crate::folder::Item;
use crate::listings::{Listing, Listings, Told, is_cycle};
use crate::nodes::number_of;
use crate::nodes::{Node, Nodes};
use crate::primer::Primer;
use crate::problem::{Problem, Tell};
use crate::readers::Readers;
use crate::sweeps::{self, File, Sweeps};

/// What is mounted, and what is kept of it.
pub(crate) struct Shared {
    pub(crate) nodes: Nodes,
    pub(crate) listings: Listings,
    pub(crate) readers: Readers,
    pub(crate) primer: Primer,
    sweeps: Sweeps,
    /// Whose the folders are that no snapshot has.
    pub(crate) owner: (u32, u32),
    tell: Tell,
    told: Told,
    start: Instant,
    /// When something was asked for last, in milliseconds after the start.
    asked: AtomicU64,
}

impl Shared {
    pub(crate) fn new(root: Item, directory_cache: usize, tell: Tell) -> Self {
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        Self {
            nodes: Nodes::new(root),
            listings: Listings::new(directory_cache),
            readers: Readers::default(),
            primer: Primer::default(),
            sweeps: Sweeps::default(),
            owner: (user.as_raw(), group.as_raw()),
            tell,
            told: Told::default(),
            start: Instant::now(),
            asked: AtomicU64::new(0),
        }
    }

    /// Notes that something is asked for.
    pub(crate) fn touch(&self) {
        self.asked.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Returns for how long nothing was asked for.
    pub(crate) fn idle(&self) -> Duration {
        let asked = Duration::from_millis(self.asked.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(asked)
    }

    /// Tells of a problem that is news.
    pub(crate) fn tell(&self, problem: &Problem) {
        // What a file cannot be read for may change from try to try.
        let news = match problem {
            Problem::Unreadable { path, .. } => path.clone(),
            other => other.to_string(),
        };
        if self.told.is_news(news) {
            (self.tell)(problem);
        }
    }

    /// Tells why a node cannot be read, and returns what the kernel is to say.
    pub(crate) fn unreadable(&self, node: &Node, error: kopia_repository::Error) -> Errno {
        self.tell(&Problem::Unreadable { path: node.path(), error });
        Errno::EIO
    }

    /// Returns the listing of a directory of a snapshot.
    pub(crate) fn listing(&self, node: &Node, entry: &Entry) -> Arc<Listing> {
        self.listings.get(entry, node, &|problem| self.tell(&problem))
    }

    /// Notes that a file is read from its beginning on, so that those that come next can be handed over.
    pub(crate) fn note(&self, node: &Node, entry: &Entry) {
        if entry.size() > sweeps::LARGEST {
            return;
        }
        let Some(folder) = &node.parent else { return };
        let Item::Entry(directory) = &folder.item else { return };
        let list = || {
            let listing = self.listing(folder, directory);
            let files = listing.from(0).iter().filter(|entry| {
                entry.kind() == EntryKind::File && (1..=sweeps::LARGEST).contains(&entry.size())
            });
            // A number that another name has is not known to the kernel, or read as what it is.
            let file =
                |entry: &Entry| File { number: number_of(folder.number, entry.name()), length: entry.size() };
            files.map(file).collect()
        };
        self.primer.want(self.sweeps.note(folder.number, node.number, list));
    }

    /// Finds a name in a folder.
    pub(crate) fn find(&self, folder: &Node, name: &str) -> Result<Item, Errno> {
        match &folder.item {
            Item::Folder(items) => items.get(name).cloned().ok_or(Errno::ENOENT),
            Item::Link(_) => Err(Errno::ENOTDIR),
            Item::Entry(entry) if entry.kind() != EntryKind::Directory => Err(Errno::ENOTDIR),
            Item::Entry(entry) => {
                let listing = self.listing(folder, entry);
                match listing.find(name) {
                    Some(found) if self.is_shown(found, folder) => Ok(found.clone().into()),
                    None if listing.is_damaged => Err(Errno::EIO),
                    _ => Err(Errno::ENOENT),
                }
            }
        }
    }

    /// Returns whether an entry of a folder is shown: a folder that lies in itself is not.
    pub(crate) fn is_shown(&self, entry: &Entry, folder: &Node) -> bool {
        let is_cycle = entry.kind() == EntryKind::Directory && is_cycle(entry, folder);
        if is_cycle {
            let path = match folder.path() {
                above if above.is_empty() => entry.name().to_owned(),
                above => format!("{above}/{}", entry.name()),
            };
            self.tell(&Problem::Cycle { path });
        }
        !is_cycle
    }
}
