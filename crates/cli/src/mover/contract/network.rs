//! Storage over a network, as the variables of a Job describe it.
//!
//! The rules are those of the original script, which gives them to kopia as options. What it passes over and
//! what cannot be meant otherwise, such as a SAS of Azure, is taken as well.

use std::path::Path;

use kopia_rs::connection::Connection;
use kopia_rs::connection::storage::{
    Azure, AzureIdentity, B2, Gcs, GoogleAccount, GoogleDrive, Kind, KnownHosts, Options, Rclone, S3, Sftp,
    SshKey, Storage, WebDav,
};

use super::environment::{Environment, Variable};
use crate::mover::account::line::SetupError;

/// Makes the connection that the variables of one kind of storage describe; `url` is KOPIA_REPOSITORY.
pub(crate) fn connection(
    kind: Kind,
    url: Option<&str>,
    environment: &Environment,
) -> Result<Connection, SetupError> {
    let variables = Variables(environment);
    let storage = match kind {
        Kind::S3 => variables.s3(url)?,
        Kind::Azure => variables.azure()?,
        Kind::Gcs => {
            let bucket = variables.required(Variable::GcsBucket)?;
            // The variable of its credentials is Google's own, and looked at by whoever signs in.
            Storage::Gcs(with(|gcs: &mut Gcs| gcs.bucket = bucket))
        }
        Kind::B2 => variables.b2()?,
        Kind::WebDav => variables.webdav()?,
        Kind::Sftp => variables.sftp()?,
        Kind::Rclone => variables.rclone()?,
        Kind::GoogleDrive => variables.google_drive()?,
        other => return Err(SetupError::new(format!("{other} is not chosen by variables"), "")),
    };
    Ok(Connection::new(storage))
}

/// Makes a value of which others may get more fields.
fn with<T: Default>(set: impl FnOnce(&mut T)) -> T {
    let mut value = T::default();
    set(&mut value);
    value
}

/// Returns the prefix that the script makes of a URL's path: without doubled slashes, and with one at its
/// end.
fn prefix(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { String::new() } else { parts.join("/") + "/" }
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

    fn required(&self, variable: Variable) -> Result<String, SetupError> {
        self.text(variable)?.ok_or_else(|| SetupError::unset(variable.name()))
    }

    fn is_true(&self, variable: Variable) -> Result<bool, SetupError> {
        Ok(self.text(variable)?.is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1"))
    }

    fn s3(&self, url: Option<&str>) -> Result<Storage, SetupError> {
        let mut s3 = match url.filter(|url| url.starts_with("s3://")).map(Connection::parse).transpose() {
            Ok(Some(Connection { storage: Storage::S3(s3), .. })) => s3,
            Ok(_) => S3::default(),
            Err(error) => return Err(SetupError::new(format!("KOPIA_REPOSITORY: {error}"), "")),
        };
        s3.prefix = prefix(&s3.prefix);
        if let Some(bucket) = self.text(Variable::S3Bucket)? {
            s3.bucket = bucket;
        }
        let endpoint = self.first(&[Variable::S3Endpoint, Variable::AwsEndpoint])?;
        // The script takes the scheme off and leaves TLS as it is: only the variables below switch it off.
        let host = |text: String| text.split_once("://").map_or(text.clone(), |(_, host)| host.to_owned());
        s3.endpoint = endpoint.map(host).map(|host| host.trim_end_matches('/').to_owned()).or(s3.endpoint);
        s3.region = self.first(&[Variable::AwsRegion, Variable::AwsDefaultRegion])?.or(s3.region);
        s3.disable_tls |= self.is_true(Variable::S3DisableTls)? || self.is_true(Variable::AwsDisableTls)?;
        s3.access_key = self.text(Variable::AwsAccessKey)?;
        s3.secret_key = self.text(Variable::AwsSecretKey)?.map(Into::into);
        s3.session_token = self.text(Variable::AwsSessionToken)?.map(Into::into);
        s3.profile = self.text(Variable::AwsProfile)?.filter(|_| s3.access_key.is_none());
        let mut storage = Storage::S3(s3);
        if let Some(file) = self.text(Variable::CustomCa)? {
            let mut options = Options::default();
            options.set("root-ca-pem-path", file);
            storage.apply(options).map_err(|error| SetupError::new(format!("CUSTOM_CA: {error}"), ""))?;
        }
        Ok(storage)
    }

    fn azure(&self) -> Result<Storage, SetupError> {
        let account = self.first(&[
            Variable::KopiaAzureAccount,
            Variable::AzureStorageAccount,
            Variable::AzureAccountName,
        ])?;
        let key =
            self.first(&[Variable::KopiaAzureKey, Variable::AzureStorageKey, Variable::AzureAccountKey])?;
        let sas = self.first(&[Variable::AzureSasToken, Variable::AzureAccountSas])?;
        let key = key.map(|key| AzureIdentity::Key(key.into()));
        let suffix = self.text(Variable::AzureEndpointSuffix)?;
        let domain = suffix.map(|suffix| format!("blob.{}", suffix.trim_start_matches("blob.")));
        let container = self.required(Variable::AzureContainer)?;
        let account = account.ok_or_else(|| SetupError::unset(Variable::KopiaAzureAccount.name()))?;
        Ok(Storage::Azure(with(|azure: &mut Azure| {
            azure.container = container;
            azure.account = account;
            azure.identity = key.or_else(|| sas.map(|sas| AzureIdentity::Sas(sas.into())));
            azure.domain = domain;
        })))
    }

    fn b2(&self) -> Result<Storage, SetupError> {
        let (bucket, key_id) = (self.required(Variable::B2Bucket)?, self.required(Variable::B2Account)?);
        let key = self.required(Variable::B2Key)?;
        Ok(Storage::B2(with(|b2: &mut B2| {
            (b2.bucket, b2.key_id, b2.key) = (bucket, key_id, Some(key.into()));
        })))
    }

    fn webdav(&self) -> Result<Storage, SetupError> {
        let url = self.required(Variable::WebDavUrl)?;
        let username = self.text(Variable::WebDavUsername)?;
        let password = self.text(Variable::WebDavPassword)?.map(Into::into);
        Ok(Storage::WebDav(with(|webdav: &mut WebDav| {
            (webdav.url, webdav.username, webdav.password) = (url, username, password);
        })))
    }

    fn sftp(&self) -> Result<Storage, SetupError> {
        let bad_port = |_| SetupError::setting(Variable::SftpPort.name(), "is no port");
        let port =
            self.text(Variable::SftpPort)?.map(|port| port.trim().parse().map_err(bad_port)).transpose()?;
        let (host, path) = (self.required(Variable::SftpHost)?, self.required(Variable::SftpPath)?);
        let username = self.required(Variable::SftpUsername)?;
        let password = self.text(Variable::SftpPassword)?.map(Into::into);
        // The controller names the file even where the Secret has none.
        let key = self.text(Variable::SftpKeyFile)?.filter(|file| Path::new(file).exists());
        let known = self.first(&[Variable::SftpKnownHostsData, Variable::SftpKnownHosts])?;
        Ok(Storage::Sftp(with(|sftp: &mut Sftp| {
            (sftp.host, sftp.path, sftp.username) = (host, path, username);
            (sftp.port, sftp.password) = (port, password);
            sftp.key = key.map(|file| SshKey::File(file.into()));
            sftp.known_hosts = known.map(|known| {
                // A Secret holds either; no line of the file begins with a slash.
                if known.starts_with('/') { KnownHosts::File(known.into()) } else { KnownHosts::Text(known) }
            });
        })))
    }

    fn rclone(&self) -> Result<Storage, SetupError> {
        let remote = self.required(Variable::RcloneRemotePath)?;
        let program = self.text(Variable::RcloneExe)?;
        // A path is rclone's own variable, which it reads by itself.
        let config = self.text(Variable::RcloneConfig)?.filter(|config| config.contains('['));
        Ok(Storage::Rclone(with(|rclone: &mut Rclone| {
            rclone.remote_path = remote;
            rclone.program = program.map(Into::into);
            rclone.embedded_config = config.map(Into::into);
        })))
    }

    fn google_drive(&self) -> Result<Storage, SetupError> {
        let folder_id = self.required(Variable::DriveFolder)?;
        let account = match self.text(Variable::DriveCredentials)? {
            None => GoogleAccount::Ambient,
            Some(json) if json.trim_start().starts_with('{') => GoogleAccount::Json(json.into()),
            Some(file) => GoogleAccount::File(file.into()),
        };
        Ok(Storage::GoogleDrive(with(|drive: &mut GoogleDrive| {
            (drive.folder_id, drive.account) = (folder_id, account);
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(kind: Kind, variables: &[(&str, &str)]) -> Result<Storage, String> {
        let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let url = variables.iter().find(|(name, _)| *name == "KOPIA_REPOSITORY").map(|(_, url)| *url);
        connection(kind, url, &environment)
            .map(|connection| connection.storage)
            .map_err(|error| error.to_string())
    }

    fn s3(variables: &[(&str, &str)]) -> S3 {
        match storage(Kind::S3, variables).unwrap() {
            Storage::S3(s3) => s3,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn s3_by_the_rules_of_the_script() {
        let all = s3(&[
            ("KOPIA_REPOSITORY", "s3://other//a//b"),
            ("KOPIA_S3_BUCKET", "bucket"),
            ("KOPIA_S3_ENDPOINT", "http://minio.lan:9000/"),
            ("AWS_S3_ENDPOINT", "ignored.lan"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
        ]);
        assert_eq!((all.bucket.as_str(), all.prefix.as_str()), ("bucket", "a/b/"));
        assert_eq!((all.endpoint.as_deref(), all.disable_tls), (Some("minio.lan:9000"), false));
        assert_eq!((all.access_key.as_deref(), all.region.as_deref()), (Some("id"), Some("eu-west-1")));
        assert_eq!((all.secret_key, all.session_token), (Some("hush".into()), Some("token".into())));
        for (url, prefix) in [("s3://b", ""), ("s3://b/", ""), ("s3://b/p", "p/"), ("s3://b/p/q/", "p/q/")] {
            assert_eq!(s3(&[("KOPIA_REPOSITORY", url)]).prefix, prefix, "{url}");
        }
        for name in ["KOPIA_S3_DISABLE_TLS", "AWS_S3_DISABLE_TLS"] {
            assert!(s3(&[("KOPIA_S3_BUCKET", "b"), (name, "true")]).disable_tls);
        }
        // A role of the pod has no keys, and a profile counts without them alone.
        let role = s3(&[("KOPIA_S3_BUCKET", "b"), ("AWS_PROFILE", "p")]);
        assert_eq!((role.access_key, role.profile.as_deref()), (None, Some("p")));
        let ca = storage(Kind::S3, &[("KOPIA_S3_BUCKET", "b"), ("CUSTOM_CA", "/nonexistent/ca.crt")]);
        assert!(ca.unwrap_err().contains("CUSTOM_CA: /nonexistent/ca.crt"));
    }

    #[test]
    fn other_storage_of_the_script() {
        for (kind, variables, location) in [
            (
                Kind::Azure,
                &[("KOPIA_AZURE_CONTAINER", "c"), ("KOPIA_AZURE_STORAGE_ACCOUNT", "a")][..],
                "azblob://c at a.blob.core.windows.net",
            ),
            (Kind::Gcs, &[("KOPIA_GCS_BUCKET", "b")], "gs://b"),
            (
                Kind::B2,
                &[("KOPIA_B2_BUCKET", "b"), ("B2_ACCOUNT_ID", "i"), ("B2_APPLICATION_KEY", "k")],
                "b2://b",
            ),
            (Kind::WebDav, &[("WEBDAV_URL", "https://h/p")], "https://h/p"),
            (
                Kind::Sftp,
                &[("SFTP_HOST", "h"), ("SFTP_PATH", "/p"), ("SFTP_USERNAME", "u"), ("SFTP_PORT", " 2222 ")],
                "sftp://h:2222/p",
            ),
            (Kind::Rclone, &[("RCLONE_REMOTE_PATH", "r:p")], "rclone:r:p"),
            (Kind::GoogleDrive, &[("GOOGLE_DRIVE_FOLDER_ID", "f")], "gdrive://f"),
        ] {
            assert_eq!(storage(kind, variables).unwrap().to_string(), location);
        }
    }

    #[test]
    fn files_and_texts_are_told_apart() {
        let host = [("SFTP_HOST", "h"), ("SFTP_PATH", "/p"), ("SFTP_USERNAME", "u")];
        let sftp = |more: (&'static str, &'static str)| {
            let variables: Vec<_> = host.into_iter().chain([more]).collect();
            match storage(Kind::Sftp, &variables).unwrap() {
                Storage::Sftp(sftp) => sftp,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(sftp(("SFTP_KNOWN_HOSTS", "/kh")).known_hosts, Some(KnownHosts::File("/kh".into())));
        let text = sftp(("SFTP_KNOWN_HOSTS", "h ssh-ed25519 AAAA")).known_hosts;
        assert_eq!(text, Some(KnownHosts::Text("h ssh-ed25519 AAAA".into())));
        assert_eq!(sftp(("SFTP_KEY_FILE", "/nonexistent/key")).key, None);
        assert!(matches!(sftp(("SFTP_KEY_FILE", "/dev/null")).key, Some(SshKey::File(_))));
        let rclone = [("RCLONE_REMOTE_PATH", "r:p"), ("RCLONE_CONFIG", "[r]\ntype = local")];
        let Ok(Storage::Rclone(rclone)) = storage(Kind::Rclone, &rclone) else { panic!("no rclone") };
        assert!(rclone.embedded_config.is_some());
    }

    #[test]
    fn what_is_missing_is_named() {
        for (kind, variables, missing) in [
            (
                Kind::Azure,
                &[("KOPIA_AZURE_CONTAINER", "c")][..],
                "KOPIA_AZURE_STORAGE_ACCOUNT must be defined",
            ),
            (Kind::B2, &[("KOPIA_B2_BUCKET", "b")], "B2_ACCOUNT_ID must be defined"),
            (Kind::Sftp, &[("SFTP_HOST", "h")], "SFTP_PATH must be defined"),
        ] {
            assert_eq!(storage(kind, variables).unwrap_err(), missing);
        }
        let url = [("KOPIA_REPOSITORY", "s3://id:hush@b/p")];
        assert!(!storage(Kind::S3, &url).unwrap_err().contains("hush"));
    }
}
