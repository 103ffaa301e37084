//! Puts whole contents into the page cache, where programs jump about in a file.
//!
//! To read 4 KiB, a content of some MiB has to be decoded. Its other bytes are handed to the kernel as well, so that
//! it asks for none of them again as long as it has memory for them.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::{io, thread};

use fuser::{INodeNo, Notifier};

use crate::readers::Reader;

/// How many contents may wait. More are not worth it: they are asked for again.
const WAITING: usize = 8;

/// How many bytes are handed over at once.
const PIECE: usize = 1 << 20;

/// Bytes that are to be handed over.
struct Wish {
    number: u64,
    reader: Arc<Reader>,
    range: Range<u64>,
}

/// Hands contents to the kernel, on a thread of its own.
///
/// The kernel waits for pages that were asked for and are not there yet. So whoever answers requests must never
/// wait for this.
#[derive(Default)]
pub(crate) struct Primer(OnceLock<SyncSender<Wish>>);

impl Primer {
    /// Starts the thread, which ends with the primer or the mount.
    pub(crate) fn start(&self, notifier: Notifier) -> io::Result<()> {
        let (sender, wishes) = sync_channel(WAITING);
        thread::Builder::new().name("primer".into()).spawn(move || work(&wishes, &notifier))?;
        let _ = self.0.set(sender);
        Ok(())
    }

    /// Has a range handed over, unless too much waits already.
    pub(crate) fn wish(&self, number: u64, reader: Arc<Reader>, range: Range<u64>) {
        if let Some(sender) = self.0.get() {
            let _ = sender.try_send(Wish { number, reader, range });
        }
    }
}

fn work(wishes: &Receiver<Wish>, notifier: &Notifier) {
    while let Ok(Wish { number, reader, range }) = wishes.recv() {
        // It was read a moment ago and is kept; whoever wants bytes of it that cannot be had is told why.
        let Ok(chunk) = reader.object.chunk_at(range.start) else { continue };
        let mut offset = range.start;
        for piece in chunk.chunks(PIECE) {
            if notifier.store(INodeNo(number), offset, piece).is_err() {
                break;
            }
            offset = offset.saturating_add(piece.len() as u64);
        }
    }
}
