//! Storage over a network, as the variables of a Job describe it.
//!
//! The rules are those of the original script, which gives them to kopia as options. What it passes over and
//! what cannot be meant otherwise, such as a SAS of Azure or a role of the pod, is taken as well.

use std::path::Path;

use kopia_rs::connection::Connection;
use kopia_rs::connection::storage::{
    Azure, AzureIdentity, B2, Gcs, GoogleAccount, GoogleDrive, Kind, KnownHosts, Options, Rclone, S3, Server,
    Sftp, SshKey, Storage, Trust, WebDav,
};

use super::environment::{Environment, Variable};
use crate::mover::account::line::SetupError;

/// Makes the connection to one kind of storage. `url` is what KOPIA_REPOSITORY says of it, which variables
/// replace.
pub(crate) fn connection(
    kind: Kind,
    url: Option<Storage>,
    environment: &Environment,
) -> Result<Connection, SetupError> {
    let variables = Variables(environment);
    let storage = match url.filter(|url| url.kind() == kind).or_else(|| empty(kind)) {
        Some(Storage::S3(s3)) => variables.s3(s3)?,
        Some(Storage::Azure(azure)) => variables.azure(azure)?,
        Some(Storage::Gcs(gcs)) => variables.gcs(gcs)?,
        Some(Storage::B2(b2)) => variables.b2(b2)?,
        Some(Storage::WebDav(webdav)) => variables.webdav(webdav)?,
        Some(Storage::Sftp(sftp)) => variables.sftp(sftp)?,
        Some(Storage::Rclone(rclone)) => variables.rclone(rclone)?,
        Some(Storage::GoogleDrive(drive)) => variables.google_drive(drive)?,
        Some(other) => other,
        None => return Err(SetupError::new(format!("{kind} is not chosen by variables"), "")),
    };
    Ok(Connection::new(storage))
}

/// Returns storage of a kind of which nothing is known yet.
fn empty(kind: Kind) -> Option<Storage> {
    Some(match kind {
        Kind::S3 => Storage::S3(S3::default()),
        Kind::Azure => Storage::Azure(Azure::default()),
        Kind::Gcs => Storage::Gcs(Gcs::default()),
        Kind::B2 => Storage::B2(B2::default()),
        Kind::WebDav => Storage::WebDav(WebDav::default()),
        Kind::Sftp => Storage::Sftp(Sftp::default()),
        Kind::Rclone => Storage::Rclone(Rclone::default()),
        Kind::GoogleDrive => Storage::GoogleDrive(GoogleDrive::default()),
        _ => return None,
    })
}

/// Adds what every store is told, however it was chosen: kopia's own variables, and CUSTOM_CA.
pub(crate) fn complete(storage: &mut Storage, environment: &Environment) -> Result<(), SetupError> {
    // A folder needs nothing, and no home is looked for.
    if let Storage::Filesystem(_) = storage {
        return Ok(());
    }
    let unusable = |error: kopia_rs::connection::Error| SetupError::new(error.to_string(), "");
    // What the Job says goes before what the store would find by itself.
    trust_custom_ca(storage, environment)?;
    storage.complete(&environment.for_stores()).map_err(unusable)
}

/// Has the authorities of CUSTOM_CA trusted in place of the system's. The original script does so with S3
/// alone. Stores that have no field for them look at SSL_CERT_FILE.
fn trust_custom_ca(storage: &mut Storage, environment: &Environment) -> Result<(), SetupError> {
    let Some(file) = environment.text(Variable::CustomCa)? else { return Ok(()) };
    let unusable =
        |why: String| SetupError::setting(Variable::CustomCa.name(), format!("cannot be used: {why}"));
    match storage {
        Storage::S3(S3 { root_ca: None, .. }) | Storage::Server(Server { trust: Trust::System, .. }) => {
            let mut options = Options::default();
            options.set("root-ca-pem-path", file);
            return storage.apply(options).map_err(|error| unusable(error.to_string()));
        }
        Storage::Rclone(rclone) => rclone.arguments.extend(["--ca-cert".into(), file.into()]),
        _ => {}
    }
    std::fs::File::open(file).map(drop).map_err(|error| unusable(format!("{file}: {error}")))
}

/// Returns the prefix that the script makes of a URL's path: without doubled slashes, and with one at its
/// end.
fn prefix(path: &str) -> String {
    let mut prefix = String::with_capacity(path.len() + 1);
    for letter in path.chars() {
        if letter != '/' || !prefix.ends_with('/') {
            prefix.push(letter);
        }
    }
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    prefix
}

/// Returns a value unless it is empty.
fn given(value: String) -> Option<String> {
    Some(value).filter(|value| !value.is_empty())
}

/// The variables of a Job, each as text or not at all.
struct Variables<'e>(&'e Environment);

impl Variables<'_> {
    fn text(&self, variable: Variable) -> Result<Option<String>, SetupError> {
        Ok(self.0.text(variable)?.map(str::to_owned))
    }

    /// Returns the first of several that is set.
    fn first(&self, variables: &[Variable]) -> Result<Option<String>, SetupError> {
        variables.iter().find_map(|variable| self.text(*variable).transpose()).transpose()
    }

    /// Returns a variable, or else what the URL says.
    fn required(&self, variable: Variable, url: String) -> Result<String, SetupError> {
        let value = self.text(variable)?.or_else(|| given(url));
        value.ok_or_else(|| SetupError::unset(variable.name()))
    }

    fn is_true(&self, variable: Variable) -> Result<bool, SetupError> {
        Ok(self.text(variable)?.is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1"))
    }

    fn s3(&self, mut s3: S3) -> Result<Storage, SetupError> {
        s3.prefix = prefix(&s3.prefix);
        s3.bucket = self.required(Variable::S3Bucket, s3.bucket)?;
        let endpoint = self.first(&[Variable::S3Endpoint, Variable::AwsEndpoint])?;
        // The script takes the scheme off and leaves TLS as it is: only the variables below switch it off.
        let host = |text: String| text.split_once("://").map_or(text.clone(), |(_, host)| host.to_owned());
        s3.endpoint = endpoint.map(host).map(|host| host.trim_end_matches('/').to_owned()).or(s3.endpoint);
        s3.region = self.first(&[Variable::AwsRegion, Variable::AwsDefaultRegion])?.or(s3.region);
        s3.disable_tls |= self.is_true(Variable::S3DisableTls)? || self.is_true(Variable::AwsDisableTls)?;
        let access_key = self.text(Variable::AwsAccessKey)?;
        let secret_key = self.text(Variable::AwsSecretKey)?;
        if access_key.is_some() != secret_key.is_some() {
            let missing = if access_key.is_none() { Variable::AwsAccessKey } else { Variable::AwsSecretKey };
            return Err(SetupError::unset(missing.name()));
        }
        let profile = self.text(Variable::AwsProfile)?;
        // Who asks is all from variables or all from the URL: a token belongs to its keys, and a profile
        // would go before them.
        if access_key.is_some() || profile.is_some() {
            s3.session_token = self.text(Variable::AwsSessionToken)?.map(Into::into);
            s3.profile = profile.filter(|_| access_key.is_none());
            (s3.access_key, s3.secret_key) = (access_key, secret_key.map(Into::into));
        }
        Ok(Storage::S3(s3))
    }

    fn azure(&self, mut azure: Azure) -> Result<Storage, SetupError> {
        azure.container = self.required(Variable::AzureContainer, azure.container)?;
        let account = self.first(&[
            Variable::KopiaAzureAccount,
            Variable::AzureStorageAccount,
            Variable::AzureAccountName,
        ])?;
        let account = account.or_else(|| given(azure.account));
        azure.account = account.ok_or_else(|| SetupError::unset(Variable::KopiaAzureAccount.name()))?;
        let key =
            self.first(&[Variable::KopiaAzureKey, Variable::AzureStorageKey, Variable::AzureAccountKey])?;
        let sas = self.first(&[Variable::AzureSasToken, Variable::AzureAccountSas])?;
        let key = key.map(|key| AzureIdentity::Key(key.into()));
        azure.identity = key.or_else(|| sas.map(|sas| AzureIdentity::Sas(sas.into()))).or(azure.identity);
        let suffix = self.text(Variable::AzureEndpointSuffix)?;
        let domain = suffix.map(|suffix| format!("blob.{}", suffix.trim_start_matches("blob.")));
        azure.domain = domain.or(azure.domain);
        Ok(Storage::Azure(azure))
    }

    fn gcs(&self, mut gcs: Gcs) -> Result<Storage, SetupError> {
        gcs.bucket = self.required(Variable::GcsBucket, gcs.bucket)?;
        // A file is found by whoever signs in; a Job of its own may have the text in its place.
        if let Some(json) = self.text(Variable::GoogleCredentials)?.filter(|text| is_json(text)) {
            gcs.account = GoogleAccount::Json(json.into());
        }
        Ok(Storage::Gcs(gcs))
    }

    fn b2(&self, mut b2: B2) -> Result<Storage, SetupError> {
        b2.bucket = self.required(Variable::B2Bucket, b2.bucket)?;
        let key_id = self.first(&[Variable::B2Account, Variable::B2KeyId])?;
        let key = self.first(&[Variable::B2Key, Variable::KopiaB2Key])?;
        let key_id = key_id.or_else(|| given(b2.key_id));
        b2.key_id = key_id.ok_or_else(|| SetupError::unset(Variable::B2Account.name()))?;
        let key = key.map(Into::into).or(b2.key);
        b2.key = Some(key.ok_or_else(|| SetupError::unset(Variable::B2Key.name()))?);
        Ok(Storage::B2(b2))
    }

    fn webdav(&self, mut webdav: WebDav) -> Result<Storage, SetupError> {
        webdav.url = self.required(Variable::WebDavUrl, webdav.url)?;
        webdav.username = self.text(Variable::WebDavUsername)?.or(webdav.username);
        webdav.password = self.text(Variable::WebDavPassword)?.map(Into::into).or(webdav.password);
        Ok(Storage::WebDav(webdav))
    }

    fn sftp(&self, mut sftp: Sftp) -> Result<Storage, SetupError> {
        let bad_port = |_| SetupError::setting(Variable::SftpPort.name(), "is no port");
        let port = self.text(Variable::SftpPort)?;
        sftp.port = port.map(|port| port.trim().parse().map_err(bad_port)).transpose()?.or(sftp.port);
        sftp.host = self.required(Variable::SftpHost, sftp.host)?;
        sftp.path = self.required(Variable::SftpPath, sftp.path)?;
        sftp.username = self.required(Variable::SftpUsername, sftp.username)?;
        sftp.password = self.text(Variable::SftpPassword)?.map(Into::into).or(sftp.password);
        if let Some(key) = self.text(Variable::SftpKeyFile)? {
            // The controller names the file even where the Secret has none; a Job of its own may have the
            // text.
            if key.contains("PRIVATE KEY") {
                sftp.key = Some(SshKey::Text(key.into()));
            } else if Path::new(&key).exists() {
                sftp.key = Some(SshKey::File(key.into()));
            }
        }
        if let Some(known) = self.first(&[Variable::SftpKnownHostsData, Variable::SftpKnownHosts])? {
            // A Secret holds either; no line of the file begins with a slash.
            let is_file = known.starts_with('/');
            let known = if is_file { KnownHosts::File(known.into()) } else { KnownHosts::Text(known) };
            sftp.known_hosts = Some(known);
        }
        Ok(Storage::Sftp(sftp))
    }

    fn rclone(&self, mut rclone: Rclone) -> Result<Storage, SetupError> {
        rclone.remote_path = self.required(Variable::RcloneRemotePath, rclone.remote_path)?;
        rclone.program = self.text(Variable::RcloneExe)?.map(Into::into).or(rclone.program);
        // A path is rclone's own variable, which it reads by itself.
        let config = self.text(Variable::RcloneConfig)?.filter(|config| config.contains('['));
        rclone.embedded_config = config.map(Into::into).or(rclone.embedded_config);
        Ok(Storage::Rclone(rclone))
    }

    fn google_drive(&self, mut drive: GoogleDrive) -> Result<Storage, SetupError> {
        drive.folder_id = self.required(Variable::DriveFolder, drive.folder_id)?;
        drive.account = match self.text(Variable::DriveCredentials)? {
            None => drive.account,
            Some(json) if is_json(&json) => GoogleAccount::Json(json.into()),
            Some(file) => GoogleAccount::File(file.into()),
        };
        Ok(Storage::GoogleDrive(drive))
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

#[cfg(test)]
mod tests;
