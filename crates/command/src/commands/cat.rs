//! `cat WHAT…`: the bytes of files, or some of them.

use std::io::{self, Write};
use std::ops::Range;

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::Options;
use kopia_rs::{EntryKind, Error, ObjectReader};

use crate::args::{self, What};
use crate::error::{Exit, Failure};
use crate::session::{Session, needed};

pub(crate) fn run(session: &Session, args: &args::Cat) -> Result<Exit, Failure> {
    // All are found before the first is written.
    let files =
        args.what.each().into_iter().map(|what| open(session, args, &what)).collect::<Result<Vec<_>, _>>()?;
    // Neither end gains from a second buffer.
    let mut stdout = io::stdout().lock();
    for (reader, range) in files {
        let mut written = 0;
        let copied = reader.copy_range(range, |bytes| {
            stdout.write_all(bytes).map_err(Stop::Output)?;
            written += bytes.len() as u64;
            Ok(())
        });
        match copied.and_then(|()| stdout.flush().map_err(Stop::Output)) {
            Ok(()) => {}
            Err(Stop::Output(error)) => return Err(Failure::output(error)),
            Err(Stop::Repository(error)) => return Err(stopped(error, written)),
        }
    }
    Ok(Exit::Complete)
}

/// Finds a file, and which of its bytes are wanted.
fn open(session: &Session, args: &args::Cat, what: &What) -> Result<(ObjectReader, Range<u64>), Failure> {
    let entry = session.select(what)?.entry;
    match entry.kind() {
        EntryKind::File => {}
        EntryKind::Directory => {
            return Err(Failure::failed(format!("{} is a folder, which has no bytes of its own", what.what))
                .with_class(Class::Usage)
                .hint("`kopia-rs ls` lists it, `kopia-rs export` writes it as an archive"));
        }
        EntryKind::Symlink => {
            let target = entry.target().map(|target| format!("{:?}", String::from_utf8_lossy(&target)))?;
            return Err(Failure::failed(format!(
                "{} is a link to {target}, which has no bytes of its own",
                what.what
            ))
            .with_class(Class::Usage)
            .hint("name the file that it leads to"));
        }
    }
    let packs = || needed::cold(&session.repository, &entry, &Options::default());
    session.warm_all(None, packs)?;
    let reader = entry.open()?;
    let length = reader.length();
    let range = args.range.map_or(Some(0..length), |range| range.of(length));
    let range = range.ok_or_else(|| {
        Failure::failed(format!("{} has {length} bytes, and none from there on", what.what))
            .with_class(Class::Usage)
    })?;
    Ok((reader, range))
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
