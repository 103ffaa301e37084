//! A restore to a device from its first step to its last.

use std::os::fd::AsFd;
use std::thread::Builder;

use kopia_format::directory::EntryKind;
use kopia_repository::object::{Extent, Extents};
use kopia_repository::{Defect, Entry};

use super::batch::{BYTES, Batch, FAR_BYTES};
use super::shared::Shared;
use super::{Device, DeviceOptions, DeviceOutcome, check, work};
use crate::on_panic::AbortOnPanic;
use crate::plan::batch::ContentRef;
use crate::plan::context::read_at_least;
use crate::{Error, Observer, Options, Result};

/// How many pieces a batch has at most.
const PIECES: usize = 16_384;

/// Restores a file to a device, and forces it to the device before it ends.
///
/// Of [`Options`], those count that say how fast and how safe it is read (`parallel`, `read_ahead`,
/// `verify_hashes`, `page_cache`), `fail_fast`, and `salvage`: with it bytes that cannot be had become zeros,
/// otherwise the device keeps there what it has. So it is with what the file lacks of the size that its entry
/// states. What the device has beyond the file's end stays as it is.
///
/// # Errors
/// [`Error::DeviceTooSmall`], [`Error::NotAFile`] and [`Error::Repository`] (the lists of pieces cannot be
/// read) before anything is written. [`Error::Target`] if the device fails, [`Error::Stopped`] if the observer
/// says so: then the device holds a part of the file, and [`DeviceOptions::only_differences`] goes on from
/// there.
pub fn restore_to_device(
    entry: &Entry,
    device: &Device,
    options: &Options,
    how: DeviceOptions,
    observer: &dyn Observer,
) -> Result<DeviceOutcome> {
    let (end, size) = measure(entry, how)?;
    device.room_for(size)?;
    let shared = Shared::new((entry, size), device, (options, how), observer);
    shared.lose(end..size, Defect::Length { found: end, stated: entry.size() }.into());
    if let Some(error) = shared.fatal() {
        return Err(error);
    }
    write(&shared, entry)?;
    if options.salvage {
        for lost in shared.lost() {
            let zeroed = shared.zero_range(lost.range);
            zeroed.map_err(|error| device.error("cannot be written", error))?;
        }
    }
    let synced = rustix::fs::fsync(device.as_fd());
    synced.map_err(|error| device.error("what was written cannot be forced to the device", error.into()))?;
    let verified = if how.verify { Some(check::verify(&shared, entry)?) } else { None };
    Ok(shared.finish(verified))
}

/// Returns how many bytes of a file belong on a device: as many as its pieces have or its entry states,
/// whichever is more. Reads the lists of all its pieces.
///
/// # Errors
/// [`Error::NotAFile`]; [`Error::Repository`] if a list cannot be read.
pub fn size_on_device(entry: &Entry, how: DeviceOptions) -> Result<u64> {
    measure(entry, how).map(|(_, size)| size)
}

/// Returns where the last piece of a file ends, and how many bytes of the file belong on a device.
fn measure(entry: &Entry, how: DeviceOptions) -> Result<(u64, u64)> {
    if entry.kind() != EntryKind::File {
        return Err(Error::NotAFile { name: entry.name().into() });
    }
    let mut end: u64 = 0;
    for extent in extents(entry) {
        let extent = extent?;
        end = end.max(extent.start.saturating_add(length_of(&extent, entry.size())));
    }
    Ok((end, how.size_of(end.max(entry.size()))))
}

/// Returns how long a piece is; one whose length nothing else tells is the whole file.
pub(super) fn length_of(extent: &Extent, size: u64) -> u64 {
    extent.length.unwrap_or(size)
}

/// Lists the pieces of a file; one without bytes has none.
fn extents(entry: &Entry) -> impl Iterator<Item = kopia_repository::Result<Extent>> {
    Extents::new(entry.repository(), entry.object()).assuming(entry.size())
}

/// Plans on this thread and works on others, until everything is written or nothing more can be.
fn write(shared: &Shared<'_>, entry: &Entry) -> Result<()> {
    let workers = shared.options.workers();
    let planned = std::thread::scope(|scope| {
        let _guard = AbortOnPanic(|| shared.abort());
        let readers = shared.fetcher.expect_readers();
        for number in 0..workers {
            match Builder::new().spawn_scoped(scope, || work::run(shared)) {
                Err(source) if number == 0 => return Err(Error::Threads { source }),
                Err(_) => break,
                Ok(_) => {}
            }
        }
        shared.fetcher.start_readers(scope, shared.fetcher.readers(workers));
        drop(readers);
        let planned = plan(shared, entry);
        if planned.is_err() {
            shared.fetcher.abort();
        }
        shared.fetcher.close();
        planned
    });
    shared.fatal().map_or(planned, Err)
}

/// Hands out what is to be read.
fn plan(shared: &Shared<'_>, entry: &Entry) -> Result<()> {
    let contents = shared.repository.contents();
    let most = if contents.is_far() { FAR_BYTES } else { BYTES };
    let (mut waiting, mut bytes) = (Vec::new(), 0_u64);
    for extent in extents(entry) {
        let extent = extent?;
        bytes = bytes.saturating_add(length_of(&extent, entry.size()));
        waiting.push(extent);
        if bytes >= most || waiting.len() >= PIECES {
            if shared.is_stopped() {
                return Ok(());
            }
            hand_out(shared, std::mem::take(&mut waiting), entry.size());
            bytes = 0;
        }
    }
    hand_out(shared, waiting, entry.size());
    Ok(())
}

/// Hands out those pieces of some that the device is not known to have.
fn hand_out(shared: &Shared<'_>, mut extents: Vec<Extent>, size: u64) {
    let contents = shared.repository.contents();
    if shared.how.only_differences {
        extents = check::differing(shared, extents);
    }
    let mut batch = Batch::default();
    for extent in extents {
        match contents.assume(&extent.content, Some(length_of(&extent, size))) {
            Ok(location) => batch.needs.push(ContentRef::of(&extent, location, 0)),
            Err(error) => {
                let end = extent.start.saturating_add(length_of(&extent, size));
                shared.lose(extent.start..end, error.into());
            }
        }
    }
    shared.fetcher.push(batch.schedule(contents, read_at_least(shared.options)));
}
