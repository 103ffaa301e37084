//! Opening what a server holds: little more than taking its word for how contents are named.

use std::sync::Arc;
use std::time::Instant;

use kopia_storage::ContentServer;
use kopia_storage::server::NoBlobs;

use super::{Inner, OpenOptions, Place, Repository};
use crate::contents::{Contents, Served, Source};
use crate::index::UnreadableParts;
use crate::lru::Lru;
use crate::object::Allowance;
use crate::parallel::Cores;
use crate::sealing::Sealing;
use crate::traffic::Meter;
use crate::{Error, Result};

pub(super) fn open(server: Arc<dyn ContentServer>, options: &OpenOptions) -> Result<Repository> {
    let start = Instant::now();
    let cores = Arc::new(Cores::start(options.resources.threads)?);
    let sealing = Sealing::of_server(server.parameters()).map_err(|error| match error {
        kopia_codec::Error::Unsupported { what, found } => {
            Error::Unsupported { place: server.location(), what, found }
        }
        error => Error::Unsupported { place: server.location(), what: "hash", found: error.to_string() },
    })?;
    let sealing = Arc::new(sealing);
    let source = Source::Server(Served::new(server.clone(), sealing.clone()));
    let contents = Contents::new(source, sealing.clone(), cores.clone(), options.resources.content_cache);
    Ok(Repository {
        inner: Arc::new(Inner {
            options: options.clone(),
            store: Arc::new(NoBlobs::new(server.location())),
            meter: Arc::new(Meter::default()),
            place: Place::Server(server),
            sealing,
            cores,
            contents,
            known: Lru::new(options.resources.directory_cache),
            read_ahead: Arc::new(Allowance::new(options.resources.read_ahead)),
            unreadable: UnreadableParts::default(),
            warnings: Vec::new(),
            opening: start.elapsed(),
        }),
    })
}
