//! What expires, is kept while it is good, and got anew before it is not.
//!
//! Tokens are asked for by many threads at once: one of them gets the next one, and the others wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kopia_storage::Failure;

/// How long before its end something is got anew: a read may take a while.
const EARLY: Duration = Duration::from_secs(300);

/// After a renewal that failed, how long the old one is used before the next try.
const PAUSE: Duration = Duration::from_secs(30);

/// For how long something that was just got is not got again, whatever a server says of it.
const JUST_NOW: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 5000 });

/// How long something is good that says nothing about it.
const UNSAID: Duration = Duration::from_secs(3600);

/// Something that is good for a while.
#[derive(Debug)]
pub(crate) struct Lease<T> {
    value: T,
    got: Instant,
    renew: Instant,
    end: Instant,
}

impl<T> Lease<T> {
    /// Makes one that begins now. Without a length it is an hour.
    pub(crate) fn new(value: T, length: Option<Duration>) -> Self {
        let got = Instant::now();
        // A server that promises thousands of years must not overflow; a month is as good.
        let length = length.unwrap_or(UNSAID).min(Duration::from_secs(30 * 86_400));
        let early = EARLY.min(length / 2);
        Self { value, got, renew: got + (length - early), end: got + length }
    }

    /// Returns what is good for a while.
    pub(crate) fn value(&self) -> &T {
        &self.value
    }
}

/// Keeps a lease, and gets the next one in time.
#[derive(Debug)]
pub(crate) struct Renewed<T>(Mutex<Option<Lease<T>>>);

impl<T> Default for Renewed<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Renewed<T> {
    /// Returns what is good now; `issue` gets it if there is none, or the end is near.
    ///
    /// # Errors
    /// What `issue` says, unless what is there is good for a little longer.
    pub(crate) fn get(&self, issue: impl FnOnce() -> Result<Lease<T>, Failure>) -> Result<T, Failure> {
        let mut held = self.lock();
        let now = Instant::now();
        if let Some(lease) = &*held
            && now < lease.renew
        {
            return Ok(lease.value.clone());
        }
        match (issue(), &mut *held) {
            (Ok(lease), held) => Ok(held.insert(lease).value.clone()),
            (Err(_), Some(lease)) if now < lease.end => {
                lease.renew = (now + PAUSE).min(lease.end);
                Ok(lease.value.clone())
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// Gets another one, unless another thread just did.
    ///
    /// # Errors
    /// What `issue` says.
    pub(crate) fn renew(&self, issue: impl FnOnce() -> Result<Lease<T>, Failure>) -> Result<(), Failure> {
        let mut held = self.lock();
        if held.as_ref().is_some_and(|lease| lease.got.elapsed() < JUST_NOW) {
            return Ok(());
        }
        *held = None;
        *held = Some(issue()?);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lease<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn refused() -> Failure {
        Failure::Unusable { what: "no".into() }
    }

    #[test]
    fn it_is_got_once_and_again_when_its_end_is_near() {
        let (renewed, calls) = (Renewed::default(), Cell::new(0));
        let get = |length| {
            renewed.get(|| {
                calls.set(calls.get() + 1);
                Ok(Lease::new(calls.get(), Some(Duration::from_millis(length))))
            })
        };
        assert_eq!([get(3_600_000), get(0)], [Ok(1), Ok(1)]);
        renewed.lock().as_mut().unwrap().renew = Instant::now();
        assert_eq!([get(1_000_000_000_000_000), get(0)], [Ok(2), Ok(2)]);
        let short = Lease::new((), Some(Duration::from_millis(40)));
        let parts = (short.renew - short.got, short.end - short.got);
        assert_eq!(parts, (Duration::from_millis(20), Duration::from_millis(40)), "half of a short time");
    }

    #[test]
    fn what_is_still_good_is_used_if_there_is_no_other() {
        let renewed = Renewed::default();
        assert_eq!(renewed.get(|| Err(refused())), Err::<u8, _>(refused()));
        let now = Instant::now();
        let near_its_end = Lease { renew: now, ..Lease::new(1, None) };
        *renewed.lock() = Some(near_its_end);
        assert_eq!(renewed.get(|| Err(refused())), Ok(1));
        let over = Lease { renew: now, end: now, ..Lease::new(1, None) };
        *renewed.lock() = Some(over);
        assert_eq!(renewed.get(|| Err(refused())), Err(refused()));
        let old = Lease { got: Instant::now() - JUST_NOW, ..Lease::new(1, None) };
        *renewed.lock() = Some(old);
        assert_eq!(renewed.renew(|| Err(refused())), Err(refused()));
        assert_eq!(renewed.get(|| Ok(Lease::new(2, None))), Ok(2));
    }

    #[test]
    fn threads_that_are_refused_at_once_get_one_new_one() {
        let (renewed, calls) = (Renewed::default(), std::sync::atomic::AtomicU8::new(0));
        // It stays one that was just got, however late the last thread comes.
        let got = Instant::now() + UNSAID;
        let issue = || {
            let number = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(Lease { got, ..Lease::new(number, None) })
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| renewed.renew(issue));
            }
        });
        assert_eq!((calls.into_inner(), renewed.get(|| Err(refused()))), (1, Ok(0)));
    }
}
