//! SIGTERM, SIGINT and SIGHUP: nothing new is begun, and the process ends within a second. SIGUSR1: progress
//! is shown once.
//!
//! Without a handler they would do nothing where this is the first process of a container.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::terminal::output::log_last;

/// Whether progress is to be shown once, whatever else is shown.
static PROGRESS_WANTED: AtomicBool = AtomicBool::new(false);

/// Returns whether SIGUSR1 came since the last call.
pub(crate) fn take_progress_request() -> bool {
    PROGRESS_WANTED.swap(false, Ordering::Relaxed)
}

/// How long the process may go on after a signal. The last line may take all that is left of it: a pipe may
/// be full, and its reader asleep.
const LONGEST: Duration = Duration::from_millis(950);

/// How much of that a command may take to stop by itself.
const PATIENCE: Duration = Duration::from_millis(800);

/// Writes the last words of a process that a signal ends. Takes the signal and where unfinished work lies.
type LastWords = Arc<dyn Fn(i32, &str) + Send + Sync>;

/// What else is done at the end, beside these. Takes the signal.
type LastWork = Arc<dyn Fn(i32) + Send + Sync>;

/// What a restore to a folder leaves, for [`Interrupt::leaves`].
pub(crate) const UNFINISHED_FOLDER: &str =
    "; what was done lies in the folder .kopia-rs-restore-… of the target";

/// The signal that came, and what to do about it.
#[derive(Default)]
pub(crate) struct Interrupt {
    /// 0 while none came. Changed only while `asks` is locked.
    signal: AtomicI32,
    /// Whether the command asks for signals and stops by itself.
    asks: Mutex<bool>,
    last_words: Mutex<Option<LastWords>>,
    last_work: Mutex<Option<LastWork>>,
    /// What is told of work that a command could not finish.
    left: OnceLock<&'static str>,
    /// How much time the command has to stop by itself, if that is not the usual.
    patience: OnceLock<Duration>,
}

/// Which thread ends the process after a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The command itself, unless it takes too long.
    ByCommand,
    /// The thread that waits for signals: nothing has been written, or a second signal came.
    AtOnce,
}

impl Interrupt {
    /// Waits for signals on a thread of its own. Where there is none to be had, signals do what they always
    /// do.
    ///
    /// `restore_terminal` undoes what was changed at the terminal before the process ends, and returns
    /// whether that was anything: the line of a prompt has no end then.
    pub(crate) fn install(restore_terminal: fn() -> bool) -> Arc<Self> {
        let interrupt = Arc::new(Self::default());
        if let Ok(mut signals) = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1]) {
            let waiting = interrupt.clone();
            let wait = move || {
                for signal in signals.forever() {
                    if signal == SIGUSR1 {
                        PROGRESS_WANTED.store(true, Ordering::Relaxed);
                    } else {
                        waiting.came(signal, restore_terminal);
                    }
                }
            };
            let _ = thread::Builder::new().name("signals".into()).spawn(wait);
        }
        interrupt
    }

    /// Announces that the command asks for signals from now on, before it writes anything. Does not return if
    /// one came already: the process ends then, and its last line knows of nothing that was written.
    pub(crate) fn will_ask(&self) {
        while !self.may_go_on() {
            thread::park();
        }
    }

    /// Makes the command one that asks for signals, unless one came already.
    fn may_go_on(&self) -> bool {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        *asks = self.signal().is_none();
        *asks
    }

    /// Records a signal and decides who ends the process. This and [`Self::may_go_on`] exclude each other: a
    /// command that begins to write always has its time to stop.
    fn arrive(&self, signal: i32) -> Stop {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let again = self.signal.swap(signal, Ordering::Relaxed) != 0;
        if *asks && !again { Stop::ByCommand } else { Stop::AtOnce }
    }

    /// Gives the command so much time to stop by itself.
    #[cfg(all(feature = "mount", target_os = "linux"))]
    pub(crate) fn be_patient(&self, patience: Duration) {
        let _ = self.patience.set(patience);
    }

    /// Sets what the last words tell of work that is not finished, where the command does not stop by itself in
    /// time. Nothing is told by default: not every command has an unfinished folder.
    pub(crate) fn leaves(&self, unfinished: &'static str) {
        let _ = self.left.set(unfinished);
    }

    /// Returns what is told of unfinished work: nothing has been written where the process is ended at once.
    fn left_at(&self, stop: Stop) -> &'static str {
        match stop {
            Stop::ByCommand => self.left.get().copied().unwrap_or_default(),
            Stop::AtOnce => "",
        }
    }

    /// Sets what is written instead of a plain line when a signal ends the process.
    pub(crate) fn say_at_the_end(&self, words: impl Fn(i32, &str) + Send + Sync + 'static) {
        *self.words() = Some(Arc::new(words));
    }

    /// Sets what is done before a signal ends the process, while its last words are written: neither waits for
    /// the other, as a disk may be slow, and a pipe full.
    pub(crate) fn do_at_the_end(&self, work: impl Fn(i32) + Send + Sync + 'static) {
        *self.work() = Some(Arc::new(work));
    }

    fn work(&self) -> MutexGuard<'_, Option<LastWork>> {
        self.last_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn words(&self) -> MutexGuard<'_, Option<LastWords>> {
        self.last_words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces that what was to be stopped has ended, and nothing is written any more: a signal ends the
    /// process at once, as before [`Self::will_ask`].
    #[cfg(feature = "terminal-browser")]
    pub(crate) fn will_not_ask(&self) {
        *self.asks.lock().unwrap_or_else(PoisonError::into_inner) = false;
        *self.words() = None;
    }

    /// Returns the signal that came.
    pub(crate) fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
    }

    fn came(self: &Arc<Self>, signal: i32, restore_terminal: fn() -> bool) {
        let start = Instant::now();
        let (stop, mut longest) = (self.arrive(signal), LONGEST);
        let unfinished = self.left_at(stop);
        if stop == Stop::ByCommand {
            let patience = *self.patience.get().unwrap_or(&PATIENCE);
            longest = longest.saturating_sub(PATIENCE).saturating_add(patience);
            thread::sleep(patience);
        }
        let line = if restore_terminal() { "\n" } else { "" };
        self.conclude(signal, unfinished, line, rest(longest, start.elapsed()));
        std::process::exit(i32::from(status(signal)));
    }

    /// Writes the last words and does the last work, each on a thread of its own, and waits for both, so long
    /// at most.
    fn conclude(self: &Arc<Self>, signal: i32, unfinished: &'static str, line: &'static str, most: Duration) {
        // Each thread drops its end once it is done; nothing is ever sent.
        let (told, wait) = mpsc::channel::<()>();
        let (interrupt, done) = (self.clone(), told.clone());
        let tell = move || {
            let _told = told;
            let words = interrupt.words().clone();
            match words {
                Some(words) => words(signal, unfinished),
                None => {
                    let again =
                        if unfinished.is_empty() { "" } else { "; the same command goes on from there" };
                    log_last(format_args!("{line}error: stopped by {}{unfinished}{again}", name(signal)));
                }
            }
        };
        // Where no thread is to be had, nothing is said.
        let _ = thread::Builder::new().name("last line".into()).spawn(tell);
        let work = self.work().clone();
        if let Some(work) = work {
            let work = move || {
                let _done = done;
                work(signal);
            };
            let _ = thread::Builder::new().name("last work".into()).spawn(work);
        } else {
            drop(done);
        }
        let _ = wait.recv_timeout(most);
    }
}

/// Returns how long last words and last work may take. A machine that has no time may wake this process late,
/// and they are to be told and done all the same.
fn rest(longest: Duration, elapsed: Duration) -> Duration {
    longest.saturating_sub(elapsed).max(LONGEST.saturating_sub(PATIENCE))
}

/// The exit status that stands for a signal.
pub(crate) fn status(signal: i32) -> u8 {
    128 + signal as u8
}

/// Returns the name of a signal.
pub(crate) fn name(signal: i32) -> &'static str {
    match signal {
        SIGTERM => "SIGTERM",
        SIGINT => "SIGINT",
        SIGHUP => "SIGHUP",
        _ => "a signal",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn a_command_stops_by_itself_only_if_it_asked_before_the_signal() {
        let asked = Interrupt::default();
        assert!(asked.may_go_on());
        assert_eq!(asked.arrive(SIGTERM), Stop::ByCommand);
        assert_eq!(asked.signal(), Some(SIGTERM));
        assert_eq!(asked.arrive(SIGINT), Stop::AtOnce, "who signals twice waits for nobody");
        let late = Interrupt::default();
        assert_eq!(late.arrive(SIGTERM), Stop::AtOnce);
        assert!(!late.may_go_on() && !late.may_go_on());
        assert_eq!(late.arrive(SIGTERM), Stop::AtOnce, "a command that may not go on does not ask");
    }

    #[test]
    fn of_unfinished_work_only_that_is_told_which_a_command_has() {
        let mount = Interrupt::default();
        assert_eq!(mount.left_at(Stop::ByCommand), "");
        let restore = Interrupt::default();
        restore.leaves(UNFINISHED_FOLDER);
        assert_eq!(
            [Stop::ByCommand, Stop::AtOnce].map(|stop| restore.left_at(stop)),
            [UNFINISHED_FOLDER, ""]
        );
    }

    #[test]
    fn last_words_and_last_work_do_not_wait_for_each_other_and_both_are_waited_for() {
        let interrupt = Arc::new(Interrupt::default());
        // Each goes on once the other runs.
        let both = Arc::new(Barrier::new(2));
        let ended = Arc::new(AtomicI32::new(0));
        let [words, work] = [(); 2].map(|()| {
            let (both, ended) = (both.clone(), ended.clone());
            move |signal| {
                both.wait();
                ended.fetch_add(signal, Ordering::Relaxed);
            }
        });
        interrupt.say_at_the_end(move |signal, _| words(signal));
        interrupt.do_at_the_end(work);
        interrupt.conclude(SIGTERM, "", "", Duration::from_secs(600));
        assert_eq!(ended.load(Ordering::Relaxed), 2 * SIGTERM);
    }

    #[test]
    fn whoever_wakes_late_has_time_for_last_words() {
        let least = LONGEST - PATIENCE;
        assert_eq!(rest(LONGEST, Duration::ZERO), LONGEST);
        assert_eq!(rest(LONGEST, PATIENCE), least);
        assert_eq!(rest(LONGEST, LONGEST * 2), least);
        let patient = LONGEST + Duration::from_secs(10);
        assert_eq!(rest(patient, PATIENCE), patient - PATIENCE);
    }

    /// Both sides must agree which of them came first: a command that goes on has its time to stop.
    #[test]
    fn a_signal_and_a_command_that_begins_agree_who_was_first() {
        for _ in 0..2000 {
            let (interrupt, both) = (Interrupt::default(), Barrier::new(2));
            let (goes_on, stop) = thread::scope(|scope| {
                let command = scope.spawn(|| {
                    both.wait();
                    interrupt.may_go_on()
                });
                both.wait();
                let stop = interrupt.arrive(SIGTERM);
                (command.join().unwrap_or_default(), stop)
            });
            assert_eq!(goes_on, stop == Stop::ByCommand);
        }
    }
}
