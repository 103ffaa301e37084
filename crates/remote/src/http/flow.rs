//! A body on its way.

use std::io::Read;
use std::time::{Duration, Instant};

use kopia_storage::Failure;

use super::Client;
use super::connector::Until;
use crate::patience::is_trickle;

/// A body that is read at the store's pace, and whose server may not be too slow.
pub(super) struct Flow<'a> {
    client: &'a Client,
    reader: ureq::BodyReader<'static>,
    reading: Duration,
    received: u64,
}

impl<'a> Flow<'a> {
    pub(super) fn new(client: &'a Client, body: ureq::Body) -> Self {
        Self { client, reader: body.into_reader(), reading: Duration::ZERO, received: 0 }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let (started, silence) = (Instant::now(), self.client.network.options.patience.silence);
        let until = Until::after(silence);
        let read = self.reader.read(buffer).map_err(|error| self.client.peer().io(error))?;
        drop(until);
        self.reading += started.elapsed();
        self.received += read as u64;
        if is_trickle(self.received, self.reading, silence) {
            return Err(Failure::TimedOut { host: self.client.host(), after: silence });
        }
        self.client.network.pace.received(read);
        Ok(read)
    }

    /// Reads at most so many bytes, for as long as a server may be silent. What comes late is not waited for.
    pub(super) fn beginning(&mut self, most: usize) -> Vec<u8> {
        let (started, silence) = (Instant::now(), self.client.network.options.patience.silence);
        let _until = Until::after(silence);
        let (mut bytes, mut piece) = (Vec::new(), [0; 4 << 10]);
        while bytes.len() < most && started.elapsed() < silence {
            match self.reader.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(read) => bytes.extend_from_slice(piece.get(..read).unwrap_or_default()),
            }
        }
        bytes.truncate(most);
        bytes
    }

    /// Reads to the end if that is near, so that the connection can be kept.
    pub(super) fn finish(&mut self) {
        let _until = Until::after(self.client.network.options.patience.silence);
        let mut piece = [0; 4 << 10];
        let _ = self.reader.read(&mut piece).and_then(|_| self.reader.read(&mut piece));
    }
}
