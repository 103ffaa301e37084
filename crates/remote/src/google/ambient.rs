//! Finds credentials where Google's programs look: a variable, gcloud's file, and the metadata server.
//!
//! Authority: Google's "How Application Default Credentials works", and `golang.org/x/oauth2/google`.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kopia_connection::{Environment, Limits, Secret};
use kopia_storage::Failure;

use super::account::Account;
use super::{Origin, SUBJECT_LIMIT, Source};
use crate::http::{Kind, Network, Request};
use crate::lease::Lease;
use crate::oauth::{Issuer, token};
use crate::objects::encoded;

const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// The metadata server, by its address: no name has to be looked up where there is none.
const METADATA: &str = "169.254.169.254";

/// Finds credentials. Where none are written down, the metadata server is left.
pub(super) fn find(environment: &Environment) -> Result<Origin, Failure> {
    if let Some(path) = environment.var_os(VARIABLE) {
        return of_file(Path::new(path), format!("{VARIABLE} ({})", Path::new(path).display()));
    }
    if let Some(path) = gcloud_file(environment).filter(|path| path.is_file()) {
        return of_file(&path, path.display().to_string());
    }
    let host = environment.var("GCE_METADATA_HOST").unwrap_or(METADATA).to_string();
    Ok(Origin { name: format!("the metadata server {host}"), source: Source::Metadata(host) })
}

/// Returns where `gcloud auth application-default login` writes.
fn gcloud_file(environment: &Environment) -> Option<PathBuf> {
    let configured = environment.var_os("CLOUDSDK_CONFIG").map(PathBuf::from);
    let directory = configured.or_else(|| match environment.var_os("APPDATA").filter(|_| cfg!(windows)) {
        Some(data) => Some(Path::new(data).join("gcloud")),
        None => Some(environment.home()?.join(".config/gcloud")),
    })?;
    Some(directory.join("application_default_credentials.json"))
}

fn of_file(path: &Path, name: String) -> Result<Origin, Failure> {
    let account = Account::parse(&read(path, &name)?);
    let account = account.map_err(|why| Failure::Credentials { source_of: name.clone(), why })?;
    Ok(Origin { source: Source::Account(account), name })
}

/// Reads a file of credentials. `name` is what it is called if that fails.
pub(super) fn read(path: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(SUBJECT_LIMIT).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::NotFound => format!("there is no file {}", path.display()),
            _ => format!("{} cannot be read: {error}", path.display()),
        };
        Failure::Credentials { source_of: name.into(), why }
    })
}

/// Gets a token of the machine's own account from the metadata server.
pub(super) fn of_metadata(
    network: &Network,
    name: &str,
    host: &str,
    scope: &str,
) -> Result<Lease<Secret>, Failure> {
    let network = soon(network);
    let path = "computeMetadata/v1/instance/service-accounts/default/token";
    let url = format!("http://{host}/{path}?scopes={}", encoded(scope));
    let request = Request::new("GET", "", Kind::Other).with("metadata-flavor", "Google");
    let answer = Issuer { network: &network, source_of: name }.ask(&url, request);
    answer.and_then(|answer| token(&answer)).map_err(|failure| match failure {
        Failure::Credentials { .. } => failure,
        other => Failure::NoCredentials {
            host: "Google".into(),
            looked: format!("{VARIABLE}, gcloud's application_default_credentials.json, {name}: {other}"),
        },
    })
}

/// Asks the metadata server which project the machine belongs to.
pub(super) fn project(network: &Network, name: &str, host: &str) -> Option<String> {
    let network = soon(network);
    let url = format!("http://{host}/computeMetadata/v1/project/project-id");
    let request = Request::new("GET", "", Kind::Other).with("metadata-flavor", "Google");
    let answer = Issuer { network: &network, source_of: name }.ask(&url, request).ok()?;
    Some(answer.text().trim().to_string()).filter(|project| !project.is_empty())
}

/// Makes a network that waits for a short time only: on a machine outside of Google's cloud nobody answers
/// there, which is to be found out soon.
fn soon(network: &Network) -> Network {
    let mut options = network.options().clone();
    options.patience.connect = Duration::from_secs(2);
    options.patience.dead = Duration::from_secs(2);
    options.patience.silence = Duration::from_secs(5);
    options.patience.tries = 3;
    Network::new(&options, &Limits::default())
}
