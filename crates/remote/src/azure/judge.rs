//! What Azure means by its refusals.
//!
//! Authority: Microsoft's "Common REST API error codes" and "Blob Storage error codes".

use std::time::SystemTime;

use kopia_storage::Failure;

use super::archive::ARCHIVE;
use super::identity::{self, Identity};
use crate::http::{Answer, Kind, Request, Service, Verdict};

/// How far the clocks may differ.
const MOST_SKEW: u64 = 15 * 60;

/// A container, and who asks for what is in it.
#[derive(Debug)]
pub(crate) struct Container {
    pub(super) name: String,
    pub(super) identity: Identity,
}

impl Service for Container {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        self.identity.sign(request)
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        let host = || answer.host.clone();
        let code = answer.header("x-ms-error-code").unwrap_or_default();
        match (answer.status, code) {
            (401, _) => Verdict::Renew(self.wrong(answer)),
            (403, "AuthenticationFailed") => self.not_authenticated(answer),
            (
                403,
                "AuthorizationPermissionMismatch"
                | "AuthorizationFailure"
                | "AuthorizationResourceTypeMismatch"
                | "AuthorizationServiceMismatch"
                | "InsufficientAccountPermissions"
                | "InvalidAuthenticationInfo",
            ) => Verdict::Fail(self.not_permitted(request, code, host())),
            (404, "BlobNotFound") => Verdict::Missing,
            (404, "ContainerNotFound" | "ResourceNotFound") | (409, "ContainerBeingDeleted") => {
                Verdict::Fail(Failure::NoContainer {
                    kind: "container",
                    name: self.name.clone(),
                    host: host(),
                })
            }
            (409, "BlobArchived" | "BlobBeingRehydrated") => {
                Verdict::Fail(Failure::Cold { class: ARCHIVE.into() })
            }
            (404 | 408 | 429 | 500..=599, _) => Verdict::by_status(answer),
            (_, "") => Verdict::Fail(answer.nonsense()),
            _ => Verdict::Fail(answer.refusal(code, &message(answer))),
        }
    }

    fn renew(&self, _: &Failure) -> Result<bool, Failure> {
        self.identity.renew()
    }
}

impl Container {
    fn wrong(&self, answer: &Answer) -> Failure {
        Failure::WrongKey {
            host: answer.host.clone(),
            credentials: self.identity.source_of().into(),
            message: message(answer),
        }
    }

    /// Finds out why a signature is not taken. Its details are not told: they hold what was signed.
    fn not_authenticated(&self, answer: &Answer) -> Verdict {
        let credentials = self.identity.source_of().to_string();
        let host = answer.host.clone();
        if let Some(seconds) = skew(answer) {
            return Verdict::Fail(Failure::ClockSkew { host, seconds });
        }
        match self.identity.kind() {
            identity::Kind::Sas if answer.text().contains("not valid in the specified time frame") => {
                Verdict::Fail(Failure::Expired { credentials })
            }
            identity::Kind::Sas => Verdict::Fail(self.wrong(answer)),
            identity::Kind::Key => Verdict::Fail(Failure::WrongSecret { host, credentials }),
            identity::Kind::Token => Verdict::Renew(self.wrong(answer)),
        }
    }

    fn not_permitted(&self, request: &Request, code: &str, host: String) -> Failure {
        let action = if request.kind == Kind::List { "listing" } else { "reading" };
        let right = match (code, self.identity.kind()) {
            ("AuthorizationFailure", _) => "to come from this network",
            (_, identity::Kind::Token) => "of the role Storage Blob Data Reader",
            _ if request.kind == Kind::List => "to list (l, for containers)",
            _ => "to read (r, for objects)",
        };
        Failure::NotPermitted {
            host,
            action: format!("{action} container {}", self.name),
            credentials: self.identity.source_of().into(),
            right: Some(right.into()),
        }
    }
}

/// Returns how many seconds this machine is ahead of the server, if that is too much.
fn skew(answer: &Answer) -> Option<i64> {
    let (ours, theirs) = (SystemTime::now(), answer.date()?);
    let seconds = match ours.duration_since(theirs) {
        Ok(ahead) => i64::try_from(ahead.as_secs()).ok()?,
        Err(behind) => -i64::try_from(behind.duration().as_secs()).ok()?,
    };
    (seconds.unsigned_abs() > MOST_SKEW).then_some(seconds)
}

/// Returns the first line of what the server says in XML. The lines after it are ids and times.
fn message(answer: &Answer) -> String {
    let text = answer.text();
    let message = text.split_once("<Message>").and_then(|(_, rest)| rest.split(['<', '\r', '\n']).next());
    message.unwrap_or("it does not say why").to_string()
}
