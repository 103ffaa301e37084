//! Object stores of clouds, against emulators of them that are started here. Those that are not installed are
//! left out.
#![cfg(all(feature = "azure", feature = "gcs"))]
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod azure;
#[path = "../support/faults.rs"]
mod faults;
mod gcs;
#[path = "../support/mod.rs"]
mod support;

use kopia_connection::{Connection, Environment, Storage};
use kopia_remote::{Opened, Options, connect};
use kopia_storage::{BlobStore, Error};

fn options(environment: Environment) -> Options {
    let mut options = Options::default();
    options.environment = environment;
    options.notice = std::sync::Arc::new(|note| eprintln!("{note}"));
    options
}

/// Opens a store that is not waited for.
fn open_impatiently(storage: Storage) -> Result<Box<dyn BlobStore>, Error> {
    let mut options = Options::default();
    faults::impatient(&mut options);
    match connect(&Connection::new(storage), &options)? {
        Opened::Blobs(store) => Ok(store),
        _ => panic!("a bucket is a store of blobs"),
    }
}

fn open(storage: Storage, environment: Environment) -> Result<Box<dyn BlobStore>, Error> {
    match connect(&Connection::new(storage), &options(environment))? {
        Opened::Blobs(store) => Ok(store),
        _ => panic!("a bucket is a store of blobs"),
    }
}
