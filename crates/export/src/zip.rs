//! Zip archives, with what Info-ZIP adds for Unix: modes, owners, times in seconds, links.
//!
//! An archive is its entries, each a header and its bytes, and a list of all of them at the end, the central
//! directory. That is kept in memory until then: some 100 bytes and a name for each entry. Sizes and places
//! of 4 GiB and more stand in extra fields (zip64).
//!
//! Chunks are compressed on all cores. An entry of few chunks waits for them, so that its header says how
//! long it is; where compression gains nothing, it is stored. A longer one is followed by its lengths.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};

use kopia_repository::Defect;

use crate::archive::Archive;
use crate::batch::Meta;
use crate::compress::{Codec, LAST_BLOCK, Packed, Pending, Pool};
pub(crate) use names::is_foreign;
use record::{Method, Record};

mod names;
mod record;
mod time;

/// How many bytes are compressed at once.
const CHUNK: usize = 1 << 20;

/// Longer entries do not wait for all their chunks.
const WHOLE: u64 = 4 << 20;

/// How many entries and chunks may be under way, and how many bytes of them.
const UNDER_WAY: usize = 512;
const BYTES_UNDER_WAY: usize = 16 << 20;

/// Shorter entries are not worth a thread's time.
const STORED: u64 = 64;

/// How many bytes are written at once.
const BUFFER: usize = 256 << 10;

/// The longest path in bytes, without the `/` that a directory's has at its end.
const LONGEST_PATH: usize = u16::MAX as usize - 1;

/// Returns why a path cannot stand in a zip, that of a directory without the `/` at its end.
pub(crate) fn refusal(path: &str) -> Option<Defect> {
    if path.len() > LONGEST_PATH {
        return Some(Defect::LongPath { limit: LONGEST_PATH });
    }
    names::leads_out(path).then_some(Defect::LeadsOut)
}

/// A zip archive that is being written.
pub(crate) struct Zip<W: Write> {
    out: BufWriter<W>,
    written: u64,
    codec: Codec,
    pool: Pool,
    /// The file that is being taken in.
    file: Option<File>,
    /// What is still to be written, in order.
    queue: VecDeque<Step>,
    queued_bytes: usize,
    /// The entry whose chunks are being written.
    current: Option<Record>,
    central: Vec<u8>,
    count: u64,
}

/// A file that is being taken in.
struct File {
    record: Record,
    chunk: Vec<u8>,
    /// Chunks of an entry that waits for all of them.
    chunks: Vec<Pending>,
}

/// What is to be written.
enum Step {
    /// An entry with all its chunks.
    Whole(Record, Vec<Pending>),
    /// An entry that is stored as it is.
    Stored(Record, Vec<u8>),
    /// The header of an entry whose chunks follow.
    Begin(Record),
    Chunk(Pending),
    End,
}

impl Step {
    /// Returns how many bytes its entry's name has.
    fn name_length(&self) -> usize {
        match self {
            Self::Whole(record, _) | Self::Stored(record, _) | Self::Begin(record) => record.name_length(),
            Self::Chunk(_) | Self::End => 0,
        }
    }
}

impl<W: Write> Zip<W> {
    pub(crate) fn new(codec: Codec, pool: Pool, out: W) -> Self {
        Self {
            out: BufWriter::with_capacity(BUFFER, out),
            written: 0,
            codec,
            pool,
            file: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            current: None,
            central: Vec::new(),
            count: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Queues a step whose bytes were counted, and writes what comes before it if that is too much.
    fn queue(&mut self, step: Step) -> io::Result<()> {
        self.queued_bytes += step.name_length();
        self.queue.push_back(step);
        while self.queue.len() > UNDER_WAY || self.queued_bytes > BYTES_UNDER_WAY {
            self.write_one()?;
        }
        Ok(())
    }

    /// Begins to compress a chunk.
    fn pack(&mut self, chunk: Vec<u8>) -> Pending {
        self.queued_bytes += chunk.len();
        self.pool.pack(self.codec, chunk)
    }

    fn wait(&mut self, pending: Pending) -> io::Result<Packed> {
        let packed = pending.wait()?;
        self.queued_bytes -= packed.chunk.len();
        Ok(packed)
    }

    /// Writes the first step.
    fn write_one(&mut self) -> io::Result<()> {
        let step = self.queue.pop_front();
        self.queued_bytes -= step.as_ref().map_or(0, Step::name_length);
        match step {
            Some(Step::Whole(record, chunks)) => {
                let chunks = chunks.into_iter().map(|pending| self.wait(pending));
                let chunks = chunks.collect::<io::Result<Vec<_>>>()?;
                self.whole(record, &chunks)
            }
            Some(Step::Stored(mut record, bytes)) => {
                self.queued_bytes -= bytes.len();
                record.sum.update(&bytes);
                record.packed = bytes.len() as u64;
                self.entry(record, [&bytes[..]])
            }
            Some(Step::Begin(mut record)) => {
                record.offset = self.written;
                let header = record.header();
                self.current = Some(record);
                self.put(&header)
            }
            Some(Step::Chunk(pending)) => {
                let Packed { bytes, sum, .. } = self.wait(pending)?;
                if let Some(record) = &mut self.current {
                    record.sum.combine(&sum);
                    record.packed += bytes.len() as u64;
                }
                self.put(&bytes)
            }
            Some(Step::End) => {
                let Some(mut record) = self.current.take() else { return Ok(()) };
                record.packed += LAST_BLOCK.len() as u64;
                self.put(&LAST_BLOCK)?;
                self.put(&record.descriptor())?;
                self.list(&record);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Writes an entry of which all chunks are compressed.
    fn whole(&mut self, mut record: Record, chunks: &[Packed]) -> io::Result<()> {
        chunks.iter().for_each(|chunk| record.sum.combine(&chunk.sum));
        let packed =
            chunks.iter().map(|chunk| chunk.bytes.len() as u64).sum::<u64>() + LAST_BLOCK.len() as u64;
        if packed < record.length {
            record.packed = packed;
            let bytes = chunks.iter().map(|chunk| &chunk.bytes[..]).chain([&LAST_BLOCK[..]]);
            return self.entry(record, bytes);
        }
        (record.method, record.packed) = (Method::Stored, record.length);
        self.entry(record, chunks.iter().map(|chunk| &chunk.chunk[..]))
    }

    /// Writes an entry of which everything is known.
    fn entry<'b>(&mut self, mut record: Record, bytes: impl IntoIterator<Item = &'b [u8]>) -> io::Result<()> {
        record.offset = self.written;
        self.put(&record.header())?;
        for bytes in bytes {
            self.put(bytes)?;
        }
        self.list(&record);
        Ok(())
    }

    /// Adds an entry to the list at the end.
    fn list(&mut self, record: &Record) {
        record.list(&mut self.central);
        self.count += 1;
    }
}

impl<W: Write> Archive for Zip<W> {
    fn directory(&mut self, meta: &Meta) -> io::Result<()> {
        if meta.path.is_empty() {
            // It has no name, and nobody would look for one.
            return Ok(());
        }
        self.queue(Step::Stored(Record::directory(meta), Vec::new()))
    }

    fn symlink(&mut self, meta: &Meta, target: &[u8]) -> io::Result<()> {
        self.queued_bytes += target.len();
        self.queue(Step::Stored(Record::symlink(meta, target.len() as u64), target.to_vec()))
    }

    fn begin(&mut self, meta: &Meta, length: u64) -> io::Result<()> {
        let mut record = Record::file(meta, length);
        if length > STORED {
            record.method = Method::Deflate;
        }
        record.is_followed = length > WHOLE;
        let capacity = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        if record.is_followed {
            self.queue(Step::Begin(record.clone()))?;
        }
        self.file = Some(File { record, chunk: Vec::with_capacity(capacity), chunks: Vec::new() });
        Ok(())
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        while !bytes.is_empty() {
            let (some, rest) = bytes.split_at(bytes.len().min(CHUNK - file.chunk.len()));
            file.chunk.extend_from_slice(some);
            bytes = rest;
            if file.chunk.len() == CHUNK {
                let pending = self.pack(std::mem::replace(&mut file.chunk, Vec::with_capacity(CHUNK)));
                if file.record.is_followed {
                    self.queue(Step::Chunk(pending))?;
                } else {
                    file.chunks.push(pending);
                }
            }
        }
        self.file = Some(file);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(File { record, chunk, mut chunks }) = self.file.take() else { return Ok(()) };
        if record.method == Method::Stored {
            self.queued_bytes += chunk.len();
            return self.queue(Step::Stored(record, chunk));
        }
        let last = if chunk.is_empty() { None } else { Some(self.pack(chunk)) };
        if record.is_followed {
            if let Some(last) = last {
                self.queue(Step::Chunk(last))?;
            }
            return self.queue(Step::End);
        }
        chunks.extend(last);
        self.queue(Step::Whole(record, chunks))
    }

    fn finish(mut self: Box<Self>) -> io::Result<u64> {
        while !self.queue.is_empty() {
            self.write_one()?;
        }
        let (central, start) = (std::mem::take(&mut self.central), self.written);
        self.put(&central)?;
        let end = record::end(self.count, start, central.len() as u64);
        self.put(&end)?;
        self.out.flush()?;
        Ok(self.written)
    }
}
