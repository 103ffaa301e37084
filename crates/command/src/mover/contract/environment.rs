//! The environment of a Job: one table of every variable that the controller sets or its documentation names.
//!
//! Code asks for variables by this table alone, `kopia-rs mover --variables` prints it, and tests go through
//! it: what is not in it is not known here, and a Job is told so.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use kopia_rs::connection;
use kopia_rs::connection::storage::Kind;
use zeroize::Zeroizing;

use crate::mover::account::line::SetupError;

/// What a variable means to a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is read and obeyed.
    Used,
    /// It is accepted and changes nothing, because what it configures does not exist here.
    NotNeeded,
    /// It serves every kind of storage over a network; a folder does not need it.
    ServesNetworks,
    /// It chooses storage over a network.
    Chooses(Kind),
    /// It configures such storage, and means nothing by itself.
    Serves(Kind),
}

/// Defines the table: one line for each variable.
macro_rules! variables {
    ($($variable:ident $name:literal $role:expr, $about:literal;)*) => {
        /// A variable of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Variable { $($variable),* }

        impl Variable {
            /// Every variable, in the order of the table.
            pub(crate) const ALL: &[Self] = &[$(Self::$variable),*];

            /// Returns its name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variable => $name),* }
            }

            /// Returns what it means to a restore.
            pub(crate) fn role(self) -> Role {
                match self { $(Self::$variable => $role),* }
            }

            /// Returns what is done with it, or why nothing is.
            pub(crate) fn about(self) -> &'static str {
                match self { $(Self::$variable => $about),* }
            }
        }
    };
}

use Role::{Chooses, NotNeeded, Serves, ServesNetworks, Used};

variables! {
    DataDir "DATA_DIR" Used, "the folder that is restored into; it must exist";
    Password "KOPIA_PASSWORD" Used, "the repository's password";
    Repository "KOPIA_REPOSITORY" Used, "where the repository is: filesystem:///absolute/path, a path, or s3://bucket/prefix and other URLs";
    StructuredConfig "KOPIA_STRUCTURED_REPOSITORY_CONFIG" Used, "kopia's own configuration as JSON; goes before KOPIA_REPOSITORY";
    ManualConfig "KOPIA_MANUAL_CONFIG" NotNeeded, "says how to create a repository and its cache; looked at only to say when it is no JSON";
    Username "KOPIA_OVERRIDE_USERNAME" Used, "the user of the identity to restore";
    Hostname "KOPIA_OVERRIDE_HOSTNAME" Used, "the host of the identity to restore";
    SourcePath "KOPIA_SOURCE_PATH_OVERRIDE" Used, "the path of the identity; else /data for /restore/data, else DATA_DIR";
    AsOf "KOPIA_RESTORE_AS_OF" Used, "the newest snapshot that began at this instant (RFC 3339) or before";
    Previous "KOPIA_PREVIOUS" Used, "how many newer snapshots to pass over";
    Shallow "KOPIA_SHALLOW" Used, "the number of snapshots to choose among, counted after KOPIA_PREVIOUS; the newest of them is taken";
    FileDeletion "KOPIA_ENABLE_FILE_DELETION" Used, "true: delete what the snapshot does not have, once all of it is restored; lost+found stays";
    AdditionalArgs "KOPIA_ADDITIONAL_ARGS" Used, "options for the restore, joined by |VOLSYNC_ARG_SEP|";
    Discover "KOPIA_DISCOVER_SNAPSHOTS" Used, "true: list identities where none fits";
    Direction "DIRECTION" Used, "what to do where no operation is given: destination restores, source and maintenance go to the original script";
    DebugMover "DEBUG_MOVER" Used, "1: wait for a signal instead of restoring, if called as entry.sh";
    OnMissing "KOPIA_RS_ON_MISSING" Used, "where there is nothing to restore: continue exits 0, fail exits 1";
    Device "KOPIA_RS_DEVICE" Used, "the block device of a volume whose volumeMode is Block: the one file of the snapshot is written to it, in place of DATA_DIR";
    Degraded "KOPIA_RS_DEGRADED" Used, "true: open a damaged repository as far as that can be done, as with --degraded";
    Thaw "KOPIA_RS_THAW" Used, "bulk, standard or expedited: ask for the packs that are needed and lie in an archive, no others";
    ThawDays "KOPIA_RS_THAW_DAYS" Used, "how many days they can be read once they have been fetched; else 7";
    ThawWait "KOPIA_RS_THAW_WAIT" Used, "true: wait until they can be read, instead of failing until a later Job can";
    Fallback "KOPIA_RS_FALLBACK" Used, "the original script, for other operations and, if this is set, other storage";
    MetricsFile "KOPIA_RS_METRICS_FILE" Used, "where to write Prometheus text, as with --metrics-file";

    CacheDir "KOPIA_CACHE_DIR" NotNeeded, "there is no cache";
    CacheDirectory "KOPIA_CACHE_DIRECTORY" NotNeeded, "there is no cache";
    CacheCapacity "KOPIA_CACHE_CAPACITY_BYTES" NotNeeded, "there is no cache";
    MetadataCacheLimit "KOPIA_METADATA_CACHE_SIZE_LIMIT_MB" NotNeeded, "there is no cache";
    ContentCacheLimit "KOPIA_CONTENT_CACHE_SIZE_LIMIT_MB" NotNeeded, "there is no cache";
    SkipCacheConfig "KOPIA_SKIP_CACHE_CONFIG" NotNeeded, "there is no cache";
    ForceCacheRebuild "KOPIA_FORCE_CACHE_REBUILD" NotNeeded, "there is no cache";
    ConfigPath "KOPIA_CONFIG_PATH" NotNeeded, "no configuration file is written or read";
    GlobalPolicyFile "KOPIA_GLOBAL_POLICY_FILE" NotNeeded, "policies are for backups; a restore writes none";
    RepositoryConfigFile "KOPIA_REPOSITORY_CONFIG_FILE" NotNeeded, "actions and limits of backups";
    PrivilegedMover "PRIVILEGED_MOVER" NotNeeded, "what the process may do is found by doing it";
    LogLevel "KOPIA_LOG_LEVEL" NotNeeded, "the log has one level";
    FileLogLevel "KOPIA_FILE_LOG_LEVEL" NotNeeded, "no log files are written";
    LogDir "KOPIA_LOG_DIR" NotNeeded, "no log files are written";
    LogDirMaxFiles "KOPIA_LOG_DIR_MAX_FILES" NotNeeded, "no log files are written";
    LogDirMaxAge "KOPIA_LOG_DIR_MAX_AGE" NotNeeded, "no log files are written";
    LogDirMaxSize "KOPIA_LOG_DIR_MAX_SIZE_MB" NotNeeded, "no log files are written";
    ContentLogDirMaxFiles "KOPIA_CONTENT_LOG_DIR_MAX_FILES" NotNeeded, "no log files are written";
    ContentLogDirMaxAge "KOPIA_CONTENT_LOG_DIR_MAX_AGE" NotNeeded, "no log files are written";
    ContentLogDirMaxSize "KOPIA_CONTENT_LOG_DIR_MAX_SIZE_MB" NotNeeded, "no log files are written";
    CheckForUpdates "KOPIA_CHECK_FOR_UPDATES" NotNeeded, "nothing is looked for on the network";
    Compression "KOPIA_COMPRESSION" NotNeeded, "for backups";
    Parallelism "KOPIA_PARALLELISM" NotNeeded, "for backups; KOPIA_ADDITIONAL_ARGS=--parallel=N is for restores";
    BeforeSnapshot "KOPIA_BEFORE_SNAPSHOT" NotNeeded, "for backups";
    AfterSnapshot "KOPIA_AFTER_SNAPSHOT" NotNeeded, "for backups";
    RetainHourly "KOPIA_RETAIN_HOURLY" NotNeeded, "for backups";
    RetainDaily "KOPIA_RETAIN_DAILY" NotNeeded, "for backups";
    RetainWeekly "KOPIA_RETAIN_WEEKLY" NotNeeded, "for backups";
    RetainMonthly "KOPIA_RETAIN_MONTHLY" NotNeeded, "for backups";
    RetainYearly "KOPIA_RETAIN_YEARLY" NotNeeded, "for backups";
    RetainLatest "KOPIA_RETAIN_LATEST" NotNeeded, "for backups";
    FsPath "KOPIA_FS_PATH" NotNeeded, "no mover reads it; KOPIA_REPOSITORY says where the repository is";
    CustomCa "CUSTOM_CA" ServesNetworks, "a file of certificates of authorities, trusted in place of the system's; a folder needs none";
    CertificateFile "SSL_CERT_FILE" ServesNetworks, "the same for networks without CUSTOM_CA; an image without files needs one of the two";
    CertificateDirectory "SSL_CERT_DIR" ServesNetworks, "as SSL_CERT_FILE, a folder of such files";
    HttpProxy "HTTP_PROXY" ServesNetworks, "networks are reached through it, and a folder without";
    HttpsProxy "HTTPS_PROXY" ServesNetworks, "networks are reached through it, and a folder without";
    NoProxy "NO_PROXY" ServesNetworks, "networks are reached through it, and a folder without";
    HttpProxyLower "http_proxy" ServesNetworks, "networks are reached through it, and a folder without";
    HttpsProxyLower "https_proxy" ServesNetworks, "networks are reached through it, and a folder without";
    NoProxyLower "no_proxy" ServesNetworks, "networks are reached through it, and a folder without";

    S3Bucket "KOPIA_S3_BUCKET" Chooses(Kind::S3), "goes before every KOPIA_REPOSITORY";
    S3Endpoint "KOPIA_S3_ENDPOINT" Serves(Kind::S3), "";
    S3DisableTls "KOPIA_S3_DISABLE_TLS" Serves(Kind::S3), "";
    AwsAccessKey "AWS_ACCESS_KEY_ID" Serves(Kind::S3), "";
    AwsSecretKey "AWS_SECRET_ACCESS_KEY" Serves(Kind::S3), "";
    AwsSessionToken "AWS_SESSION_TOKEN" Serves(Kind::S3), "";
    AwsRegion "AWS_REGION" Serves(Kind::S3), "";
    AwsDefaultRegion "AWS_DEFAULT_REGION" Serves(Kind::S3), "";
    AwsProfile "AWS_PROFILE" Serves(Kind::S3), "";
    AwsEndpoint "AWS_S3_ENDPOINT" Serves(Kind::S3), "";
    AwsDisableTls "AWS_S3_DISABLE_TLS" Serves(Kind::S3), "";
    AwsRole "AWS_ROLE_ARN" Serves(Kind::S3), "";
    AwsTokenFile "AWS_WEB_IDENTITY_TOKEN_FILE" Serves(Kind::S3), "";
    AwsContainer "AWS_CONTAINER_CREDENTIALS_FULL_URI" Serves(Kind::S3), "";
    AwsContainerToken "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" Serves(Kind::S3), "";
    RootCa "ROOT_CA_PEM_BASE64" Serves(Kind::S3), "";
    AzureContainer "KOPIA_AZURE_CONTAINER" Chooses(Kind::Azure), "goes before a KOPIA_REPOSITORY of filesystem://";
    KopiaAzureAccount "KOPIA_AZURE_STORAGE_ACCOUNT" Serves(Kind::Azure), "";
    KopiaAzureKey "KOPIA_AZURE_STORAGE_KEY" Serves(Kind::Azure), "";
    AzureAccountName "AZURE_ACCOUNT_NAME" Serves(Kind::Azure), "";
    AzureAccountKey "AZURE_ACCOUNT_KEY" Serves(Kind::Azure), "";
    AzureAccountSas "AZURE_ACCOUNT_SAS" Serves(Kind::Azure), "";
    AzureEndpointSuffix "AZURE_ENDPOINT_SUFFIX" Serves(Kind::Azure), "";
    AzureStorageAccount "AZURE_STORAGE_ACCOUNT" Serves(Kind::Azure), "";
    AzureStorageKey "AZURE_STORAGE_KEY" Serves(Kind::Azure), "";
    AzureSasToken "AZURE_STORAGE_SAS_TOKEN" Serves(Kind::Azure), "";
    AzureDomain "AZURE_STORAGE_DOMAIN" Serves(Kind::Azure), "";
    AzureTenant "AZURE_TENANT_ID" Serves(Kind::Azure), "";
    AzureClient "AZURE_CLIENT_ID" Serves(Kind::Azure), "";
    AzureClientSecret "AZURE_CLIENT_SECRET" Serves(Kind::Azure), "";
    AzureTokenFile "AZURE_FEDERATED_TOKEN_FILE" Serves(Kind::Azure), "";
    GcsBucket "KOPIA_GCS_BUCKET" Chooses(Kind::Gcs), "goes before a KOPIA_REPOSITORY of filesystem://";
    PlainGcsBucket "GCS_BUCKET" NotNeeded, "KOPIA_GCS_BUCKET is what counts";
    GoogleProject "GOOGLE_PROJECT_ID" NotNeeded, "reading a bucket of Google needs no project";
    GoogleCredentials "GOOGLE_APPLICATION_CREDENTIALS" Serves(Kind::Gcs), "";
    GoogleEmulator "STORAGE_EMULATOR_HOST" Serves(Kind::Gcs), "";
    B2Bucket "KOPIA_B2_BUCKET" Chooses(Kind::B2), "unless KOPIA_REPOSITORY is filesystem://";
    B2Account "B2_ACCOUNT_ID" Serves(Kind::B2), "";
    B2Key "B2_APPLICATION_KEY" Serves(Kind::B2), "";
    B2KeyId "B2_KEY_ID" Serves(Kind::B2), "";
    KopiaB2Key "B2_KEY" Serves(Kind::B2), "";
    WebDavUrl "WEBDAV_URL" Chooses(Kind::WebDav), "unless KOPIA_REPOSITORY is filesystem://";
    WebDavUsername "WEBDAV_USERNAME" Serves(Kind::WebDav), "";
    WebDavPassword "WEBDAV_PASSWORD" Serves(Kind::WebDav), "";
    KopiaWebDavUsername "KOPIA_WEBDAV_USERNAME" Serves(Kind::WebDav), "";
    KopiaWebDavPassword "KOPIA_WEBDAV_PASSWORD" Serves(Kind::WebDav), "";
    SftpHost "SFTP_HOST" Chooses(Kind::Sftp), "unless KOPIA_REPOSITORY is filesystem://";
    SftpPort "SFTP_PORT" Serves(Kind::Sftp), "";
    SftpUsername "SFTP_USERNAME" Serves(Kind::Sftp), "";
    SftpPassword "SFTP_PASSWORD" Serves(Kind::Sftp), "";
    SftpPath "SFTP_PATH" Serves(Kind::Sftp), "";
    SftpKnownHosts "SFTP_KNOWN_HOSTS" Serves(Kind::Sftp), "";
    SftpKnownHostsData "SFTP_KNOWN_HOSTS_DATA" Serves(Kind::Sftp), "";
    SftpKeyFile "SFTP_KEY_FILE" Serves(Kind::Sftp), "";
    RcloneRemotePath "RCLONE_REMOTE_PATH" Chooses(Kind::Rclone), "unless KOPIA_REPOSITORY is filesystem://";
    RcloneExe "RCLONE_EXE" Serves(Kind::Rclone), "";
    RcloneConfig "RCLONE_CONFIG" Serves(Kind::Rclone), "";
    DriveFolder "GOOGLE_DRIVE_FOLDER_ID" Chooses(Kind::GoogleDrive), "unless KOPIA_REPOSITORY is filesystem://";
    DriveCredentials "GOOGLE_DRIVE_CREDENTIALS" Serves(Kind::GoogleDrive), "";
}

/// The variables of a process. One that is empty is taken for one that is not set: a Secret has no other way
/// to leave it out.
///
/// Many hold secrets, so these copies are wiped.
pub(crate) struct Environment(BTreeMap<OsString, Zeroizing<Vec<u8>>>);

impl Environment {
    /// Takes the variables of this process.
    pub(crate) fn own() -> Self {
        std::env::vars_os().collect()
    }

    /// Returns what stores may look at by themselves, with CUSTOM_CA under the name that they know.
    pub(crate) fn for_stores(&self) -> connection::Environment {
        let own = self.0.iter().map(|(name, value)| (name.as_os_str(), OsStr::from_bytes(value)));
        let custom = self.raw(Variable::CustomCa).map(|file| (OsStr::new("SSL_CERT_FILE"), file));
        let all: connection::Environment = own.chain(custom).collect();
        match std::env::home_dir() {
            Some(home) => all.with_home(home),
            None => all,
        }
    }

    /// Returns the value as it is, for paths and passwords.
    pub(crate) fn raw(&self, variable: Variable) -> Option<&OsStr> {
        let value = self.0.get(OsStr::new(variable.name())).filter(|value| !value.is_empty());
        value.map(|value| OsStr::from_bytes(value))
    }

    /// Returns whether a variable is set to something.
    pub(crate) fn has(&self, variable: Variable) -> bool {
        self.raw(variable).is_some()
    }

    /// Returns the value as text.
    pub(crate) fn text(&self, variable: Variable) -> Result<Option<&str>, SetupError> {
        let Some(value) = self.raw(variable) else { return Ok(None) };
        let text = value.to_str().ok_or_else(|| SetupError::setting(variable.name(), "is not UTF-8"))?;
        Ok(Some(text))
    }

    /// Returns a number.
    pub(crate) fn number(&self, variable: Variable) -> Result<Option<u64>, SetupError> {
        let Some(text) = self.text(variable)? else { return Ok(None) };
        let number = text.trim().parse();
        let why = |_| SetupError::setting(variable.name(), format!("is {text:?}, not a number from 0 on"));
        number.map(Some).map_err(why)
    }

    /// Returns whether a variable is `true`.
    pub(crate) fn is_true(&self, variable: Variable) -> Result<bool, SetupError> {
        match self.text(variable)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(SetupError::setting(
                variable.name(),
                format!("is {other:?}, neither \"true\" nor \"false\""),
            )),
        }
    }

    /// Returns the names of variables that are set and not needed with the storage that was chosen.
    pub(crate) fn not_needed(&self, chosen: Option<Kind>) -> Vec<&'static str> {
        let not_needed = |variable: &&Variable| match variable.role() {
            NotNeeded => true,
            ServesNetworks => chosen.is_none_or(|kind| kind == Kind::Filesystem),
            Serves(kind) => Some(kind) != chosen,
            _ => false,
        };
        let set = Variable::ALL.iter().filter(not_needed).filter(|variable| self.has(**variable));
        set.map(|variable| variable.name()).collect()
    }

    /// Returns the names of variables that look as if they were meant for a mover and are not in the table.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let known = |name: &str| Variable::ALL.iter().any(|variable| variable.name() == name);
        let names = self.0.keys().filter_map(|name| name.to_str());
        names.filter(|name| name.starts_with("KOPIA_") && !known(name)).map(Into::into).collect()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name, value.into_vec().into())).collect())
    }
}

/// Writes the table in Markdown.
pub(crate) fn table() -> String {
    let mut table = String::from("| variable | what is done with it |\n|---|---|\n");
    for variable in Variable::ALL {
        let about = variable.about();
        let what = match variable.role() {
            Used | ServesNetworks => format!("used: {about}"),
            NotNeeded => format!("not needed: {about}"),
            Chooses(kind) => format!("used: chooses {kind}; {about}"),
            Serves(kind) => format!("used: belongs to {kind}"),
        };
        let _ = writeln!(table, "| `{}` | {what} |", variable.name());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn every_name_stands_there_once() {
        let mut names: Vec<_> = Variable::ALL.iter().map(|variable| variable.name()).collect();
        assert_eq!(table().lines().count(), names.len() + 2);
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn an_empty_value_is_none() {
        let environment =
            environment(&[("KOPIA_PREVIOUS", ""), ("DATA_DIR", "/x"), ("KOPIA_SHALLOW", " 3 ")]);
        assert_eq!(environment.number(Variable::Previous).unwrap(), None);
        assert!(!environment.has(Variable::Previous));
        assert_eq!(environment.number(Variable::Shallow).unwrap(), Some(3));
        assert_eq!(environment.raw(Variable::DataDir), Some(OsStr::new("/x")));
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        let environment = environment(&[("KOPIA_PREVIOUS", "-1"), ("KOPIA_ENABLE_FILE_DELETION", "yes")]);
        let says = |trouble: SetupError| trouble.to_string();
        assert!(
            says(environment.number(Variable::Previous).unwrap_err()).contains("KOPIA_PREVIOUS is \"-1\"")
        );
        let deletion = environment.is_true(Variable::FileDeletion).unwrap_err();
        assert!(says(deletion).contains("KOPIA_ENABLE_FILE_DELETION is \"yes\""));
        let bytes = OsString::from_vec(vec![0xff]);
        let environment: Environment = [("KOPIA_RESTORE_AS_OF".into(), bytes)].into_iter().collect();
        assert!(
            says(environment.text(Variable::AsOf).unwrap_err()).contains("KOPIA_RESTORE_AS_OF is not UTF-8")
        );
    }

    #[test]
    fn what_changes_nothing_is_named() {
        let environment = environment(&[
            ("KOPIA_CACHE_DIR", "/cache"),
            ("AWS_REGION", "eu"),
            ("HTTPS_PROXY", "proxy"),
            ("DATA_DIR", "/d"),
            ("KOPIA_FOO", "x"),
            ("PATH", "/bin"),
        ]);
        let folder = environment.not_needed(Some(Kind::Filesystem));
        assert_eq!(folder, ["KOPIA_CACHE_DIR", "HTTPS_PROXY", "AWS_REGION"]);
        assert_eq!(environment.not_needed(Some(Kind::Azure)), ["KOPIA_CACHE_DIR", "AWS_REGION"]);
        assert_eq!(environment.not_needed(Some(Kind::S3)), ["KOPIA_CACHE_DIR"]);
        assert_eq!(environment.unknown(), ["KOPIA_FOO"]);
    }
}
