//! Restores the newest snapshot of a source and says what went wrong: `restore REPOSITORY PASSWORD SOURCE
//! TARGET`.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_rs::restore::{self, Observer, Options, Problem};
use kopia_rs::{FilesystemStore, Password, Repository};

/// Counts bytes, and prints problems as they come.
#[derive(Default)]
struct Watch {
    bytes: AtomicU64,
}

impl Observer for Watch {
    fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    fn problem(&self, problem: &Problem) {
        eprintln!("{problem}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, password, source, target] = &arguments[..] else {
        return Err("usage: restore REPOSITORY PASSWORD SOURCE TARGET".into());
    };
    let repository = Repository::open(FilesystemStore::open(repository)?, &Password::from(&**password))?;
    let snapshots = repository.snapshots()?;
    let root = snapshots.latest(&source.parse()?)?.root()?;

    let watch = Watch::default();
    let outcome = restore::restore_observed(&root, target, &Options::default(), &watch)?;
    println!("{} files, {} bytes", outcome.files, watch.bytes.into_inner());
    match outcome.problem_count {
        0 => Ok(()),
        count => Err(format!("{count} entries are missing or incomplete").into()),
    }
}
