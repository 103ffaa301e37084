//! Who asks: keys, from wherever they come, and new ones before they expire.
//!
//! The order is kopia's: fields of the connection, variables, then by the first variable that is set a web
//! identity, a container, and last the machine; nobody at all if none has any. Profiles of `~/.aws`, which
//! kopia does not read, come where they are named. All threads of a store share one [`Provider`], which gets
//! keys once at a time.

mod chain;
mod http;
mod process;
mod profile;
mod sts;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use kopia_connection::Secret;
use kopia_storage::Failure;

pub(super) use chain::{LOOKED, source_of};

/// Keys are got anew when they expire within this time.
const BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// What was just got is not got again, however many threads say that what they had has expired.
const JUST_NOW: Duration = Duration::from_secs(5);

/// What requests are signed with.
#[derive(Clone)]
pub(super) struct Keys {
    /// The id of the access key, which is no secret.
    pub(super) id: String,
    pub(super) secret: Secret,
    /// The token of a session.
    pub(super) token: Option<Secret>,
    pub(super) expires: Option<SystemTime>,
}

impl Keys {
    pub(super) fn new(id: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self { id: id.into(), secret: secret.into(), token: None, expires: None }
    }

    pub(super) fn with_token(mut self, token: Option<Secret>) -> Self {
        self.token = token.filter(|token| !token.reveal().is_empty());
        self
    }

    fn expire_within(&self, time: Duration) -> bool {
        self.expires.is_some_and(|expires| expires < SystemTime::now() + time)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Where keys come from.
pub(super) trait Source: Send + Sync + fmt::Debug {
    /// Returns what to call it in messages.
    fn name(&self) -> String;

    /// Gets keys, or says that there are none here.
    ///
    /// # Errors
    /// If there should be some, and they cannot be got.
    fn get(&self) -> Result<Option<Keys>, Failure>;
}

/// Keys that are what they are.
#[derive(Debug)]
struct Fixed {
    name: String,
    keys: Keys,
}

impl Source for Fixed {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn get(&self) -> Result<Option<Keys>, Failure> {
        Ok(Some(self.keys.clone()))
    }
}

/// Gives keys to all threads, and gets them anew in time.
#[derive(Debug)]
pub(super) struct Provider {
    /// `None` stands for nobody: requests are not signed.
    source: Option<Box<dyn Source>>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// What was got; the inner `None` is that there are none.
    keys: Option<Option<Arc<Keys>>>,
    got: Option<Instant>,
}

impl Provider {
    pub(super) fn new(source: Option<Box<dyn Source>>) -> Self {
        Self { source, held: Mutex::default() }
    }

    /// Returns what to call the source in messages; `None` if there are no keys.
    pub(super) fn name(&self) -> Option<String> {
        let nobody = matches!(self.held().keys, Some(None));
        if nobody { None } else { self.source.as_ref().map(|source| source.name()) }
    }

    /// Returns keys that are good for some minutes yet, or nothing if requests are not to be signed.
    ///
    /// # Errors
    /// If they cannot be got and those that there are have expired.
    pub(super) fn keys(&self) -> Result<Option<Arc<Keys>>, Failure> {
        let Some(source) = &self.source else { return Ok(None) };
        let mut held = self.held();
        if let Some(keys) = &held.keys {
            let old = keys.as_ref().is_some_and(|keys| keys.expire_within(BEFORE_EXPIRY));
            if !old || held.is_new() {
                return Ok(keys.clone());
            }
        }
        match source.get() {
            Ok(keys) => Ok(held.take(keys)),
            // Those that there are may last until it works again.
            Err(failure) => match &held.keys {
                Some(Some(keys)) if !keys.expire_within(Duration::ZERO) => Ok(Some(Arc::clone(keys))),
                _ => Err(failure),
            },
        }
    }

    /// Gets other keys, because a server says that those there are have expired, and returns whether there
    /// are some.
    ///
    /// # Errors
    /// If they cannot be got.
    pub(super) fn renew(&self) -> Result<bool, Failure> {
        let Some(source) = &self.source else { return Ok(false) };
        let mut held = self.held();
        if held.was_renewed() {
            return Ok(true);
        }
        let before = held.keys.clone().flatten();
        let after = held.take(source.get()?);
        held.got = Some(Instant::now());
        Ok(match (before, after) {
            (Some(before), Some(after)) => before.id != after.id || before.token != after.token,
            (None, after) => after.is_some(),
            (Some(_), None) => false,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn take(&mut self, keys: Option<Keys>) -> Option<Arc<Keys>> {
        let keys = keys.map(Arc::new);
        // The first are not counted as renewed: a server may say of them at once that they have expired.
        self.got = self.keys.is_some().then(Instant::now);
        self.keys = Some(keys.clone());
        keys
    }

    fn is_new(&self) -> bool {
        self.got.is_some_and(|got| got.elapsed() < JUST_NOW)
    }

    fn was_renewed(&self) -> bool {
        self.is_new()
    }
}

/// Makes the failure that a source gives no keys.
fn no_keys(source_of: impl Into<String>, why: impl Into<String>) -> Failure {
    Failure::Credentials { source_of: source_of.into(), why: why.into() }
}

#[cfg(feature = "testing")]
pub(super) mod testing {
    use crate::http::Answer;

    /// Reads keys as each kind of service gives them.
    pub(in crate::s3) fn keys(answer: &Answer) {
        let _ = (super::http::Given::keys(&answer.body, "s"), super::sts::read(answer));
    }

    /// Reads profiles, and splits a command.
    pub(in crate::s3) fn profiles(text: &str) {
        super::profile::Profiles::exercise(text);
        let _ = super::process::Process::new("p", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts how often it is asked; its keys last for so long.
    #[derive(Debug)]
    struct Counting(Arc<AtomicUsize>, Duration);

    impl Source for Counting {
        fn name(&self) -> String {
            "a test".into()
        }

        fn get(&self) -> Result<Option<Keys>, Failure> {
            let number = self.0.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            let mut keys = Keys::new(format!("key{number}"), "secret");
            keys.expires = Some(SystemTime::now() + self.1);
            Ok(Some(keys))
        }
    }

    fn counting(lasts: Duration) -> (Arc<AtomicUsize>, Provider) {
        let asked = Arc::new(AtomicUsize::new(0));
        (Arc::clone(&asked), Provider::new(Some(Box::new(Counting(asked, lasts)))))
    }

    #[test]
    fn all_threads_get_keys_at_once_and_new_ones_once() {
        let (asked, provider) = counting(Duration::from_secs(3600));
        std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| provider.keys().unwrap().unwrap())));
        });
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| assert!(provider.renew().unwrap()))));
        });
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert_eq!(provider.keys().unwrap().unwrap().id, "key1");
    }

    #[test]
    fn keys_are_got_anew_before_they_expire() {
        let (asked, provider) = counting(Duration::from_secs(60));
        provider.keys().unwrap();
        assert_eq!(provider.keys().unwrap().unwrap().id, "key1");
        assert_eq!(provider.keys().unwrap().unwrap().id, "key1", "but not for each request");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_stays_the_same_is_not_renewed() {
        let keys = Keys::new("id", "secret");
        let provider = Provider::new(Some(Box::new(Fixed { name: "a test".into(), keys })));
        assert_eq!(provider.keys().unwrap().unwrap().id, "id");
        assert!(!provider.renew().unwrap());
        assert!(!format!("{provider:?}").contains("secret\""));
        assert!(!Provider::new(None).renew().unwrap());
    }
}
