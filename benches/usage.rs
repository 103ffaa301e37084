//! What a process took: processor time and memory.

use std::io;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Processor time and the most memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// The largest resident size in KiB; of children, that of the largest one.
    pub peak_kib: u64,
}

impl Usage {
    /// Of this process, up to now.
    ///
    /// # Errors
    /// What the system says.
    pub fn of_self() -> io::Result<Self> {
        Self::of(UsageWho::RUSAGE_SELF)
    }

    /// Of all children that were waited for, and of theirs.
    ///
    /// A child begins as a copy of its parent, so no child's peak is below what the parent had when it
    /// started it.
    ///
    /// # Errors
    /// What the system says.
    pub fn of_children() -> io::Result<Self> {
        Self::of(UsageWho::RUSAGE_CHILDREN)
    }

    fn of(who: UsageWho) -> io::Result<Self> {
        let usage = getrusage(who)?;
        let peak_kib = u64::try_from(usage.max_rss()).unwrap_or_default();
        Ok(Self { cpu: duration(usage.user_time()) + duration(usage.system_time()), peak_kib })
    }
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let microseconds = u64::try_from(time.tv_usec()).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_are_counted() {
        let before = Usage::of_self().unwrap();
        let bytes = vec![1u8; 32 << 20];
        let sum = || bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        // Making the bytes may have taken all the time that is waited for.
        let mut sums = sum();
        while Usage::of_self().unwrap().cpu < before.cpu + Duration::from_millis(20) {
            sums += sum();
        }
        assert!(sums >= 32 << 20);
        assert!(Usage::of_self().unwrap().peak_kib >= 32 << 10);
    }
}
