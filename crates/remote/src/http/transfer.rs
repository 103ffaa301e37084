//! Bytes of blobs: ranges that are checked, and go on where they broke.
//!
//! A range that a server gives is compared with the one that was asked for, and memory is taken for it only
//! when it is known that the blob is long enough: offsets and lengths may come from a hostile index.

use std::sync::{Mutex, PoisonError};

use kopia_storage::Failure;

use super::flow::Flow;
use super::range::{Transfer, content_range, unsatisfied};
use super::{Client, Live, Request, Service, Setback, Trouble};
use crate::patience::ENOUGH;

/// The first bytes of a blob that is read whole. Most index blobs are shorter.
const FIRST: u64 = 16 << 20;

/// Those after them are read in such pieces.
const PIECE: usize = 8 << 20;

/// By how many threads.
const THREADS: usize = 8;

/// How long a blob may be whose length nobody says: the body of such an answer may have no end.
const UNTOLD: u64 = 64 << 20;

impl Client {
    /// Reads exactly `length` bytes at `offset`, by a request whose method is `GET`. `buffer` is memory to
    /// use.
    ///
    /// # Errors
    /// [`Trouble`], each kind of it but [`Trouble::TooLarge`].
    pub(crate) fn read_range(
        &self,
        service: &dyn Service,
        request: &Request,
        offset: u64,
        length: usize,
        buffer: Vec<u8>,
    ) -> Result<Vec<u8>, Trouble> {
        let end = offset.checked_add(length as u64).filter(|end| length > 0 && *end <= i64::MAX as u64);
        let Some(end) = end else {
            let end = offset.saturating_add(length as u64);
            let total = self.length(service, request)?;
            let fits = end <= total && u64::MAX - offset >= length as u64;
            return if fits { Ok(emptied(buffer)) } else { Err(Trouble::Short { length: total }) };
        };
        let mut transfer =
            Transfer { wanted: offset..end, exact: true, most: end, buffer, done: 0, total: None };
        self.run(service, request, &mut transfer)?;
        Ok(transfer.buffer)
    }

    /// Reads a whole blob of at most `limit` bytes; a large one in several ranges at once.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn read_whole(
        &self,
        service: &dyn Service,
        request: &Request,
        limit: u64,
    ) -> Result<Vec<u8>, Trouble> {
        let wanted = 0..FIRST.min(limit.max(1));
        let (most, buffer) = (UNTOLD.min(limit.max(1)), Vec::new());
        let mut transfer = Transfer { wanted, exact: false, most, buffer, done: 0, total: None };
        self.run(service, request, &mut transfer)?;
        let mut bytes = transfer.buffer;
        let total = transfer.total.unwrap_or(bytes.len() as u64);
        if total > limit {
            return Err(Trouble::TooLarge { length: total });
        }
        let total = usize::try_from(total).map_err(|_| Trouble::TooLarge { length: total })?;
        // Memory grows as bytes come: a server may say any length.
        while bytes.len() < total {
            let start = bytes.len();
            bytes.resize(total.min(start + THREADS * PIECE), 0);
            self.read_pieces(service, request, start, bytes.get_mut(start..).unwrap_or_default())?;
        }
        Ok(bytes)
    }

    /// Fills `rest`, which begins at `start` of the blob, by several threads.
    fn read_pieces(
        &self,
        service: &dyn Service,
        request: &Request,
        start: usize,
        rest: &mut [u8],
    ) -> Result<(), Trouble> {
        let pieces = Mutex::new(rest.chunks_mut(PIECE).enumerate());
        let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut buffer = Vec::new();
            while let Some((number, piece)) = next() {
                let offset = (start + number * PIECE) as u64;
                buffer = self.read_range(service, request, offset, piece.len(), buffer)?;
                piece.copy_from_slice(&buffer);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            let broke = || Failure::Unusable { what: "a thread that read from a server broke".into() };
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(broke().into())))
        })
    }

    fn run(&self, service: &dyn Service, request: &Request, transfer: &mut Transfer) -> Result<(), Trouble> {
        let mut little = 0;
        loop {
            let before = transfer.done;
            let request = request.clone().with("range", transfer.header());
            let mut broke = None;
            let end = self.persist(service, &request, |live| match self.receive(live, transfer) {
                // What came is kept: the next request is for the rest.
                Err(Setback::Again(failure, _)) if transfer.done > before => {
                    broke = Some(failure);
                    Ok(End::Broke)
                }
                other => other,
            })?;
            match (end, broke) {
                (End::Broke, Some(failure)) => {
                    // A connection that breaks after some bytes each time would never be given up.
                    little += u32::from(transfer.done - before < ENOUGH);
                    if little >= self.network.options.patience.tries {
                        return Err(failure.into());
                    }
                    self.note_broken(&failure, transfer);
                }
                (End::Outside, _) => return self.outside(service, &request, transfer),
                (End::TooLong, _) => return Err(Trouble::TooLarge { length: transfer.wanted.end + 1 }),
                _ => return Ok(()),
            }
        }
    }

    fn note_broken(&self, failure: &Failure, transfer: &Transfer) {
        let at = transfer.from();
        self.note(&format!("going on at byte {at}: {failure}"));
    }

    /// Finds out why a range lies outside of a blob: the answer may say how long it is, or else the blob is
    /// asked.
    fn outside(
        &self,
        service: &dyn Service,
        request: &Request,
        transfer: &mut Transfer,
    ) -> Result<(), Trouble> {
        let total = match transfer.total {
            Some(total) => total,
            None => {
                let mut request = request.clone();
                request.headers.retain(|(name, _)| name != "range");
                self.length(service, &request)?
            }
        };
        if !transfer.exact && total == 0 {
            transfer.total = Some(0);
            return Ok(());
        }
        if transfer.wanted.end <= total || !transfer.exact {
            return Err(self.wrong_range(transfer, format!("none of {total} bytes")).into());
        }
        Err(Trouble::Short { length: total })
    }

    fn wrong_range(&self, transfer: &Transfer, got: String) -> Failure {
        Failure::WrongRange { host: self.host(), asked: transfer.header(), got }
    }

    /// Takes what an answer gives of the range.
    fn receive(&self, live: Live, transfer: &mut Transfer) -> Result<End, Setback> {
        let over = |failure: Failure| Setback::Over(failure.into());
        let (parts, body) = live.into_parts();
        let status = parts.status.as_u16();
        let encoded = parts
            .headers
            .get("content-encoding")
            .is_some_and(|encoding| encoding != "identity" && encoding != "aws-chunked");
        // Who asks for bytes gets those of a blob, or a page for people: of a hotel's network, or of a proxy.
        let is_page = status == 200 && {
            let kind = parts.headers.get("content-type").and_then(|kind| kind.to_str().ok());
            kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
        };
        match status {
            416 => {
                transfer.total = unsatisfied(&parts.headers).or(transfer.total);
                self.flow(body).finish();
                return Ok(End::Outside);
            }
            200 | 206 if !encoded && !is_page => {}
            _ => {
                let beginning = self.flow(body).beginning(1024);
                return Err(over(self.answer(status, parts.headers, beginning).nonsense()));
            }
        }
        let told = body.content_length();
        let skip = if status == 206 {
            let range = content_range(&parts.headers);
            // Some servers say 206 of an empty blob, and nothing else.
            if range.is_none() && told.is_none_or(|told| told == 0) {
                let read = self.flow(body).read(&mut [0]).map_err(|failure| Setback::Again(failure, None))?;
                let wrong = || over(self.wrong_range(transfer, "no range".into()));
                return if read == 0 { Ok(End::Outside) } else { Err(wrong()) };
            }
            let range = range.ok_or_else(|| over(self.wrong_range(transfer, "no range".into())))?;
            if range.is_empty() {
                transfer.total = range.total;
                return Ok(End::Outside);
            }
            transfer.accept(&range, told).map_err(|got| over(self.wrong_range(transfer, got)))?;
            0
        } else {
            // All of it, whatever was asked for.
            transfer.total = told;
            if told.is_none() && !transfer.exact {
                transfer.wanted.end = transfer.most;
            }
            transfer.from()
        };
        transfer.check_length().map_err(Setback::Over)?;
        let mut flow = self.flow(body);
        match self.skip(&mut flow, skip, transfer)? {
            true => self.fill(&mut flow, transfer),
            false => Ok(End::Outside),
        }
    }

    /// Reads what comes before the range, and returns whether there is anything after it.
    fn skip(&self, flow: &mut Flow<'_>, mut left: u64, transfer: &mut Transfer) -> Result<bool, Setback> {
        let total = left;
        let mut piece = vec![0; if left == 0 { 0 } else { 64 << 10 }];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let part = piece.get_mut(..most).unwrap_or_default();
            match flow.read(part).map_err(|failure| Setback::Again(failure, None))? {
                0 => {
                    transfer.total = Some(total - left);
                    return Ok(false);
                }
                read => left -= read as u64,
            }
        }
        Ok(true)
    }

    /// Fills the buffer up to the end of the range, or of the blob.
    fn fill(&self, flow: &mut Flow<'_>, transfer: &mut Transfer) -> Result<End, Setback> {
        let again = |failure| Setback::Again(failure, None);
        loop {
            let room = transfer.room();
            if room.is_empty() {
                break;
            }
            let read = flow.read(room).map_err(again)?;
            if read > 0 {
                transfer.done += read;
                continue;
            }
            let reached = transfer.from();
            return match transfer.total {
                // It did not say how long it is, and ended properly.
                None => {
                    transfer.total = Some(reached);
                    transfer.buffer.truncate(transfer.done);
                    Ok(if transfer.exact { End::Outside } else { End::Whole })
                }
                Some(_) => {
                    let why = format!("the body ended at byte {reached}");
                    Err(again(Failure::Disconnected { host: self.host(), why }))
                }
            };
        }
        transfer.buffer.truncate(transfer.done);
        if transfer.total.is_none() && !transfer.exact {
            if flow.read(&mut [0]).map_err(again)? > 0 {
                return Ok(End::TooLong);
            }
            transfer.total = Some(transfer.wanted.end);
        }
        // The end has to be seen for the connection to be kept. What comes after a whole blob's range is not
        // wanted.
        if transfer.total.is_none_or(|total| total == transfer.wanted.end) {
            let _ = flow.read(&mut [0]);
        } else {
            flow.finish();
        }
        Ok(End::Whole)
    }
}

/// How an answer ended.
enum End {
    /// The range is there.
    Whole,
    /// The range, or its end, is not in the blob.
    Outside,
    /// The blob goes on where it must have ended.
    TooLong,
    /// The connection broke after something came.
    Broke,
}

fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer
}
