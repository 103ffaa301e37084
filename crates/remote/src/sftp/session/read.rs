//! What is asked in more than one request: ranges, whole directories, files to be opened.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use kopia_storage::Failure;

use super::{Answer, Closer, Session, timed_out};
use crate::patience::is_trickle;
use crate::sftp::fault::Fault;
use crate::sftp::packet::{Attributes, Name, Reply, Request, Status};

/// How many requests of one range may wait: more than there are at once, so that other ranges get their
/// share.
const RANGE_REQUESTS: usize = 64;
/// How many requests for more entries of a directory may wait. Servers give some 100 entries at a time.
const MOST_LISTING_REQUESTS: usize = 16;
/// How many entries a directory may have. Without shards, a repository of 20 TB has some million packs.
const MOST_NAMES: usize = 1 << 20;
/// Directories with more entries are listed one after the other: a server that makes names up fills no more
/// memory than that of one.
const MOST_AT_ONCE: usize = 16 << 10;
/// How many answers may bring no name, or begin with one that another began with, before the listing counts
/// as endless.
const MOST_IDLE_ANSWERS: usize = 64;

/// A file or directory that is open there, until it is dropped.
#[derive(Debug)]
pub(in crate::sftp) struct Handle {
    handle: Vec<u8>,
    closer: Closer,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.closer.close(&self.handle);
    }
}

impl Session {
    /// Opens a file to be read; returns what it is, too.
    pub(in crate::sftp) async fn open_file(&self, path: &[u8]) -> Result<(Handle, Attributes), Fault> {
        // Both are asked at once: one round trip.
        let opened = self.send(Request::Open(path)).await?;
        let looked = self.send(Request::Stat(path)).await?;
        let handle = self.handle(opened, "reading", path).await?;
        let attributes = self.attributes(looked, path).await?;
        Ok((handle, attributes))
    }

    /// Returns what a path is.
    pub(in crate::sftp) async fn stat(&self, path: &[u8], follow: bool) -> Result<Attributes, Fault> {
        let request = if follow { Request::Stat(path) } else { Request::LinkStat(path) };
        let answer = self.send(request).await?;
        self.attributes(answer, path).await
    }

    async fn handle(&self, answer: Answer, action: &str, path: &[u8]) -> Result<Handle, Fault> {
        match answer.wait().await? {
            Reply::Handle(handle) => Ok(Handle { handle, closer: self.closer() }),
            Reply::Status(status) if status.code != Status::OK => {
                Err(Fault::refused(self.host(), action, path, &status))
            }
            _ => Err(self.unfit()),
        }
    }

    async fn attributes(&self, answer: Answer, path: &[u8]) -> Result<Attributes, Fault> {
        match answer.wait().await? {
            Reply::Attributes(attributes) => Ok(attributes),
            Reply::Status(status) if status.code != Status::OK => {
                Err(Fault::refused(self.host(), "looking at", path, &status))
            }
            _ => Err(self.unfit()),
        }
    }

    /// Makes the fault of an answer that is none to the request.
    fn unfit(&self) -> Fault {
        Fault::protocol(self.host(), "an answer is of another kind than the request")
    }

    /// Appends `length` bytes at `offset` to `buffer`, or as many as there are. What came before a fault
    /// stays appended.
    pub(in crate::sftp) async fn read_range(
        &self,
        file: &Handle,
        path: &[u8],
        offset: u64,
        length: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let (started, before) = (Instant::now(), buffer.len());
        let end = offset.saturating_add(length as u64);
        let mut next = offset;
        let mut waiting = VecDeque::new();
        loop {
            while next < end && waiting.len() < RANGE_REQUESTS {
                let wanted = end.saturating_sub(next).min(self.read_length.into()) as u32;
                waiting.push_back((next, wanted, self.ask_bytes(file, next, wanted).await?));
                next += u64::from(wanted);
            }
            let Some((mut at, mut wanted, mut answer)) = waiting.pop_front() else { return Ok(()) };
            while wanted > 0 {
                let got = self.bytes(answer, path, wanted, buffer).await?;
                if got == 0 {
                    return Ok(());
                }
                // Fewer than asked for are not the end: there may be no more at a time.
                (at, wanted) = (at + u64::from(got), wanted - got);
                if wanted == 0 {
                    break;
                }
                // An honest server gives what was asked for, or what it gives at a time.
                let came = (buffer.len() - before) as u64;
                if is_trickle(came, started.elapsed(), self.shared.silence) {
                    return Err(timed_out(self.host(), self.shared.silence));
                }
                answer = self.ask_bytes(file, at, wanted).await?;
            }
        }
    }

    async fn ask_bytes(&self, file: &Handle, offset: u64, length: u32) -> Result<Answer, Fault> {
        self.send(Request::Read { handle: &file.handle, offset, length }).await
    }

    /// Appends the bytes of an answer; returns how many they are, which is 0 at the end of the file.
    async fn bytes(
        &self,
        answer: Answer,
        path: &[u8],
        wanted: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<u32, Fault> {
        match answer.wait().await? {
            Reply::Data(data) => {
                let bytes = data.bytes();
                if bytes.is_empty() || bytes.len() > wanted as usize {
                    return Err(Fault::protocol(
                        self.host(),
                        "it gives another number of bytes than asked for",
                    ));
                }
                buffer.extend_from_slice(bytes);
                Ok(bytes.len() as u32)
            }
            Reply::Status(Status { code: Status::END, .. }) => Ok(0),
            Reply::Status(status) if status.code != Status::OK => {
                Err(Fault::unread(self.host(), path, &status))
            }
            _ => Err(self.unfit()),
        }
    }

    /// Lists a directory.
    pub(in crate::sftp) async fn list(&self, path: &[u8]) -> Result<Vec<Name>, Fault> {
        let opened = self.send(Request::OpenDirectory(path)).await?;
        let directory = self.handle(opened, "listing", path).await?;
        let mut names: Vec<Name> = Vec::new();
        let (mut progress, mut alone) = (Progress::default(), None);
        let mut waiting = VecDeque::new();
        // Most directories are small: names, and then that there are no more. Twice as many are asked for
        // with each answer.
        let mut most = 2;
        loop {
            while waiting.len() < most {
                waiting.push_back(self.send(Request::ReadDirectory(&directory.handle)).await?);
            }
            let Some(answer) = waiting.pop_front() else { return Ok(names) };
            match answer.wait().await? {
                Reply::Names(more) => {
                    progress.check(&more, names.len()).map_err(|why| self.endless(why))?;
                    names.extend(more);
                    if names.len() > MOST_AT_ONCE && alone.is_none() {
                        alone = self.long.acquire().await.ok();
                    }
                }
                Reply::Status(Status { code: Status::END, .. }) => return Ok(names),
                Reply::Status(status) if status.code != Status::OK => {
                    return Err(Fault::refused(self.host(), "listing", path, &status));
                }
                _ => return Err(self.unfit()),
            }
            most = (most * 2).min(MOST_LISTING_REQUESTS);
        }
    }

    fn endless(&self, why: &str) -> Fault {
        Fault::Final(Failure::EndlessListing { host: self.host().into(), why: why.into() })
    }
}

/// Whether a listing gets anywhere.
#[derive(Debug, Default)]
struct Progress {
    /// The names that answers began with.
    firsts: HashSet<Vec<u8>>,
    idle: usize,
}

impl Progress {
    /// Looks at the next names, after `count` others.
    fn check(&mut self, more: &[Name], count: usize) -> Result<(), &'static str> {
        let is_new = more.first().is_some_and(|first| self.firsts.insert(first.name.clone()));
        self.idle += usize::from(!is_new);
        if self.idle > MOST_IDLE_ANSWERS {
            return Err("it gives the same names again, or none");
        }
        if count + more.len() > MOST_NAMES {
            return Err("it has more than a million entries");
        }
        Ok(())
    }
}
