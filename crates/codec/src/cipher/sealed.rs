//! `nonce ‖ ciphertext ‖ tag`, as contents, index blobs and the format blob have it.

#[cfg(feature = "native")]
use super::native as backend;
#[cfg(not(feature = "native"))]
use super::pure as backend;
use super::{Encryption, OVERHEAD};
use crate::{Error, Result};

/// Bytes of a nonce, for both ciphers.
pub(crate) const NONCE: usize = 12;
/// Bytes of a tag, for both ciphers.
pub(crate) const TAG: usize = 16;

pub(crate) type Key = [u8; 32];

pub(crate) struct Sealed<'a> {
    pub(super) nonce: &'a [u8; NONCE],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8; TAG],
}

impl<'a> Sealed<'a> {
    /// Splits stored bytes into their parts; `what` names them in the error.
    pub(crate) fn split(what: &'static str, stored: &'a [u8]) -> Result<Self> {
        stored
            .split_first_chunk()
            .and_then(|(nonce, rest)| {
                let (ciphertext, tag) = rest.split_last_chunk()?;
                Some(Self { nonce, ciphertext, tag })
            })
            .ok_or_else(|| Error::corrupt(what, format!("{} bytes, fewer than {OVERHEAD}", stored.len())))
    }

    /// Replaces the contents of `out` by the plaintext; empties it if the bytes are not authentic.
    pub(crate) fn open(
        &self,
        encryption: Encryption,
        key: &Key,
        associated: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        // Zeros only what it grows by; the backend overwrites all of it.
        out.resize(self.ciphertext.len(), 0);
        // A backend may leave unauthenticated bytes behind.
        backend::open(encryption, key, self, associated, out).inspect_err(|_| out.clear())
    }
}

/// Replaces stored bytes by their plaintext; empties them if they are not authentic.
pub(super) fn open_in_place(
    encryption: Encryption,
    key: &Key,
    associated: &[u8],
    bytes: &mut Vec<u8>,
) -> Result<()> {
    let split = Sealed::split("encrypted content", bytes)
        .map(|Sealed { nonce, ciphertext, tag }| (*nonce, ciphertext.len(), *tag));
    let (nonce, length, tag) = match split {
        Ok(parts) => parts,
        Err(error) => {
            bytes.clear();
            return Err(error);
        }
    };
    bytes.drain(..NONCE);
    bytes.truncate(length);
    backend::open_in_place(encryption, key, (nonce, tag), associated, bytes).inspect_err(|_| bytes.clear())
}

#[cfg(any(test, feature = "seal"))]
pub(crate) fn seal(
    encryption: Encryption,
    key: &Key,
    nonce: [u8; NONCE],
    associated: &[u8],
    plain: &[u8],
) -> Vec<u8> {
    let mut stored = Vec::with_capacity(plain.len().saturating_add(OVERHEAD));
    stored.extend_from_slice(&nonce);
    stored.extend_from_slice(plain);
    let (_, text) = stored.split_at_mut(NONCE);
    let tag = backend::seal(encryption, key, nonce, associated, text);
    stored.extend_from_slice(&tag);
    stored
}
