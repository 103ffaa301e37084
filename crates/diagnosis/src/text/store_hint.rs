//! The text of each hint about a store over a network.
//!
//! A command has options, a Job variables: where they differ, both are worded.

use super::clauses::users_password;
use crate::Audience;
use crate::finding::StoreHint;
use crate::password::PasswordSource;
use crate::remote::Backend;

impl StoreHint {
    /// Returns it as one line for its readers.
    pub fn text(&self, audience: Audience) -> String {
        let is_job = audience == Audience::VolSync;
        let choose = |command: &str, job: &str| if is_job { job.to_string() } else { command.to_string() };
        match self {
            Self::LookAround(_) => choose(
                "`kopia-rs doctor` looks for it around there",
                "compare bucket, prefix or path with those that backups are written to; on a desk, kopia-rs doctor \
                 looks around there",
            ),
            Self::AwaitServer => choose(
                "run the same command again once the server answers",
                "it may be right when the Job is tried again",
            ),
            Self::NameEndpoint(_) => choose(
                "if the bucket is not at Amazon, name its server with --endpoint HOST:PORT",
                "if the bucket is not at Amazon, set AWS_S3_ENDPOINT to its server",
            ),
            Self::CheckEndpoint(backend) => check_endpoint(*backend, is_job).into(),
            Self::SpeakPlain(backend) => speak_plain(*backend, is_job).into(),
            Self::SpeakTls(backend) => speak_tls(*backend, is_job).into(),
            Self::PerhapsTls(backend) => format!("the server may want TLS: {}", speak_tls(*backend, is_job)),
            Self::TrustAuthority(backend) => trust_authority(*backend, is_job).into(),
            // The line of a Job is too short for a fingerprint.
            Self::TrustCertificate { .. } if is_job => {
                "if it is the right server, set customCA to its certificate".into()
            }
            Self::TrustCertificate { backend: Backend::Server, fingerprint } => format!(
                "if the server logged this fingerprint when it made its certificate, add \
                 --server-cert-fingerprint {fingerprint}"
            ),
            Self::TrustCertificate { fingerprint, .. } => format!(
                "if that is the right server's certificate, add --server-cert-fingerprint {fingerprint}"
            ),
            Self::NameAsCertificate(_) => "name the server as its certificate does".into(),
            Self::GiveRoots => choose(
                "set SSL_CERT_FILE to a file of certificates of authorities",
                "mount a file of certificates of authorities and set SSL_CERT_FILE to it",
            ),
            Self::PassProxy { host } => format!(
                "HTTPS_PROXY or HTTP_PROXY names the proxy; NO_PROXY={host} goes past it"
            ),
            Self::GiveCredentials { backend, source } => give_credentials(*backend, source.as_ref(), is_job),
            Self::OtherCredentials { backend, source } => {
                other_credentials(*backend, source.as_ref(), is_job)
            }
            Self::RightSecret(backend) => right_secret(*backend, is_job).into(),
            Self::RenewCredentials(_) => choose(
                "get new ones (`aws sso login`, or whatever gave these) and run the same command again",
                "put new ones into the repository's Secret",
            ),
            Self::GrantRights(_) => "ask whoever owns it to allow listing and reading; or it is another account's".into(),
            Self::ReadsButDoesNotList(backend) => reads_but_does_not_list(*backend).into(),
            Self::SetClock => choose(
                "set the clock of this machine, for example with `timedatectl set-ntp true`",
                "set the clock of the node",
            ),
            Self::NameRegion(Some(region)) => {
                choose(&format!("add --region {region}"), &format!("set AWS_REGION={region}"))
            }
            Self::NameRegion(None) => choose(
                "name the bucket's region with --region",
                "set AWS_REGION to the bucket's region",
            ),
            Self::WithoutView => choose(
                "leave --point-in-time out; a past can be shown only where versions were kept",
                "leave pointInTime out; a past can be shown only where versions were kept",
            ),
            Self::NameContainer(_) => {
                "check how its name is written, and that the server or account is the one that backups are written to"
                    .into()
            }
            Self::OtherContainers { backend, names, more } => {
                let (names, ellipsis) = (names.join(", "), if *more { ", …" } else { "" });
                let kind = match backend {
                    Backend::Azure => "containers",
                    Backend::GoogleDrive => "folders",
                    Backend::Rclone => "remotes",
                    _ => "buckets",
                };
                format!("these {kind} are there: {names}{ellipsis}")
            }
            Self::KnownHost => choose(
                "or give a file that has the server's key with --known-hosts FILE",
                "put the server's line into SFTP_KNOWN_HOSTS_DATA",
            ),
            Self::NewHostKey => choose(
                "if its key was changed on purpose, take the old line out of that file (`ssh-keygen -R '[HOST]:PORT'`) \
                 and add the new one",
                "if its key was changed on purpose, put the server's new line into SFTP_KNOWN_HOSTS_DATA",
            ),
            Self::ConnectByHand => choose(
                "connect once by hand with the same arguments (`ssh USER@HOST`), and compare the key that it shows with \
                 the server's",
                "put the server's line into SFTP_KNOWN_HOSTS_DATA",
            ),
            Self::InstallProgram { program } => choose(
                &format!("install {program}, or give its path with ?rclone-exe=PATH at the end of the URL"),
                &format!("use an image that has {program}, or set RCLONE_EXE to its path"),
            ),
            Self::KopiaServer => {
                "a server to read from is started with `kopia server start --tls-generate-cert`; its port is 51515 \
                 unless it was given another"
                    .into()
            }
        }
    }
}

fn check_endpoint(backend: Backend, is_job: bool) -> &'static str {
    match (backend, is_job) {
        (Backend::S3, false) => {
            "check --endpoint: something else listens there, such as MinIO's console (its S3 is at port 9000)"
        }
        (Backend::S3, true) => "check AWS_S3_ENDPOINT: MinIO's S3 is at port 9000, its console is no S3",
        (Backend::WebDav, false) => {
            "check host, port and path of the URL: something else than WebDAV answers there"
        }
        (Backend::WebDav, true) => "check WEBDAV_URL: something else than WebDAV answers there",
        (Backend::Sftp, _) => "check host and port: something else than SFTP answers there",
        _ => "check host and port: something else answers there",
    }
}

fn speak_plain(backend: Backend, is_job: bool) -> &'static str {
    match (backend, is_job) {
        (Backend::S3, true) => "set KOPIA_S3_DISABLE_TLS=true, or name the port that speaks TLS",
        (Backend::WebDav, true) => "begin WEBDAV_URL with http://, or name the port that speaks TLS",
        (Backend::WebDav, false) => "begin the URL with webdav://, or name the port that speaks TLS",
        (Backend::S3 | Backend::Azure, false) => "add --disable-tls, or name the port that speaks TLS",
        (Backend::Server, _) => {
            "start the server with TLS (`kopia server start --tls-generate-cert`): it gives nothing without"
        }
        _ => "name the port that speaks TLS",
    }
}

fn speak_tls(backend: Backend, is_job: bool) -> &'static str {
    match (backend, is_job) {
        (Backend::S3, true) => "take KOPIA_S3_DISABLE_TLS out of the Secret",
        (Backend::WebDav, true) => "begin WEBDAV_URL with https://",
        (Backend::WebDav, false) => "begin the URL with webdavs://",
        (Backend::Server, false) => "begin the URL with kopia://",
        (Backend::S3 | Backend::Azure, false) => {
            "leave --disable-tls out (and doNotUseTLS, or http:// before the endpoint)"
        }
        _ => "speak TLS",
    }
}

fn trust_authority(backend: Backend, is_job: bool) -> &'static str {
    match (backend, is_job) {
        (_, true) => "set customCA to the certificate of the server's authority",
        (Backend::S3 | Backend::Server, false) => {
            "give the authority's certificate with --root-ca-pem-path FILE"
        }
        (_, false) => "set SSL_CERT_FILE to a file with the authority's certificate",
    }
}

fn give_credentials(backend: Backend, source: Option<&PasswordSource>, is_job: bool) -> String {
    let text = match (backend, is_job) {
        (Backend::S3, false) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile"
        }
        (Backend::S3, true) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the Secret, or give the pod a role"
        }
        (Backend::Gcs | Backend::GoogleDrive, false) => {
            "give a service account's key with --credentials-file FILE, or set GOOGLE_APPLICATION_CREDENTIALS"
        }
        (Backend::Gcs | Backend::GoogleDrive, true) => {
            "set GOOGLE_APPLICATION_CREDENTIALS, or give the pod an identity"
        }
        (Backend::Azure, false) => "set AZURE_STORAGE_KEY, or AZURE_STORAGE_SAS_TOKEN",
        (Backend::Azure, true) => "set KOPIA_AZURE_STORAGE_KEY, or AZURE_STORAGE_SAS_TOKEN",
        (Backend::B2, false) => "set B2_KEY_ID and B2_KEY",
        (Backend::B2, true) => "set B2_ACCOUNT_ID and B2_APPLICATION_KEY",
        (Backend::WebDav, false) => {
            "put the user before the host (webdavs://USER@HOST/…) and set KOPIA_WEBDAV_PASSWORD"
        }
        (Backend::WebDav, true) => "set WEBDAV_USERNAME and WEBDAV_PASSWORD",
        (Backend::Sftp, false) => "name a private key with --keyfile FILE, or load one into the SSH agent",
        (Backend::Sftp, true) => {
            "set SFTP_PASSWORD, or put the private key into the Secret as SFTP_KEY_FILE names it"
        }
        (Backend::Rclone, _) => "look at the remote's configuration with `rclone config show`",
        (Backend::Server, _) => {
            return format!("give the user as kopia://USER@HOST@SERVER; {}", users_password(source));
        }
    };
    text.into()
}

fn other_credentials(backend: Backend, source: Option<&PasswordSource>, is_job: bool) -> String {
    let text = match (backend, is_job) {
        (Backend::S3, _) => {
            "the key may be of another account or server, or was deleted: make a new one where the bucket is"
        }
        (Backend::Azure, _) => {
            "copy the account's key once more: it may be another account's, or was renewed"
        }
        (Backend::Server, _) => {
            let given = if is_job { "" } else { ", given as kopia://USER@HOST@SERVER" };
            let password = users_password(source);
            return format!("the user is one of `kopia server user list`{given}; {password}");
        }
        (Backend::Sftp, false) => {
            "check the user and the password (--sftp-password), or name another private key with --keyfile FILE"
        }
        (backend, is_job) => return give_credentials(backend, source, is_job),
    };
    text.into()
}

fn right_secret(backend: Backend, is_job: bool) -> &'static str {
    match (backend, is_job) {
        (Backend::S3, false) => {
            "copy AWS_SECRET_ACCESS_KEY once more, without blanks or line breaks around it"
        }
        (Backend::S3, true) => "set AWS_SECRET_ACCESS_KEY once more, without blanks or line breaks around it",
        _ => "copy it once more, without blanks or line breaks around it",
    }
}

fn reads_but_does_not_list(backend: Backend) -> &'static str {
    match backend {
        Backend::S3 => {
            "reading is allowed and listing is not: have s3:ListBucket added for the bucket itself, beside \
             s3:GetObject for what is in it"
        }
        Backend::Gcs => "reading is allowed and listing is not: have the role Storage Object Viewer given",
        Backend::Azure => "reading is allowed and listing is not: a SAS needs the permissions r and l",
        _ => "reading is allowed and listing is not: have both allowed",
    }
}
