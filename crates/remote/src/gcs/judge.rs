//! What Google Cloud Storage means by its refusals.
//!
//! Authority: Google's references "HTTP status and error codes" of the JSON and the XML interface.

use kopia_storage::Failure;
use serde_json::Value;

use crate::google::Google;
use crate::http::{Answer, Kind, Request, Service, Verdict};

/// A bucket, and who asks for what is in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(super) name: String,
    /// Nobody, for emulators.
    pub(super) account: Option<Google>,
}

impl Service for Bucket {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        self.account.as_ref().map_or(Ok(()), |account| account.sign(request))
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        let host = || answer.host.clone();
        let Some((code, message)) = words(answer) else { return Verdict::by_status(answer) };
        match (answer.status, &*code) {
            (401, _) => {
                Verdict::Renew(Failure::WrongKey { host: host(), credentials: self.credentials(), message })
            }
            (403, "rateLimitExceeded" | "userRateLimitExceeded") => {
                Verdict::Again(Failure::Busy { host: host(), status: 403 })
            }
            (403, "" | "forbidden" | "AccessDenied" | "insufficientPermissions") => {
                Verdict::Fail(self.not_permitted(request, host()))
            }
            (404, "NoSuchKey") => Verdict::Missing,
            (404, _) if request.kind != Kind::Read || code == "NoSuchBucket" => {
                Verdict::Fail(Failure::NoContainer { kind: "bucket", name: self.name.clone(), host: host() })
            }
            (404 | 408 | 429 | 500..=599, _) => Verdict::by_status(answer),
            _ => Verdict::Fail(answer.refusal(&code, &message)),
        }
    }

    fn renew(&self, _: &Failure) -> Result<bool, Failure> {
        self.account.as_ref().map_or(Ok(false), |account| account.renew().map(|()| true))
    }
}

impl Bucket {
    fn credentials(&self) -> String {
        self.account.as_ref().map_or_else(|| "nowhere".into(), |account| account.source_of().into())
    }

    fn not_permitted(&self, request: &Request, host: String) -> Failure {
        let (action, right) = match request.kind {
            Kind::List => ("listing", "storage.objects.list"),
            Kind::Read => ("reading", "storage.objects.get"),
            Kind::Other => ("describing", "storage.buckets.get"),
        };
        Failure::NotPermitted {
            host,
            action: format!("{action} bucket {}", self.name),
            credentials: self.credentials(),
            right: Some(right.into()),
        }
    }
}

/// Returns the code and the message of a refusal: in JSON or in XML, by the interface. An answer without a
/// body has none of both.
fn words(answer: &Answer) -> Option<(String, String)> {
    let text = answer.text();
    if text.trim().is_empty() {
        return Some((String::new(), String::new()));
    }
    if let Ok(json) = serde_json::from_str::<Value>(&text) {
        let error = json.get("error")?;
        let code = error["errors"][0]["reason"].as_str().or_else(|| error["status"].as_str());
        let message = error["message"].as_str().or_else(|| error.as_str()).unwrap_or_default();
        return Some((code.unwrap_or_default().into(), message.into()));
    }
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once('<').map(|(text, _)| text.to_string())
    };
    Some((element("Code")?, element("Message").unwrap_or_default()))
}
