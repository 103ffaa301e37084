//! Shows the server who we are, as it wants to be shown.
//!
//! A request goes out without a password until the server has said how it wants one, unless nobody can
//! listen. A server that forgets what it gave out, as servers do with nonces, is asked anew.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kopia_connection::Secret;
use kopia_storage::Failure;

use super::challenge::{self, Challenge};
use super::digest::Digest;
use crate::http::{Answer, Origin, Request, Service, Verdict};

/// A user and a password.
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// Where they come from, for failures.
    pub(crate) from: &'static str,
}

/// How the server wants to be shown who we are.
#[derive(Debug)]
enum Scheme {
    /// It did not say so yet.
    Unknown,
    Basic,
    Digest(Digest),
}

/// What is said of a Kopia server.
const KOPIA: &str = "it is a Kopia server and speaks no WebDAV";

/// Returns whether an answer comes from a Kopia server: it sets cookies for its web page, whatever was asked.
pub(super) fn is_kopia(answer: &Answer) -> bool {
    answer.header_values("set-cookie").any(|cookie| cookie.starts_with("Kopia-"))
}

/// What ends all requests once it is there. It waits for it as long as it is told.
type Watch = Box<dyn Fn(Duration) -> Option<Failure> + Send + Sync>;

/// How long the watch waits when a connection has failed: a server that is killed closes its connections before
/// anybody can have heard that it has ended, and its last words may take a while on a busy machine.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Who we are to a server.
pub(crate) struct Access {
    credentials: Option<Credentials>,
    scheme: Mutex<Scheme>,
    watch: Option<Watch>,
    /// How a Kopia server would be written that is at the same place.
    kopia: String,
}

impl Access {
    /// Takes credentials, which are shown `at_once` where nobody can listen.
    pub(crate) fn new(credentials: Option<Credentials>, at_once: bool) -> Self {
        let scheme = if at_once { Scheme::Basic } else { Scheme::Unknown };
        Self { credentials, scheme: Mutex::new(scheme), watch: None, kopia: String::new() }
    }

    /// Takes where the server is, to say what to write where it turns out to be one of Kopia.
    #[must_use]
    pub(super) fn at(self, origin: &Origin) -> Self {
        // Kopia has a port of its own where none is named.
        let place = match origin.authority() {
            authority if authority.rsplit(']').next().is_some_and(|end| end.contains(':')) => authority,
            authority => format!("{authority}:{}", origin.port()),
        };
        let of_page = format!("kopia+{}://USER@{place}, for the user of its web page", origin.scheme());
        let kopia = match origin.is_secure() {
            true => {
                format!("kopia://USER@HOST@{place}, with the user's password as KOPIA_PASSWORD, or {of_page}")
            }
            false => of_page,
        };
        Self { kopia, ..self }
    }

    /// Returns how a Kopia server would be written that is at the same place.
    #[cfg(test)]
    pub(super) fn kopia(&self) -> &str {
        &self.kopia
    }

    /// Returns whether a failure is that of [`Self::not_webdav`].
    pub(super) fn is_of_kopia(failure: &Failure) -> bool {
        matches!(failure, Failure::Refusal { message, .. } if message.starts_with(KOPIA))
    }

    /// Makes the failure of a Kopia server that was taken for one of WebDAV.
    pub(super) fn not_webdav(&self, answer: &Answer) -> Failure {
        answer.refusal("", &format!("{KOPIA}: write {}", self.kopia))
    }

    /// Makes requests fail once `watch` says that and why they must.
    #[must_use]
    #[cfg(feature = "rclone")]
    pub(crate) fn watched(self, watch: impl Fn(Duration) -> Option<Failure> + Send + Sync + 'static) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }

    /// Returns where the credentials come from, for failures.
    pub(super) fn source(&self) -> &'static str {
        self.credentials.as_ref().map_or("nowhere", |credentials| credentials.from)
    }

    fn scheme(&self) -> MutexGuard<'_, Scheme> {
        self.scheme.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what it means that a request, with what was sent in it, was not believed.
    fn unbelieved(&self, request: &Request, answer: &Answer) -> Verdict {
        let host = answer.host.clone();
        let offered: Vec<_> = answer.header_values("www-authenticate").flat_map(challenge::parse).collect();
        if offered.iter().any(|challenge| challenge.get("realm") == Some("Kopia")) {
            return Verdict::Fail(self.not_webdav(answer));
        }
        let Some(credentials) = &self.credentials else {
            let looked = "the connection, its URL and ~/.netrc".into();
            return Verdict::Fail(Failure::NoCredentials { host, looked });
        };
        let message = "401 Unauthorized".into();
        let wrong = Failure::WrongKey { host, credentials: credentials.from.into(), message };
        if self.learn(request.header("authorization"), &offered) {
            return Verdict::Renew(wrong);
        }
        if request.header("authorization").is_some() {
            return Verdict::Fail(wrong);
        }
        let schemes: Vec<_> =
            offered.iter().map(|challenge| challenge.scheme.escape_debug().to_string()).collect();
        let message = format!("it wants {}, and Basic or Digest can be given", schemes.join(" or "));
        Verdict::Fail(answer.refusal("", &message))
    }

    /// Takes the server's offers, and returns whether another try may go better than what was sent.
    fn learn(&self, sent: Option<&str>, offered: &[Challenge]) -> bool {
        let mut scheme = self.scheme();
        let may_be_renewed = match (sent, &*scheme) {
            (None, Scheme::Unknown) => true,
            // Another thread has learnt it in the meantime.
            (None, _) => return true,
            (Some(sent), Scheme::Digest(digest)) if !digest.made(sent) => return true,
            (Some(sent), Scheme::Basic) if !sent.starts_with("Basic ") => return true,
            // What was believed before was forgotten since.
            (Some(_), Scheme::Digest(digest)) => {
                digest.is_worn() || offered.iter().any(|challenge| challenge.flag("stale"))
            }
            (Some(_), Scheme::Basic | Scheme::Unknown) => {
                !offered.iter().any(|challenge| challenge.is("basic"))
            }
        };
        if !may_be_renewed {
            return false;
        }
        let digest = offered.iter().filter_map(Digest::of).max_by_key(Digest::strength);
        let learnt = match (digest, &*scheme) {
            (Some(digest), Scheme::Digest(before)) => Scheme::Digest(digest.going_on_from(before)),
            (Some(digest), _) => Scheme::Digest(digest),
            (None, _) if offered.iter().any(|challenge| challenge.is("basic")) => Scheme::Basic,
            (None, _) => return false,
        };
        *scheme = learnt;
        true
    }
}

impl Service for Access {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        if let Some(failure) = self.watch.as_ref().and_then(|watch| watch(Duration::ZERO)) {
            return Err(failure);
        }
        let Some(credentials) = &self.credentials else { return Ok(()) };
        let (user, password) = (&credentials.user, credentials.password.reveal());
        let value = match &mut *self.scheme() {
            Scheme::Unknown => return Ok(()),
            Scheme::Basic => format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            Scheme::Digest(digest) => digest.authorize(user, password, request.method, &request.path),
        };
        request.set("authorization", value);
        Ok(())
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        match answer.status {
            401 => self.unbelieved(request, answer),
            _ if is_kopia(answer) => Verdict::Fail(self.not_webdav(answer)),
            403 => Verdict::Fail(Failure::NotPermitted {
                host: answer.host.clone(),
                action: format!("{} {}", request.method, request.path),
                credentials: self.source().into(),
                right: None,
            }),
            404 | 410 => Verdict::Missing,
            // A server is at work there. Kopia asks again, too.
            409 | 423 => Verdict::Again(answer.refusal("", answer.text().trim())),
            501 | 505 => Verdict::Fail(answer.nonsense()),
            _ => Verdict::by_status(answer),
        }
    }

    fn renew(&self, _: &Failure) -> Result<bool, Failure> {
        // It was learnt when the answer was judged.
        Ok(true)
    }

    fn gone(&self) -> Option<Failure> {
        self.watch.as_ref().and_then(|watch| watch(LAST_WORDS))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access(credentials from {})", self.source())
    }
}
