//! A bucket in a region: whom requests go to, and how they are signed.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use kopia_connection::storage::S3;
use kopia_storage::Failure;

use super::address::{Address, FIRST_REGION};
use super::answers::Asker;
use super::credentials::{LOOKED, Provider};
use super::sign::{Scope, sign};
use crate::http::{Answer, Client, Kind, Network, Request, Service, Trouble, Trust, Verdict};
use crate::xml;

/// A clock that is wrong by less is not the reason for anything: servers allow 15 minutes.
const SMALL_SKEW: i64 = 60;

/// What stays when the region turns out to be another.
pub(super) struct Shared {
    bucket: String,
    provider: Provider,
    notice: Box<dyn Fn(&str) + Send + Sync>,
    /// Seconds that are added to this machine's clock.
    correction: AtomicI64,
    /// What the clock was corrected by last, so that it is done once.
    corrected: Mutex<bool>,
    asked_region: AtomicBool,
}

impl Shared {
    pub(super) fn new(bucket: &str, provider: Provider, network: &Network) -> Self {
        let notice = std::sync::Arc::clone(&network.options().notice);
        Self {
            bucket: bucket.into(),
            provider,
            notice: Box::new(move |note| notice(note)),
            correction: AtomicI64::new(0),
            corrected: Mutex::new(false),
            asked_region: AtomicBool::new(false),
        }
    }

    /// Returns whether the region was not asked for yet.
    pub(super) fn may_ask_region(&self) -> bool {
        !self.asked_region.swap(true, Ordering::SeqCst)
    }

    fn now(&self) -> SystemTime {
        let (now, correction) = (SystemTime::now(), self.correction.load(Ordering::SeqCst));
        let by = Duration::from_secs(correction.unsigned_abs());
        let corrected = if correction >= 0 { now.checked_add(by) } else { now.checked_sub(by) };
        corrected.unwrap_or(now)
    }

    /// Goes by the server's clock from here on. The time may be wrong once, not twice.
    fn correct(&self, host: &str, seconds: i64) -> bool {
        if seconds.abs() < SMALL_SKEW {
            return false;
        }
        let mut corrected = self.corrected.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have done it: then its correction is tried.
        if *corrected {
            return (self.correction.load(Ordering::SeqCst) + seconds).abs() < SMALL_SKEW;
        }
        *corrected = true;
        self.correction.store(-seconds, Ordering::SeqCst);
        let failure = Failure::ClockSkew { host: host.into(), seconds };
        (self.notice)(&format!("{failure}; going by its clock"));
        true
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// A bucket in a region.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) address: Address,
    pub(super) region: String,
    shared: std::sync::Arc<Shared>,
}

impl Target {
    pub(super) fn new(
        place: &S3,
        region: String,
        network: &Network,
        trust: &Trust,
        shared: &std::sync::Arc<Shared>,
    ) -> Result<Self, Failure> {
        let address = Address::new(place, &region)?;
        let client = network.client(address.origin.clone(), trust, "an S3 server")?;
        Ok(Self { client, address, region, shared: std::sync::Arc::clone(shared) })
    }

    /// Asks for the bucket's region. `None` if that is not told.
    pub(super) fn ask_region(&self) -> Option<String> {
        let request = Request::new("GET", self.address.query("location"), Kind::Other);
        match self.client.call(&InFirstRegion(self), &request) {
            Ok(answer) => region_of(&answer),
            Err(Trouble::Failed(Failure::WrongRegion { region, .. })) => region,
            Err(_) => None,
        }
    }

    /// Returns whether the bucket keeps versions.
    pub(super) fn is_versioned(&self) -> Result<bool, Trouble> {
        let request = Request::new("GET", self.address.query("versioning"), Kind::Other);
        let answer = self.client.call(self, &request)?;
        let mut status = None;
        let read = xml::walk(&answer.body, |path, text| match path.split_once('/') {
            Some((_, "Status")) => status = Some(text == "Enabled"),
            // Servers differ in the name of the root.
            None if path.contains("Versioning") => status = status.or(Some(false)),
            _ => {}
        });
        match (read, status) {
            (Ok(()), Some(versioned)) => Ok(versioned),
            _ => Err(answer.nonsense().into()),
        }
    }

    fn sign_for(&self, request: &mut Request, region: &str) -> Result<(), Failure> {
        if let Some(keys) = self.shared.provider.keys()? {
            sign(request, &keys, &Scope { region, service: "s3", time: self.shared.now() });
        }
        Ok(())
    }

    fn judge_for(&self, request: &Request, answer: &Answer, region: &str) -> Verdict {
        let credentials = self.shared.provider.name();
        let asker = Asker {
            bucket: &self.shared.bucket,
            region,
            credentials: credentials.as_deref(),
            looked: LOOKED,
        };
        asker.judge(request, answer)
    }
}

/// Reads the answer that has a bucket's region. An empty one is the first region, and `EU` an old name.
fn region_of(answer: &Answer) -> Option<String> {
    let mut region = None;
    xml::walk(&answer.body, |path, text| {
        if path == "LocationConstraint" {
            region = Some(match text.trim() {
                "" => FIRST_REGION.into(),
                "EU" => "eu-west-1".into(),
                other => other.to_string(),
            });
        }
    })
    .ok()?;
    region
}

impl Service for Target {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        self.sign_for(request, &self.region)
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        self.judge_for(request, answer, &self.region)
    }

    fn renew(&self, failure: &Failure) -> Result<bool, Failure> {
        match failure {
            Failure::ClockSkew { host, seconds } => Ok(self.shared.correct(host, *seconds)),
            _ => self.shared.provider.renew(),
        }
    }
}

/// Signs for the region that may ask for all others.
#[derive(Debug)]
struct InFirstRegion<'a>(&'a Target);

impl Service for InFirstRegion<'_> {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        self.0.sign_for(request, FIRST_REGION)
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        self.0.judge_for(request, answer, FIRST_REGION)
    }

    fn renew(&self, failure: &Failure) -> Result<bool, Failure> {
        self.0.renew(failure)
    }
}

#[cfg(feature = "testing")]
pub(super) mod testing {
    use super::Answer;

    /// Reads a region, which becomes a part of hosts only if it is a name.
    pub(in crate::s3) fn region(answer: &Answer) {
        let _ = super::region_of(answer);
    }
}
