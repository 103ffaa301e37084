//! Profiles of `~/.aws/credentials` and `~/.aws/config`, which AWS's own tools write. Kopia does not read
//! them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kopia_connection::storage::S3Role;
use kopia_connection::{Environment, Secret};
use kopia_storage::Failure;

use super::chain::Chain;
use super::process::Process;
use super::{Fixed, Keys, Source, no_keys};

/// How many profiles may refer to each other in a row.
const MOST_STEPS: usize = 5;

/// How long such a file may be.
const FILE_LIMIT: u64 = 1 << 20;

/// The fields of each profile, of both files.
pub(super) struct Profiles(HashMap<String, HashMap<String, String>>);

impl Profiles {
    /// Reads both files; one that is not there has no profiles.
    pub(super) fn read(environment: &Environment) -> Result<Self, Failure> {
        let path = |variable: &str, name: &str| {
            let named = environment.var_os(variable).map(PathBuf::from);
            named.or_else(|| Some(environment.home()?.join(".aws").join(name)))
        };
        let mut profiles = Self(HashMap::new());
        let config = path("AWS_CONFIG_FILE", "config");
        profiles.add(&text(config.as_deref())?, |section| match section {
            "default" => Some("default".into()),
            other => Some(other.strip_prefix("profile ")?.trim().into()),
        });
        let credentials = path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        // Keys in the file for them go before those in the other.
        profiles.add(&text(credentials.as_deref())?, |section| Some(section.into()));
        Ok(profiles)
    }

    /// Reads a text as one of the files, for fuzz targets.
    #[cfg(feature = "testing")]
    pub(super) fn exercise(text: &str) {
        let mut profiles = Self(HashMap::new());
        profiles.add(text, |section| Some(section.into()));
        for fields in profiles.0.values() {
            let _ = own_keys(fields);
        }
    }

    fn add(&mut self, text: &str, name_of: impl Fn(&str) -> Option<String>) {
        let mut profile = None;
        for line in text.lines() {
            let trimmed = line.trim();
            if let Some(section) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                profile = name_of(section.trim());
                self.0.extend(
                    profile
                        .clone()
                        .map(|name| (name, HashMap::new()))
                        .filter(|(name, _)| !self.0.contains_key(name)),
                );
                continue;
            }
            // Indented lines belong to a field of several lines, of which none is of use here.
            let comment = trimmed.starts_with(['#', ';']) || line.starts_with([' ', '\t']);
            if let (false, Some(name), Some((field, value))) = (comment, &profile, trimmed.split_once('=')) {
                let fields = self.0.entry(name.clone()).or_default();
                fields.insert(field.trim().to_ascii_lowercase(), value.trim().into());
            }
        }
    }

    /// Returns the source that a profile describes.
    pub(super) fn source(
        &self,
        name: &str,
        chain: &Chain<'_>,
        steps: usize,
    ) -> Result<Box<dyn Source>, Failure> {
        let of = format!("profile {name}");
        let fields = self.0.get(name).ok_or_else(|| no_keys(&of, "there is no such profile in ~/.aws"))?;
        let field = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let written = || {
            let source = Written { profile: name.into(), environment: chain.environment.clone() };
            own_keys(fields).map(|_| Box::new(source) as Box<dyn Source>)
        };
        if steps >= MOST_STEPS {
            return Err(no_keys(&of, "its profiles refer to each other in a circle"));
        }
        if let Some(arn) = field("role_arn") {
            let session = field("role_session_name").map(str::to_string);
            if let Some(file) = field("web_identity_token_file") {
                return chain.web_identity_of(chain.environment.expand(file), arn.into(), session);
            }
            if field("mfa_serial").is_some() {
                return Err(no_keys(&of, "a role that wants a second factor (mfa_serial) is not supported"));
            }
            let base = match (field("source_profile"), field("credential_source")) {
                // A profile may take its own keys to assume its role.
                (Some(source), _) if source == name => written(),
                (Some(source), _) => Some(self.source(source, chain, steps + 1)?),
                (None, Some(source)) => ambient(&of, source, chain)?,
                (None, None) => None,
            };
            let base = base.ok_or_else(|| {
                no_keys(&of, "its role_arn has neither source_profile nor credential_source")
            })?;
            let role = role(arn, session, field("duration_seconds"), field("region"));
            return chain.assumed(base, &role, field("external_id").map(str::to_string));
        }
        if let Some(keys) = written() {
            return Ok(keys);
        }
        if let Some(line) = field("credential_process") {
            return Ok(Box::new(Process::new(name, line)?));
        }
        let single_sign_on = fields.keys().any(|name| name.starts_with("sso_"));
        let why = if single_sign_on {
            "single sign-on is not supported; let `aws configure export-credentials --format env` give its keys"
        } else {
            "it has no keys"
        };
        Err(no_keys(of, why))
    }
}

/// Keys that stand in a profile. The file is read each time: what has expired may have been replaced.
#[derive(Debug)]
struct Written {
    profile: String,
    environment: Environment,
}

impl Source for Written {
    fn name(&self) -> String {
        format!("profile {}", self.profile)
    }

    fn get(&self) -> Result<Option<Keys>, Failure> {
        let profiles = Profiles::read(&self.environment)?;
        let keys = profiles.0.get(&self.profile).and_then(own_keys);
        keys.map(Some).ok_or_else(|| no_keys(self.name(), "its keys are gone"))
    }
}

fn own_keys(fields: &HashMap<String, String>) -> Option<Keys> {
    let field = |name: &str| fields.get(name).filter(|value| !value.is_empty());
    let keys = Keys::new(&**field("aws_access_key_id")?, field("aws_secret_access_key")?.as_str());
    Some(keys.with_token(field("aws_session_token").map(|token| Secret::from(&**token))))
}

/// Returns where `credential_source` says that keys come from.
fn ambient(of: &str, source: &str, chain: &Chain<'_>) -> Result<Option<Box<dyn Source>>, Failure> {
    Ok(match source {
        "Environment" => chain
            .variables()
            .map(|keys| Box::new(Fixed { name: "AWS_ACCESS_KEY_ID".into(), keys }) as Box<dyn Source>),
        "EcsContainer" => chain.container()?.map(|container| Box::new(container) as Box<dyn Source>),
        "Ec2InstanceMetadata" => chain.machine().map(|machine| Box::new(machine) as Box<dyn Source>),
        other => return Err(no_keys(of, format!("credential_source {other} is not known"))),
    })
}

fn role(arn: &str, session_name: Option<String>, seconds: Option<&str>, region: Option<&str>) -> S3Role {
    let mut role = S3Role::default();
    role.arn = arn.into();
    role.session_name = session_name;
    role.duration = seconds.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    role.region = region.map(str::to_string);
    role
}

fn text(path: Option<&Path>) -> Result<String, Failure> {
    let Some(path) = path else { return Ok(String::new()) };
    let failed = |why: String| no_keys(path.display().to_string(), why);
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Ok(found) if found.len() > FILE_LIMIT => return Err(failed("it is too long".into())),
        _ => {}
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}
