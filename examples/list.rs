//! Lists the snapshots of a repository: `list REPOSITORY PASSWORD`.

use std::error::Error;

use kopia_rs::{FilesystemStore, Password, Repository};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(password)) = (arguments.next(), arguments.next()) else {
        return Err("usage: list REPOSITORY PASSWORD".into());
    };
    let repository = Repository::open(FilesystemStore::open(path)?, &Password::from(password))?;
    for snapshot in &repository.snapshots()? {
        let files = snapshot.manifest().summary().map_or(0, |summary| summary.files);
        println!("{}  {}  {}  {files} files", snapshot.id(), snapshot.start_time(), snapshot.source());
    }
    Ok(())
}
