//! Places in words: where storage is, without who asks for it.

use std::fmt;

use super::{Azure, Storage};

/// The domain of Azure's public cloud.
const AZURE_DOMAIN: &str = "blob.core.windows.net";

impl fmt::Display for Storage {
    /// Writes the place, such as `s3://bucket/prefix at host`. No user, password or option is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filesystem(filesystem) => filesystem.path.display().fmt(f),
            Self::S3(s3) => {
                key(f, "s3", &s3.bucket, &s3.prefix)?;
                s3.endpoint.as_ref().map_or(Ok(()), |endpoint| write!(f, " at {}", without_user(endpoint)))
            }
            Self::Gcs(gcs) => key(f, "gs", &gcs.bucket, &gcs.prefix),
            Self::Azure(azure) => {
                key(f, "azblob", &azure.container, &azure.prefix)?;
                write!(f, " at {}", azure.host())
            }
            Self::B2(b2) => key(f, "b2", &b2.bucket, &b2.prefix),
            Self::GoogleDrive(drive) => write!(f, "gdrive://{}", drive.folder_id),
            Self::Sftp(sftp) => {
                write!(f, "sftp://{}", sftp.host)?;
                // A program that connects is not given the port.
                let port = sftp.port.filter(|_| sftp.external.is_none());
                port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
                let gap = if sftp.path.starts_with('/') { "" } else { "/~/" };
                write!(f, "{gap}{}", sftp.path)
            }
            Self::WebDav(webdav) => f.write_str(&without_user(&webdav.url)),
            Self::Rclone(rclone) => {
                // A remote that is made up on the spot holds its keys: `:s3,secret_access_key=…:bucket`.
                let remote = rclone.remote_path.split(':').next().unwrap_or_default();
                if remote.is_empty() || remote.contains(',') {
                    return f.write_str("rclone:…");
                }
                write!(f, "rclone:{}", rclone.remote_path)
            }
            Self::Server(server) => f.write_str(&without_user(&server.url)),
        }
    }
}

/// Writes where keys begin.
fn key(f: &mut fmt::Formatter<'_>, scheme: &str, bucket: &str, prefix: &str) -> fmt::Result {
    write!(f, "{scheme}://{bucket}")?;
    if prefix.is_empty() {
        return Ok(());
    }
    write!(f, "/{prefix}")
}

/// Returns a URL without who asks and without options: what stands before the last `@` of its host, and after
/// `?` or `#`.
pub(crate) fn without_user(url: &str) -> String {
    let (scheme, rest) =
        url.split_once("://").map_or(("", url), |(_, rest)| (&url[..url.len() - rest.len()], rest));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}{}", &rest[end..])
}

impl Azure {
    /// Returns the host that blobs are asked for, with a port if one is given.
    pub fn host(&self) -> String {
        format!("{}.{}", self.account, self.domain.as_deref().unwrap_or(AZURE_DOMAIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_and_options_are_left_out() {
        for (url, shown) in [
            ("https://me:hush@dav.lan:8443/a/b?token=hush", "https://dav.lan:8443/a/b"),
            ("https://me:hu@sh@dav.lan", "https://dav.lan"),
            ("https://dav.lan/a@b#hush", "https://dav.lan/a@b"),
            ("unix+https:///run/kopia.sock", "unix+https:///run/kopia.sock"),
            ("me:hush@host", "host"),
            ("", ""),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }
}
