//! RustCrypto's ciphers, for builds without a C compiler; the tests compare aws-lc with them.

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use chacha20poly1305::ChaCha20Poly1305;

use super::Encryption;
use super::sealed::{Key, NONCE, Sealed, TAG};
use crate::{Error, Result};

/// Opens `sealed` into `out`, which has the ciphertext's length.
pub(super) fn open(
    encryption: Encryption,
    key: &Key,
    sealed: &Sealed<'_>,
    associated: &[u8],
    out: &mut [u8],
) -> Result<()> {
    // These crates work in place only.
    out.copy_from_slice(sealed.ciphertext);
    open_in_place(encryption, key, (*sealed.nonce, *sealed.tag), associated, out)
}

/// Opens `text`, which is a ciphertext, in place.
pub(super) fn open_in_place(
    encryption: Encryption,
    key: &Key,
    (nonce, tag): ([u8; NONCE], [u8; TAG]),
    associated: &[u8],
    text: &mut [u8],
) -> Result<()> {
    let (nonce, tag) = ((&nonce).into(), (&tag).into());
    let opened = match encryption {
        Encryption::Aes256GcmHmacSha256 => {
            Aes256Gcm::new(key.into()).decrypt_inout_detached(nonce, associated, text.into(), tag)
        }
        Encryption::ChaCha20Poly1305HmacSha256 => {
            ChaCha20Poly1305::new(key.into()).decrypt_inout_detached(nonce, associated, text.into(), tag)
        }
    };
    opened.map_err(|_| Error::NotAuthentic)
}

/// Encrypts `text` in place and returns the tag.
#[cfg(any(test, feature = "seal"))]
pub(super) fn seal(
    encryption: Encryption,
    key: &Key,
    nonce: [u8; NONCE],
    associated: &[u8],
    text: &mut [u8],
) -> [u8; TAG] {
    let nonce = (&nonce).into();
    let tag = match encryption {
        Encryption::Aes256GcmHmacSha256 => {
            Aes256Gcm::new(key.into()).encrypt_inout_detached(nonce, associated, text.into())
        }
        Encryption::ChaCha20Poly1305HmacSha256 => {
            ChaCha20Poly1305::new(key.into()).encrypt_inout_detached(nonce, associated, text.into())
        }
    };
    tag.expect("a text in memory is shorter than the ciphers' limits").into()
}
