//! The secret that lets a client in.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Random bytes of a token.
const BYTES: usize = 24;

/// A random token: 32 characters that need no escaping in URLs. It is in no output but [`Self::reveal`].
pub struct Token(Zeroizing<String>);

impl Token {
    /// Makes a token of 192 bits that the system draws.
    ///
    /// # Errors
    /// [`Error::Random`] if the system has no random numbers.
    pub fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        getrandom::fill(&mut *bytes).map_err(|error| Error::Random(error.to_string()))?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))))
    }

    /// Returns the token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares with what a client sent, in a time that tells nothing but the length.
    pub(crate) fn matches(&self, sent: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(sent).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_itself_alone_and_is_not_shown() {
        let (token, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_eq!(token.reveal().len(), 32);
        assert!(token.matches(token.reveal().as_bytes()) && !token.matches(other.reveal().as_bytes()));
        assert!(!token.matches(b"") && !token.matches(&token.reveal().as_bytes()[1..]));
        assert!(!format!("{token:?}").contains(token.reveal()));
    }
}
