//! Reads files of credentials for Google's clouds.
//!
//! Authority: Google's AIP-4110 and what follows it, and the Go package `golang.org/x/oauth2/google`. Errors
//! name the field that is wrong and never quote the file.

use std::path::PathBuf;

use kopia_connection::Secret;
use serde::Deserialize;
use serde_json::Value;

/// Where tokens are issued if a file names no place.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Who asks for tokens.
#[derive(Debug)]
pub(crate) enum Account {
    /// A service account with its private key.
    Service(Service),
    /// A user who signed in, by `gcloud auth application-default login`.
    User(User),
    /// Somebody whom another cloud or cluster vouches for.
    External(External),
    /// A service account that another account acts as.
    Impersonated(Impersonated),
}

/// A service account with its private key.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) email: String,
    pub(crate) key: Secret,
    pub(crate) key_id: Option<String>,
    pub(crate) token_url: String,
    /// The project that it belongs to.
    pub(crate) project: Option<String>,
}

/// A user who signed in.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) refresh_token: Secret,
    pub(crate) token_url: String,
    /// The project that the user works with.
    pub(crate) project: Option<String>,
}

/// Somebody whom another cloud or cluster vouches for: workload identity federation.
#[derive(Debug)]
pub(crate) struct External {
    pub(crate) audience: String,
    pub(crate) subject_token_type: String,
    pub(crate) token_url: String,
    pub(crate) subject: Subject,
    /// The URL where a service account's token is given for the one of the pool.
    pub(crate) impersonation_url: Option<String>,
}

/// A service account that another account acts as.
#[derive(Debug)]
pub(crate) struct Impersonated {
    pub(crate) source: Box<Account>,
    pub(crate) url: String,
    pub(crate) delegates: Vec<String>,
}

/// Where the token lies that vouches for somebody.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) place: Place,
    /// The field of a JSON object that it is; all of the text if there is none.
    pub(crate) field: Option<String>,
}

/// A file, or an address with the headers to ask with.
#[derive(Debug)]
pub(crate) enum Place {
    File(PathBuf),
    Url(String, Vec<(String, String)>),
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    service_account_impersonation_url: Option<String>,
    credential_source: Option<Value>,
    source_credentials: Option<Box<Written>>,
    delegates: Option<Vec<String>>,
    project_id: Option<String>,
    quota_project_id: Option<String>,
}

impl Account {
    /// Returns the project that the credentials name.
    pub(crate) fn project(&self) -> Option<&str> {
        match self {
            Self::Service(service) => service.project.as_deref(),
            Self::User(user) => user.project.as_deref(),
            Self::Impersonated(other) => other.source.project(),
            Self::External(_) => None,
        }
    }

    /// Reads the text of a file. The error says in words what is wrong with it.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        // The error of serde_json may quote values.
        let written: Written = serde_json::from_slice(json)
            .map_err(|error| format!("it is no JSON object of credentials (line {})", error.line()))?;
        Self::of(written, 0)
    }

    fn of(written: Written, depth: usize) -> Result<Self, String> {
        match written.kind.as_deref() {
            Some("service_account") => Service::of(written).map(Self::Service),
            Some("authorized_user") => User::of(written).map(Self::User),
            Some("external_account") => External::of(written).map(Self::External),
            Some("impersonated_service_account") if depth < 4 => {
                Impersonated::of(written, depth).map(Self::Impersonated)
            }
            Some(kind) => {
                let kind: String = kind.chars().take(40).collect();
                Err(format!("it is of the type {kind:?}, which is not supported"))
            }
            None => Err("it has no field `type`".into()),
        }
    }
}

impl Service {
    fn of(written: Written) -> Result<Self, String> {
        Ok(Self {
            email: wanted(written.client_email, "client_email")?,
            key: wanted(written.private_key, "private_key")?.into(),
            key_id: written.private_key_id.filter(|id| !id.is_empty()),
            project: written.project_id.filter(|id| !id.is_empty()),
            token_url: written.token_uri.filter(|url| !url.is_empty()).unwrap_or_else(|| TOKEN_URL.into()),
        })
    }
}

impl User {
    fn of(written: Written) -> Result<Self, String> {
        Ok(Self {
            client_id: wanted(written.client_id, "client_id")?,
            client_secret: wanted(written.client_secret, "client_secret")?.into(),
            refresh_token: wanted(written.refresh_token, "refresh_token")?.into(),
            project: written.quota_project_id.filter(|id| !id.is_empty()),
            token_url: written.token_uri.filter(|url| !url.is_empty()).unwrap_or_else(|| TOKEN_URL.into()),
        })
    }
}

impl External {
    fn of(written: Written) -> Result<Self, String> {
        let source = written.credential_source.unwrap_or_default();
        Ok(Self {
            audience: wanted(written.audience, "audience")?,
            subject_token_type: wanted(written.subject_token_type, "subject_token_type")?,
            token_url: wanted(written.token_url, "token_url")?,
            subject: Subject::of(&source)?,
            impersonation_url: written.service_account_impersonation_url.filter(|url| !url.is_empty()),
        })
    }
}

impl Subject {
    fn of(source: &Value) -> Result<Self, String> {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_string);
        let place = match (text(&source["file"]), text(&source["url"])) {
            (Some(file), _) => Place::File(file.into()),
            (None, Some(url)) => {
                let headers = source["headers"].as_object().into_iter().flatten();
                let headers = headers.filter_map(|(name, value)| Some((name.clone(), text(value)?)));
                Place::Url(url, headers.collect())
            }
            (None, None) => return Err("its credential_source is neither a file nor a URL".into()),
        };
        let is_json = source["format"]["type"].as_str() == Some("json");
        let field = text(&source["format"]["subject_token_field_name"]).filter(|_| is_json);
        if is_json && field.is_none() {
            return Err("its credential_source names no subject_token_field_name".into());
        }
        Ok(Self { place, field })
    }

    /// Takes the token out of what lies at the place.
    pub(crate) fn token(&self, text: &[u8]) -> Result<Secret, String> {
        let token = match &self.field {
            None => std::str::from_utf8(text).ok().map(|text| text.trim().to_string()),
            Some(field) => {
                let json: Option<Value> = serde_json::from_slice(text).ok();
                json.and_then(|json| json.get(field)?.as_str().map(str::to_string))
            }
        };
        token.filter(|token| !token.is_empty()).map(Secret::from).ok_or_else(|| "it holds no token".into())
    }
}

impl Impersonated {
    fn of(written: Written, depth: usize) -> Result<Self, String> {
        let source = written.source_credentials.ok_or_else(|| missing("source_credentials"))?;
        let url = written.service_account_impersonation_url;
        Ok(Self {
            source: Box::new(Account::of(*source, depth + 1)?),
            url: wanted(url, "service_account_impersonation_url")?,
            delegates: written.delegates.unwrap_or_default(),
        })
    }
}

fn wanted(value: Option<String>, field: &str) -> Result<String, String> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| missing(field))
}

fn missing(field: &str) -> String {
    format!("it has no field `{field}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read() {
        let json = br#"{"type":"service_account","client_email":"a@p.iam","private_key":"PEM","private_key_id":"1","project_id":"p"}"#;
        assert_eq!(Account::parse(json).unwrap().project(), Some("p"));
        let Ok(Account::Service(service)) = Account::parse(json) else { panic!() };
        assert_eq!(
            (&*service.email, service.key.reveal(), &*service.token_url),
            ("a@p.iam", "PEM", TOKEN_URL)
        );

        let json = br#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r","account":""}"#;
        let Ok(Account::User(user)) = Account::parse(json) else { panic!() };
        assert_eq!((&*user.client_id, user.refresh_token.reveal()), ("i", "r"));

        let json = br#"{"type":"external_account","audience":"//iam/pool","subject_token_type":"jwt","token_url":"https://sts/v1/token",
            "credential_source":{"url":"http://127.0.0.1/t","headers":{"Metadata":"True"},"format":{"type":"json","subject_token_field_name":"t"}}}"#;
        let Ok(Account::External(external)) = Account::parse(json) else { panic!() };
        assert!(
            matches!(&external.subject.place, Place::Url(url, headers) if url == "http://127.0.0.1/t" && headers.len() == 1)
        );
        assert_eq!(external.subject.token(br#"{"t":"x"}"#).unwrap().reveal(), "x");
        assert!(external.subject.token(b"x").is_err());

        let json = br#"{"type":"impersonated_service_account","service_account_impersonation_url":"https://iam/sa:generateAccessToken",
            "source_credentials":{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"}}"#;
        assert!(
            matches!(Account::parse(json), Ok(Account::Impersonated(i)) if matches!(*i.source, Account::User(_)))
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        for (json, wanted) in [
            (r#""s3cr3t""#, "no JSON object"),
            (r#"{"private_key":"s3cr3t"}"#, "`type`"),
            (r#"{"type":["s3cr3t"]}"#, "no JSON object"),
            (r#"{"type":"service_account","private_key":"s3cr3t"}"#, "`client_email`"),
            (r#"{"type":"gdch_service_account"}"#, "gdch_service_account"),
            (
                r#"{"type":"external_account","audience":"a","subject_token_type":"t","token_url":"u","credential_source":{"environment_id":"aws1"}}"#,
                "neither a file nor a URL",
            ),
        ] {
            let error = Account::parse(json.as_bytes()).unwrap_err();
            assert!(error.contains(wanted) && !error.contains("s3cr3t"), "{json}: {error}");
        }
        let mut deep =
            r#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"}"#
                .to_string();
        for _ in 0..5 {
            deep = format!(
                r#"{{"type":"impersonated_service_account","service_account_impersonation_url":"u","source_credentials":{deep}}}"#
            );
        }
        assert!(Account::parse(deep.as_bytes()).is_err());
    }
}
