//! Repositories in a directory of an SSH server, by SFTP.
//!
//! | module | what |
//! |---|---|
//! | [`place`] | where the server is, and who asks |
//! | [`ssh`] | our own SSH client: host keys, signing in |
//! | [`known_hosts`] | which servers are known |
//! | [`external`] | another program as the way to the server |
//! | [`packet`], [`session`] | SFTP itself, many requests under way |
//! | [`link`], [`line`] | one connection with its open files; the way to the server, connection after connection |
//! | [`tree`] | what the sharding module sees |
//!
//! All of it is asynchronous and runs on a [private runtime](crate::runtime), except for [`line`] and
//! [`tree`], which block. Nothing is ever written, nor is a missing directory made, as kopia does. Authority:
//! Kopia's `repo/blob/sftp`.

mod around;
mod external;
mod fault;
mod key_file;
mod known_hosts;
mod line;
mod link;
mod packet;
mod place;
mod session;
mod ssh;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod tree;

use kopia_connection::Limits;
use kopia_connection::storage::Sftp;
use kopia_storage::sharded::ShardedStore;
use kopia_storage::{BlobStore, Error, Failure, Result};

use crate::Options;
use crate::pace::Pace;
use line::Line;
use place::Place;
use tree::Tree;

/// Opens the directory that a connection names.
///
/// # Errors
/// [`Error::Open`] if the server cannot be reached, is not known, does not let in, or has no such directory.
pub(crate) fn open(sftp: &Sftp, limits: &Limits, options: &Options) -> Result<impl BlobStore> {
    let place = Place::new(sftp, &options.environment, &options.patience);
    let place = place.map_err(|failure| Error::Open { place: "sftp".into(), source: failure.into() })?;
    let location = place.location();
    let (host, name) = (place.host(), place.root().to_owned());
    let hint = hint(&place);
    let line = Line::new(place, options.notice.clone());
    let line = line.map_err(|source| Error::Open { place: location, source })?;
    match ShardedStore::open(Tree::new(line, Pace::new(limits, options.limit_download))) {
        // The server was there, so it is the directory that is not.
        Err(Error::Open { place, source }) if Failure::of(&source).is_none() && is_missing(&source) => {
            let failure = Failure::NoContainer { kind: "directory", name, host };
            Err(Error::Open { place, source: failure.into() })
        }
        Err(error) => {
            if let Some(hint) = hint.filter(|_| error.failure().is_some_and(is_on_the_way)) {
                (options.notice)(&hint);
            }
            Err(error)
        }
        store => store,
    }
}

/// Looks around on a server.
///
/// # Errors
/// If the connection cannot be used.
pub(crate) fn survey(sftp: &Sftp, options: &Options) -> Result<around::Around, Failure> {
    let place = Place::new(sftp, &options.environment, &options.patience)?;
    let unusable = |error: std::io::Error| Failure::Unusable { what: error.to_string() };
    Line::new(place, options.notice.clone()).map(around::Around).map_err(unusable)
}

/// Returns what to say to somebody whose `ssh` may know a way that our client does not.
fn hint(place: &Place) -> Option<String> {
    let config = place.environment.home()?.join(".ssh").join("config");
    let is_used = place.sftp.external.is_none() && config.exists();
    is_used.then(|| {
        let config = config.display();
        format!("{config} is not read here; if it names the host or a jump host, connect by externalSSH")
    })
}

/// Returns whether something on the way to the server is wrong.
fn is_on_the_way(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::UnknownHost { .. }
            | Failure::Unreachable { .. }
            | Failure::Refused { .. }
            | Failure::TimedOut { .. }
    )
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
