//! Decodes what a batch needs, each content once, and writes it wherever it belongs, on all cores.

use std::ops::Range;

use kopia_repository::contents::Steps;
use kopia_repository::{Defect, Error};

use super::batch::Batch;
use super::shared::Shared;
use crate::execute::{as_long_as_stated, is_zero};
use crate::on_panic::AbortOnPanic;
use crate::plan::batch::ContentRef;
use crate::reason::Reason;

/// Works until nothing is left to do.
pub(super) fn run(shared: &Shared<'_>) {
    let _guard = AbortOnPanic(|| shared.abort());
    let contents = shared.repository.contents();
    let mut decoder = contents.decoder();
    decoder.set_verify_hashes(shared.options.verify_hashes);
    let (mut buffer, mut found) = (Vec::new(), Vec::new());
    while let Some(mut task) = shared.fetcher.take() {
        let batch: &Batch = &task.batch;
        let ahead = task.fetched.take();
        if let Some(step) = batch.reads().get(task.number)
            && !shared.is_stopped()
        {
            let fetched = ahead.unwrap_or_else(|| contents.fetch(step, std::mem::take(&mut buffer)));
            contents.decode(&mut decoder, step, &batch.needs, &fetched, |same, plain| {
                if !shared.is_stopped() {
                    deliver(shared, same, plain, &mut found);
                }
            });
            buffer = fetched.into_buffer();
        }
        shared.fetcher.done(&task, &mut buffer);
    }
}

/// Writes a content to all its places.
fn deliver(shared: &Shared<'_>, same: &[ContentRef], plain: Result<&[u8], Error>, found: &mut Vec<u8>) {
    let plain = plain.map_err(Reason::from);
    if let Ok(bytes) = plain
        && !shared.how.only_differences
        && same.len() > 1
        && same.iter().all(|used| used.compressed.is_none())
        && is_zero(bytes)
    {
        return zeros(shared, same, bytes);
    }
    for used in same {
        let written = match (&plain, used.compressed) {
            (Err(reason), _) => Err(reason.clone()),
            (Ok(headed), Some(length)) => {
                let contents = shared.repository.contents();
                let write = |plain: Vec<u8>| write(shared, used, &plain, found);
                contents
                    .decompress_headed(&used.content, headed, length, write)
                    .unwrap_or_else(|error| Err(error.into()))
            }
            (Ok(bytes), None) => write(shared, used, bytes, found),
        };
        if let Err(reason) = written {
            // Its location has the length of what is still compressed.
            let length = used.length.unwrap_or(shared.stated);
            shared.lose(used.offset..used.offset.saturating_add(length), reason);
        }
    }
}

/// Writes a content to one of its places, if it is as long as is stated there.
fn write(shared: &Shared<'_>, used: &ContentRef, plain: &[u8], found: &mut Vec<u8>) -> Result<(), Reason> {
    let plain = as_long_as_stated(Some(used), plain)?;
    shared.write_piece(plain, used.offset, found);
    if used.length.is_none() {
        // No list says how long it is: it is the whole file.
        let (length, stated) = (plain.len() as u64, shared.stated);
        shared.lose(length..stated, Defect::Length { found: length, stated }.into());
    }
    Ok(())
}

/// Zeros all places of a content that is nothing but zeros; neighbours in one go.
fn zeros(shared: &Shared<'_>, same: &[ContentRef], bytes: &[u8]) {
    let mut ranges = Vec::new();
    for used in same {
        match as_long_as_stated(Some(used), bytes) {
            Ok(_) => {
                let end = used.offset.saturating_add(bytes.len() as u64).min(shared.size);
                ranges.push(used.offset.min(end)..end);
            }
            Err(reason) => shared.lose(used.range(), reason),
        }
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut().filter(|last| last.end == range.start) {
            Some(last) => last.end = range.end,
            None => joined.push(range),
        }
    }
    for range in joined {
        let length = range.end - range.start;
        match shared.zero_range(range) {
            Ok(()) => shared.observer.bytes(length),
            Err(error) => return shared.give_up(shared.device.error("cannot be written", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::Ordering;

    use kopia_repository::object::Extents;

    use super::*;
    use crate::Options;
    use crate::device::DeviceOptions;
    use crate::device::tests::{Lab, PIECE, Watching};

    #[test]
    fn a_content_of_zeros_is_zeroed_where_it_belongs_and_nowhere_else() {
        let lab = Lab::new();
        let mut disk = vec![0xee; 1 << 20];
        let device = lab.device(&disk);
        let (entry, options, watching) = (lab.entry(), Options::default(), Watching::default());
        let of = (&entry, 1_000_000);
        let shared = Shared::new(of, &device, (&options, DeviceOptions::default()), &watching);
        // The fourth piece of the file is the first of zeros alone.
        let extent = Extents::new(entry.repository(), entry.object()).nth(3).unwrap().unwrap();
        let location = entry.repository().contents().locate(&extent.content).unwrap();
        let at = |offset| ContentRef { offset, ..ContentRef::of(&extent, location, 0) };
        let too_long = ContentRef { length: Some(5), ..at(300_000) };
        let same = [at(400_012), at(950_000), at(0), too_long, at(500_015), at(1_100_000)];
        deliver(&shared, &same, Ok(&[0; PIECE]), &mut Vec::new());
        for range in [0..PIECE, 400_012..500_015 + PIECE, 950_000..1_000_000] {
            disk[range].fill(0);
        }
        assert!(fs::read(device.path()).unwrap() == disk);
        assert_eq!(watching.bytes.load(Ordering::Relaxed), 3 * PIECE as u64 + 50_000);
        let lost = shared.lost();
        assert_eq!((lost.len(), lost[0].range.clone()), (1, 300_000..300_005));
        let done = shared.finish(None);
        assert_eq!(done.written + done.zeroed, 3 * PIECE as u64 + 50_000);
        // What has neighbours is zeroed with them.
        assert!(done.zeroed == 0 || done.zeroed == 98_304 + 196_608, "{done:?}");
    }
}
