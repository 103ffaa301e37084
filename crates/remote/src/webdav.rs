//! WebDAV: a directory of an HTTP server, whose blobs lie in shard directories.
//!
//! Where blobs lie, [`sharded`](kopia_storage::sharded) knows. Here a directory is listed by `PROPFIND`, a
//! file read by `GET`, and who we are is shown as the server wants it: Basic or Digest. Authority: Kopia's
//! `repo/blob/webdav`, with gowebdav below it.

mod access;
mod around;
mod challenge;
mod digest;
mod multistatus;
mod netrc;
mod path;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod tree;

use kopia_connection::Limits;
use kopia_connection::storage::WebDav;
use kopia_storage::{Error, ErrorKind, Failure, Result, ShardedStore};

pub(crate) use access::{Access, Credentials};
pub(crate) use tree::Tree;

use crate::connect::Options;
use crate::http::{Network, Origin, Trust};

/// Opens a directory of a WebDAV server.
pub(crate) fn open(place: &WebDav, limits: &Limits, options: &Options) -> Result<ShardedStore<Tree>> {
    let network = Network::new(options, limits);
    let tree =
        |root: fn(&str) -> String| tree(place, &network, root).map_err(|failure| refused(place, failure));
    let store = match ShardedStore::open(tree(path::encoded)?) {
        // Kopia takes a URL's path as it stands, `%20` for three characters. Others write URLs as URLs are.
        Err(error) if is_missing(&error) && place.url.contains('%') => {
            ShardedStore::open(tree(path::as_written)?)
                .map_err(|second| if is_missing(&second) { error } else { second })
        }
        result => result,
    };
    let store = match store {
        // A Kopia server has a page for browsers at every place or, without one, nothing but its interface.
        Err(error) if is_missing(&error) || is_nonsense(&error) => match tree(path::encoded)?.kopia() {
            Some(failure) => return Err(refused(place, failure)),
            None => return Err(missing(place, error)),
        },
        store => store?,
    };
    if let Some(problem) = store.layout_problem() {
        (options.notice)(problem);
    }
    Ok(store)
}

/// Looks around on a server.
///
/// # Errors
/// If the connection cannot be used.
pub(crate) fn survey(place: &WebDav, limits: &Limits, options: &Options) -> Result<around::Around, Failure> {
    let (_, _, path) = Origin::of_url(&place.url)?;
    let root = path.split(['?', '#']).next().unwrap_or_default().into();
    let network = Network::new(options, limits);
    tree(place, &network, |_| "/".into()).map(|tree| around::Around { tree, root })
}

/// Returns whether the server says that the directory is not there.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Open { source, .. } if error.kind() == ErrorKind::NotFound && Failure::of(source).is_none())
}

fn is_nonsense(error: &Error) -> bool {
    matches!(error.failure(), Some(Failure::Nonsense { .. }))
}

/// Says in words that a directory is not there, if that is what the error says.
fn missing(place: &WebDav, error: Error) -> Error {
    match (error, Origin::of_url(&place.url)) {
        (error @ Error::Open { .. }, _) if !is_missing(&error) => error,
        (Error::Open { place, .. }, Ok((origin, _, name))) => {
            let source = Failure::NoContainer { kind: "directory", name, host: origin.authority() };
            Error::Open { place, source: source.into() }
        }
        (error, _) => error,
    }
}

/// Makes the error of a place that cannot be used. Its URL may hold a password.
fn refused(place: &WebDav, failure: Failure) -> Error {
    let url = &place.url;
    let host = url.rsplit_once('@').map_or(&**url, |(_, host)| host);
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    Error::Open { place: format!("webdav {host}"), source: failure.into() }
}

/// Makes the tree of a place. `root` writes the path of its URL as requests have it.
fn tree(place: &WebDav, network: &Network, root: fn(&str) -> String) -> Result<Tree, Failure> {
    let (origin, user, path) = Origin::of_url(&place.url)?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let trust = match &place.certificate_fingerprint {
        Some(fingerprint) if !origin.is_secure() => {
            let what = format!("{origin} has no certificate that could have the fingerprint {fingerprint}");
            return Err(Failure::Unusable { what });
        }
        Some(fingerprint) => Trust::Fingerprint(fingerprint.clone()),
        None => Trust::System,
    };
    let credentials = match (&place.username, user) {
        (Some(user), _) => {
            let password = place.password.clone().unwrap_or_else(|| "".into());
            Some(Credentials { user: user.clone(), password, from: "the connection" })
        }
        (None, Some((user, password))) => {
            Some(Credentials { user, password: password.into(), from: "the URL" })
        }
        (None, None) => netrc::look_up(network.options(), origin.host()),
    };
    // A password is not shown to a network before it is known that the server wants it so.
    let at_once = origin.is_secure() || matches!(origin.host(), "127.0.0.1" | "::1" | "localhost");
    let access = Access::new(credentials, at_once).at(&origin);
    let client = network.client(origin, &trust, "a WebDAV server")?;
    Ok(Tree::new(client, access, &root(path)))
}

#[cfg(test)]
mod tests;
