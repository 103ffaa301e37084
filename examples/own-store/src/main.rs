//! Lists the snapshots of a Kopia repository in whatever the crate `object_store` reaches, by a store of
//! one's own:
//!
//! ```sh
//! cargo run -- file:///backups/kopia PASSWORD
//! AWS_REGION=eu-west-1 cargo run --features aws -- s3://bucket/kopia PASSWORD
//! ```
//!
//! kopia-rs reads S3, Google and Azure by itself; this shows what it takes to add what it does not know.
//! `objects.rs` is all of it, and its tests are those that every store must pass.

mod objects;

use std::error::Error;

use kopia_rs::storage::CheckedStore;
use kopia_rs::{Password, Repository};
use objects::Objects;
use url::Url;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(password)) = (arguments.next(), arguments.next()) else {
        return Err("usage: own-store URL PASSWORD".into());
    };
    let variables = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let (store, folder) = object_store::parse_url_opts(&Url::parse(&url)?, variables)?;
    let store = CheckedStore(Objects { store: store.into(), folder });
    let repository = Repository::open(store, &Password::from(password))?;
    for snapshot in &repository.snapshots()? {
        println!("{}  {}  {}", snapshot.id(), snapshot.start_time(), snapshot.source());
    }
    Ok(())
}
