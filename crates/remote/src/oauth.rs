//! Asks services for tokens: OAuth 2.0 and what is like it.
//!
//! Answers hold tokens and requests hold secrets, so failures tell neither: only the service's own word for
//! what is wrong.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kopia_connection::Secret;
use kopia_storage::Failure;
use serde::Deserialize;
use serde_json::Value;

use crate::http::{Answer, Kind, Network, Origin, Request, Service, Trust, Verdict};
use crate::lease::Lease;
use crate::objects::encoded;

/// How far the clocks may differ that sign a statement and check it.
const MOST_SKEW: Duration = Duration::from_secs(240);

/// How much of a service's words is told.
const TOLD: usize = 200;

/// The longest answer with a token.
const ANSWER_LIMIT: u64 = 1 << 20;

/// Where tokens come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issuer<'a> {
    pub(crate) network: &'a Network,
    /// Where the credentials come from, such as `GOOGLE_APPLICATION_CREDENTIALS`.
    pub(crate) source_of: &'a str,
}

impl Issuer<'_> {
    /// Asks by a form, and reads a token from the answer.
    pub(crate) fn by_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<Lease<Secret>, Failure> {
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = Request::new("POST", "", Kind::Other)
            .with_body("application/x-www-form-urlencoded", pairs.join("&"));
        token(&self.ask(url, request)?)
    }

    /// Makes a request at a URL; its path is that of the URL. Refusals are told as what they are: credentials
    /// that cannot be got.
    pub(crate) fn ask(&self, url: &str, request: Request) -> Result<Answer, Failure> {
        let (origin, _, path) = Origin::of_url(url)?;
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        let request = Request { path, limit: ANSWER_LIMIT, ..request }.with("accept", "application/json");
        let client = self.network.client(origin, &Trust::System, "a token service")?;
        let answer = client.call(&Asking, &request).map_err(|trouble| trouble.failure(&client.host()));
        answer.map_err(|failure| self.told(failure))
    }

    /// Says whose credentials a refusal is about.
    fn told(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Refusal { .. } | Failure::Nonsense { .. } => self.unusable(&failure.to_string()),
            other => other,
        }
    }

    /// Makes the failure that credentials are of no use.
    pub(crate) fn unusable(&self, why: &str) -> Failure {
        Failure::Credentials { source_of: self.source_of.into(), why: why.into() }
    }
}

/// Asks without credentials but those in the request.
#[derive(Debug)]
struct Asking;

impl Service for Asking {
    fn judge(&self, _: &Request, answer: &Answer) -> Verdict {
        if matches!(answer.status, 408 | 429 | 500..=599) {
            return Verdict::by_status(answer);
        }
        if let Some(skew) = clock_skew(answer) {
            return Verdict::Fail(skew);
        }
        let (code, message) = refusal(&answer.body);
        Verdict::Fail(answer.refusal(&code, &message))
    }
}

/// Returns the failure that the clocks differ, if a refusal says that a statement is not of now.
fn clock_skew(answer: &Answer) -> Option<Failure> {
    let text = answer.text().to_ascii_lowercase();
    let about_time = ["iat", "exp ", "timeframe", "time range", "not yet valid", "expired"];
    let ours = SystemTime::now();
    let theirs = answer.date().filter(|_| about_time.iter().any(|word| text.contains(word)))?;
    let ahead = ours.duration_since(theirs);
    let (sign, difference) = match ahead {
        Ok(ahead) => (1, ahead),
        Err(behind) => (-1, behind.duration()),
    };
    let seconds = sign * i64::try_from(difference.as_secs()).unwrap_or(i64::MAX);
    (difference > MOST_SKEW).then(|| Failure::ClockSkew { host: answer.host.clone(), seconds })
}

/// Returns a service's word for a refusal, and the first line of its explanation.
fn refusal(body: &[u8]) -> (String, String) {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_string);
    let error = &json["error"];
    let code = text(error).or_else(|| text(&error["status"])).or_else(|| text(&json["code"]));
    let message = text(&json["error_description"])
        .or_else(|| text(&error["message"]))
        .or_else(|| text(&json["message"]))
        .unwrap_or_else(|| "it gives no token, and no reason".into());
    let first: String = message.lines().next().unwrap_or_default().chars().take(TOLD).collect();
    (code.unwrap_or_default().chars().take(TOLD).collect(), first)
}

#[derive(Deserialize)]
struct Written {
    #[serde(alias = "accessToken")]
    access_token: String,
    /// Seconds, as a number or a text.
    #[serde(default)]
    expires_in: Value,
    /// Seconds since 1970, as a number or a text.
    #[serde(default)]
    expires_on: Value,
    /// RFC 3339.
    #[serde(default, rename = "expireTime")]
    expire_time: Option<String>,
}

/// Reads a token from an answer.
pub(crate) fn token(answer: &Answer) -> Result<Lease<Secret>, Failure> {
    // The body may hold the token, so nothing of it is told.
    parsed(&answer.body, SystemTime::now()).ok_or_else(|| answer.refusal("", "it holds no token"))
}

fn parsed(body: &[u8], now: SystemTime) -> Option<Lease<Secret>> {
    let written: Written = serde_json::from_slice(body).ok()?;
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    let since_1970 = || UNIX_EPOCH.checked_add(Duration::from_secs(number(&written.expires_on)?));
    let end = since_1970().or_else(|| crate::objects::rfc3339(written.expire_time.as_deref()?));
    let length = number(&written.expires_in).map(Duration::from_secs);
    let length = length.or_else(|| end.map(|end| end.duration_since(now).unwrap_or_default()));
    Some(Lease::new(Secret::from(written.access_token), length)).filter(|_| !body.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_its_end_however_that_is_written() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for body in [
            r#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#,
            r#"{"access_token":"t","expires_in":"86399","expires_on":"1700086399","resource":"r"}"#,
            r#"{"access_token":"t","expires_on":"1700003600"}"#,
            r#"{"accessToken":"t","expireTime":"2023-11-14T23:13:20Z"}"#,
            r#"{"access_token":"t"}"#,
        ] {
            let lease = parsed(body.as_bytes(), now).unwrap_or_else(|| panic!("{body}"));
            let renewed = crate::lease::Renewed::default();
            assert_eq!(renewed.get(|| Ok(lease)).unwrap().reveal(), "t");
        }
        for body in ["", "{}", "<html>", r#"{"access_token":3}"#] {
            assert!(parsed(body.as_bytes(), now).is_none(), "{body}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_service() {
        for (body, code, message) in [
            (
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature.\r\nTrace"}"#,
                "invalid_grant",
                "Invalid JWT Signature.",
            ),
            (
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"no"}}"#,
                "PERMISSION_DENIED",
                "no",
            ),
            ("<html>", "", "it gives no token, and no reason"),
        ] {
            assert_eq!(refusal(body.as_bytes()), (code.into(), message.into()), "{body}");
        }
    }
}
