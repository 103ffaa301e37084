//! Ends the tests if one case hangs: a test that waits for ever says nothing.

use std::collections::HashMap;
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// No case takes a second; this long only what will never end.
const PATIENCE: Duration = Duration::from_secs(180);

static RUNNING: Mutex<Option<HashMap<ThreadId, (String, Instant)>>> = Mutex::new(None);

/// A case that runs; it has ended when this is dropped.
pub(crate) struct Watched;

/// Watches the case that this thread runs.
pub(crate) fn watch(case: &str) -> Watched {
    static START: Once = Once::new();
    START.call_once(|| {
        thread::spawn(look);
    });
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.get_or_insert_default().insert(thread::current().id(), (case.to_owned(), Instant::now()));
    Watched
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.get_or_insert_default().remove(&thread::current().id());
    }
}

fn look() {
    loop {
        thread::sleep(Duration::from_secs(1));
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        for (case, start) in running.iter().flat_map(HashMap::values) {
            if start.elapsed() > PATIENCE {
                eprintln!("{case} hangs");
                // Other threads cannot be ended.
                std::process::abort();
            }
        }
    }
}
