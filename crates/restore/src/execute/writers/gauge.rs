//! Whether one who decodes and writes waits for the target: it slept, and had no work meanwhile.
//!
//! Time alone does not tell: on a busy machine a thread waits for a core, and in a virtual machine for memory
//! that it touches for the first time, which no clock of the thread counts. So both are asked: how long it
//! neither worked nor waited for a core, and how often it slept of its own accord.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How many writes, and how much time in them, are looked at together.
const WRITES: u32 = 16;
const TIME: Duration = Duration::from_millis(20);

/// The shortest write that is worth another thread. On local disks a small file takes 10 to 40 µs.
const SLOW: Duration = Duration::from_micros(250);

/// What one worker has seen since it last looked.
#[derive(Debug)]
pub(in crate::execute) struct Gauge {
    since: Instant,
    /// How long this thread had worked until then, or waited for a core.
    busy: Duration,
    /// How often it had slept until then, where the system says so.
    slept: Option<u64>,
    /// How often it may have slept for want of work.
    asked: u64,
    writing: Duration,
    writes: u32,
    units: f64,
}

impl Gauge {
    /// Starts for the calling thread.
    pub(in crate::execute) fn new() -> Self {
        let (busy, slept) = (busy_time(), sleeps());
        let (writing, writes) = (Duration::ZERO, 0);
        Self { since: Instant::now(), busy, slept, asked: 0, writing, writes, units: 0.0 }
    }

    /// Notes that the thread asked for work, and may have slept until there was some.
    pub(in crate::execute) fn asked(&mut self) {
        self.asked += 1;
    }

    /// Notes a write of so many units that began at `begun`. Returns how many units a second are written, if
    /// most of the time is spent waiting for that.
    pub(in crate::execute) fn wrote(&mut self, begun: Instant, units: f64) -> Option<f64> {
        let now = Instant::now();
        self.writing += now.saturating_duration_since(begun);
        self.writes += 1;
        self.units += units;
        if self.writes < WRITES || self.writing < TIME {
            return None;
        }
        let next = Self::new();
        let slept = next.slept.map(|now| now.saturating_sub(self.slept.unwrap_or_default() + self.asked));
        let waits = waits(self.writing, self.writes, next.busy.saturating_sub(self.busy), slept);
        let speed = self.units / now.saturating_duration_since(self.since).as_secs_f64();
        *self = next;
        waits.then_some(speed)
    }
}

/// Returns whether so many writes waited most of their time.
///
/// `busy` is what the thread worked or waited for a core meanwhile, decoding included, and `slept` how often
/// it slept while there was work, where the system says so.
fn waits(writing: Duration, writes: u32, busy: Duration, slept: Option<u64>) -> bool {
    let slept = slept.is_none_or(|slept| slept >= u64::from(writes) / 2);
    slept && writing / writes.max(1) >= SLOW && busy < writing / 2
}

/// Returns how often the calling thread has slept of its own accord, where the system says so.
fn sleeps() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

/// Returns how long the calling thread has worked, or waited for a core on a busy machine.
fn busy_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default()) + time_without_core()
}

/// Returns how long the calling thread has waited for a core, where the system says so.
fn time_without_core() -> Duration {
    // Nanoseconds on a core, nanoseconds waiting for one, and how often: `Documentation/scheduler` of Linux.
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(said.split(' ').nth(1).and_then(|waited| waited.parse().ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use kopia_testkit::attempts::at_best;

    use super::*;

    #[test]
    fn waiting_is_told_from_working() {
        let millis = Duration::from_millis;
        assert!(waits(millis(100), 20, millis(10), Some(60)), "a network");
        assert!(waits(millis(100), 20, millis(10), None), "a system that does not say");
        assert!(!waits(millis(100), 20, millis(90), Some(60)), "large files, copied, or a busy machine");
        assert!(!waits(millis(20), 1000, millis(1), Some(1000)), "so short that another thread costs more");
        assert!(!waits(millis(100), 20, millis(50), Some(60)), "decoding is as much work");
        assert!(!waits(millis(100), 20, millis(10), Some(3)), "memory of a virtual machine");
    }

    #[test]
    fn waiting_for_a_core_is_no_waiting_for_the_target() {
        // As many as make every core busy, with one thread more.
        let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get() * 2);
        let spin = || {
            let (begun, before) = (Instant::now(), busy_time());
            while begun.elapsed() < Duration::from_millis(200) {
                std::hint::spin_loop();
            }
            (begun.elapsed(), busy_time() - before)
        };
        let spin_all = || -> Vec<_> {
            std::thread::scope(|scope| {
                let spinning: Vec<_> = (0..threads).map(|_| scope.spawn(spin)).collect();
                spinning.into_iter().map(|thread| thread.join().unwrap()).collect()
            })
        };
        let are_busy = |all: &Vec<(Duration, Duration)>| all.iter().all(|&(time, busy)| busy * 2 > time);
        if std::fs::exists("/proc/thread-self/schedstat").unwrap_or(false) {
            // What is taken from a virtual machine counts neither as work nor as waiting: asked again.
            let all = at_best(spin_all, are_busy);
            assert!(are_busy(&all), "times, and how much of each was busy: {all:?}");
        }
    }

    #[test]
    fn sleeping_is_counted_where_the_system_says_so() {
        if std::fs::exists("/proc/thread-self/status").unwrap_or(false) {
            let before = sleeps();
            std::thread::sleep(Duration::from_millis(1));
            assert!(sleeps() > before, "{before:?}");
        }
    }

    #[test]
    fn it_looks_after_so_many_writes_however_long_each_took() {
        let mut gauge = Gauge::new();
        for _ in 0..2 {
            for write in 1..=WRITES {
                std::thread::sleep(Duration::from_millis(1));
                // So long that what this thread worked, or waited for a core, is nothing beside it.
                let said = gauge.wrote(Instant::now() - Duration::from_secs(10), 1.0);
                assert_eq!(said.is_some(), write == WRITES, "{write}");
            }
        }
    }

    /// As in a virtual machine, where a thread waits for memory that it touches for the first time.
    #[test]
    fn who_does_not_sleep_does_not_wait_however_often_it_slept_before() {
        if sleeps().is_none() {
            return;
        }
        let sleep = || std::thread::sleep(Duration::from_millis(1));
        (0..WRITES).for_each(|_| sleep());
        for sleeps_for_work in [false, true] {
            let mut gauge = Gauge::new();
            for write in 0..WRITES {
                if sleeps_for_work {
                    gauge.asked();
                    sleep();
                }
                let said = gauge.wrote(Instant::now() - Duration::from_secs(10), 1.0);
                assert_eq!(said, None, "{write}");
            }
        }
    }

    #[test]
    fn it_looks_after_some_writes() {
        // Where others keep the cores busy, this thread waits for one, too, and says nothing: asked again.
        for _ in 0..50 {
            let (before, start) = (busy_time(), Instant::now());
            let mut gauge = Gauge::new();
            let mut said = None;
            for write in 0..WRITES {
                assert_eq!(said, None, "{write}");
                let begun = Instant::now();
                std::thread::sleep(TIME / WRITES + Duration::from_micros(100));
                said = gauge.wrote(begun, 1.0);
            }
            if said.is_some() || busy_time() - before < TIME / 2 {
                let least = f64::from(WRITES) / start.elapsed().as_secs_f64();
                assert!(said.is_some_and(|speed| speed >= least && speed < 1000.0), "{said:?}, {least}");
                return;
            }
        }
    }
}
