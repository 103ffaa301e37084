//! Keys of roles, from AWS's Security Token Service or what speaks its language.

use std::path::PathBuf;
use std::time::SystemTime;

use kopia_connection::Secret;
use kopia_connection::storage::S3Role;
use kopia_storage::Failure;

use super::http::Plain;
use super::{Keys, Source, no_keys};
use crate::http::{Answer, Client, Kind, Network, Origin, Request, Service, Trust, Verdict};
use crate::objects::{encoded, rfc3339};
use crate::s3::address::FIRST_REGION;
use crate::s3::answers::Asker;
use crate::s3::sign::{Scope, sign};
use crate::xml;

/// What a session is called in logs if nobody says so.
const SESSION: &str = "kopia-rs";

/// A token service.
#[derive(Debug)]
pub(super) struct Sts {
    client: Client,
    path: String,
    region: String,
}

impl Sts {
    /// Takes the service at a URL, or Amazon's of a region.
    pub(super) fn new(
        network: &Network,
        trust: &Trust,
        endpoint: Option<&str>,
        region: Option<&str>,
    ) -> Result<Self, Failure> {
        let region = region.filter(|region| !region.is_empty());
        let url = match (endpoint, region) {
            (Some(url), _) => url.to_string(),
            (None, Some(region)) if region.starts_with("cn-") => {
                format!("https://sts.{region}.amazonaws.com.cn")
            }
            (None, Some(region)) => format!("https://sts.{region}.amazonaws.com"),
            (None, None) => "https://sts.amazonaws.com".into(),
        };
        let (origin, _, path) = Origin::of_url(&url)?;
        let client = network.client(origin, trust, "a token service")?;
        let path = if path.is_empty() { "/".into() } else { path };
        Ok(Self { client, path, region: region.unwrap_or(FIRST_REGION).into() })
    }

    fn ask(&self, form: &[(&str, &str)], keys: Option<Keys>, source: &str) -> Result<Keys, Failure> {
        let body = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect::<Vec<_>>()
            .join("&");
        let request = Request::new("POST", &*self.path, Kind::Other)
            .with_body("application/x-www-form-urlencoded", body);
        let answer = match keys {
            Some(keys) => self.client.call(&Signed { keys, region: &self.region }, &request),
            None => self.client.call(&Unsigned, &request),
        };
        let answer = answer.map_err(|trouble| match trouble.failure(&self.client.host()) {
            Failure::Refusal { status, message, .. } => {
                no_keys(source, format!("{} answered {status}: {message}", self.client.host()))
            }
            other => other,
        })?;
        read(&answer).ok_or_else(|| answer.nonsense())
    }
}

/// Reads the keys of an answer.
pub(super) fn read(answer: &Answer) -> Option<Keys> {
    let (mut id, mut secret, mut token, mut expires) =
        (String::new(), String::new(), None, None::<SystemTime>);
    xml::walk(&answer.body, |path, text| {
        let mut parts = path.rsplit('/');
        match (parts.next(), parts.next()) {
            (Some("AccessKeyId"), Some("Credentials")) => id = text.into(),
            (Some("SecretAccessKey"), Some("Credentials")) => secret = text.into(),
            (Some("SessionToken"), Some("Credentials")) => token = Some(Secret::from(text)),
            (Some("Expiration"), Some("Credentials")) => expires = rfc3339(text.trim()),
            _ => {}
        }
    })
    .ok()?;
    let there = !id.is_empty() && !secret.is_empty();
    there.then(|| Keys { expires, ..Keys::new(id, secret).with_token(token) })
}

/// Signs requests to the service.
#[derive(Debug)]
struct Signed<'a> {
    keys: Keys,
    region: &'a str,
}

impl Service for Signed<'_> {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        sign(request, &self.keys, &Scope { region: self.region, service: "sts", time: SystemTime::now() });
        Ok(())
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        judge(request, answer)
    }
}

/// Asks with what the request itself proves.
#[derive(Debug)]
struct Unsigned;

impl Service for Unsigned {
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        Plain.sign(request)
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        judge(request, answer)
    }
}

/// The errors are those of S3, but a denial has a reason in it that is worth more than our words.
fn judge(request: &Request, answer: &Answer) -> Verdict {
    let asker =
        Asker { bucket: "", region: "", credentials: Some("the keys for the token service"), looked: "" };
    match asker.judge(request, answer) {
        Verdict::Fail(Failure::NotPermitted { .. }) => {
            Verdict::Fail(answer.refusal("AccessDenied", "the role may not be assumed with these keys"))
        }
        other => other,
    }
}

/// A role that is assumed with other keys.
#[derive(Debug)]
pub(super) struct Assumed {
    pub(super) sts: Sts,
    pub(super) base: Box<dyn Source>,
    pub(super) role: S3Role,
    pub(super) external_id: Option<String>,
}

impl Source for Assumed {
    fn name(&self) -> String {
        format!("role {} by {}", self.role.arn, self.base.name())
    }

    fn get(&self) -> Result<Option<Keys>, Failure> {
        let keys =
            self.base.get()?.ok_or_else(|| no_keys(self.name(), "there are no keys to assume it with"))?;
        let seconds = self.role.duration.map_or(3600, |time| time.as_secs()).clamp(900, 43_200).to_string();
        let session = self.role.session_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(SESSION);
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &*self.role.arn),
            ("RoleSessionName", session),
            ("DurationSeconds", &*seconds),
        ];
        form.extend(self.external_id.as_deref().map(|id| ("ExternalId", id)));
        self.sts.ask(&form, Some(keys), &self.name()).map(Some)
    }
}

/// A role that a token in a file vouches for.
#[derive(Debug)]
pub(super) struct WebIdentity {
    pub(super) sts: Sts,
    pub(super) file: PathBuf,
    pub(super) role: String,
    pub(super) session: Option<String>,
}

impl Source for WebIdentity {
    fn name(&self) -> String {
        format!("role {} by the token in {}", self.role, self.file.display())
    }

    fn get(&self) -> Result<Option<Keys>, Failure> {
        // The file is written anew before the token expires.
        let token = std::fs::read_to_string(&self.file)
            .map_err(|error| no_keys(self.file.display().to_string(), error.to_string()))?;
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &*self.role),
            ("RoleSessionName", self.session.as_deref().unwrap_or(SESSION)),
            ("WebIdentityToken", token.trim()),
        ];
        self.sts.ask(&form, None, &self.name()).map(Some)
    }
}
