//! A body on its way.

use std::io::Read;
use std::time::{Duration, Instant};

use kopia_storage::Failure;

use super::Client;

/// A server that gives fewer bytes per second than this, for as long as it may be silent, counts as silent.
const SLOWEST: f64 = 256.0;

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
        let started = Instant::now();
        let read = self.reader.read(buffer).map_err(|error| self.client.peer().io(error))?;
        self.reading += started.elapsed();
        self.received += read as u64;
        let silence = self.client.network.options.patience.silence;
        if self.reading > silence && (self.received as f64) < SLOWEST * self.reading.as_secs_f64() {
            return Err(Failure::TimedOut { host: self.client.host(), after: silence });
        }
        self.client.network.pace.received(read);
        Ok(read)
    }

    /// Reads to the end if that is near, so that the connection can be kept.
    pub(super) fn finish(&mut self) {
        let mut piece = [0; 4 << 10];
        let _ = self.reader.read(&mut piece).and_then(|_| self.reader.read(&mut piece));
    }
}
