//! What rclone reaches, by running it: it serves WebDAV to this process alone.
//!
//! Its server listens on this machine, wants a password made for this one run, and ends with the store, or
//! with the process however that ends. It speaks plain HTTP, where Kopia has it use TLS: nobody else sees
//! what stays within a machine, and no certificate has to be made and put into a file. Authority: Kopia's
//! `repo/blob/rclone`.

mod around;
mod directory;
mod process;
mod remote;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod words;

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use kopia_connection::storage::Rclone;
use kopia_connection::{Limits, Secret};
use kopia_storage::sharded::{DirectoryTree, Fetched, FileTree, Stat, Visitor};
use kopia_storage::{Error, Failure, ReadProfile, Result, ShardedStore};

use crate::connect::Options;
use crate::http::{Client, Kind, Network, Origin, Request, Trust};
use crate::webdav::{self, Access, Credentials};
use process::Process;

/// How old rclone's idea of directories may be when a listing begins.
///
/// The listings of an opening follow each other at once; a later one is made because something has vanished.
const FRESH: Duration = Duration::from_secs(10);

/// Starts rclone and opens the directory that it serves.
pub(crate) fn open(place: &Rclone, limits: &Limits, options: &Options) -> Result<ShardedStore<Tree>> {
    let location = remote::shown(&place.remote_path);
    let tree = Tree::start(place, limits, options)
        .map_err(|failure| Error::Open { place: location, source: failure.into() })?;
    let store = ShardedStore::open(tree)?;
    if let Some(problem) = store.layout_problem() {
        (options.notice)(problem);
    }
    Ok(store)
}

/// Looks around on a remote.
pub(crate) fn survey(place: &Rclone, limits: &Limits, options: &Options) -> around::Around {
    around::Around::new(place, limits, options)
}

/// The directory that a running rclone serves.
#[derive(Debug)]
pub(crate) struct Tree {
    served: webdav::Tree,
    control: Client,
    control_access: Access,
    /// When rclone last knew of no directory.
    forgotten: Mutex<Instant>,
    location: String,
    /// Ends with the tree.
    process: Process,
}

impl Tree {
    fn start(place: &Rclone, limits: &Limits, options: &Options) -> Result<Self, Failure> {
        let (user, password) = (random()?, Secret::new(random()?));
        let (process, served, control) = Process::start(place, options, &user, &password)?;
        let network = Network::new(options, limits);
        let client = |url: &str| network.client(Origin::of_url(url)?.0, &Trust::System, "rclone");
        let access = || {
            let credentials =
                Credentials { user: user.clone(), password: password.clone(), from: "this run" };
            let words = process.words();
            Access::new(Some(credentials), true).watched(move |wait| words.end_within(wait))
        };
        Ok(Self {
            served: webdav::Tree::new(client(&served)?, access(), "/"),
            control: client(&control)?,
            control_access: access(),
            forgotten: Mutex::new(Instant::now()),
            location: remote::shown(&place.remote_path),
            process,
        })
    }

    /// Has rclone forget what it knows of directories, unless that is fresh.
    fn forget(&self) -> io::Result<()> {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        if forgotten.elapsed() < FRESH {
            return Ok(());
        }
        let request = Request::new("POST", "/vfs/forget", Kind::Other).with_body("application/json", "{}");
        let answer = self.control.call(&self.control_access, &request);
        answer.map_err(|trouble| trouble.failure(&self.control.host()))?;
        *forgotten = Instant::now();
        Ok(())
    }

    /// Tells an error of rclone's server by rclone's own last words, if it has ended.
    fn explained<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| self.process.words().end().map_or(error, io::Error::from))
    }
}

impl DirectoryTree for Tree {
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()> {
        if directory.is_empty() {
            self.explained(self.forget())?;
        }
        self.explained(self.served.list(directory, visit))
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        self.explained(self.served.stat(path))
    }

    fn listing_threads(&self, directories: usize) -> usize {
        self.served.listing_threads(directories)
    }
}

impl FileTree for Tree {
    fn location(&self) -> String {
        self.location.clone()
    }

    fn read(&self, path: &[u8], limit: u64) -> io::Result<Fetched> {
        self.explained(self.served.read(path, limit))
    }

    fn read_range(&self, path: &[u8], offset: u64, length: usize, buffer: Vec<u8>) -> io::Result<Fetched> {
        self.explained(self.served.read_range(path, offset, length, buffer))
    }

    fn profile(&self) -> ReadProfile {
        self.served.profile()
    }
}

/// Makes a word that nobody can guess.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).map_err(|_| Failure::Unusable { what: "the system has no randomness".into() })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
