//! Keys that a service of this machine gives: of a container's, or the metadata of a virtual machine.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use kopia_connection::Secret;
use kopia_storage::Failure;
use serde::Deserialize;

use super::{Keys, Source, no_keys};
use crate::http::{Answer, Client, Kind, Network, Origin, Request, Service, Trouble, Trust};
use crate::objects::rfc3339;

/// Goes by the status of answers.
#[derive(Debug)]
pub(super) struct Plain;

impl Service for Plain {}

/// What such services answer, and programs that give keys.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Given {
    code: Option<String>,
    access_key_id: String,
    secret_access_key: String,
    /// Services call it `Token`, programs `SessionToken`.
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
}

impl Given {
    /// Reads keys; what is wrong is told without what was read.
    pub(super) fn keys(json: &[u8], source: &str) -> Result<Keys, Failure> {
        let given: Self = serde_json::from_slice(json)
            .map_err(|_| no_keys(source, "the answer is not as JSON of keys is"))?;
        if let Some(code) = given.code.filter(|code| code != "Success") {
            return Err(no_keys(source, code.chars().take(80).collect::<String>()));
        }
        if given.access_key_id.is_empty() || given.secret_access_key.is_empty() {
            return Err(no_keys(source, "the answer has no keys"));
        }
        let mut keys = Keys::new(given.access_key_id, given.secret_access_key);
        keys = keys.with_token(given.token.map(Secret::from));
        keys.expires = given.expiration.and_then(|time| rfc3339(&time)) as Option<SystemTime>;
        Ok(keys)
    }
}

/// The service of a container: ECS, or EKS Pod Identity.
#[derive(Debug)]
pub(super) struct Container {
    client: Client,
    path: String,
    token_file: Option<PathBuf>,
    token: Option<Secret>,
}

impl Container {
    pub(super) fn new(
        network: &Network,
        url: &str,
        token_file: Option<PathBuf>,
        token: Option<Secret>,
    ) -> Result<Self, Failure> {
        let (origin, _, path) = Origin::of_url(url)?;
        if !origin.is_secure() && !is_near(origin.host()) {
            let what = "AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL of this machine".into();
            return Err(Failure::Unusable { what });
        }
        let client = network.client(origin, &Trust::System, "a service of credentials")?;
        Ok(Self { client, path, token_file, token })
    }

    /// Returns the token to ask with. The file is read each time, because it is written anew before the token
    /// expires.
    fn authorization(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.token_file else {
            return Ok(self.token.as_ref().map(|token| token.reveal().to_string()));
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| no_keys(file.display().to_string(), error.to_string()))?;
        Ok(Some(text.trim().to_string()))
    }
}

impl Source for Container {
    fn name(&self) -> String {
        format!("the container's service at {}", self.client.host())
    }

    fn get(&self) -> Result<Option<Keys>, Failure> {
        let mut request = Request::new("GET", &*self.path, Kind::Other);
        if let Some(token) = self.authorization()? {
            request.set("authorization", token);
        }
        let answer = self.client.call(&Plain, &request);
        let answer = answer
            .map_err(|trouble| no_keys(self.name(), trouble.failure(&self.client.host()).to_string()))?;
        Given::keys(&answer.body, &self.name()).map(Some)
    }
}

/// Whether a host is this machine or one of the addresses that only this machine's platform answers.
fn is_near(host: &str) -> bool {
    let platform = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    let address: Option<IpAddr> = host.parse().ok();
    host == "localhost"
        || address.is_some_and(|address| {
            address.is_loopback() || platform.iter().any(|near| near.parse() == Ok(address))
        })
}

/// The metadata service of a virtual machine: version 2, or 1 where there is no other.
#[derive(Debug)]
pub(super) struct Machine {
    client: Client,
}

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

impl Machine {
    pub(super) fn new(network: &Network, url: &str) -> Result<Self, Failure> {
        let (origin, ..) = Origin::of_url(url)?;
        Ok(Self { client: network.client(origin, &Trust::System, "a metadata service")? })
    }

    /// Asks for the token of version 2. `None` is that the service has only version 1.
    fn token(&self) -> Result<Option<String>, Trouble> {
        let request = Request::new("PUT", "/latest/api/token", Kind::Other)
            .with("x-aws-ec2-metadata-token-ttl-seconds", "21600");
        match self.client.call(&Plain, &request) {
            Ok(answer) => Ok(Some(answer.text().trim().to_string())),
            Err(Trouble::Missing | Trouble::Failed(Failure::Nonsense { status: 400..=405, .. })) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    fn ask(&self, path: &str, token: Option<&str>) -> Result<Answer, Trouble> {
        let mut request = Request::new("GET", path, Kind::Other);
        if let Some(token) = token {
            request.set("x-aws-ec2-metadata-token", token);
        }
        self.client.call(&Plain, &request)
    }
}

impl Source for Machine {
    fn name(&self) -> String {
        "this machine's metadata".into()
    }

    fn get(&self) -> Result<Option<Keys>, Failure> {
        // Nobody answers, or the machine has no role: then there are no keys here, and that is no failure.
        let Ok(token) = self.token() else { return Ok(None) };
        let Ok(roles) = self.ask(ROLES, token.as_deref()) else { return Ok(None) };
        let text = roles.text();
        let Some(role) = text.lines().next().map(str::trim).filter(|role| is_a_role(role)) else {
            return Ok(None);
        };
        let answer = self.ask(&format!("{ROLES}{role}"), token.as_deref());
        let answer = answer
            .map_err(|trouble| no_keys(self.name(), trouble.failure(&self.client.host()).to_string()))?;
        Given::keys(&answer.body, &self.name()).map(Some)
    }
}

fn is_a_role(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    !text.is_empty() && text.chars().all(plain)
}
