//! Ciphers: one content or index blob, opened and checked.
//!
//! Each has a key of its own, derived from the master key and an *iv* that its name gives: the last 16 bytes
//! of a content's hash, or the bytes in an index blob's id. The authority is Kopia's `repo/encryption`.
//!
//! ```text
//! secret = HKDF-SHA256(ikm = master key, salt = "encryption", info = "")       32 bytes
//! key    = HMAC-SHA256(secret, iv)
//! stored = nonce, 12 bytes ‖ ciphertext ‖ tag, 16 bytes                       associated data = iv
//! ```

#[cfg(feature = "native")]
mod native;
#[cfg(any(test, not(feature = "native")))]
mod pure;
pub(crate) mod sealed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use hmac::digest::FixedOutput as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroizing, zeroize_stack};

use self::sealed::{Key, NONCE, Sealed, TAG};
use crate::wipe::STACK;
use crate::{Error, Result};

/// Bytes by which a sealed content is longer than its plaintext.
pub const OVERHEAD: usize = NONCE + TAG;

/// A cipher by Kopia's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encryption {
    /// `AES256-GCM-HMAC-SHA256`, Kopia's default.
    Aes256GcmHmacSha256,
    /// `CHACHA20-POLY1305-HMAC-SHA256`
    ChaCha20Poly1305HmacSha256,
}

impl Encryption {
    /// All ciphers.
    pub const ALL: [Self; 2] = [Self::Aes256GcmHmacSha256, Self::ChaCha20Poly1305HmacSha256];

    /// Finds a cipher by the format's `encryption`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for any other name. Kopia up to 0.8.4 could write `AES-256-CTR`,
    /// `SALSA20-HMAC`, `NONE` and others, which today's Kopia refuses as well.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|encryption| encryption.name() == name);
        found.ok_or_else(|| Error::Unsupported { what: "encryption", found: name.into() })
    }

    /// Returns Kopia's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256GcmHmacSha256 => "AES256-GCM-HMAC-SHA256",
            Self::ChaCha20Poly1305HmacSha256 => "CHACHA20-POLY1305-HMAC-SHA256",
        }
    }
}

/// A cipher with its secret, which is wiped with the last clone: clones share it.
#[derive(Clone)]
pub struct Cipher {
    encryption: Encryption,
    /// Keyed with the secret; deriving a content's key works on a copy (150 ns).
    mac: Arc<Hmac<Sha256>>,
}

impl Cipher {
    /// Makes a cipher of the format's `encryption` and `masterKey`.
    pub fn new(encryption: Encryption, master_key: &[u8]) -> Self {
        let mac = keyed(master_key);
        zeroize_stack::<STACK>();
        Self { encryption, mac }
    }

    /// Returns the algorithm.
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// Replaces the contents of `out` by the plaintext of `stored`, which is [`OVERHEAD`] bytes shorter.
    ///
    /// The plaintext goes straight from `stored` to `out`, without a copy (feature `native`). Pass the same
    /// buffer again without clearing it: only what it grows by is filled with zeros first.
    ///
    /// # Errors
    ///
    /// [`Error::NotAuthentic`] if the tag does not fit, [`Error::Corrupt`] if `stored` is too short for one.
    /// `out` is empty then.
    pub fn open(&self, iv: &[u8], stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let sealed = Sealed::split("encrypted content", stored).inspect_err(|_| out.clear())?;
        sealed.open(self.encryption, &self.key(iv), iv, out)
    }

    /// As [`Self::open`], in the memory of the stored bytes: for those that are too many to have twice.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`]; `bytes` is empty then.
    pub fn open_in_place(&self, iv: &[u8], bytes: &mut Vec<u8>) -> Result<()> {
        sealed::open_in_place(self.encryption, &self.key(iv), iv, bytes)
    }

    /// Seals `plain` under a nonce, which must never be used twice with the same iv.
    #[cfg(any(test, feature = "seal"))]
    pub fn seal(&self, iv: &[u8], nonce: [u8; NONCE], plain: &[u8]) -> Vec<u8> {
        sealed::seal(self.encryption, &self.key(iv), nonce, iv, plain)
    }

    fn key(&self, iv: &[u8]) -> Zeroizing<Key> {
        let mut mac = Hmac::clone(&self.mac);
        mac.update(iv);
        let mut key = Zeroizing::new([0; 32]);
        mac.finalize_into((&mut *key).into());
        key
    }
}

/// Derives the secret in a stack frame of its own, which [`Cipher::new`] wipes afterwards.
#[inline(never)]
fn keyed(master_key: &[u8]) -> Arc<Hmac<Sha256>> {
    let mut secret = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(b"encryption"), master_key)
        .expand(b"", secret.as_mut())
        .expect("HKDF can give 32 bytes");
    Arc::new(Hmac::new_from_slice(secret.as_ref()).expect("HMAC takes keys of any length"))
}

impl fmt::Debug for Cipher {
    /// Shows only the algorithm.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher").field("encryption", &self.encryption).finish_non_exhaustive()
    }
}
