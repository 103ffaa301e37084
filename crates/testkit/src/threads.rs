//! A system that lets few threads be started, as containers and services may be limited.

use std::hash::{BuildHasher, RandomState};
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::Uid;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_res_uid};

use crate::facilities::{left_out, once_more_alone};

/// Tells the run of the same test that nothing else runs in its process.
const ALONE: &str = "KOPIA_RS_TEST_FEW_THREADS";

/// The users that are limited: hardly anybody has these numbers. Those of DynamicUser in systemd lie above, most others
/// below.
const USERS: std::ops::Range<u32> = 30_000..60_000;

/// Where the first is among them. Threads are counted for all containers of a kernel together, in which processes have
/// much the same numbers, so that is left to chance.
static FIRST: LazyLock<u32> = LazyLock::new(|| (RandomState::new().hash_one(()) % USERS.len() as u64) as u32);

/// How many limits there were: each is of another user, as a thread that has ended may count a moment longer.
static LIMITS: AtomicU32 = AtomicU32::new(0);

/// Runs a test of this binary once more, by itself; returns whether it is that run. Only there [`at_most`] may be
/// called, as the limit is one of the process.
///
/// # Panics
/// If the test fails.
pub fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
    command.args(["--exact", test]).env(ALONE, "1");
    once_more_alone(&mut command);
    false
}

/// Runs something in a thread that may have so many others beside it, and that lacks the capabilities SYS_ADMIN and
/// SYS_RESOURCE, which no limit holds for; all other rights are as before. `None` where threads cannot be limited.
pub fn at_most<T: Send>(count: u64, run: impl FnOnce() -> T + Send) -> Option<T> {
    let before = getrlimit(Resource::Nproc);
    let work = || match limit(count) {
        Ok(()) => Some(run()),
        Err(error) => {
            left_out(format_args!("only root can limit threads: {error}"));
            None
        }
    };
    let ran =
        std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| resume_unwind(panic)));
    setrlimit(Resource::Nproc, before).expect("it was so before");
    ran
}

/// Limits this thread and those that it starts to so many besides it.
fn limit(count: u64) -> rustix::io::Result<()> {
    // Threads are counted for the real user, which file systems do not ask for, and root's are not limited.
    let number = (*FIRST + LIMITS.fetch_add(1, Ordering::Relaxed)) % USERS.len() as u32;
    set_thread_res_uid(Uid::from_raw(USERS.start + number), None::<Uid>, None::<Uid>)?;
    let mut has = capabilities(None)?;
    has.effective.remove(CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_RESOURCE);
    set_capabilities(None, has)?;
    let maximum = getrlimit(Resource::Nproc).maximum;
    setrlimit(Resource::Nproc, Rlimit { current: Some(count + 1), maximum })
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::thread::{Builder, scope};

    use super::*;

    #[test]
    fn so_many_threads_can_be_started_and_no_more() {
        if !is_alone("threads::tests::so_many_threads_can_be_started_and_no_more") {
            return;
        }
        for count in [0, 1, 3] {
            let start = || {
                let (end, ends) = mpsc::channel::<()>();
                let ends = Mutex::new(ends);
                // None of them ends before all are counted.
                let wait = || drop(ends.lock().map(|ends| ends.recv()));
                scope(|scope| {
                    let started =
                        (0..5).take_while(|_| Builder::new().spawn_scoped(scope, wait).is_ok()).count();
                    drop(end);
                    started
                })
            };
            let Some(started) = at_most(count, start) else { return };
            assert_eq!(started as u64, count);
        }
    }
}
