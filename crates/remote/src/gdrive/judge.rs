//! What Google Drive means by its refusals.
//!
//! Authority: Google's "Resolve errors" of the Drive API.

use kopia_storage::Failure;
use serde_json::Value;

use crate::google::Google;
use crate::http::{Answer, Kind, Request, Service, Verdict};

/// A directory, and who asks for what is in it.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) id: String,
    /// Nobody, in tests.
    pub(super) account: Option<Google>,
}

impl Service for Folder {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        self.account.as_ref().map_or(Ok(()), |account| account.sign(request))
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        let host = || answer.host.clone();
        let Some((reason, message)) = words(answer) else { return Verdict::by_status(answer) };
        match (answer.status, &*reason) {
            (401, _) => {
                Verdict::Renew(Failure::WrongKey { host: host(), credentials: self.credentials(), message })
            }
            (403, "rateLimitExceeded" | "userRateLimitExceeded" | "sharingRateLimitExceeded") => {
                Verdict::Again(Failure::Busy { host: host(), status: 403 })
            }
            (
                403,
                "insufficientFilePermissions"
                | "insufficientPermissions"
                | "forbidden"
                | "appNotAuthorizedToFile",
            ) => {
                let action = if request.kind == Kind::List { "listing" } else { "reading files of" };
                Verdict::Fail(Failure::NotPermitted {
                    host: host(),
                    action: format!("{action} directory {}", self.id),
                    credentials: self.credentials(),
                    right: Some("to view, which sharing the directory with the account gives,".into()),
                })
            }
            (404, _) if request.kind == Kind::List => Verdict::Fail(Failure::NoContainer {
                kind: "folder",
                name: format!("{} (or it is not shared with the account)", self.id),
                host: host(),
            }),
            (404 | 408 | 429 | 500..=599, _) => Verdict::by_status(answer),
            _ => Verdict::Fail(answer.refusal(&reason, &message)),
        }
    }

    fn renew(&self, _: &Failure) -> Result<bool, Failure> {
        self.account.as_ref().map_or(Ok(false), |account| account.renew().map(|()| true))
    }
}

impl Folder {
    fn credentials(&self) -> String {
        self.account.as_ref().map_or_else(|| "nowhere".into(), |account| account.source_of().into())
    }
}

/// Returns the reason and the message of a refusal.
fn words(answer: &Answer) -> Option<(String, String)> {
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    let error = json.get("error")?;
    let reason = error["errors"][0]["reason"].as_str().or_else(|| error["status"].as_str());
    let message = error["message"].as_str().unwrap_or_default();
    Some((reason.unwrap_or_default().into(), message.into()))
}
