//! From a password to the format blob's plaintext.
//!
//! The password and the repository's unique id give the *format key*; it opens the envelope around the block
//! format in `kopia.repository` (and the one in `kopia.blobcfg`). It holds the master key for
//! [`cipher`](crate::cipher) and the secret for [`hash`](crate::hash). The authorities are Kopia's
//! `internal/crypto` and `repo/format`.
//!
//! ```
//! use kopia_codec::key::{KeyDerivation, Password};
//!
//! let derivation = KeyDerivation::from_name("scrypt-65536-8-1")?;
//! let unique_id = [1; 32];
//! let key = derivation.derive(&Password::from("correct horse"), &unique_id)?;
//! assert!(key.open(&unique_id, &[0; 100]).is_err());
//! # Ok::<(), kopia_codec::Error>(())
//! ```

#[cfg(test)]
mod tests;

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroizing, zeroize_stack};

use crate::cipher::Encryption;
use crate::cipher::sealed::{Key, Sealed};
use crate::wipe::{self, STACK};
use crate::{Error, Result};

/// The shortest salt that Kopia takes, in bytes. Unique ids have 32.
const SHORTEST_SALT: usize = 16;

/// The size of scrypt's working block, in bytes: 128 × r × p. It allows trying passwords without scrypt's
/// cost.
const SCRYPT_BLOCK: usize = 128 * 8;

/// The rounds of PBKDF2. Fuzzers open hundreds of repositories a second: builds with `--cfg fuzzing` open
/// none of kopia's.
const PBKDF2_ROUNDS: u32 = if cfg!(fuzzing) { 1 } else { 600_000 };

/// A repository's password, which is wiped from memory when dropped and never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Makes a password of any bytes; nothing is trimmed, and it may be empty.
    pub fn new(password: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// Returns the password's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the password without the white space around it; `None` if there is none.
    ///
    /// So kopia takes passwords of `--password`, `KOPIA_PASSWORD` and tokens, and those that are typed or
    /// given in its window as they are (`cli/password.go`): either may be what opens a repository.
    pub fn trimmed(&self) -> Option<Self> {
        let bytes = self.as_bytes();
        let trimmed = std::str::from_utf8(bytes).map_or(bytes.trim_ascii(), |text| text.trim().as_bytes());
        (trimmed.len() < bytes.len()).then(|| trimmed.into())
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self::new(password)
    }
}

impl From<&str> for Password {
    fn from(password: &str) -> Self {
        Self::new(password)
    }
}

impl From<Vec<u8>> for Password {
    fn from(password: Vec<u8>) -> Self {
        Self::new(password)
    }
}

impl From<&[u8]> for Password {
    fn from(password: &[u8]) -> Self {
        Self::new(password)
    }
}

impl fmt::Debug for Password {
    /// Shows nothing of it, not even its length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// How a password becomes a key, by Kopia's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyDerivation {
    /// `scrypt-65536-8-1`, Kopia's default: 64 MiB of memory, some 150 ms.
    Scrypt65536,
    /// `pbkdf2-sha256-600000`: some 70 ms.
    Pbkdf2Sha256,
    /// `kopia-rs-testing-only`: no time, and no protection. For tests that open repositories thousands of
    /// times; kopia does not know it, and has another one for its own tests.
    #[cfg(any(test, feature = "seal"))]
    TestingOnly,
}

impl KeyDerivation {
    /// Both derivations that kopia has.
    pub const ALL: [Self; 2] = [Self::Scrypt65536, Self::Pbkdf2Sha256];

    /// Finds a derivation by the format blob's `keyAlgo`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for any other name, such as the ones that only Kopia's tests use.
    pub fn from_name(name: &str) -> Result<Self> {
        #[cfg(any(test, feature = "seal"))]
        if name == Self::TestingOnly.name() {
            return Ok(Self::TestingOnly);
        }
        let found = Self::ALL.into_iter().find(|derivation| derivation.name() == name);
        found.ok_or_else(|| Error::Unsupported { what: "key derivation", found: name.into() })
    }

    /// Returns Kopia's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scrypt65536 => "scrypt-65536-8-1",
            Self::Pbkdf2Sha256 => "pbkdf2-sha256-600000",
            #[cfg(any(test, feature = "seal"))]
            Self::TestingOnly => "kopia-rs-testing-only",
        }
    }

    /// Returns how many bytes of memory [`Self::derive`] takes while it runs.
    pub const fn memory(self) -> usize {
        match self {
            Self::Scrypt65536 => 64 << 20,
            Self::Pbkdf2Sha256 => 0,
            #[cfg(any(test, feature = "seal"))]
            Self::TestingOnly => 0,
        }
    }

    /// Derives the format key; `salt` is the format blob's `uniqueID`. Slow on purpose.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if the salt has fewer than 16 bytes. A wrong password is noticed only by
    /// [`FormatKey::open`].
    pub fn derive(self, password: &Password, salt: &[u8]) -> Result<FormatKey> {
        if salt.len() < SHORTEST_SALT {
            let why = format!("{} bytes, fewer than {SHORTEST_SALT}", salt.len());
            return Err(Error::corrupt("unique id", why));
        }
        let mut key = FormatKey(Box::default());
        self.derive_into(password, salt, &mut key.0);
        zeroize_stack::<STACK>();
        wipe::freed::<SCRYPT_BLOCK>();
        Ok(key)
    }

    /// Derives the key in a stack frame of its own, which [`Self::derive`] wipes afterwards.
    #[inline(never)]
    fn derive_into(self, password: &Password, salt: &[u8], key: &mut Key) {
        match self {
            Self::Scrypt65536 => {
                let params =
                    scrypt::Params::new(16, 8, 1).expect("Kopia's parameters are within scrypt's limits");
                scrypt::scrypt(password.as_bytes(), salt, &params, key).expect("scrypt can give 32 bytes");
            }
            Self::Pbkdf2Sha256 => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, PBKDF2_ROUNDS, key);
            }
            #[cfg(any(test, feature = "seal"))]
            Self::TestingOnly => pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, 1, key),
        }
    }
}

/// The key derived from a password: it opens the format blob, and what kopia seals as that.
///
/// It stays at one place in memory, which is wiped on drop: moving a value would leave a copy behind.
#[derive(Clone)]
pub struct FormatKey(Box<Zeroizing<Key>>);

impl FormatKey {
    /// Opens `nonce ‖ ciphertext ‖ tag`, the format blob's `encryptedBlockFormat` of kind `AES256_GCM`.
    ///
    /// # Errors
    ///
    /// [`Error::NotAuthentic`]: the password is wrong, or the blob is damaged. [`Error::Corrupt`]: too
    /// short.
    pub fn open(&self, unique_id: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let sealed = Sealed::split("encrypted block format", sealed)?;
        let mut plain = Zeroizing::new(Vec::new());
        let opened = self.open_into(unique_id, &sealed, &mut plain);
        zeroize_stack::<STACK>();
        opened.map(|()| plain)
    }

    /// Opens in a stack frame of its own, which [`Self::open`] wipes afterwards.
    #[inline(never)]
    fn open_into(&self, unique_id: &[u8], sealed: &Sealed<'_>, plain: &mut Vec<u8>) -> Result<()> {
        let (key, associated) = self.expand(unique_id);
        sealed.open(Encryption::Aes256GcmHmacSha256, &key, associated.as_ref(), plain)
    }

    /// Opens the schedule of maintenance, sealed as [`Self::open`] has it with a key of its own: one that is derived
    /// from the format's `master_key`, or from this key where the password cannot be changed (`None`). The authority is
    /// Kopia's `repo/maintenance/maintenance_schedule.go` and `repo/repository.go`.
    ///
    /// # Errors
    ///
    /// [`Error::NotAuthentic`] if it is damaged, [`Error::Corrupt`] if it is too short.
    pub fn open_schedule(
        &self,
        master_key: Option<&[u8]>,
        unique_id: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>> {
        let sealed = Sealed::split("maintenance schedule", sealed)?;
        let mut plain = Vec::new();
        let opened = self.open_schedule_into(master_key, unique_id, &sealed, &mut plain);
        zeroize_stack::<STACK>();
        opened.map(|()| plain)
    }

    /// Opens in a stack frame of its own, which [`Self::open_schedule`] wipes afterwards.
    #[inline(never)]
    fn open_schedule_into(
        &self,
        master_key: Option<&[u8]>,
        unique_id: &[u8],
        sealed: &Sealed<'_>,
        plain: &mut Vec<u8>,
    ) -> Result<()> {
        let base = master_key.unwrap_or(&**self.0);
        let mut key = Zeroizing::new([0; 32]);
        let hkdf = Hkdf::<Sha256>::new(Some(unique_id), base);
        hkdf.expand(b"maintenance schedule", key.as_mut()).expect("HKDF can give 32 bytes");
        sealed.open(Encryption::Aes256GcmHmacSha256, &key, b"maintenance", plain)
    }

    /// Seals `plain` under a nonce, which must never be used twice with the same key and unique id.
    #[cfg(any(test, feature = "seal"))]
    pub fn seal(&self, unique_id: &[u8], nonce: [u8; 12], plain: &[u8]) -> Vec<u8> {
        let (key, associated) = self.expand(unique_id);
        crate::cipher::sealed::seal(Encryption::Aes256GcmHmacSha256, &key, nonce, associated.as_ref(), plain)
    }

    /// Derives the AES key and the associated data.
    fn expand(&self, unique_id: &[u8]) -> (Zeroizing<Key>, Zeroizing<Key>) {
        let hkdf = Hkdf::<Sha256>::new(Some(unique_id), &**self.0);
        let expand = |purpose: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            hkdf.expand(purpose, key.as_mut()).expect("HKDF can give 32 bytes");
            key
        };
        (expand(b"AES"), expand(b"CHECKSUM"))
    }
}

impl fmt::Debug for FormatKey {
    /// Shows nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormatKey(..)")
    }
}
