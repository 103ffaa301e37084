//! The way to the server: one connection at a time, made when it is needed and again when it breaks.
//!
//! Callers block. A call that loses its connection is made again over a new one, as often as the patience
//! allows; only one of the threads makes it, and the others wait for that one.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kopia_storage::Failure;

use super::fault::Fault;
use super::link::Link;
use super::place::Place;
use super::ssh::Papers;
use crate::patience::{ENOUGH, Tries};
use crate::runtime::Runtime;

/// How long no other note is given after one.
const BETWEEN_NOTES: Duration = Duration::from_secs(1);

/// Takes notes of one line.
pub(super) type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// The way to the server.
pub(super) struct Line {
    place: Place,
    notice: Notice,
    current: Mutex<Current>,
    /// Whether the server ever let us in.
    is_alive: AtomicBool,
    /// When a note was given: threads that lose a connection lose it together.
    noted: Mutex<Option<Instant>>,
    // The last one to be dropped, as it ends what the others run on.
    runtime: Runtime,
}

#[derive(Default)]
struct Current {
    link: Option<Arc<Link>>,
    /// Why no connection could be made the last time, and when that was known.
    failed: Option<(Instant, Fault)>,
}

impl Line {
    /// Prepares a line; nothing is connected yet.
    pub(super) fn new(place: Place, notice: Notice) -> io::Result<Self> {
        Ok(Self {
            place,
            notice,
            current: Mutex::default(),
            is_alive: AtomicBool::new(false),
            noted: Mutex::default(),
            runtime: Runtime::start("kopia-sftp")?,
        })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Does some work over a connection, again over another one if it breaks.
    ///
    /// `work` is called for each try.
    pub(super) fn run<T, W>(&self, work: impl FnMut(Arc<Link>) -> W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        self.run_on(|| 0, work)
    }

    /// Does as [`run`](Self::run); tries that got further, by what `reached` returns, do not count.
    pub(super) fn run_on<T, W>(
        &self,
        reached: impl Fn() -> usize,
        mut work: impl FnMut(Arc<Link>) -> W,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let mut tries = Tries::new(&self.place.patience);
        loop {
            let before = reached();
            let done = self.link().and_then(|link| self.wait(work(Arc::clone(&link)))?);
            let Err(Fault::Lost(failure)) = done else { return done };
            if reached() >= before.saturating_add(ENOUGH) {
                tries = Tries::new(&self.place.patience);
            }
            let is_alive = self.is_alive.load(Ordering::Relaxed);
            tries.again(failure, is_alive, None, &|note| self.note(note)).map_err(Fault::Lost)?;
        }
    }

    fn note(&self, note: &str) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_none_or(|noted| noted.elapsed() > BETWEEN_NOTES) {
            *noted = Some(Instant::now());
            (self.notice)(&format!("{}: {note}", self.place.host()));
        }
    }

    /// Returns the connection, made anew if there is none or it broke.
    fn link(&self) -> Result<Arc<Link>, Fault> {
        let asked = Instant::now();
        // No code panics while it holds the lock.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = current.link.as_ref().filter(|link| !link.session().is_ended()) {
            return Ok(Arc::clone(link));
        }
        // Another thread tried while this one waited: its answer counts for both.
        if let Some((_, fault)) = current.failed.as_ref().filter(|(when, _)| *when > asked) {
            return Err(fault.clone());
        }
        current.link = None;
        match self.make() {
            Ok(link) => {
                let link = Arc::new(link);
                self.is_alive.store(true, Ordering::Relaxed);
                *current = Current { link: Some(Arc::clone(&link)), failed: None };
                Ok(link)
            }
            Err(fault) => {
                current.failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    fn make(&self) -> Result<Link, Fault> {
        let place = self.place.clone();
        let papers = match place.sftp.external {
            Some(_) => None,
            // Read each time: they may have been changed since.
            None => Some(Papers::read(&place).map_err(Fault::Final)?),
        };
        self.wait(async move { Link::make(&place, papers.as_ref()).await })?
    }

    fn wait<T: Send + 'static>(&self, job: impl Future<Output = T> + Send + 'static) -> Result<T, Fault> {
        self.runtime.wait(job).map_err(|error| Fault::Final(Failure::Unusable { what: error.to_string() }))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("place", &self.place).finish_non_exhaustive()
    }
}
