//! Signs in to B2, and knows where to go from there.
//!
//! A sign-in gives a token for a day and the hosts of everything else. It costs nothing that is counted.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kopia_connection::Secret;
use kopia_connection::storage::B2;
use kopia_storage::Failure;
use serde_json::json;

use super::answers::{self, Authorization, Bucket};
use super::judge::SigningIn;
use crate::http::{Client, Kind, Network, Origin, Request, Trust};
use crate::lease::{Lease, Renewed};

/// What servers should be, for failures.
const EXPECTED: &str = "Backblaze B2";

/// How long a token is used. B2 takes it for 24 hours.
const LENGTH: Duration = Duration::from_secs(23 * 3600);

/// A key of B2, which signs in when need be.
#[derive(Debug)]
pub(super) struct Account {
    network: Network,
    sign_in: Client,
    key_id: String,
    key: Secret,
    /// What the source of the key is called.
    source_of: String,
    session: Renewed<Arc<Session>>,
}

/// What a sign-in gives.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) authorization: Authorization,
    /// For listings.
    pub(super) api: Client,
    /// For blobs.
    pub(super) download: Client,
}

impl Account {
    pub(super) fn new(sign_in: &str, place: &B2, network: Network) -> Result<Self, Failure> {
        let environment = &network.options().environment;
        let variable = environment.var("B2_KEY").map(Secret::from);
        let key_id = match &*place.key_id {
            "" => environment.var("B2_KEY_ID").unwrap_or_default().to_string(),
            id => id.to_string(),
        };
        let (key, source_of) = match (&place.key, variable) {
            (Some(key), _) => (key.clone(), "the connection's key".to_string()),
            (None, Some(key)) => (key, "B2_KEY".to_string()),
            (None, None) => {
                let looked = "the connection, B2_KEY_ID with B2_KEY".into();
                return Err(Failure::NoCredentials { host: EXPECTED.into(), looked });
            }
        };
        let sign_in = network.client(Origin::of_url(sign_in)?.0, &Trust::System, EXPECTED)?;
        Ok(Self { network, sign_in, key_id, key, source_of, session: Renewed::default() })
    }

    /// Returns where all sign in.
    pub(super) fn host(&self) -> &str {
        self.sign_in.origin().host()
    }

    pub(super) fn source_of(&self) -> &str {
        &self.source_of
    }

    /// Returns a session that is good now.
    pub(super) fn session(&self) -> Result<Arc<Session>, Failure> {
        self.session.get(|| self.authorize())
    }

    /// Signs in again.
    pub(super) fn renew(&self) -> Result<(), Failure> {
        self.session.renew(|| self.authorize())
    }

    fn authorize(&self) -> Result<Lease<Arc<Session>>, Failure> {
        let both = zeroize::Zeroizing::new(format!("{}:{}", self.key_id, self.key.reveal()));
        let basic = format!("Basic {}", STANDARD.encode(both.as_bytes()));
        let request =
            Request::new("GET", "/b2api/v2/b2_authorize_account", Kind::Other).with("authorization", basic);
        let service = SigningIn { source_of: &self.source_of };
        let answer = self.sign_in.call(&service, &request).map_err(|trouble| trouble.failure(self.host()))?;
        // The answer holds the token, so nothing of it is told.
        let authorization = answers::authorization(&answer.body)
            .ok_or_else(|| answer.refusal("", "it does not say where to go from there"))?;
        let client = |url: &str| {
            let origin = Origin::of_url(url)?.0;
            // The token goes there: over TLS, as the key came here.
            if self.sign_in.origin().is_secure() && !origin.is_secure() {
                return Err(Failure::Redirected { host: self.host().into(), to: origin.to_string() });
            }
            self.network.client(origin, &Trust::System, EXPECTED)
        };
        let (api, download) = (client(&authorization.api_url)?, client(&authorization.download_url)?);
        Ok(Lease::new(Arc::new(Session { authorization, api, download }), Some(LENGTH)))
    }

    /// Finds the id of a bucket, and whether the key may read what lies below the prefix.
    pub(super) fn bucket_id(&self, name: &str, prefix: &str) -> Result<String, Failure> {
        let session = self.session()?;
        self.check_rights(&session.authorization, name, prefix)?;
        let host = session.api.host();
        let no_bucket =
            || Failure::NoContainer { kind: "bucket", name: name.into(), host: self.host().into() };
        match &session.authorization.bucket {
            // A key for one bucket says which, and what it is called unless it may not know.
            Some(Bucket { id, name: Some(only) }) if only == name => return Ok(id.clone()),
            Some(Bucket { name: Some(only), .. }) => {
                let action = format!("anything in bucket {name}, only in {only},");
                return Err(self.not_permitted(&host, action, None));
            }
            _ => {}
        }
        let body = json!({"accountId": session.authorization.account, "bucketName": name});
        let request = Request::new("POST", "/b2api/v2/b2_list_buckets", Kind::Other)
            .with_body("application/json", body.to_string());
        let answer = session.api.call(self, &request).map_err(|trouble| trouble.failure(&host))?;
        let bucket = answers::bucket(&answer.body, name).ok_or_else(|| answer.nonsense())?;
        bucket.map(|bucket| bucket.id).ok_or_else(no_bucket)
    }

    /// Lists the buckets that the key may know of.
    pub(super) fn buckets(&self) -> Result<Vec<String>, Failure> {
        let session = self.session()?;
        if let Some(only) = &session.authorization.bucket {
            return Ok(only.name.iter().cloned().collect());
        }
        let body = json!({"accountId": session.authorization.account});
        let request = Request::new("POST", "/b2api/v2/b2_list_buckets", Kind::Other)
            .with_body("application/json", body.to_string());
        let answer = session.api.call(self, &request);
        let answer = answer.map_err(|trouble| trouble.failure(&session.api.host()))?;
        answers::buckets(&answer.body).ok_or_else(|| answer.nonsense())
    }

    fn check_rights(&self, given: &Authorization, name: &str, prefix: &str) -> Result<(), Failure> {
        let host = self.host();
        for (right, action) in [("listFiles", "listing"), ("readFiles", "reading")] {
            if !given.capabilities.is_empty() && !given.capabilities.iter().any(|other| other == right) {
                let action = format!("{action} bucket {name}");
                return Err(self.not_permitted(host, action, Some(right.into())));
            }
        }
        match &given.name_prefix {
            Some(only) if !prefix.starts_with(&**only) => {
                let action = format!("reading what begins with {prefix:?}, only what begins with {only:?},");
                Err(self.not_permitted(host, action, None))
            }
            _ => Ok(()),
        }
    }

    fn not_permitted(&self, host: &str, action: String, right: Option<String>) -> Failure {
        Failure::NotPermitted { host: host.into(), action, credentials: self.source_of.clone(), right }
    }
}
