//! Puts into the page cache what the kernel will ask for.
//!
//! - Where programs jump about in a file: to read 4 KiB, a content of some MiB has to be decoded. Its other bytes are
//!   handed over as well, so that the kernel asks for none of them again as long as it has memory for them.
//! - Where they read small files one after the other: those that come next.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::{io, thread};

use fuser::{INodeNo, Notifier};
use kopia_repository::object::ObjectReader;

use crate::folder::Item;
use crate::lock::lock;
use crate::readers::Reader;
use crate::shared::Shared;
use crate::sweeps::Wanted;

/// How many contents may wait. More are not worth it: they are asked for again.
const CONTENTS: usize = 8;

/// How many files may wait.
const FILES: usize = 1024;

/// How many bytes are handed over at once.
const PIECE: usize = 1 << 20;

/// Bytes that are to be handed over.
struct Wish {
    number: u64,
    reader: Arc<Reader>,
    range: Range<u64>,
}

/// Hands contents and files to the kernel, on threads of its own.
///
/// The kernel waits for pages that were asked for and are not there yet. So whoever answers requests must never
/// wait for this.
#[derive(Default)]
pub(crate) struct Primer(OnceLock<(SyncSender<Wish>, SyncSender<Wanted>)>);

impl Primer {
    /// Starts the threads, so many of them for files; they end with what is mounted.
    pub(crate) fn start(shared: &Arc<Shared>, notifier: &Notifier, threads: usize) -> io::Result<()> {
        let (contents, wishes) = sync_channel(CONTENTS);
        let (files, wanted) = sync_channel(FILES);
        let own = notifier.clone();
        thread::Builder::new().name("primer".into()).spawn(move || hand_over_contents(&wishes, &own))?;
        let wanted = Arc::new(Mutex::new(wanted));
        for _ in 0..threads {
            let (shared, wanted, own) = (Arc::downgrade(shared), wanted.clone(), notifier.clone());
            thread::Builder::new()
                .name("files ahead".into())
                .spawn(move || hand_over_files(&shared, &wanted, &own))?;
        }
        let _ = shared.primer.0.set((contents, files));
        Ok(())
    }

    /// Has a range handed over, unless too much waits already.
    pub(crate) fn wish(&self, number: u64, reader: Arc<Reader>, range: Range<u64>) {
        if let Some((contents, _)) = self.0.get() {
            let _ = contents.try_send(Wish { number, reader, range });
        }
    }

    /// Has files handed over, as many as may wait.
    pub(crate) fn want(&self, files: Vec<Wanted>) {
        if let Some((_, sender)) = self.0.get() {
            for file in files {
                if sender.try_send(file).is_err() {
                    break;
                }
            }
        }
    }
}

// What cannot be read is passed over: whoever asks for it is told why.

fn hand_over_contents(wishes: &Receiver<Wish>, notifier: &Notifier) {
    while let Ok(Wish { number, reader, range }) = wishes.recv() {
        // It was read a moment ago and is kept.
        let _ = hand_over(notifier, number, &reader.object, range.start);
    }
}

fn hand_over_files(shared: &Weak<Shared>, wanted: &Mutex<Receiver<Wanted>>, notifier: &Notifier) {
    loop {
        let next = lock(wanted).recv();
        let (Ok(wanted), Some(shared)) = (next, shared.upgrade()) else { return };
        if wanted.is_late() {
            continue;
        }
        let Some(node) = shared.nodes.get(wanted.number) else { continue };
        let Item::Entry(entry) = &node.item else { continue };
        let Ok(object) = entry.open() else { continue };
        let mut offset = 0;
        while offset < object.length() {
            match hand_over(notifier, node.number, &object, offset) {
                Some(end) if end > offset => offset = end,
                _ => break,
            }
        }
    }
}

/// Hands over what is decoded together at a place of a file; returns where that ends.
fn hand_over(notifier: &Notifier, number: u64, object: &ObjectReader, start: u64) -> Option<u64> {
    let chunk = object.chunk_at(start).ok()?;
    let mut offset = start;
    for piece in chunk.chunks(PIECE) {
        notifier.store(INodeNo(number), offset, piece).ok()?;
        offset = offset.saturating_add(piece.len() as u64);
    }
    Some(offset)
}
