//! Where the server is and who asks, with every secret that it takes.

use std::path::PathBuf;
use std::sync::Arc;

use kopia_connection::Environment;
use kopia_connection::storage::{KnownHosts, Sftp};
use kopia_storage::Failure;

use crate::patience::Patience;

/// The port of SSH.
const PORT: u16 = 22;

/// Where the server is and who asks.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) sftp: Arc<Sftp>,
    pub(super) environment: Environment,
    pub(super) patience: Patience,
}

impl Place {
    /// Takes a connection as it was written down.
    ///
    /// # Errors
    /// If no server can be meant.
    pub(super) fn new(sftp: &Sftp, environment: &Environment, patience: &Patience) -> Result<Self, Failure> {
        let unusable = |what: &str| Failure::Unusable { what: what.into() };
        if sftp.host.is_empty() {
            return Err(unusable("the connection names no host"));
        }
        // A program would take it for an option.
        if sftp.host.starts_with('-') || sftp.username.starts_with('-') {
            return Err(unusable("the name of a host or user begins with '-'"));
        }
        let mut sftp = sftp.clone();
        if let Some(host) = sftp.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            sftp.host = host.to_owned();
        }
        Ok(Self { sftp: Arc::new(sftp), environment: environment.clone(), patience: patience.clone() })
    }

    pub(super) fn port(&self) -> u16 {
        self.sftp.port.filter(|port| *port != 0).unwrap_or(PORT)
    }

    /// Returns host and port, for messages.
    pub(super) fn host(&self) -> String {
        let host = &self.sftp.host;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if self.port() == PORT { host } else { format!("{host}:{}", self.port()) }
    }

    /// Returns what to call the place in messages: without user, as names of users are nobody's business.
    pub(super) fn location(&self) -> String {
        match self.sftp.path.strip_prefix('/') {
            Some(path) => format!("sftp://{}/{path}", self.host()),
            // Below the directory that the server puts the user in.
            None => format!("sftp://{}/./{}", self.host(), self.sftp.path),
        }
    }

    /// Returns the directory of the repository, without `/` at its end.
    pub(super) fn root(&self) -> &str {
        match self.sftp.path.trim_end_matches('/') {
            "" if self.sftp.path.starts_with('/') => "/",
            "" => ".",
            path => path,
        }
    }

    /// Returns the file that names the known hosts, unless a text does.
    pub(super) fn known_hosts_file(&self) -> Option<PathBuf> {
        match &self.sftp.known_hosts {
            Some(KnownHosts::File(path)) => Some(path.clone()),
            Some(_) => None,
            None => self.environment.home().map(|home| home.join(".ssh").join("known_hosts")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: Option<u16>, path: &str) -> Place {
        let mut sftp = Sftp::default();
        sftp.host = host.into();
        sftp.port = port;
        sftp.path = path.into();
        sftp.username = "me".into();
        sftp.password = Some("secret".into());
        Place::new(&sftp, &Environment::empty(), &Patience::default()).unwrap()
    }

    #[test]
    fn a_location_names_neither_users_nor_secrets() {
        for (host, port, path, location, root) in [
            ("h", None, "/srv/kopia/", "sftp://h/srv/kopia/", "/srv/kopia"),
            ("h", Some(22), "kopia", "sftp://h/./kopia", "kopia"),
            ("h", Some(2222), "/", "sftp://h:2222/", "/"),
            ("[::1]", Some(0), "", "sftp://[::1]/./", "."),
        ] {
            let place = place(host, port, path);
            assert_eq!((&*place.location(), place.root()), (location, root));
            assert!(!format!("{place:?}").contains("secret"));
        }
    }

    #[test]
    fn a_host_is_no_option_of_a_program() {
        let mut sftp = Sftp::default();
        assert!(Place::new(&sftp, &Environment::empty(), &Patience::default()).is_err());
        sftp.host = "-oProxyCommand=x".into();
        assert!(Place::new(&sftp, &Environment::empty(), &Patience::default()).is_err());
    }
}
