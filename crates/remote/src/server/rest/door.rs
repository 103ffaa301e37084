//! Signing in, and what refusals mean.
//!
//! Objects are given for a user and a password alone. Lists want a token as well, which stands in the page of
//! the UI, and the cookie of the session that it is for. A server that was started again knows neither, and
//! another session is begun.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kopia_connection::{Connection, Environment};
use kopia_storage::Failure;
use kopia_storage::server::Parameters;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::unusable;
use crate::http::{Answer, Client, Kind, Request, Service, Trouble, Verdict};
use crate::patience::{Patience, Tries};
use crate::server::messages::clean;

/// How long the page of the UI may be. Kopia's has 1100 bytes.
const PAGE_LIMIT: u64 = 1 << 20;

/// How long a list of one source, or of all sources, may be: some 100,000 entries.
const LIST_LIMIT: u64 = 64 << 20;

/// How long a token or a cookie may be.
const SHORT: usize = 4 << 10;

/// The cookies that the server gives: who signed in not long ago, and which session a token is for.
const COOKIES: [&str; 2] = ["Kopia-Auth", "Kopia-Session-Cookie"];

/// The user of the UI that a server has if it is told no other.
const UI_USER: &str = "kopia";

/// A server, and how it is asked.
pub(super) struct Door {
    client: Client,
    entrant: Entrant,
}

/// Who asks, and what the server gave to show for it.
pub(super) struct Entrant {
    user: String,
    authorization: Zeroizing<String>,
    session: Mutex<Session>,
}

#[derive(Default)]
struct Session {
    cookies: [Option<String>; COOKIES.len()],
    token: Option<String>,
}

/// What the server says of its repository.
#[derive(Deserialize)]
struct Status {
    connected: bool,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    splitter: String,
    #[serde(default, rename = "supportsContentCompression")]
    compresses: bool,
}

/// What a refusal in JSON says.
#[derive(Deserialize)]
struct Refused {
    code: String,
    error: String,
}

impl Entrant {
    /// Takes the user from the connection, or from the variables that a server takes its UI user from.
    pub(super) fn of(connection: &Connection, environment: &Environment) -> Result<Self, Failure> {
        let user = match (&connection.username, &connection.hostname) {
            (Some(user), Some(host)) => format!("{user}@{host}"),
            (Some(user), None) => user.clone(),
            (None, _) => environment.var("KOPIA_SERVER_USERNAME").unwrap_or(UI_USER).to_string(),
        };
        let stored = connection.password.as_ref().map(|password| password.as_bytes());
        let password = stored.or_else(|| environment.var("KOPIA_SERVER_PASSWORD").map(str::as_bytes));
        let Some(password) = password else {
            return Err(unusable("a Kopia server wants the password of its UI user".into()));
        };
        if user.contains(':') || user.chars().any(char::is_control) {
            return Err(unusable(
                "the user's name has characters that cannot be sent to a Kopia server".into(),
            ));
        }
        let plain = Zeroizing::new([user.as_bytes(), b":", password].concat());
        let authorization = Zeroizing::new(format!("Basic {}", &*Zeroizing::new(STANDARD.encode(&*plain))));
        Ok(Self { user, authorization, session: Mutex::default() })
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the cookies of an answer that are the server's own.
    fn keep_cookies(&self, answer: &Answer) {
        for given in answer.header_values("set-cookie") {
            let Some((name, value)) = given.split(';').next().and_then(|cookie| cookie.split_once('='))
            else {
                continue;
            };
            let number = COOKIES.iter().position(|known| *known == name.trim());
            if let Some(number) = number.filter(|_| is_short(value)) {
                self.session().cookies[number] = Some(value.into());
            }
        }
    }
}

impl Service for Entrant {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        request.set("authorization", &**self.authorization);
        let session = self.session();
        let cookies = std::iter::zip(COOKIES, &session.cookies);
        let cookies: Vec<_> =
            cookies.filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))).collect();
        if !cookies.is_empty() {
            request.set("cookie", cookies.join("; "));
        }
        if let Some(token) = session.token.as_ref().filter(|_| !is_object(request)) {
            request.set("x-kopia-csrf-token", token);
        }
        Ok(())
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        let host = answer.host.clone();
        let text = clean(&answer.body);
        let message = text.trim().to_string();
        let credentials = format!("user {}", clean(self.user.as_bytes()));
        let no_server =
            |why: &str| Verdict::Fail(Failure::NoKopiaServer { host: host.clone(), why: why.into() });
        match answer.status {
            401 if text.contains("CSRF") => Verdict::Renew(answer.refusal("", &message)),
            401 => Verdict::Fail(Failure::WrongKey { host, credentials, message }),
            403 => Verdict::Fail(Failure::NotPermitted {
                host,
                action: "reading by REST, as only the user of its UI may (--server-username),".into(),
                credentials,
                right: None,
            }),
            404 if is_object(request) && text.contains("object not found") => Verdict::Missing,
            404 => no_server("it has no API of the UI: it may be another server, or one with --no-ui"),
            400..=599 => match serde_json::from_slice::<Refused>(&answer.body) {
                Ok(refused) => {
                    let [code, error] = [refused.code, refused.error].map(|text| clean(text.as_bytes()));
                    Verdict::Again(answer.refusal(&code, &error))
                }
                Err(_) => Verdict::by_status(answer),
            },
            _ => Verdict::by_status(answer),
        }
    }
}

/// An entrant whose session may have to be begun anew.
#[derive(Debug)]
struct Anew<'d>(&'d Door);

impl Service for Anew<'_> {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        self.0.entrant.sign(request)
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        self.0.entrant.judge(request, answer)
    }

    fn renew(&self, _: &Failure) -> Result<bool, Failure> {
        self.0.sign_in()?;
        Ok(true)
    }
}

impl Door {
    pub(super) fn new(client: Client, entrant: Entrant) -> Self {
        Self { client, entrant }
    }

    pub(super) fn host(&self) -> String {
        self.client.host()
    }

    /// Signs in, and asks how contents are named; waits for a repository that is being opened.
    pub(super) fn enter(&self, patience: &Patience, notice: &dyn Fn(&str)) -> Result<Parameters, Failure> {
        self.sign_in()?;
        let mut tries = Tries::new(patience);
        loop {
            let answer = self.api("/api/v1/repo/status")?;
            let status: Status = serde_json::from_slice(&answer.body).map_err(|_| answer.nonsense())?;
            if status.connected {
                let mut parameters = Parameters::without_secret(clean(status.hash.as_bytes()));
                parameters.splitter = clean(status.splitter.as_bytes());
                parameters.compresses = status.compresses;
                return Ok(parameters);
            }
            let failure = answer.refusal("NOT_CONNECTED", "it has no repository open");
            tries.again(failure, true, None, &|note| {
                notice(&format!("waiting for {}: {note}", self.host()))
            })?;
        }
    }

    /// Begins a session.
    fn sign_in(&self) -> Result<(), Failure> {
        *self.entrant.session() = Session::default();
        let request = Request { limit: PAGE_LIMIT, ..Request::new("GET", "/", Kind::Other) };
        let page =
            self.client.call(&self.entrant, &request).map_err(|trouble| trouble.failure(&self.host()))?;
        self.entrant.keep_cookies(&page);
        let token = token(&page.text()).ok_or_else(|| page.nonsense())?;
        self.entrant.session().token = Some(token);
        Ok(())
    }

    /// Asks for something of the UI's.
    pub(super) fn api(&self, path: &str) -> Result<Answer, Failure> {
        let request = Request { limit: LIST_LIMIT, ..Request::new("GET", path, Kind::List) };
        self.call(&request).map_err(|trouble| trouble.failure(&self.host()))
    }

    /// Asks for an object, or a part of one.
    pub(super) fn object(&self, request: &Request) -> Result<Answer, Trouble> {
        self.call(request)
    }

    fn call(&self, request: &Request) -> Result<Answer, Trouble> {
        let answer = self.client.call(&Anew(self), request)?;
        self.entrant.keep_cookies(&answer);
        Ok(answer)
    }

    /// Says that an answer is not as Kopia's are.
    pub(super) fn protocol(&self, why: String) -> Failure {
        Failure::Protocol { host: self.host(), protocol: "Kopia's REST API", why }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Door").field(&self.client).finish()
    }
}

/// What it has to show is secret.
impl fmt::Debug for Entrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrant").field("user", &self.user).finish_non_exhaustive()
    }
}

fn is_object(request: &Request) -> bool {
    request.path.starts_with("/api/v1/objects/")
}

/// Finds the token in the page of the UI.
fn token(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("name=\"kopia-csrf-token\"")?;
    let (_, rest) = rest.split_once("content=\"")?;
    let (token, _) = rest.split_once('"')?;
    is_short(token).then(|| token.into())
}

/// Returns whether a text can be sent back in a header.
fn is_short(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SHORT
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
}

#[cfg(test)]
mod tests {
    use kopia_connection::Storage;
    use kopia_connection::storage::Server;

    use super::*;

    fn connection(user: Option<&str>, host: Option<&str>, password: Option<&str>) -> Connection {
        let mut connection = Connection::new(Storage::Server(Server::default()));
        (connection.username, connection.hostname) = (user.map(str::to_owned), host.map(str::to_owned));
        connection.password = password.map(Into::into);
        connection
    }

    #[test]
    fn the_user_is_that_of_the_connection_or_the_usual_one() {
        let variables: Environment =
            [("KOPIA_SERVER_USERNAME", "ui"), ("KOPIA_SERVER_PASSWORD", "pw"), ("USER", "bob")]
                .into_iter()
                .collect();
        let user = |connection: &Connection, environment: &Environment| {
            Entrant::of(connection, environment).map(|entrant| entrant.user)
        };
        let of = |name, host| user(&connection(name, host, Some("x")), &Environment::empty()).unwrap();
        assert_eq!(of(None, None), "kopia");
        assert_eq!(of(Some("ui"), None), "ui");
        assert_eq!(of(Some("alice"), Some("laptop")), "alice@laptop");
        assert_eq!(user(&connection(None, None, None), &variables).unwrap(), "ui");
        assert!(user(&connection(None, None, None), &Environment::empty()).is_err(), "there is no password");
        assert!(user(&connection(Some("a:b"), None, Some("x")), &variables).is_err());
    }

    #[test]
    fn what_is_shown_is_not_printed() {
        let entrant = Entrant::of(&connection(None, None, Some("hunter2")), &Environment::empty()).unwrap();
        assert_eq!(*entrant.authorization, "Basic a29waWE6aHVudGVyMg==");
        let printed = format!("{entrant:?}");
        assert!(
            printed.contains("kopia") && !printed.contains("a29w") && !printed.contains("hunter2"),
            "{printed}"
        );
    }

    #[test]
    fn tokens_are_found_and_others_are_none() {
        let page =
            |token: &str| format!("<head><meta name=\"kopia-csrf-token\" content=\"{token}\" /></head>");
        assert_eq!(token(&page("80e2")), Some("80e2".into()));
        for bad in ["", "a b", "a\r\nx: y", "a;b", &"a".repeat(5000)] {
            assert_eq!(token(&page(bad)), None, "{bad:?}");
        }
        for bad in ["", "<html>", "name=\"kopia-csrf-token\"", "name=\"kopia-csrf-token\" content=\"80"] {
            assert_eq!(token(bad), None, "{bad:?}");
        }
    }
}
