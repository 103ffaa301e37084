//! Decodes what a batch needs, each content once, on as many threads as there are cores.

use std::sync::Arc;

use kopia_repository::{Defect, Error};

use crate::batch::{Batch, Need};
use crate::shared::{Shared, StopOnPanic};

/// Works until nothing is left to do.
pub(crate) fn run(shared: &Shared<'_>) {
    let _guard = StopOnPanic(shared);
    let contents = shared.repository.contents();
    let mut decoder = contents.decoder();
    decoder.set_verify_hashes(shared.options.verify_hashes);
    let mut buffer = Vec::new();
    while let Some(mut task) = shared.fetcher.take() {
        let work = task.batch.clone();
        let batch = &*work.0;
        let ahead = task.fetched.take();
        if let Some(step) = batch.step(task.number).filter(|_| !shared.is_stopped()) {
            let fetched = ahead.unwrap_or_else(|| contents.fetch(step, std::mem::take(&mut buffer)));
            contents.decode(&mut decoder, step, &batch.needs, &fetched, |same, plain| {
                deliver(shared, batch, same, plain);
            });
            buffer = fetched.into_buffer();
        }
        shared.fetcher.done(&task, &mut buffer);
        shared.one_done(batch);
    }
}

/// Puts a content into the slot of each entry that needs it.
fn deliver(shared: &Shared<'_>, batch: &Batch, same: &[Need], plain: Result<&[u8], Error>) {
    let plain = plain.map_err(Defect::from);
    let mut kept = None;
    for need in same {
        let of_need = match (&plain, need.compressed) {
            (Err(defect), _) => Err(defect.clone()),
            (Ok(headed), Some(length)) => {
                let contents = shared.repository.contents();
                let plain = contents.decompress_headed(&need.content, headed, length, Arc::new);
                plain.map_err(Defect::from).and_then(|plain| as_long_as_stated(need, &plain).map(|()| plain))
            }
            (Ok(bytes), None) => as_long_as_stated(need, bytes).map(|()| match &batch.checked {
                Some(_) => Arc::default(),
                None => kept.get_or_insert_with(|| Arc::new(shared.buffers.copy(bytes))).clone(),
            }),
        };
        match (&batch.checked, of_need) {
            (None, of_need) => batch.slots[need.slot].put(of_need),
            (Some(checked), Err(defect)) => checked.fail(need.range.start, defect),
            (Some(_), Ok(_)) => shared.check(need.range.end - need.range.start),
        }
    }
}

/// Refuses a content that has another length than the list that it stands in says.
fn as_long_as_stated(need: &Need, bytes: &[u8]) -> Result<(), Defect> {
    match need.length {
        Some(stated) if stated != bytes.len() as u64 => {
            Err(Defect::ContentLength { content: need.content, found: bytes.len() as u64, stated })
        }
        _ => Ok(()),
    }
}
