//! The timed part.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kopia_repository::Repository;
use kopia_repository::contents::{Decoder, Stored};
use kopia_rs_benches::noise::Noise;
use rustix::fs::Mode;

use crate::plan::{Kind, Plan, Read, Use};
use crate::{Half, Result, files, folders};

/// How many folders, or files without bytes, one worker takes at once.
const CHUNK: usize = 64;

/// The plan, and what all workers share.
pub(crate) struct Job<'a> {
    repository: &'a Repository,
    plan: Plan,
    half: Option<Half>,
    /// What is written where nothing is decoded, as long as the longest content; no byte of it is zero.
    stand_in: Vec<u8>,
}

/// One thread's tools.
#[derive(Default)]
struct Worker {
    decoder: Option<Decoder>,
    /// What packs are read into.
    buffer: Vec<u8>,
    /// What a new file's owner and group are here.
    natural: (u32, u32),
}

impl<'a> Job<'a> {
    pub(crate) fn new(repository: &'a Repository, plan: Plan, half: Option<Half>) -> Self {
        let mut stand_in = Vec::new();
        if half == Some(Half::Write) {
            let longest = plan.uses.iter().map(|item| item.location.plain_length()).max();
            Noise::new(1).bytes(longest.unwrap_or_default() as usize, &mut stand_in);
            stand_in.iter_mut().for_each(|byte| *byte |= 1);
        }
        Self { repository, plan, half, stand_in }
    }

    /// Does everything, with so many threads.
    pub(crate) fn run(&self, target: &Path, workers: usize) -> Result<()> {
        let natural = if self.half == Some(Half::Decode) {
            (0, 0)
        } else {
            rustix::process::umask(Mode::empty());
            folders::make_root(&self.plan.folders, target)?;
            let stat = rustix::fs::fstat(folders::handle(&self.plan.folders, 0)?)?;
            (stat.st_uid, stat.st_gid)
        };
        let (chunks, empty) =
            (self.plan.folders.len().div_ceil(CHUNK), self.plan.empty.len().div_ceil(CHUNK));
        let reads = chunks + self.plan.reads.len();
        let writing = self.half != Some(Half::Decode);
        in_parallel(workers, natural, reads + empty, |worker, part| match part {
            _ if part < chunks && writing => {
                self.folders(part, |number| folders::handle(&self.plan.folders, number).map(drop))
            }
            _ if part < chunks => Ok(()),
            _ if part < reads => self.read(worker, &self.plan.reads[part - chunks]),
            _ if writing => self.empty(worker, part - reads),
            _ => Ok(()),
        })?;
        // Making an entry changes the time of its folder, so folders are finished when nothing is made any
        // more.
        in_parallel(workers, natural, if writing { chunks } else { 0 }, |worker, part| {
            self.folders(part, |number| folders::finish(&self.plan.folders, number, worker.natural))
        })
    }

    fn folders(&self, chunk: usize, work: impl Fn(usize) -> rustix::io::Result<()>) -> Result<()> {
        let end = self.plan.folders.len().min((chunk + 1) * CHUNK);
        for number in chunk * CHUNK..end {
            work(number).map_err(|error| named(&self.plan.folders[number].name, error))?;
        }
        Ok(())
    }

    fn empty(&self, worker: &Worker, chunk: usize) -> Result<()> {
        let end = self.plan.empty.len().min((chunk + 1) * CHUNK);
        self.plan.empty[chunk * CHUNK..end].iter().try_for_each(|&leaf| self.write(worker, leaf, 0, &[]))
    }

    /// Reads a range of a pack, decodes each content in it once and writes it wherever it belongs.
    fn read(&self, worker: &mut Worker, read: &Read) -> Result<()> {
        let uses = &self.plan.uses[read.uses.clone()];
        if self.half == Some(Half::Write) {
            return uses.iter().try_for_each(|item| {
                let length = item.location.plain_length() as usize;
                self.write(worker, item.leaf, item.offset, &self.stand_in[..length])
            });
        }
        let length = (read.bytes.end - read.bytes.start) as usize;
        let buffer = std::mem::take(&mut worker.buffer);
        let bytes = self.repository.store().read_range(&read.pack, read.bytes.start, length, buffer)?;
        // The decoder keeps the plain bytes while the worker writes them.
        let kept = worker.decoder.take();
        let mut decoder = kept.unwrap_or_else(|| self.repository.contents().decoder());
        for same in uses.chunk_by(|a, b| a.content == b.content) {
            let Use { location, content, stored_at, .. } = &same[0];
            let start = (stored_at - read.bytes.start) as usize;
            let bytes = &bytes[start..start + location.stored_length() as usize];
            let stored = Stored { id: *content, location: *location, bytes };
            let plain = decoder.decode(&stored).map_err(|flaw| flaw.to_string())?;
            if self.half.is_none() {
                same.iter().try_for_each(|item| self.write(worker, item.leaf, item.offset, plain))?;
            }
        }
        worker.decoder = Some(decoder);
        worker.buffer = bytes.into_buffer();
        Ok(())
    }

    fn write(&self, worker: &Worker, leaf: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        let (leaf, natural) = (&self.plan.leaves[leaf], worker.natural);
        let written = folders::handle(&self.plan.folders, leaf.folder).and_then(|folder| match &leaf.kind {
            Kind::Link => files::link(folder, leaf, bytes, natural),
            Kind::Small => files::small(folder, leaf, bytes, natural),
            Kind::Large { handle, missing } => {
                files::piece(folder, leaf, (handle, missing), (bytes, offset), natural)
            }
        });
        written.map_err(|error| named(&leaf.name, error).into())
    }
}

/// Lets threads take parts, one after the other, until all are done.
fn in_parallel(
    workers: usize,
    natural: (u32, u32),
    parts: usize,
    work: impl Fn(&mut Worker, usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut worker = Worker { natural, ..Worker::default() };
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                part if part < parts => work(&mut worker, part)?,
                _ => return Ok(()),
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.min(parts)).map(|_| scope.spawn(run)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.into_iter().try_for_each(|result| result.unwrap_or_else(|_| Err("a thread panicked".into())))
    })
}

fn named(name: &std::ffi::CStr, error: rustix::io::Errno) -> String {
    format!("{}: {error}", name.to_string_lossy())
}
