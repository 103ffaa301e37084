//! How people write down where a repository is: a path or a URL.
//!
//! | text | means |
//! |---|---|
//! | `/srv/kopia`, `../kopia` | a directory |
//! | `filesystem:///srv/kopia` | a directory, by its absolute path without `..`: VolSync's `KOPIA_REPOSITORY` |
//! | `file:///srv/kopia`, `file://localhost/srv/kopia`, `file:/srv/kopia` | the same |
//! | `s3://bucket/prefix?endpoint=minio.lan:9000&region=eu-west-1&disable-tls` | a bucket of S3 |
//! | `gs://bucket/prefix?credentials-file=/key.json`, `gcs://…` | a bucket of Google Cloud Storage |
//! | `azblob://container/prefix?storage-account=name`, `azure://…` | a container of Azure Blob Storage |
//! | `b2://bucket/prefix?key-id=…` | a bucket of Backblaze B2 |
//! | `gdrive://folder-id` | a directory of Google Drive |
//! | `sftp://user@host:22/path?keyfile=…`, `sftp:user@host:/path` | a directory of an SSH server; `/~/path` lies in its user's home |
//! | `webdav://user@host/path`, `webdavs://…`, `http://…`, `https://…` | a directory of a WebDAV server |
//! | `rclone:remote:path`, `rclone://remote:path` | what rclone reaches |
//! | `kopia://user@host@server:51515`, `https://server:51515` | a Kopia repository server |
//! | `http://kopia@server:51515`, `kopia+http://…`, `kopia+https://…` | one that is asked as its UI asks, such as `--insecure` |
//!
//! A prefix is taken byte for byte, with or without `/` at its end, as it is the beginning of keys; one that
//! holds `?` is given as `?prefix=…`. Percent signs mean something in values of the query and before `@`
//! alone. A directory whose name looks like one of these is written `./s3:…`.

use std::ffi::OsStr;
use std::path::{Component, Path};

use percent_encoding::percent_decode_str;

use crate::storage::display::without_user;
use crate::storage::options::Options;
use crate::storage::{Azure, B2, Filesystem, Gcs, GoogleDrive, Rclone, S3, Server, Sftp, Storage, WebDav};
use crate::{Connection, Error, Result, Secret};

/// The port of a Kopia repository server.
const SERVER_PORT: &str = ":51515";

impl Connection {
    /// Parses a path or a URL; see [`url`](self).
    ///
    /// ```
    /// use kopia_connection::Connection;
    ///
    /// let connection = Connection::parse("s3://backups/laptop/?endpoint=minio.lan:9000")?;
    /// assert_eq!(connection.location(), "s3://backups/laptop/ at minio.lan:9000");
    /// # Ok::<(), kopia_connection::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BadLocation`], [`Error::UnknownStorage`], [`Error::Option`]. No password in the text is part
    /// of them.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(bad("", "it is empty"));
        }
        // What is not UTF-8 is no URL but may be a path.
        match text.to_str().and_then(Spelling::of) {
            None => Ok(directory(text)),
            Some(spelling) => spelling.read(),
        }
    }
}

fn directory(path: impl AsRef<OsStr>) -> Connection {
    Connection::new(Storage::Filesystem(Filesystem { path: path.as_ref().into() }))
}

fn bad(text: &str, why: impl Into<String>) -> Error {
    Error::BadLocation { text: without_user(text), why: why.into() }
}

/// A text that is more than a path.
struct Spelling<'t> {
    text: &'t str,
    /// In lower case.
    scheme: String,
    /// What follows `://` or, without slashes, `:`.
    rest: &'t str,
    has_slashes: bool,
}

impl<'t> Spelling<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        if let Some(rest) = rest.strip_prefix("//").filter(|_| is_scheme(&scheme)) {
            return Some(Self { text, scheme, rest, has_slashes: true });
        }
        let is_known = match &*scheme {
            "filesystem" | "file" => rest.starts_with('/'),
            // As rclone and restic write it.
            "s3" | "gcs" | "gs" | "azure" | "azblob" | "azureblob" | "b2" | "gdrive" | "sftp" | "webdav"
            | "webdavs" | "http" | "https" | "rclone" => true,
            _ => false,
        };
        is_known.then_some(Self { text, scheme, rest, has_slashes: false })
    }

    fn read(&self) -> Result<Connection> {
        match &*self.scheme {
            "filesystem" | "file" => self.directory(),
            "rclone" => self.rclone(),
            "sftp" if !self.has_slashes => self.scp(),
            scheme if !self.has_slashes => Err(self.bad(format!("write {scheme}://…"))),
            "s3" => self.bucket(|bucket, prefix| Storage::S3(S3 { bucket, prefix, ..S3::default() })),
            "gs" | "gcs" => {
                self.bucket(|bucket, prefix| Storage::Gcs(Gcs { bucket, prefix, ..Gcs::default() }))
            }
            "azblob" | "azure" | "azureblob" => self
                .bucket(|container, prefix| Storage::Azure(Azure { container, prefix, ..Azure::default() })),
            "b2" => self.bucket(|bucket, prefix| Storage::B2(B2 { bucket, prefix, ..B2::default() })),
            "gdrive" => self.bucket(|folder_id, _| {
                Storage::GoogleDrive(GoogleDrive { folder_id, ..GoogleDrive::default() })
            }),
            "sftp" => self.sftp(),
            "webdav" => self.webdav("http"),
            "webdavs" => self.webdav("https"),
            "http" | "https" if Url::of(self.rest).host.ends_with(SERVER_PORT) => self.server(),
            "http" => self.webdav("http"),
            "https" => self.webdav("https"),
            "kopia" | "kopias" | "kopia+http" | "kopia+https" | "unix+http" | "unix+https" => self.server(),
            scheme => Err(Error::UnknownStorage { name: format!("{scheme}://") }),
        }
    }

    fn bad(&self, why: impl Into<String>) -> Error {
        bad(self.text, why)
    }

    /// Takes the path as it stands: there is no escaping in it.
    fn directory(&self) -> Result<Connection> {
        let is_file = self.scheme == "file" && self.has_slashes;
        let local = self.rest.strip_prefix("localhost").filter(|path| is_file && path.starts_with('/'));
        let path = local.unwrap_or(self.rest);
        let is_upward = |component| component == Component::ParentDir;
        if !path.starts_with('/') {
            let why = "the path after `filesystem://` does not begin with `/`";
            return Err(Error::BadLocation { text: self.text.into(), why: why.into() });
        }
        if Path::new(path).components().any(is_upward) {
            let why = "the path after `filesystem://` holds `..`";
            return Err(Error::BadLocation { text: self.text.into(), why: why.into() });
        }
        Ok(directory(path))
    }

    fn bucket(&self, make: impl Fn(String, String) -> Storage) -> Result<Connection> {
        let url = Url::of(self.rest);
        if url.user.is_some() {
            return Err(self.bad("keys do not belong before the bucket; give them as variables or options"));
        }
        if url.host.is_empty() {
            return Err(self.bad("it names no bucket"));
        }
        let prefix = url.path.strip_prefix('/').unwrap_or_default();
        self.finish(make(url.host.into(), prefix.into()), &url)
    }

    /// Applies the query.
    fn finish(&self, storage: Storage, url: &Url<'_>) -> Result<Connection> {
        let mut connection = Connection::new(storage);
        connection.apply(url.options().ok_or_else(|| self.bad("its query is no UTF-8 when decoded"))?)?;
        Ok(connection)
    }

    /// Decodes who asks: a name, and perhaps a password.
    fn user(&self, url: &Url<'_>) -> Result<(Option<String>, Option<Secret>)> {
        let Some(user) = url.user else { return Ok((None, None)) };
        let decode =
            |text| decoded(text).ok_or_else(|| self.bad("what stands before `@` is no UTF-8 when decoded"));
        let (name, password) = user.split_once(':').map_or((user, None), |(name, word)| (name, Some(word)));
        let name = Some(decode(name)?).filter(|name| !name.is_empty());
        Ok((name, password.map(decode).transpose()?.map(Secret::new)))
    }

    fn sftp(&self) -> Result<Connection> {
        let url = Url::of(self.rest);
        let (host, port) = self.host_and_port(url.host)?;
        let (username, password) = self.user(&url)?;
        // `/~/` leads to the user's home, as with git and restic.
        let path = url.path.strip_prefix("/~/").unwrap_or(url.path);
        if path.is_empty() {
            return Err(self.bad("it names no directory of the server"));
        }
        let username = username.unwrap_or_default();
        self.finish(
            Storage::Sftp(Sftp { path: path.into(), host, port, username, password, ..Sftp::default() }),
            &url,
        )
    }

    /// Reads `sftp:user@host:path`, as scp and restic write it.
    fn scp(&self) -> Result<Connection> {
        let (user, place) =
            self.rest.rsplit_once('@').map_or((None, self.rest), |(user, place)| (Some(user), place));
        let (host, path) = match place.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
            Some(bracketed) => bracketed,
            None => place.split_once(':').ok_or_else(|| self.bad("write sftp:user@host:/path"))?,
        };
        if host.is_empty() || path.is_empty() {
            return Err(self.bad("write sftp:user@host:/path"));
        }
        let username = user.unwrap_or_default().into();
        let sftp = Sftp { path: path.into(), host: host.into(), username, ..Sftp::default() };
        Ok(Connection::new(Storage::Sftp(sftp)))
    }

    fn host_and_port(&self, host: &str) -> Result<(String, Option<u16>)> {
        let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, port.strip_prefix(':').or(Some(""))),
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err(self.bad("it names no host"));
        }
        let port =
            port.map(str::parse).transpose().map_err(|_| self.bad("its port is no number up to 65535"))?;
        Ok((host.into(), port))
    }

    fn webdav(&self, scheme: &str) -> Result<Connection> {
        let url = Url::of(self.rest);
        if url.host.is_empty() {
            return Err(self.bad("it names no host"));
        }
        let (username, password) = self.user(&url)?;
        let place = format!("{scheme}://{}{}", url.host, url.path);
        self.finish(Storage::WebDav(WebDav { url: place, username, password, ..WebDav::default() }), &url)
    }

    /// Takes what follows as rclone takes it: a remote may hold any character.
    fn rclone(&self) -> Result<Connection> {
        if !self.rest.contains(':') {
            return Err(self.bad("write rclone:remote:path"));
        }
        Ok(Connection::new(Storage::Rclone(Rclone { remote_path: self.rest.into(), ..Rclone::default() })))
    }

    /// Reads a server, and the user and host that ask it: `user@host@server`.
    fn server(&self) -> Result<Connection> {
        let url = Url::of(self.rest);
        let is_socket = self.scheme.starts_with("unix+");
        if url.host.is_empty() && !is_socket {
            return Err(self.bad("it names no server"));
        }
        let place = match &*self.scheme {
            "kopia" | "kopias" if url.has_port() => format!("https://{}", url.host),
            "kopia" | "kopias" => format!("https://{}{SERVER_PORT}", url.host),
            scheme if is_socket => format!("{scheme}://{}{}", url.host, url.path),
            "kopia+http" | "kopia+https" if !url.has_port() => {
                format!("{}://{}{SERVER_PORT}", self.scheme, url.host)
            }
            scheme => format!("{scheme}://{}", url.host),
        };
        let (user, password) = self.user(&url)?;
        let mut connection =
            self.finish(Storage::Server(Server { url: place, ..Server::default() }), &url)?;
        let (username, hostname) =
            match user.as_deref().map(|user| user.split_once('@').unwrap_or((user, ""))) {
                Some((name, host)) => (Some(name), Some(host)),
                None => (None, None),
            };
        let owned = |name: Option<&str>| name.filter(|name| !name.is_empty()).map(str::to_owned);
        connection.username = connection.username.or_else(|| owned(username));
        connection.hostname = connection.hostname.or_else(|| owned(hostname));
        connection.password = password.map(|password| password.reveal().into());
        Ok(connection)
    }
}

/// The parts of a URL after `://`, none of them decoded.
struct Url<'t> {
    user: Option<&'t str>,
    /// With a port, if there is one.
    host: &'t str,
    /// With the slash before it.
    path: &'t str,
    query: &'t str,
}

impl<'t> Url<'t> {
    fn of(rest: &'t str) -> Self {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password with `/` in it must be encoded, so that `@` in a path is not taken for the end of one.
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        Self { user, host, path, query }
    }

    fn has_port(&self) -> bool {
        self.host.rsplit(']').next().is_some_and(|end| end.contains(':'))
    }

    /// Reads `name=value` and `name`, joined by `&`.
    fn options(&self) -> Option<Options> {
        let mut options = Options::default();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(decoded(name)?, decoded(value)?);
        }
        Some(options)
    }
}

/// Undoes percent-encoding. `+` stands for itself.
fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// Returns whether a text can be the scheme of a URL.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests;
