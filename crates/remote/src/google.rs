//! Tokens for Google's clouds, from service accounts, users who signed in, other clouds, and the machine
//! itself.
//!
//! The order is Google's (application default credentials), as in the Go packages that Kopia is built with.

mod account;
mod ambient;
mod assertion;
#[cfg(feature = "testing")]
pub(crate) mod testing;

use std::time::SystemTime;

use kopia_connection::Secret;
use kopia_connection::storage::GoogleAccount;
use kopia_storage::Failure;
use serde_json::json;

use crate::http::{Kind, Network, Request};
use crate::lease::{Lease, Renewed};
use crate::oauth::{Issuer, token};
use account::{Account, External, Impersonated, Place, Service, User};

/// The variables that name a project to Google's own programs.
pub(crate) const PROJECT: [&str; 3] = ["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "GCLOUD_PROJECT"];

/// The scope by which a token may ask for another one.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The longest file or answer with a token that vouches for somebody.
const SUBJECT_LIMIT: u64 = 1 << 20;

/// Who asks Google's services, with a token that is got anew before it expires.
#[derive(Debug)]
pub(crate) struct Google {
    network: Network,
    scope: &'static str,
    origin: Origin,
    token: Renewed<Secret>,
}

/// Where tokens come from.
#[derive(Debug)]
struct Origin {
    source: Source,
    /// What that is called in messages.
    name: String,
}

#[derive(Debug)]
enum Source {
    Account(Account),
    /// The metadata server of a machine in Google's cloud, by its host.
    Metadata(String),
}

impl Google {
    /// Finds out who asks. Nothing is asked yet.
    ///
    /// # Errors
    /// If credentials cannot be read, or are none.
    pub(crate) fn new(
        account: &GoogleAccount,
        scope: &'static str,
        network: &Network,
    ) -> Result<Self, Failure> {
        let origin = match account {
            GoogleAccount::Json(json) => given(json.reveal().as_bytes(), "the connection's credentials")?,
            GoogleAccount::File(path) => {
                let name = path.display().to_string();
                given(&ambient::read(path, &name)?, &name)?
            }
            GoogleAccount::Ambient => ambient::find(&network.options().environment)?,
            _ => return Err(Failure::Unusable { what: "such Google accounts are not supported".into() }),
        };
        Ok(Self { network: network.clone(), scope, origin, token: Renewed::default() })
    }

    /// Returns what the source of the credentials is called.
    pub(crate) fn source_of(&self) -> &str {
        &self.origin.name
    }

    /// Finds the project whose buckets are meant: the one of the variables, else of the credentials, else of
    /// the machine.
    pub(crate) fn project(&self) -> Option<String> {
        let environment = &self.network.options().environment;
        let set = PROJECT.iter().find_map(|name| environment.var(name)).map(str::to_string);
        set.or_else(|| match &self.origin.source {
            Source::Account(account) => account.project().map(str::to_string),
            Source::Metadata(host) => ambient::project(&self.network, &self.origin.name, host),
        })
    }

    /// Adds the token to a request.
    pub(crate) fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        let token = self.token.get(|| self.issue())?;
        request.set("authorization", format!("Bearer {}", token.reveal()));
        Ok(())
    }

    /// Gets another token.
    pub(crate) fn renew(&self) -> Result<(), Failure> {
        self.token.renew(|| self.issue())
    }

    fn issue(&self) -> Result<Lease<Secret>, Failure> {
        let issuer = Issuer { network: &self.network, source_of: &self.origin.name };
        match &self.origin.source {
            Source::Account(account) => of_account(issuer, account, self.scope),
            Source::Metadata(host) => {
                ambient::of_metadata(&self.network, &self.origin.name, host, self.scope)
            }
        }
    }
}

/// Reads credentials that a connection holds.
///
/// A connection may come from elsewhere, as a token does. One that could have files of this machine sent to a
/// URL of its own is not taken; Kopia takes service accounts alone.
fn given(json: &[u8], name: &str) -> Result<Origin, Failure> {
    let credentials = |why: String| Failure::Credentials { source_of: name.into(), why };
    match Account::parse(json).map_err(credentials)? {
        account @ (Account::Service(_) | Account::User(_)) => {
            Ok(Origin { source: Source::Account(account), name: name.into() })
        }
        Account::External(_) | Account::Impersonated(_) => {
            let why = "they are of a type that is only taken from GOOGLE_APPLICATION_CREDENTIALS";
            Err(credentials(why.into()))
        }
    }
}

fn of_account(issuer: Issuer<'_>, account: &Account, scope: &str) -> Result<Lease<Secret>, Failure> {
    match account {
        Account::Service(service) => of_service(issuer, service, scope),
        Account::User(user) => of_user(issuer, user),
        Account::External(external) => of_external(issuer, external, scope),
        Account::Impersonated(other) => of_impersonated(issuer, other, scope),
    }
}

fn of_service(issuer: Issuer<'_>, service: &Service, scope: &str) -> Result<Lease<Secret>, Failure> {
    let signed = assertion::signed(service, scope, SystemTime::now());
    let assertion = signed.map_err(|why| issuer.unusable(why))?;
    let fields = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &*assertion)];
    issuer.by_form(&service.token_url, &fields)
}

fn of_user(issuer: Issuer<'_>, user: &User) -> Result<Lease<Secret>, Failure> {
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", &user.client_id),
        ("client_secret", user.client_secret.reveal()),
        ("refresh_token", user.refresh_token.reveal()),
    ];
    issuer.by_form(&user.token_url, &fields)
}

fn of_external(issuer: Issuer<'_>, external: &External, scope: &str) -> Result<Lease<Secret>, Failure> {
    let text = match &external.subject.place {
        Place::File(path) => ambient::read(path, issuer.source_of)?,
        Place::Url(url, headers) => {
            let mut request = Request::new("GET", "", Kind::Other);
            headers.iter().for_each(|(name, value)| request.set(&name.to_ascii_lowercase(), value));
            issuer.ask(url, request)?.body
        }
    };
    let subject = external.subject.token(&text).map_err(|why| issuer.unusable(&why))?;
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", &external.audience),
        ("scope", if external.impersonation_url.is_some() { CLOUD_PLATFORM } else { scope }),
        ("subject_token_type", &external.subject_token_type),
        ("subject_token", subject.reveal()),
    ];
    let lease = issuer.by_form(&external.token_url, &fields)?;
    match &external.impersonation_url {
        Some(url) => impersonate(issuer, url, &[], lease.value(), scope),
        None => Ok(lease),
    }
}

fn of_impersonated(issuer: Issuer<'_>, other: &Impersonated, scope: &str) -> Result<Lease<Secret>, Failure> {
    let lease = of_account(issuer, &other.source, CLOUD_PLATFORM)?;
    impersonate(issuer, &other.url, &other.delegates, lease.value(), scope)
}

/// Gets the token of a service account by that of another account.
fn impersonate(
    issuer: Issuer<'_>,
    url: &str,
    delegates: &[String],
    by: &Secret,
    scope: &str,
) -> Result<Lease<Secret>, Failure> {
    let body = json!({"delegates": delegates, "scope": [scope], "lifetime": "3600s"});
    let request = Request::new("POST", "", Kind::Other)
        .with_body("application/json", body.to_string())
        .with("authorization", format!("Bearer {}", by.reveal()));
    token(&issuer.ask(url, request)?)
}

#[cfg(test)]
mod tests;
