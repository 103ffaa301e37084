//! A Kopia repository server.

/// A Kopia repository server. Authority: Kopia's `repo/api_server_repository.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Server {
    /// `https://host:port`, or `unix+https:///socket`; with `http://`, `kopia+http://` and `kopia+https://`
    /// the server is asked by its REST API.
    pub url: String,
    /// Which certificate is the server's.
    pub trust: Trust,
}

impl Server {
    /// Returns whether it is asked by its REST API, as its UI asks: by the UI's user, with or without TLS.
    pub fn is_rest(&self) -> bool {
        let scheme = self.url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("http" | "kopia+http" | "kopia+https"))
    }
}

/// Which certificate is the server's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Trust {
    /// One that the system trusts, for the server's name.
    #[default]
    System,
    /// Any with this SHA-256 in hex; nothing else of it is checked.
    Fingerprint(String),
    /// One that these certificates in PEM vouch for.
    Roots(Vec<u8>),
}
