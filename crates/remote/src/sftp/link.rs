//! One connection to the server with its session, and the files that are open on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::external::{self, Program};
use super::fault::Fault;
use super::place::Place;
use super::session::{Handle, Session};
use super::ssh::{self, Papers};

/// How many files are kept open: reads come sorted by pack, so a few are in use at a time.
const OPEN_FILES: usize = 32;
/// How much memory is taken before its bytes come: a server that lies about a length must not use up ours.
pub(super) const MOST_RESERVED: usize = 64 << 20;

/// One connection to the server.
pub(super) struct Link {
    session: Session,
    files: Mutex<Vec<Arc<Slot>>>,
    capacity: usize,
    _carrier: Carrier,
}

/// What the session runs over, held until it is no more wanted.
#[expect(dead_code, reason = "they are held so that they last")]
enum Carrier {
    Ssh(Box<ssh::Connection>),
    Program(Program),
}

/// A file that is open, or is being opened.
#[derive(Debug)]
struct Slot {
    path: Vec<u8>,
    file: OnceCell<OpenFile>,
}

/// A file that is open.
#[derive(Debug)]
pub(super) struct OpenFile {
    handle: Handle,
    /// Its length when it was opened, in bytes.
    pub(super) length: u64,
}

impl Link {
    /// Makes a connection, by our own client or by the program that the connection names.
    pub(super) async fn make(place: &Place, papers: Option<&Papers>) -> Result<Self, Fault> {
        let (host, silence) = (place.host(), place.patience.silence);
        match (&place.sftp.external, papers) {
            (Some(external), _) => {
                let (input, output, mut program) = external::start(place, external)?;
                match Session::open(input, output, &host, silence).await {
                    Ok(session) => Ok(Self::new(session, Carrier::Program(program))),
                    Err(fault) => Err(program.explain(place, fault).await),
                }
            }
            (None, Some(papers)) => {
                let (channel, connection) = ssh::connect(place, papers).await?;
                let (input, output) = tokio::io::split(channel.into_stream());
                let session = Session::open(input, output, &host, silence).await?;
                Ok(Self::new(session, Carrier::Ssh(Box::new(connection))))
            }
            (None, None) => Err(Fault::protocol(&host, "there is nothing to sign in with")),
        }
    }

    fn new(session: Session, carrier: Carrier) -> Self {
        // A server that allows few files needs some for others.
        let allowed = usize::try_from(session.limits().open_handles).unwrap_or(usize::MAX);
        let capacity = if allowed == 0 { OPEN_FILES } else { (allowed / 4).clamp(1, OPEN_FILES) };
        Self { session, files: Mutex::default(), capacity, _carrier: carrier }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    fn files(&self) -> MutexGuard<'_, Vec<Arc<Slot>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the place of a file among those that are open, the one used last first.
    fn slot(&self, path: &[u8]) -> Arc<Slot> {
        let mut files = self.files();
        if let Some(at) = files.iter().position(|slot| slot.path == path) {
            files[..=at].rotate_right(1);
        } else {
            files.insert(0, Arc::new(Slot { path: path.into(), file: OnceCell::new() }));
            // What others still read is closed when they have.
            files.truncate(self.capacity);
        }
        Arc::clone(&files[0])
    }

    fn forget(&self, slot: &Arc<Slot>) {
        self.files().retain(|other| !Arc::ptr_eq(other, slot));
    }

    /// Opens a file that will be read once.
    pub(super) async fn open(&self, path: &[u8]) -> Result<OpenFile, Fault> {
        let (handle, attributes) = self.session.open_file(path).await?;
        if attributes.is_directory() {
            return Err(Fault::Directory);
        }
        let unknown = || Fault::protocol(self.session.host(), "it does not say how long a file is");
        Ok(OpenFile { handle, length: attributes.length.ok_or_else(unknown)? })
    }

    /// Appends a range of an open file, or as much of it as there is. What came before a fault stays.
    pub(super) async fn read(
        &self,
        file: &OpenFile,
        path: &[u8],
        offset: u64,
        length: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.session.read_range(&file.handle, path, offset, length, buffer).await
    }

    /// Appends what is missing of a range to `buffer`, which holds the first bytes of it.
    ///
    /// Returns the length of the file if it is too short. The file stays open for the next range.
    pub(super) async fn read_range(
        &self,
        path: &[u8],
        offset: u64,
        length: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<u64>, Fault> {
        let slot = self.slot(path);
        let was_open = slot.file.initialized();
        match self.read_slot(&slot, offset, length, buffer).await {
            // It may have been replaced since it was opened, or the server forgot it.
            Ok(Some(_)) | Err(Fault::Final(_) | Fault::Unreadable(_)) if was_open => {}
            Err(fault) => {
                self.forget(&slot);
                return Err(fault);
            }
            done => return done,
        }
        self.forget(&slot);
        // They may be those of another file.
        buffer.clear();
        self.read_slot(&self.slot(path), offset, length, buffer).await
    }

    async fn read_slot(
        &self,
        slot: &Slot,
        offset: u64,
        length: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<u64>, Fault> {
        let file = slot.file.get_or_try_init(|| self.open(&slot.path)).await?;
        let fits = offset.checked_add(length as u64).is_some_and(|end| end <= file.length);
        if !fits {
            return Ok(Some(file.length));
        }
        let missing = length.saturating_sub(buffer.len());
        buffer.reserve_exact(missing.min(MOST_RESERVED));
        self.read(file, &slot.path, offset + buffer.len() as u64, missing, buffer).await?;
        // It was cut since it was opened.
        Ok((buffer.len() < length).then_some(offset + buffer.len() as u64))
    }
}
