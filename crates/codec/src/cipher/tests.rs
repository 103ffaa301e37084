use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
#[cfg(feature = "native")]
use crate::hash::testing::payload;
use crate::hash::testing::unhex;

/// Ciphertexts from Kopia's `repo/encryption/encryption_test.go`: iv, plaintext, AES, ChaCha20.
const SAMPLES: [[&str; 4]; 2] = [
    [
        "aabbccddeeffgghhiijjkkllmmnnoopp",
        "foo",
        "e43ba07f85a6d70c5f1102ca06cf19c597e5f91e527b21f00fb76e8bec3fd1",
        "118359f3d4d589d939efbbc3168ae4c77c51bcebce6845fe6ef5d11342faa6",
    ],
    [
        "00000000000000000000000000000000",
        "quick brown fox jumps over the lazy dog",
        "eaad755a238f1daa4052db2e5ccddd934790b6cca415b3ccfd46ac5746af33d9d30f4400ffa9eb3a64fb1ce21b888c12c043bf67\
         87d4a5c15ad10f21f6a6027ee3afe0",
        "836d2ba87892711077adbdbe1452d3b2c590bbfdf6fd3387dc6810220a32ec19de862e1a4f865575e328424b5f178afac1b7eeff\
         11494f719d119b7ebb924d1d0846a3",
    ],
];

fn cipher(encryption: Encryption) -> Cipher {
    Cipher::new(encryption, b"01234567890123456789012345678901")
}

fn open(cipher: &Cipher, iv: &[u8], stored: &[u8]) -> Result<Vec<u8>> {
    // What was in the buffer must not matter.
    let mut out = vec![0xEE; 50];
    let result = cipher.open(iv, stored, &mut out);
    if result.is_err() {
        assert!(out.is_empty());
    }
    let mut bytes = stored.to_vec();
    match cipher.open_in_place(iv, &mut bytes) {
        Ok(()) => assert_eq!(result.as_ref().ok().map(|()| &out), Some(&bytes)),
        Err(error) => {
            assert!(bytes.is_empty());
            assert_eq!(result.as_ref().map_err(ToString::to_string), Err(error.to_string()));
        }
    }
    result.map(|()| out)
}

#[test]
fn kopias_samples_open_and_seal() {
    for [iv, plain, aes, chacha] in SAMPLES {
        for (encryption, stored) in Encryption::ALL.into_iter().zip([aes, chacha]) {
            let (cipher, stored) = (cipher(encryption), unhex(stored));
            assert_eq!(open(&cipher, iv.as_bytes(), &stored).unwrap(), plain.as_bytes());
            let nonce = *stored.first_chunk().unwrap();
            assert_eq!(cipher.seal(iv.as_bytes(), nonce, plain.as_bytes()), stored);
        }
    }
}

#[test]
fn any_changed_bit_and_any_other_iv_is_noticed() {
    for encryption in Encryption::ALL {
        let cipher = cipher(encryption);
        for plain in [&b""[..], b"some plaintext"] {
            let stored = cipher.seal(b"iv", [7; 12], plain);
            assert_eq!(stored.len(), plain.len() + OVERHEAD);
            assert_eq!(open(&cipher, b"iv", &stored).unwrap(), plain);
            assert!(matches!(open(&cipher, b"ix", &stored), Err(Error::NotAuthentic)));
            for bit in 0..stored.len() * 8 {
                let mut damaged = stored.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(matches!(open(&cipher, b"iv", &damaged), Err(Error::NotAuthentic)));
            }
            for length in 0..stored.len() {
                let result = open(&cipher, b"iv", &stored[..length]);
                match result.unwrap_err() {
                    Error::Corrupt { .. } => assert!(length < OVERHEAD),
                    Error::NotAuthentic => assert!(length >= OVERHEAD),
                    other => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn names_go_both_ways_and_old_ones_are_refused() {
    for encryption in Encryption::ALL {
        assert_eq!(Encryption::from_name(encryption.name()).unwrap(), encryption);
    }
    for name in ["", "NONE", "AES-256-CTR", "SALSA20", "SALSA20-HMAC", "AES256_GCM"] {
        let error = Encryption::from_name(name).unwrap_err();
        assert_eq!(error.to_string(), format!("unsupported encryption: {name}"));
    }
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{:?}", cipher(Encryption::Aes256GcmHmacSha256));
    assert_eq!(text, "Cipher { encryption: Aes256GcmHmacSha256, .. }");
}

#[test]
fn a_cipher_can_be_shared() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<Cipher>();
    check::<crate::hash::Hasher>();
    check::<crate::ecc::Ecc>();
}

#[cfg(feature = "native")]
#[test]
fn both_backends_agree() {
    for encryption in Encryption::ALL {
        for length in [0, 1, 15, 16, 17, 64, 1000, 100_000] {
            let (key, plain) = ([9; 32], payload(length));
            let (mut one, mut two) = (plain.clone(), plain.clone());
            let tag = native::seal(encryption, &key, [3; 12], b"iv", &mut one);
            assert_eq!(tag, pure::seal(encryption, &key, [3; 12], b"iv", &mut two));
            assert!(one == two);
            let sealed = Sealed { nonce: &[3; 12], ciphertext: &one, tag: &tag };
            let mut out = vec![0; length];
            native::open(encryption, &key, &sealed, b"iv", &mut out).unwrap();
            assert!(out == plain);
            pure::open(encryption, &key, &sealed, b"iv", &mut two).unwrap();
            assert!(two == plain);
        }
    }
}

proptest! {
    #[test]
    fn what_was_sealed_opens(
        master_key in vec(any::<u8>(), 0..70),
        iv in vec(any::<u8>(), 0..40),
        nonce: [u8; 12],
        plain in vec(any::<u8>(), 0..500),
    ) {
        for encryption in Encryption::ALL {
            let cipher = Cipher::new(encryption, &master_key);
            prop_assert_eq!(&open(&cipher, &iv, &cipher.seal(&iv, nonce, &plain)).unwrap(), &plain);
        }
    }

    #[test]
    fn arbitrary_bytes_never_open(iv in vec(any::<u8>(), 0..40), stored in vec(any::<u8>(), 0..100)) {
        for encryption in Encryption::ALL {
            prop_assert!(open(&cipher(encryption), &iv, &stored).is_err());
        }
    }
}
