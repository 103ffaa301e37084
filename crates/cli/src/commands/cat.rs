//! `cat WHAT`: a file's bytes.

use std::io::{self, Write};

use kopia_rs::{EntryKind, Error};

use crate::args::What;
use crate::error::{Exit, Failure};
use crate::session::Session;

/// Some contents at once; they hold 4 MiB at most with most splitters.
const BUFFER: usize = 1 << 20;

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
    let reader = entry.open()?;
    // Neither end gains from a second buffer.
    let mut stdout = io::stdout().lock();
    let mut buffer = vec![0; BUFFER];
    let mut offset = 0;
    loop {
        let count = reader.read_at(&mut buffer, offset).map_err(|error| stopped(error, offset))?;
        if count == 0 {
            break;
        }
        stdout.write_all(&buffer[..count]).map_err(Failure::output)?;
        offset += count as u64;
    }
    stdout.flush().map_err(Failure::output)?;
    Ok(Exit::Complete)
}

/// Says how much of the file is there.
fn stopped(error: Error, offset: u64) -> Failure {
    match offset {
        0 => error.into(),
        _ => Failure::from(error).hint(format!("the first {offset} bytes of the file were written")),
    }
}
