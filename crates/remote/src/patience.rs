//! How long servers are waited for, and when a request is made again.
//!
//! Authority of the wish: a server that is flaky is survived, one that is dead is told in seconds. Pauses
//! grow twofold and are drawn at random below that, so that many readers do not come back at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use kopia_storage::Failure;

/// How long servers are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// How long making a connection may take.
    pub connect: Duration,
    /// After how long without a byte a connection counts as broken.
    pub silence: Duration,
    /// How often a request is made at most.
    pub tries: u32,
    /// For how long a request is made again.
    pub total: Duration,
    /// For how long one is made again to a host that never answered.
    pub dead: Duration,
    /// Below what the first pause is drawn; it doubles with each.
    pub pause: Duration,
}

/// A server that gives fewer bytes per second than this, for as long as it may be silent, counts as silent.
const SLOWEST: f64 = 256.0;

/// A try that got fewer bytes counts as one that got none: a server may break each connection after one.
pub(crate) const ENOUGH: usize = 64 << 10;

/// Returns whether so few bytes came in a time that it was next to silence.
pub(crate) fn is_trickle(bytes: u64, during: Duration, silence: Duration) -> bool {
    during > silence && (bytes as f64) < SLOWEST * during.as_secs_f64()
}

/// The longest pause between two tries, unless the server asks for a longer one.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(20);

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            tries: 10,
            total: Duration::from_secs(180),
            dead: Duration::from_secs(5),
            pause: Duration::from_millis(200),
        }
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    patience: &'a Patience,
    started: Instant,
    made: u32,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(patience: &'a Patience) -> Self {
        Self { patience, started: Instant::now(), made: 1 }
    }

    /// Waits before the next try, or gives the failure back if there is none.
    ///
    /// `alive` is whether the host ever answered, `asked` the pause that it asked for. `notice` takes a note
    /// of the try.
    pub(crate) fn again(
        &mut self,
        failure: Failure,
        alive: bool,
        asked: Option<Duration>,
        notice: &dyn Fn(&str),
    ) -> Result<(), Failure> {
        let limit = if alive { self.patience.total } else { self.patience.dead };
        let pause = asked.unwrap_or_else(|| self.pause());
        if self.made >= self.patience.tries || self.started.elapsed().saturating_add(pause) > limit {
            return Err(failure);
        }
        self.made += 1;
        notice(&format!("{} try in {:.1} s: {failure}", ordinal(self.made), pause.as_secs_f64()));
        std::thread::sleep(pause);
        Ok(())
    }

    fn pause(&self) -> Duration {
        let most = self.patience.pause.saturating_mul(1 << self.made.min(16)) / 2;
        random_below(most.min(LONGEST_PAUSE))
    }
}

/// Draws a duration below `most`. The standard library seeds its hashers at random, which is enough for this.
pub(crate) fn random_below(most: Duration) -> Duration {
    let drawn = RandomState::new().build_hasher().finish();
    most.mul_f64(drawn as f64 / u64::MAX as f64)
}

fn ordinal(number: u32) -> String {
    let ending = match number {
        2 => "nd",
        3 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Returns the usual patience with next to no pauses.
#[cfg(test)]
pub(crate) fn hasty() -> Patience {
    Patience { pause: Duration::from_millis(1), ..Patience::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Failure {
        Failure::Busy { host: "h".into(), status: 503 }
    }

    fn tries_made(patience: &Patience, alive: bool) -> u32 {
        let mut tries = Tries::new(patience);
        while tries.again(failure(), alive, None, &|_| {}).is_ok() {}
        tries.made
    }

    #[test]
    fn a_host_that_never_answered_is_given_up_soon() {
        let patience = Patience {
            pause: Duration::from_micros(10),
            dead: Duration::ZERO,
            total: Duration::from_secs(60),
            ..Patience::default()
        };
        assert_eq!((tries_made(&patience, true), tries_made(&patience, false)), (10, 1));
    }

    #[test]
    fn a_server_that_asks_for_a_longer_pause_than_there_is_is_not_waited_for() {
        let patience = Patience::default();
        let mut tries = Tries::new(&patience);
        // The second is the most that `Retry-After` can ask for.
        for asked in [Duration::from_secs(3600), Duration::from_secs(u64::MAX)] {
            let told = |note: &str| assert!(note.is_empty(), "it waits: {note}");
            assert_eq!(tries.again(failure(), true, Some(asked), &told), Err(failure()));
        }
        assert_eq!(tries.made, 1);
    }

    #[test]
    fn the_second_try_is_told() {
        let patience = Patience { pause: Duration::ZERO, ..Patience::default() };
        let told = std::cell::RefCell::new(String::new());
        Tries::new(&patience)
            .again(failure(), true, None, &|note| told.replace(note.into()).clear())
            .unwrap();
        assert_eq!(told.into_inner(), "2nd try in 0.0 s: h is too busy (HTTP 503)");
    }
}
