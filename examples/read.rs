//! Prints one file of the newest snapshot of a source, from its middle on: `read REPOSITORY PASSWORD SOURCE
//! PATH`.

use std::error::Error;
use std::io::{self, Seek, SeekFrom};

use kopia_rs::{FilesystemStore, Password, Repository};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, password, source, path] = &arguments[..] else {
        return Err("usage: read REPOSITORY PASSWORD SOURCE PATH".into());
    };
    let repository = Repository::open(FilesystemStore::open(repository)?, &Password::from(&**password))?;
    let snapshots = repository.snapshots()?;
    let root = snapshots.latest(&source.parse()?)?.root()?;

    // Only the contents that are read are fetched and decoded.
    let mut file = root.at(path)?.open()?;
    file.seek(SeekFrom::Start(file.length() / 2))?;
    io::copy(&mut file, &mut io::stdout())?;
    Ok(())
}
