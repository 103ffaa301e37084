//! One SFTP session over two pipes: many requests under way at once, each answered in its own time.
//!
//! A task writes the requests that are handed to it, another one reads replies and gives each to whoever
//! waits for it. A server that answers what was not asked, says more than it may, or falls silent while
//! something is asked of it ends the session; all that wait are told.

mod read;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kopia_storage::Failure;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::fault::Fault;
use super::packet::{self, LIMITS, Limits, MAX_PACKET, Reply, Request, VERSION};
pub(super) use read::Handle;

/// The bytes asked for and not yet come that keep a line of 100 ms and 1 Gbit/s busy.
const WINDOW: u32 = 16 << 20;
/// Bounds of how many requests are under way.
const FEWEST_REQUESTS: u32 = 64;
const MOST_REQUESTS: u32 = 256;
/// What a server gives at once unless it says more, and the most that one is asked for: OpenSSH gives so
/// much.
const PLAIN_READ: u32 = 32 << 10;
const LARGEST_READ: u32 = 255 << 10;
/// How many bytes are taken from the line at once.
const INPUT_BUFFER: usize = 64 << 10;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    shared: Arc<Shared>,
    limits: Limits,
    /// How many bytes are asked for at once.
    read_length: u32,
    /// Taken by whoever lists a long directory.
    long: Semaphore,
    tasks: [JoinHandle<()>; 2],
}

/// What the tasks and whoever asks have in common.
#[derive(Debug)]
struct Shared {
    host: String,
    silence: Duration,
    state: Mutex<State>,
    /// How many requests may still be made.
    room: Arc<Semaphore>,
    requests: mpsc::UnboundedSender<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u32,
    waiting: HashMap<u32, Waiting>,
    /// Since when nothing came although something was asked for.
    silent_since: Option<Instant>,
    /// Why the session ended.
    ended: Option<Fault>,
}

/// Who waits for a reply.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Result<Reply, Fault>>,
    /// Makes room for another request as soon as this one is answered.
    _room: Option<OwnedSemaphorePermit>,
}

/// A reply that will come.
#[derive(Debug)]
pub(super) struct Answer {
    receiver: oneshot::Receiver<Result<Reply, Fault>>,
    host: Arc<Shared>,
}

impl Answer {
    pub(super) async fn wait(self) -> Result<Reply, Fault> {
        self.receiver.await.unwrap_or_else(|_| Err(self.host.why_ended()))
    }
}

impl Session {
    /// Greets a server over its input and output.
    ///
    /// `silence` is how long it may take to answer.
    pub(super) async fn open<R, W>(
        input: R,
        mut output: W,
        host: &str,
        silence: Duration,
    ) -> Result<Self, Fault>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let mut input = BufReader::with_capacity(INPUT_BUFFER, input);
        let broken = |error: std::io::Error| Fault::broken(host, error);
        output.write_all(&packet::init()).await.map_err(broken)?;
        output.flush().await.map_err(broken)?;
        let first = timeout(silence, read_packet(&mut input)).await;
        let first = first.map_err(|_| timed_out(host, silence))?.map_err(|why| why.fault(host))?;
        let (version, extensions) = packet::version(&first).map_err(|why| Fault::protocol(host, why))?;
        if version < VERSION {
            return Err(Fault::protocol(host, "its version is older than 3"));
        }
        let (requests, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            host: host.into(),
            silence,
            state: Mutex::default(),
            room: Arc::new(Semaphore::new(FEWEST_REQUESTS as usize)),
            requests,
        });
        let tasks = [
            tokio::spawn(Arc::clone(&shared).write_all(queue, output)),
            tokio::spawn(Arc::clone(&shared).read_all(input)),
        ];
        let (limits, long) = (Limits::default(), Semaphore::new(1));
        let mut session = Self { shared, limits, read_length: PLAIN_READ, long, tasks };
        if extensions.iter().any(|name| name == LIMITS) {
            session.ask_limits().await?;
        }
        let requests = (WINDOW / session.read_length).clamp(FEWEST_REQUESTS, MOST_REQUESTS);
        session.shared.room.add_permits((requests - FEWEST_REQUESTS) as usize);
        Ok(session)
    }

    async fn ask_limits(&mut self) -> Result<(), Fault> {
        let Reply::Extended(body) = self.ask(Request::Extended(LIMITS)).await? else { return Ok(()) };
        self.limits = packet::limits(&body).map_err(|why| Fault::protocol(self.host(), why))?;
        let length = self.limits.read_length.min(LARGEST_READ.into());
        if length > 0 {
            self.read_length = length as u32;
        }
        Ok(())
    }

    /// Returns the host's name, for messages.
    pub(super) fn host(&self) -> &str {
        &self.shared.host
    }

    /// Returns what the server said of how much it does at once.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns whether nothing can be asked any more.
    pub(super) fn is_ended(&self) -> bool {
        self.shared.lock().ended.is_some()
    }

    /// Makes a request and waits for the reply.
    pub(super) async fn ask(&self, request: Request<'_>) -> Result<Reply, Fault> {
        self.send(request).await?.wait().await
    }

    /// Makes a request as soon as there is room for it.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Answer, Fault> {
        let room = Arc::clone(&self.shared.room).acquire_owned().await;
        self.shared.request(request, room.ok())
    }

    /// Returns how to close a file or a directory, later and from anywhere.
    pub(super) fn closer(&self) -> Closer {
        Closer(Arc::clone(&self.shared))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.end(Fault::broken(&self.shared.host, "it was given up"));
    }
}

/// Closes files and directories of a session.
#[derive(Debug, Clone)]
pub(super) struct Closer(Arc<Shared>);

impl Closer {
    /// Closes it; nobody waits for the reply.
    pub(super) fn close(&self, handle: &[u8]) {
        // If the session has ended, it is closed already.
        let _ = self.0.request(Request::Close(handle), None);
    }
}

impl Shared {
    // No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn why_ended(&self) -> Fault {
        self.lock().ended.clone().unwrap_or_else(|| Fault::broken(&self.host, "it ended"))
    }

    fn request(
        self: &Arc<Self>,
        request: Request<'_>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Answer, Fault> {
        let (answer, receiver) = oneshot::channel();
        let mut bytes = Vec::new();
        let mut state = self.lock();
        if let Some(fault) = &state.ended {
            return Err(fault.clone());
        }
        // Ids come again after 2³² requests; none waits for so long.
        let id = state.next_id;
        state.next_id = id.wrapping_add(1);
        state.waiting.insert(id, Waiting { answer, _room: room });
        state.silent_since.get_or_insert_with(Instant::now);
        request.write(id, &mut bytes);
        // The queue ends with the task that writes, which then ends the session.
        let _ = self.requests.send(bytes);
        drop(state);
        Ok(Answer { receiver, host: Arc::clone(self) })
    }

    /// Ends the session; the first reason counts.
    fn end(&self, fault: Fault) {
        let mut state = self.lock();
        let fault = state.ended.get_or_insert(fault).clone();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waiting in waiting.into_values() {
            // It may have been given up.
            let _ = waiting.answer.send(Err(fault.clone()));
        }
    }

    async fn write_all<W: AsyncWrite + Unpin>(
        self: Arc<Self>,
        mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
        mut output: W,
    ) {
        while let Some(mut bytes) = queue.recv().await {
            // What else waits goes along.
            while let Ok(more) = queue.try_recv() {
                bytes.extend(more);
            }
            let written = async {
                output.write_all(&bytes).await?;
                output.flush().await
            };
            if let Err(error) = written.await {
                return self.end(Fault::broken(&self.host, error));
            }
        }
    }

    async fn read_all<R: AsyncRead + Unpin>(self: Arc<Self>, mut input: BufReader<R>) {
        let fault = loop {
            match self.read_one(&mut input).await {
                Ok(()) => {}
                Err(fault) => break fault,
            }
        };
        self.end(fault);
    }

    /// Reads a reply and hands it over.
    async fn read_one<R: AsyncRead + Unpin>(&self, input: &mut BufReader<R>) -> Result<(), Fault> {
        let packet = self.read_unless_silent(input).await?;
        let (id, reply) = packet::reply(packet).map_err(|why| Fault::protocol(&self.host, why))?;
        let mut state = self.lock();
        let waiting = state.waiting.remove(&id);
        state.silent_since = (!state.waiting.is_empty()).then(Instant::now);
        drop(state);
        let Some(waiting) = waiting else {
            return Err(Fault::protocol(&self.host, "it answers what it was not asked"));
        };
        // It may have been given up.
        let _ = waiting.answer.send(Ok(reply));
        Ok(())
    }

    /// Reads a packet. A server may be silent as long as nothing is asked of it.
    async fn read_unless_silent<R: AsyncRead + Unpin>(
        &self,
        input: &mut BufReader<R>,
    ) -> Result<Vec<u8>, Fault> {
        let packet = read_packet(input);
        tokio::pin!(packet);
        let mut wait = self.silence;
        loop {
            match timeout(wait, &mut packet).await {
                Ok(packet) => return packet.map_err(|why| why.fault(&self.host)),
                Err(_) => {
                    let silent = self.lock().silent_since.map(|since| since.elapsed());
                    wait = match silent {
                        Some(silent) if silent >= self.silence => {
                            return Err(timed_out(&self.host, self.silence));
                        }
                        Some(silent) => self.silence.saturating_sub(silent),
                        None => self.silence,
                    };
                }
            }
        }
    }
}

fn timed_out(host: &str, after: Duration) -> Fault {
    Fault::Lost(Failure::TimedOut { host: host.into(), after })
}

/// Why no packet came.
enum NoPacket {
    Broken(std::io::Error),
    TooLong([u8; 4]),
}

impl NoPacket {
    fn fault(self, host: &str) -> Fault {
        match self {
            Self::Broken(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Fault::broken(host, "the server ended it")
            }
            Self::Broken(error) => Fault::broken(host, error),
            Self::TooLong(text) if text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') => {
                let text = String::from_utf8_lossy(&text);
                let why = format!(
                    "it begins with the text {text:?}: a startup file of the user's shell there may print something"
                );
                Fault::protocol(host, &why)
            }
            Self::TooLong(_) => Fault::protocol(host, "a packet is longer than 1 MiB"),
        }
    }
}

/// Reads a packet, without its length.
async fn read_packet<R: AsyncRead + Unpin>(input: &mut BufReader<R>) -> Result<Vec<u8>, NoPacket> {
    let mut length = [0; 4];
    input.read_exact(&mut length).await.map_err(NoPacket::Broken)?;
    let wanted = u32::from_be_bytes(length) as usize;
    if wanted > MAX_PACKET {
        return Err(NoPacket::TooLong(length));
    }
    let mut packet = Vec::with_capacity(wanted);
    while packet.len() < wanted {
        let mut rest = (&mut *input).take((wanted - packet.len()) as u64);
        if rest.read_buf(&mut packet).await.map_err(NoPacket::Broken)? == 0 {
            return Err(NoPacket::Broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(packet)
}

#[cfg(test)]
mod tests;
