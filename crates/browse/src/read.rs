//! Reads folders and the beginnings of files, on threads of their own.
//!
//! A read may take long, or hang: what is not waited for any more is left at the next entry, and a new one begins
//! on another thread.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use kopia_diagnosis::text::chain;
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Error, Result, Snapshot};

use crate::look::{LOOKED_AT, Look};
use crate::model::{Answer, Request, Row, State, Wanted};

/// How many reads are under way at once; those that nobody waits for may hang.
const THREADS: usize = 4;

/// What entries of a folder may take in memory: those of names as people give them have some 100 bytes.
const MOST: Room = Room { rows: 500_000, bytes: 128 << 20 };

/// How many entries are told at once. The first of them come sooner.
const BATCH: usize = 4096;

/// How many come first.
const FIRST: usize = 64;

/// An answer, and the number of what it answers.
pub(crate) type Told = (u64, Answer);

/// Threads that read what they are asked for.
pub(crate) struct Readers {
    shared: Arc<Shared>,
    told: Receiver<Told>,
}

struct Shared {
    snapshots: Vec<Snapshot>,
    /// What is to be read; nothing any more once the other side has gone.
    queue: Mutex<Option<VecDeque<Request>>>,
    is_filled: Condvar,
    /// The numbers of those answers that are waited for.
    awaited: [AtomicU64; 2],
}

impl Readers {
    pub(crate) fn new(snapshots: Vec<Snapshot>) -> std::io::Result<Self> {
        let (tell, told) = channel();
        let queue = Mutex::new(Some(VecDeque::new()));
        let shared = Shared { snapshots, queue, is_filled: Condvar::new(), awaited: Default::default() };
        let shared = Arc::new(shared);
        for _ in 0..THREADS {
            let (shared, tell) = (shared.clone(), tell.clone());
            thread::Builder::new().name("reader".into()).spawn(move || shared.serve(&tell))?;
        }
        Ok(Self { shared, told })
    }

    /// Says which answers are waited for, and asks for more.
    pub(crate) fn ask(&self, requests: Vec<Request>, awaited: [u64; 2]) {
        for (number, place) in awaited.into_iter().zip(&self.shared.awaited) {
            place.store(number, Ordering::Relaxed);
        }
        if requests.is_empty() {
            return;
        }
        if let Some(queue) = &mut *self.shared.lock() {
            queue.retain(|request| awaited.contains(&request.number));
            queue.extend(requests);
        }
        self.shared.is_filled.notify_all();
    }

    /// Takes an answer that is there.
    pub(crate) fn take(&self) -> Option<Told> {
        self.told.try_recv().ok()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        *self.shared.lock() = None;
        self.ask(Vec::new(), [0; 2]);
        self.shared.is_filled.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Request>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_awaited(&self, number: u64) -> bool {
        self.awaited.iter().any(|awaited| awaited.load(Ordering::Relaxed) == number)
    }

    /// Takes the next request; nothing if there will be none.
    fn next(&self) -> Option<Request> {
        let mut queue = self.lock();
        loop {
            if let Some(request) = queue.as_mut()?.pop_front() {
                return Some(request);
            }
            queue = self.is_filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn serve(&self, tell: &Sender<Told>) {
        while let Some(request) = self.next() {
            let Some(snapshot) = self.snapshots.get(request.snapshot) else { continue };
            if !self.is_awaited(request.number) {
                continue;
            }
            let tell = |answer| {
                // Nobody listens any more once the session has ended.
                let _ = tell.send((request.number, answer));
            };
            match request.wanted {
                Wanted::Folder => self.list(snapshot, &request, &tell),
                Wanted::Look => {
                    let look = snapshot.root().and_then(|root| look(&root, &request.path));
                    tell(Answer::Look(look.map_err(|error| chain(&error))));
                }
            }
        }
    }

    fn list(&self, snapshot: &Snapshot, request: &Request, tell: &dyn Fn(Answer)) {
        let is_awaited = || self.is_awaited(request.number);
        let folder = match snapshot.root().and_then(|root| root.lookup(&request.path)) {
            Ok(Some(folder)) => folder,
            Ok(None) => return tell(Answer::End(State::Missing)),
            Err(Error::WrongKind { .. }) => return tell(Answer::End(State::NoFolder)),
            Err(error) => return tell(Answer::End(State::Damaged(chain(&error)))),
        };
        match (folder.kind(), &*request.path) {
            (EntryKind::Directory, _) => tell(Answer::End(rows(&folder, MOST, &is_awaited, tell))),
            (_, "") => {
                tell(Answer::End(State::File));
                tell(Answer::Rows(vec![row(&folder)]));
            }
            _ => tell(Answer::End(State::NoFolder)),
        }
    }
}

/// How many more entries of a folder are kept, and how many bytes they may take.
#[derive(Debug, Clone, Copy)]
struct Room {
    rows: usize,
    bytes: usize,
}

impl Room {
    /// Takes what an entry needs; returns whether there was so much.
    fn take(&mut self, row: &Row) -> bool {
        let bytes = self.bytes.checked_sub(size_of::<Row>() + row.name.len());
        let (Some(rows), Some(bytes)) = (self.rows.checked_sub(1), bytes) else { return false };
        *self = Self { rows, bytes };
        true
    }
}

/// Tells the entries of a folder as they are parsed, as many as there is room for, and returns how that ended.
fn rows(folder: &Entry, mut room: Room, is_awaited: &dyn Fn() -> bool, tell: &dyn Fn(Answer)) -> State {
    let (mut batch, mut count, mut state) = (Vec::new(), 0, State::Whole);
    let read = folder.for_each(|entry| {
        match entry {
            Ok(entry) => {
                let row = row(&entry);
                if !room.take(&row) {
                    state = State::Cut;
                    return ControlFlow::Break(());
                }
                batch.push(row);
                count += 1;
            }
            Err(refused) => tell(Answer::Note(refused.to_string())),
        }
        if batch.len() == BATCH || count == FIRST {
            tell(Answer::Rows(std::mem::take(&mut batch)));
        }
        if is_awaited() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    tell(Answer::Rows(batch));
    match read {
        Ok(_) => state,
        Err(error) => State::Damaged(chain(&error)),
    }
}

fn row(entry: &Entry) -> Row {
    let summary = entry.summary();
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    Row {
        name: entry.name().into(),
        kind: entry.kind(),
        size: summary.map_or(entry.size(), |summary| number(summary.size)),
        files: summary.map_or(0, |summary| number(summary.files)),
        modified: entry.modified(),
    }
}

/// Looks into a file, or where a link leads.
fn look(root: &Entry, path: &str) -> Result<Look> {
    let entry = root.at(path)?;
    if entry.kind() == EntryKind::Symlink {
        return Ok(Look::of_link(&entry.target()?));
    }
    let reader = entry.open()?;
    let length = usize::try_from(entry.size()).unwrap_or(usize::MAX);
    let mut start = vec![0; LOOKED_AT.min(length)];
    let count = reader.read_full_at(&mut start, 0)?;
    start.truncate(count);
    Ok(Look::of_file(&start, entry.size()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use kopia_codec::key::Password;
    use kopia_repository::Repository;
    use kopia_storage::FilesystemStore;
    use kopia_testkit::golden;

    use super::*;

    #[test]
    fn entries_are_shown_up_to_a_number_and_to_bytes_of_memory() {
        let case = golden::case("sources");
        let store = FilesystemStore::open(&case.repository).unwrap();
        let repository = Repository::open(store, &Password::new(case.password)).unwrap();
        let snapshots = repository.snapshots().unwrap();
        let root = snapshots.iter().find(|one| one.id().starts_with("c3bc")).unwrap().root().unwrap();
        let read = |room| {
            let told = RefCell::new(Vec::new());
            let state = rows(&root, room, &|| true, &|answer| {
                if let Answer::Rows(rows) = answer {
                    told.borrow_mut().extend(rows);
                }
            });
            (told.into_inner(), state)
        };
        let (all, state) = read(MOST);
        assert_eq!(state, State::Whole);
        let (count, bytes) =
            (all.len(), all.iter().map(|row| size_of::<Row>() + row.name.len()).sum::<usize>());
        assert!(count > 1);
        assert_eq!(read(Room { rows: count, bytes }), (all.clone(), State::Whole));
        for less in [Room { rows: count - 1, bytes }, Room { rows: count, bytes: bytes - 1 }] {
            assert_eq!(read(less), (all[..count - 1].to_vec(), State::Cut));
        }
    }
}
