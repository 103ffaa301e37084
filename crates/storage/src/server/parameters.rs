//! How a server's contents are named.

use std::fmt;

use zeroize::Zeroizing;

/// How a server's contents are named and files are cut, as the server says when a session begins.
///
/// The secret of the hash is wiped when this is dropped, and never printed. A server may keep it to itself;
/// then contents cannot be compared with their ids.
#[derive(Clone)]
#[non_exhaustive]
pub struct Parameters {
    /// The name of the hash of contents, such as `BLAKE2B-256-128`.
    pub hash: String,
    /// The name of what cuts files into contents.
    pub splitter: String,
    /// Whether contents may be compressed when they are stored; they come decompressed.
    pub compresses: bool,
    secret: Option<Zeroizing<Vec<u8>>>,
}

impl Parameters {
    /// Takes the name of the hash and its secret.
    pub fn new(hash: impl Into<String>, secret: Zeroizing<Vec<u8>>) -> Self {
        Self { secret: Some(secret), ..Self::without_secret(hash) }
    }

    /// Takes the name of the hash of a server that does not say its secret.
    pub fn without_secret(hash: impl Into<String>) -> Self {
        Self { hash: hash.into(), splitter: String::new(), compresses: false, secret: None }
    }

    /// Returns the secret that is hashed along, for whoever compares contents with their ids.
    pub fn secret(&self) -> Option<&[u8]> {
        self.secret.as_ref().map(|secret| &***secret)
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("hash", &self.hash)
            .field("splitter", &self.splitter)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_printed() {
        let parameters = Parameters::new("BLAKE2B-256-128", Zeroizing::new(vec![222, 173]));
        let printed = format!("{parameters:?}");
        assert!(printed.contains("BLAKE2B") && !printed.contains("222"), "{printed}");
        assert_eq!(parameters.secret(), Some(&[222, 173][..]));
        assert_eq!(Parameters::without_secret("BLAKE2B-256-128").secret(), None);
    }
}
