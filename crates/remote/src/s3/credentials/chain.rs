//! Which source is the first that has something.

use std::path::PathBuf;

use kopia_connection::storage::{S3, S3Role};
use kopia_connection::{Environment, Limits, Secret};
use kopia_storage::Failure;

use super::http::{Container, Machine};
use super::profile::Profiles;
use super::sts::{Assumed, Sts, WebIdentity};
use super::{Fixed, Keys, Source, no_keys};
use crate::connect::Options;
use crate::http::{Network, Trust};

/// Where is looked, for messages.
pub(crate) const LOOKED: &str = "in the connection, AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_*, \
     and this machine's metadata";

/// Returns where the keys of a connection come from. Nothing is asked yet.
///
/// # Errors
/// If a connection or a profile says something that cannot be.
pub(crate) fn source_of(
    place: &S3,
    network: &Network,
    trust: &Trust,
) -> Result<Option<Box<dyn Source>>, Failure> {
    let chain = Chain { environment: &network.options().environment, network, trust };
    let Some(role) = place.role.as_ref().filter(|role| !role.arn.is_empty()) else {
        return chain.base(place);
    };
    let base = chain.base(place)?;
    let base = base.ok_or_else(|| no_keys(&role.arn, "there are no keys to assume the role with"))?;
    Ok(Some(chain.assumed(base, role, None)?))
}

pub(super) struct Chain<'a> {
    pub(super) environment: &'a Environment,
    pub(super) network: &'a Network,
    pub(super) trust: &'a Trust,
}

impl Chain<'_> {
    fn base(&self, place: &S3) -> Result<Option<Box<dyn Source>>, Failure> {
        if let Some(name) = place.profile.as_deref().filter(|name| !name.is_empty()) {
            return self.profile(name).map(Some);
        }
        if let Some(keys) = given(place) {
            return fixed("the connection", keys);
        }
        if let Some(keys) = self.variables() {
            return fixed("AWS_ACCESS_KEY_ID", keys);
        }
        if let Some(name) = self.environment.var("AWS_PROFILE") {
            return self.profile(name).map(Some);
        }
        if self.environment.var_os("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
            return self.web_identity().map(Some);
        }
        if let Some(container) = self.container()? {
            return Ok(Some(Box::new(container)));
        }
        Ok(self.machine().map(|machine| Box::new(machine) as Box<dyn Source>))
    }

    fn profile(&self, name: &str) -> Result<Box<dyn Source>, Failure> {
        Profiles::read(self.environment)?.source(name, self, 0)
    }

    pub(super) fn variables(&self) -> Option<Keys> {
        let var = |name| self.environment.var(name);
        let id = var("AWS_ACCESS_KEY_ID").or_else(|| var("AWS_ACCESS_KEY"))?;
        let secret = var("AWS_SECRET_ACCESS_KEY").or_else(|| var("AWS_SECRET_KEY"))?;
        Some(Keys::new(id, secret).with_token(var("AWS_SESSION_TOKEN").map(Secret::from)))
    }

    fn web_identity(&self) -> Result<Box<dyn Source>, Failure> {
        let var = |name| self.environment.var(name);
        let file =
            self.environment.var_os("AWS_WEB_IDENTITY_TOKEN_FILE").map(PathBuf::from).unwrap_or_default();
        let role = var("AWS_ROLE_ARN")
            .ok_or_else(|| no_keys("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN is not set"))?;
        let session = var("AWS_ROLE_SESSION_NAME").map(str::to_string);
        self.web_identity_of(file, role.into(), session)
    }

    pub(super) fn web_identity_of(
        &self,
        file: PathBuf,
        role: String,
        session: Option<String>,
    ) -> Result<Box<dyn Source>, Failure> {
        let region =
            self.environment.var("AWS_REGION").or_else(|| self.environment.var("AWS_DEFAULT_REGION"));
        let sts = self.sts(None, region)?;
        Ok(Box::new(WebIdentity { sts, file, role, session }))
    }

    /// Returns a role that is assumed with the keys of another source.
    pub(super) fn assumed(
        &self,
        base: Box<dyn Source>,
        role: &S3Role,
        external_id: Option<String>,
    ) -> Result<Box<dyn Source>, Failure> {
        let sts = self.sts(role.endpoint.as_deref().filter(|url| !url.is_empty()), role.region.as_deref())?;
        Ok(Box::new(Assumed { sts, base, role: role.clone(), external_id }))
    }

    fn sts(&self, endpoint: Option<&str>, region: Option<&str>) -> Result<Sts, Failure> {
        let endpoint = endpoint.or_else(|| self.environment.var("AWS_ENDPOINT_URL_STS"));
        Sts::new(self.network, self.trust, endpoint, region)
    }

    /// Returns the source that a container's variables name, if they are set.
    pub(super) fn container(&self) -> Result<Option<Container>, Failure> {
        let var = |name| self.environment.var(name);
        let token_file = self.environment.var_os("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from);
        let token = var("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::from);
        let url = match (
            var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            var("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(path), _) => format!("http://169.254.170.2{path}"),
            (None, Some(url)) => url.into(),
            (None, None) => return Ok(None),
        };
        Container::new(&nearby(self.network, 3), &url, token_file, token).map(Some)
    }

    /// Returns the source that a virtual machine has, unless it was forbidden to ask.
    pub(super) fn machine(&self) -> Option<Machine> {
        let var = |name| self.environment.var(name);
        if var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let url = var("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or("http://169.254.169.254");
        // Where there is no such service, nobody answers at all.
        Machine::new(&nearby(self.network, 1), url).ok()
    }
}

fn given(place: &S3) -> Option<Keys> {
    let id = place.access_key.as_deref().filter(|id| !id.is_empty())?;
    let secret = place.secret_key.clone().filter(|secret| !secret.reveal().is_empty())?;
    Some(Keys::new(id, secret).with_token(place.session_token.clone()))
}

fn fixed(name: &str, keys: Keys) -> Result<Option<Box<dyn Source>>, Failure> {
    Ok(Some(Box::new(Fixed { name: name.into(), keys })))
}

/// Returns a network for services of this machine: no proxy, no limits, little patience.
fn nearby(network: &Network, tries: u32) -> Network {
    let mut options: Options = network.options().clone();
    options.environment = Environment::empty();
    options.patience.tries = tries;
    options.patience.connect = options.patience.connect.min(std::time::Duration::from_secs(1));
    options.patience.silence = options.patience.silence.min(std::time::Duration::from_secs(5));
    Network::new(&options, &Limits::default())
}
