//! The threads of an export.

use std::io::Write;
use std::sync::mpsc;
use std::thread::Builder;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use kopia_repository::object::Extents;

use crate::archive::Archive;
use crate::compress::{Codec, Compressed, Pool};
use crate::root::Root;
use crate::shared::{Shared, StopOnPanic};
use crate::tar::Tar;
use crate::write::Writer;
use crate::zip::Zip;
use crate::{Error, Format, Observer, Options, Outcome, Result, plan, work};

/// Writes an entry and all below it as an archive.
///
/// All paths in a tar begin with `./`, and a directory that is exported is `./` itself; a file or link gets
/// its own name. `out` is written to by the thread that calls, in pieces of some 100 KiB or more, and is not
/// flushed.
///
/// # Errors
/// [`Error`] if nothing could be read, if `out` fails, or if the observer stops it: what was written by then
/// is no whole archive. What concerns single entries is in the outcome's problems.
pub fn export(entry: &Entry, out: impl Write, options: &Options, observer: &dyn Observer) -> Result<Outcome> {
    export_roots(&Root::new(entry, options), &[], out, options, observer)
}

/// Writes several entries of one repository, and all below each, as one archive, one after the other.
///
/// Their paths are taken as they are: whoever calls sees to it that none has what another one has. Without any
/// the archive is empty. Otherwise as [`export`].
///
/// # Errors
/// As for [`export`]; all entries are read before anything is written.
pub fn export_all(
    roots: &[Root],
    out: impl Write,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let Some((first, others)) = roots.split_first() else {
        outcome.archive_bytes = archive(out, options)?.finish().map_err(|source| Error::Output { source })?;
        return Ok(outcome);
    };
    export_roots(first, others, out, options, observer)
}

fn export_roots(
    first: &Root,
    others: &[Root],
    out: impl Write,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Outcome> {
    readable(&first.entry)?;
    others.iter().try_for_each(|root| readable(&root.entry))?;
    let archive = archive(out, options)?;
    let shared = Shared::new(first.entry.repository(), options, observer);
    std::thread::scope(|scope| {
        let _guard = StopOnPanic(&shared);
        // Workers come first: where threads are few, they are what is needed.
        let readers = shared.fetcher.expect_readers();
        let workers = options.workers();
        for number in 0..workers {
            match Builder::new().spawn_scoped(scope, || work::run(&shared)) {
                // Fewer do as well, where the number of threads is limited.
                Err(source) if number == 0 => {
                    shared.stop();
                    return Err(Error::Threads { source });
                }
                Err(_) => break,
                Ok(_) => {}
            }
        }
        let (sender, batches) = mpsc::channel();
        let plan = || plan::run(&shared, first, others, sender);
        if let Err(source) = Builder::new().spawn_scoped(scope, plan) {
            shared.stop();
            return Err(Error::Threads { source });
        }
        shared.fetcher.start_readers(scope, shared.fetcher.readers(workers));
        drop(readers);
        let written = Writer::new(&shared, archive).run(&batches);
        if written.is_err() {
            shared.stop();
        }
        written
    })
}

fn archive<'w>(out: impl Write + 'w, options: &Options) -> Result<Box<dyn Archive + 'w>> {
    let compressed =
        |codec, out| Pool::start(options.workers()).map(|pool| Compressed::new(codec, pool, out));
    Ok(match options.format {
        Format::Tar => Box::new(Tar::new(out)),
        Format::TarGz => Box::new(Tar::through(compressed(Codec::deflate(options.level), out)?)),
        Format::Zip => {
            Box::new(Zip::new(Codec::deflate(options.level), Pool::start(options.workers())?, out))
        }
        Format::TarZst => Box::new(Tar::through(compressed(Codec::zstd(options.level)?, out)?)),
    })
}

/// Reads the root before anything is written: of a root that is gone there is nothing to export.
fn readable(entry: &Entry) -> Result<()> {
    for extent in Extents::new(entry.repository(), entry.object()).assuming(entry.size()) {
        let extent = extent?;
        if entry.kind() == EntryKind::Directory {
            entry.repository().read_extent(&extent)?;
        }
    }
    Ok(())
}
