//! Decodes what a batch needs, each content once, and writes it wherever it belongs, on all cores.

use std::ops::Range;

use kopia_repository::Error;
use kopia_repository::contents::Steps;

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
                let write = |plain: Vec<u8>| shared.write_piece(&plain, used.offset, found);
                contents.decompress_headed(&used.content, headed, length, write).map_err(Reason::from)
            }
            (Ok(bytes), None) => as_long_as_stated(Some(used), bytes)
                .map(|bytes| shared.write_piece(bytes, used.offset, found)),
        };
        if let Err(reason) = written {
            shared.lose(used.range(), reason);
        }
    }
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
