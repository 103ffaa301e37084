//! A Kopia repository server.

/// A Kopia repository server. Authority: Kopia's `repo/api_server_repository.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Server {
    /// `https://host:port`, or `unix+https:///socket`.
    pub url: String,
    /// Which certificate is the server's.
    pub trust: Trust,
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
