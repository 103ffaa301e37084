//! Whether one who decodes and writes waits for the target: its clock says so, and its CPU time.

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
    /// CPU time of this thread at that time.
    cpu: Duration,
    writing: Duration,
    writes: u32,
    units: f64,
}

impl Gauge {
    /// Starts for the calling thread.
    pub(in crate::execute) fn new() -> Self {
        Self { since: Instant::now(), cpu: cpu_time(), writing: Duration::ZERO, writes: 0, units: 0.0 }
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
        let cpu = cpu_time();
        let waits = waits(self.writing, self.writes, cpu.saturating_sub(self.cpu));
        let speed = self.units / now.saturating_duration_since(self.since).as_secs_f64();
        *self = Self { since: now, cpu, writing: Duration::ZERO, writes: 0, units: 0.0 };
        waits.then_some(speed)
    }
}

/// Returns whether so many writes waited most of their time; `cpu` is what the thread used meanwhile,
/// decoding included.
fn waits(writing: Duration, writes: u32, cpu: Duration) -> bool {
    writing / writes.max(1) >= SLOW && cpu < writing / 2
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_told_from_working() {
        let millis = Duration::from_millis;
        assert!(waits(millis(100), 20, millis(10)), "a network");
        assert!(!waits(millis(100), 20, millis(90)), "large files, copied");
        assert!(!waits(millis(20), 1000, millis(1)), "so short that another thread costs more");
        assert!(!waits(millis(100), 20, millis(50)), "decoding is as much work");
    }

    #[test]
    fn it_looks_after_some_writes() {
        let mut gauge = Gauge::new();
        let mut said = None;
        for write in 0..WRITES {
            assert_eq!(said, None, "{write}");
            let begun = Instant::now();
            std::thread::sleep(TIME / WRITES + Duration::from_micros(100));
            said = gauge.wrote(begun, 1.0);
        }
        assert!(said.is_some_and(|speed| speed > 0.0 && speed < 1000.0), "{said:?}");
    }
}
