//! SIGTERM, SIGINT and SIGHUP: nothing new is begun, and the process ends within a second.
//!
//! Without a handler they would do nothing where this is the first process of a container.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::output::say;
use crate::password;

/// How long a command that can stop by itself may take for it.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long the last line may take: a pipe may be full, and its reader asleep.
const LAST_LINE: Duration = Duration::from_millis(150);

/// What is said when a signal ends the process. It is told the signal and where unfinished work lies.
type LastWords = Box<dyn Fn(i32, &str) + Send + Sync>;

/// The signal that came, and what to do about it.
#[derive(Default)]
pub(crate) struct Interrupt {
    /// 0 while none came.
    signal: AtomicI32,
    /// Whether the command asks for signals and stops by itself.
    asked: AtomicBool,
    last_words: OnceLock<LastWords>,
}

impl Interrupt {
    /// Waits for signals on a thread of its own. Where there is none to be had, signals do what they always do.
    pub(crate) fn install() -> Arc<Self> {
        let interrupt = Arc::new(Self::default());
        if let Ok(mut signals) = Signals::new([SIGTERM, SIGINT, SIGHUP]) {
            let waiting = interrupt.clone();
            let wait = move || signals.forever().for_each(|signal| waiting.came(signal));
            let _ = thread::Builder::new().name("signals".into()).spawn(wait);
        }
        interrupt
    }

    /// Says that the command will ask for signals from now on.
    pub(crate) fn will_ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Has this said instead of a plain line when a signal ends the process.
    pub(crate) fn say_at_the_end(&self, words: impl Fn(i32, &str) + Send + Sync + 'static) {
        let _ = self.last_words.set(Box::new(words));
    }

    /// Returns the signal that came.
    pub(crate) fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
    }

    fn came(self: &Arc<Self>, signal: i32) {
        let again = self.signal.swap(signal, Ordering::Relaxed) != 0;
        let mut unfinished = "";
        if self.asked.load(Ordering::Relaxed) && !again {
            thread::sleep(PATIENCE);
            unfinished = "; what was done lies in the folder .kopia-rs-restore-… of the target";
        }
        // The line of the question has no end.
        let line = if password::show_typing() { "\n" } else { "" };
        let (told, wait) = mpsc::channel();
        let interrupt = self.clone();
        let tell = move || {
            match interrupt.last_words.get() {
                Some(words) => words(signal, unfinished),
                None => say(format_args!("{line}error: stopped by {}{unfinished}", name(signal))),
            }
            // Nobody waits any more if it took too long.
            let _ = told.send(());
        };
        // Where no thread is to be had, nothing is said.
        let _ = thread::Builder::new().name("last line".into()).spawn(tell);
        let _ = wait.recv_timeout(LAST_LINE);
        std::process::exit(i32::from(status(signal)));
    }
}

/// The exit status that stands for a signal.
pub(crate) fn status(signal: i32) -> u8 {
    128 + signal as u8
}

/// What people call a signal.
pub(crate) fn name(signal: i32) -> &'static str {
    match signal {
        SIGTERM => "SIGTERM",
        SIGINT => "SIGINT",
        SIGHUP => "SIGHUP",
        _ => "a signal",
    }
}
