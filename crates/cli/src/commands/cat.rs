//! `cat WHAT`: a file's bytes.

use std::io::{self, Write};

use kopia_rs::restore::Options;
use kopia_rs::{EntryKind, Error};

use super::restore::foresight;
use crate::args::What;
use crate::error::{Exit, Failure};
use crate::session::Session;

pub(crate) fn run(session: &Session, args: &What) -> Result<Exit, Failure> {
    let entry = session.select(args)?.entry;
    match entry.kind() {
        EntryKind::File => {}
        EntryKind::Directory => {
            return Err(Failure::failed(format!("{} is a folder, which has no bytes of its own", args.what))
                .hint("`kopia-rs ls` lists it"));
        }
        EntryKind::Symlink => {
            let target = entry.target().map(|target| format!("{:?}", String::from_utf8_lossy(&target)))?;
            return Err(Failure::failed(format!(
                "{} is a link to {target}, which has no bytes of its own",
                args.what
            ))
            .hint("name the file that it leads to"));
        }
    }
    let packs = || foresight::cold(&session.repository, &entry, &Options::default());
    session.warm_all(None, packs)?;
    let reader = entry.open()?;
    // Neither end gains from a second buffer.
    let mut stdout = io::stdout().lock();
    let mut written = 0;
    let copied = reader.copy(|bytes| {
        stdout.write_all(bytes).map_err(Stop::Output)?;
        written += bytes.len() as u64;
        Ok(())
    });
    match copied.and_then(|()| stdout.flush().map_err(Stop::Output)) {
        Ok(()) => Ok(Exit::Complete),
        Err(Stop::Output(error)) => Err(Failure::output(error)),
        Err(Stop::Repository(error)) => Err(stopped(error, written)),
    }
}

/// Why a file is not written to its end.
enum Stop {
    Repository(Error),
    Output(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Repository(error)
    }
}

/// Adds how much of the file was written.
fn stopped(error: Error, offset: u64) -> Failure {
    match offset {
        0 => error.into(),
        _ => Failure::from(error).hint(format!("the first {offset} bytes of the file were written")),
    }
}
