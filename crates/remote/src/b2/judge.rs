//! What B2 means by its refusals.
//!
//! Authority: Backblaze's "Integration Checklist" and the errors in the reference of each call.

use kopia_storage::Failure;

use super::answers::{self, Refusal};
use super::session::Account;
use crate::http::{Answer, Kind, Request, Service, Verdict};

/// Asks with the token of the session.
impl Service for Account {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        let session = self.session()?;
        request.set("authorization", session.authorization.token.reveal());
        Ok(())
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        // An answer to HEAD has no body; its status has to do.
        let refusal = answers::refusal(&answer.body);
        let code = refusal.as_ref().map_or("", |refusal| &refusal.code);
        let credentials = self.source_of().to_string();
        let host = answer.host.clone();
        match (answer.status, code) {
            (401, "bad_auth_token") => {
                Verdict::Renew(Failure::WrongKey { host, credentials, message: message(refusal.as_ref()) })
            }
            (401, "" | "expired_auth_token") => Verdict::Renew(Failure::Expired { credentials }),
            (401 | 403, "unauthorized" | "access_denied") | (403, "") => {
                let (action, right) = match request.kind {
                    Kind::List => ("listing files", "listFiles"),
                    Kind::Read => ("reading files", "readFiles"),
                    Kind::Other => ("listing buckets", "listBuckets"),
                };
                let right = Some(right.into());
                Verdict::Fail(Failure::NotPermitted { host, action: action.into(), credentials, right })
            }
            (403, code) if code.ends_with("cap_exceeded") => Verdict::Fail(cap(answer, code)),
            (404, _) | (400, "no_such_file") => Verdict::Missing,
            (408 | 429 | 500..=599, _) => Verdict::by_status(answer),
            (_, "") => Verdict::Fail(answer.nonsense()),
            (_, code) => Verdict::Fail(answer.refusal(code, &message(refusal.as_ref()))),
        }
    }

    fn renew(&self, _: &Failure) -> Result<bool, Failure> {
        Account::renew(self).map(|()| true)
    }
}

/// Signs in: the request holds the key already.
#[derive(Debug)]
pub(super) struct SigningIn<'a> {
    pub(super) source_of: &'a str,
}

impl Service for SigningIn<'_> {
    fn judge(&self, _: &Request, answer: &Answer) -> Verdict {
        let refusal = answers::refusal(&answer.body);
        let message = message(refusal.as_ref());
        match (answer.status, refusal) {
            (401, Some(_)) => Verdict::Fail(Failure::WrongKey {
                host: answer.host.clone(),
                credentials: self.source_of.into(),
                message,
            }),
            (403, Some(refusal)) if refusal.code.ends_with("cap_exceeded") => {
                Verdict::Fail(cap(answer, &refusal.code))
            }
            (404, _) | (_, None) => match Verdict::by_status(answer) {
                Verdict::Missing => Verdict::Fail(answer.nonsense()),
                verdict => verdict,
            },
            (408 | 429 | 500..=599, _) => Verdict::by_status(answer),
            (_, Some(refusal)) => Verdict::Fail(answer.refusal(&refusal.code, &message)),
        }
    }
}

/// Says that a cap is reached, and what there is to do.
fn cap(answer: &Answer, code: &str) -> Failure {
    let which = match code {
        "download_cap_exceeded" => "of downloads",
        "transaction_cap_exceeded" => "of calls",
        "storage_cap_exceeded" => "of stored bytes",
        _ => "on use",
    };
    let message = format!(
        "the account's cap {which} is reached: raise it in Backblaze's web console (Caps & Alerts), or wait until it \
         starts anew, which daily ones do at midnight GMT"
    );
    answer.refusal(code, &message)
}

fn message(refusal: Option<&Refusal>) -> String {
    refusal.map_or_else(|| "it does not say why".into(), |refusal| refusal.message.clone())
}
