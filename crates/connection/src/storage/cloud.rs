//! Object stores: one flat list of keys in a bucket.
//!
//! A key is the prefix and the blob's id, joined byte for byte: no separator is added, and no prefix is
//! normalised.

use std::path::PathBuf;
use std::time::Duration;

use kopia_format::Timestamp;

use crate::Secret;

/// A bucket of Amazon S3 or of what speaks its language. Authority: Kopia's `repo/blob/s3/s3_options.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// What all keys begin with.
    pub prefix: String,
    /// `host` or `host:port`, without a scheme; Amazon's if there is none.
    pub endpoint: Option<String>,
    /// The region; it is asked for if there is none.
    pub region: Option<String>,
    /// Speaks HTTP without TLS.
    pub disable_tls: bool,
    /// Takes any certificate. It goes before `root_ca`.
    pub disable_tls_verification: bool,
    /// Certificates in PEM, in place of those that the system trusts.
    pub root_ca: Option<Vec<u8>>,
    /// The id of the access key.
    pub access_key: Option<String>,
    /// The access key.
    pub secret_key: Option<Secret>,
    /// The token that belongs to keys which expire.
    pub session_token: Option<Secret>,
    /// A role that is assumed with the keys.
    pub role: Option<S3Role>,
    /// The section of `~/.aws/config` and `~/.aws/credentials` to take credentials from. Kopia has no such
    /// field.
    pub profile: Option<String>,
    /// Shows the bucket as it was then. Versioning must have been enabled.
    pub point_in_time: Option<Timestamp>,
}

/// A role that is assumed by STS.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct S3Role {
    /// The role's ARN.
    pub arn: String,
    /// What the session is called in logs.
    pub session_name: Option<String>,
    /// How long its keys are valid.
    pub duration: Option<Duration>,
    /// The URL of STS.
    pub endpoint: Option<String>,
    /// The region that STS requests are signed for.
    pub region: Option<String>,
}

/// An account of Google's clouds.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum GoogleAccount {
    /// The text of a file of credentials.
    Json(Secret),
    /// A file of credentials.
    File(PathBuf),
    /// What the environment says: a variable, gcloud's file, or the metadata server.
    #[default]
    Ambient,
}

/// A bucket of Google Cloud Storage. Authority: Kopia's `repo/blob/gcs/gcs_options.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Gcs {
    /// The bucket.
    pub bucket: String,
    /// What all names begin with.
    pub prefix: String,
    /// Who asks.
    pub account: GoogleAccount,
    /// Shows the bucket as it was then. Versioning must have been enabled.
    pub point_in_time: Option<Timestamp>,
}

/// A container of Azure Blob Storage. Authority: Kopia's `repo/blob/azure/azure_options.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Azure {
    /// The container.
    pub container: String,
    /// What all names begin with.
    pub prefix: String,
    /// The storage account.
    pub account: String,
    /// The domain that the account is a host of, with a port if need be; Azure's public cloud if there is
    /// none.
    pub domain: Option<String>,
    /// Speaks HTTP without TLS.
    pub disable_tls: bool,
    /// Who asks; what the environment says if it is not given.
    pub identity: Option<AzureIdentity>,
    /// Shows the container as it was then. Versioning must have been enabled.
    pub point_in_time: Option<Timestamp>,
}

/// Who asks for blobs of Azure.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AzureIdentity {
    /// A shared access signature, with or without `?` before it.
    Sas(Secret),
    /// The account's key, in base64.
    Key(Secret),
    /// An application with a secret.
    ClientSecret {
        /// The tenant.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: Secret,
    },
    /// An application with a certificate.
    ClientCertificate {
        /// The tenant.
        tenant: String,
        /// The application.
        client: String,
        /// Certificate and private key in PEM.
        certificate: Secret,
    },
    /// An application that a file's token vouches for: workload identity.
    Federated {
        /// The tenant.
        tenant: String,
        /// The application.
        client: String,
        /// The file, which is written anew before the token expires.
        token_file: PathBuf,
    },
    /// The identity of the machine. Kopia has none.
    Managed {
        /// The application, if the machine has several.
        client: Option<String>,
    },
}

/// A bucket of Backblaze B2. Authority: Kopia's `repo/blob/b2/b2_options.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct B2 {
    /// The bucket.
    pub bucket: String,
    /// What all names begin with.
    pub prefix: String,
    /// The id of the application key.
    pub key_id: String,
    /// The application key.
    pub key: Option<Secret>,
}

/// A directory of Google Drive. Authority: Kopia's `repo/blob/gdrive/gdrive_options.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct GoogleDrive {
    /// The directory's id.
    pub folder_id: String,
    /// Who asks.
    pub account: GoogleAccount,
}
