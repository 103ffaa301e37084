use super::*;
use crate::hash::testing::{hex, unbase64};

/// From the format blob of a repository that Kopia 0.5.2 wrote with the password "golden".
const SCRYPT: [&str; 2] = [
    "TjFHkPTGZXXtDPpCjiKQAFxyqOovH+0pi3PFRSjPa/0=",
    "+rr/2tvjYjCSybLUR04FIyrl0mBsSwhQXO+/AJQzDF4XnM/aPjNYXDtfZe2g6+0EbKDzZSQzosxlolf/qAWfO7N2l3e4UgrjRN\
         DPVTIuQXU7gsgiw/CEW3WRq2KSinQyTIHEf+WsyrA8AEaqsMca43YFMcuuIt3ZibfLRzs96grXithnHZwnE8IaLs3lSEt6o8nt\
         A7lO2CT05UKyZTXEnrC+amnzhyT/bkVBPPyQT8EAchWr3qAU77eR0k2ZLldiAJgEpJZ6gcOKeayCjS8NwGMdGoxDXd9P/IJFW5\
         cPVuvQFseqChlARf1OOQDZ2QTCJYNWZQidKerJsB+bz6hfmcm/uA+VnwEVE47CNyFCVl+sca1ybfW0KTpCthbZ",
];

/// From the format blob of a repository that Kopia 0.23.1 wrote with the password "golden".
const PBKDF2: [&str; 2] = [
    "LbpDfluDKXBKwEdAfqlmXGnFUXRYaJxXvs7eIEVUezk=",
    "jHR/wao6gKqmAbUGCQGYIVOP3ceDVCIXvUJMmcZs3etZY6YctHTxDx/bFptLGDupjwM3lGeACwe8/Liqz4V3SnjpnmuY0veXux\
         G9LTbmwwUxcRl3ICaHxFg/YLbM3XR4eF0IjaBba6YeAQQKAugxKy/8HOulCKrkrLuGu3uPJBqUnujLaK+eaJfhOM8PtgsOkOeI\
         eMx3aMCQoTNckoqBFtt1iwwmUgUt6LtcyTkou2Q8xd7VKWjkXJxlSBwKABQO7Xvj4z/DXBQJb7wYfkJACxX+ZP2wvpS80sYrqP\
         WuYeg5YdmoF3Hs1stGZIUjuxEbmFI2cOVpEcPT8WEFtnZpwqkukJ6WCZGsFhyYd/HP5VZ9lNsdGf9musQZi1YpUx31SpFaJlFV\
         Kr6Rw0L21Fta/svp1zu9sLg/6YUsDhTem2UKVaQwtLW43c+0mkDq+4Jnb0V/fRecpr7HIJ0agVfOmzbI2eZcO3YdVSjI5LNFjT\
         0JvnaB1R5czb29rno+7KCG41o9VZ6m5tmKBgeNwg4fiBCrHuQ7AUh3A/jfdvLmoZbv2zHBmIT157Dr/ERW6e72MPQZBDLI7l08\
         AgJQO3tJR2GuhGKijsyQvuzaebtZHB9deIollVLIhWCd02F8uTLhGiigLSAeveuzcIzBEkjfWgVZv2mIAR9Nwhgh2zryFSFdA8\
         Cp3rww52A+3zGCoBa9Y5uhv8nXc2qXnTd7h5n/qWMSLq07NWpwD29QrxTx4HZgazqc0IH0F6+UFbASoLP+7r5TWcStrTs+ZN7P\
         cu6QodbdSFvbj/uWsMMFZTcO4Q==",
];

#[test]
fn format_blobs_of_kopia_open() {
    for (derivation, [unique_id, sealed]) in
        [(KeyDerivation::Scrypt65536, SCRYPT), (KeyDerivation::Pbkdf2Sha256, PBKDF2)]
    {
        let (unique_id, mut sealed) = (unbase64(unique_id), unbase64(sealed));
        let key = derivation.derive(&Password::from("golden"), &unique_id).unwrap();
        let plain = key.open(&unique_id, &sealed).unwrap();
        let text = std::str::from_utf8(&plain).unwrap();
        assert!(text.starts_with("{\"format\":{"), "{text}");
        assert!(text.contains("\"masterKey\":"), "{text}");

        let nonce = *sealed.first_chunk().unwrap();
        assert_eq!(key.seal(&unique_id, nonce, &plain), sealed);

        assert!(matches!(key.open(b"another repository's", &sealed), Err(Error::NotAuthentic)));
        sealed[100] ^= 1;
        assert!(matches!(key.open(&unique_id, &sealed), Err(Error::NotAuthentic)));
    }
}

#[test]
fn a_wrong_password_is_not_authentic() {
    let [unique_id, sealed] = PBKDF2.map(unbase64);
    for wrong in ["", "Golden", "golden\n"] {
        let key = KeyDerivation::Pbkdf2Sha256.derive(&wrong.into(), &unique_id).unwrap();
        assert!(matches!(key.open(&unique_id, &sealed), Err(Error::NotAuthentic)));
    }
}

/// The key in Kopia's `internal/crypto/key_derivation_test.go` has 16 bytes, so this stays below `FormatKey`.
#[test]
fn hkdf_is_kopias() {
    let mut key = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(Some(b"0123456789012345"), b"ABCDEFGHIJKLMNOP");
    hkdf.expand(b"the-test-purpose", &mut key).unwrap();
    assert_eq!(hex(&key), "828769ee8969bc37f11dbaa32838f8db6c19daa6e3ae5f5eed2da2d94d8faddb");
}

#[test]
fn short_input_is_corrupt() {
    let password = Password::from("golden");
    for derivation in KeyDerivation::ALL {
        assert!(matches!(derivation.derive(&password, &[1; 15]), Err(Error::Corrupt { .. })));
    }
    let key = FormatKey(Box::new(Zeroizing::new([7; 32])));
    for length in 0..28 {
        assert!(matches!(key.open(b"id", &vec![0; length]), Err(Error::Corrupt { .. })));
    }
    assert!(matches!(key.open(b"id", &[0; 28]), Err(Error::NotAuthentic)));
    assert!(key.open(b"id", &key.seal(b"id", [1; 12], b"")).unwrap().is_empty());
}

#[test]
fn sixteen_bytes_are_salt_enough() {
    KeyDerivation::Pbkdf2Sha256.derive(&"golden".into(), &[1; 16]).unwrap();
}

#[test]
fn white_space_around_a_password_is_taken_off_where_there_is_any() {
    let trimmed = |bytes: &[u8]| Password::new(bytes).trimmed().map(|password| password.as_bytes().to_vec());
    assert_eq!(trimmed(b" golden\r\n").unwrap(), b"golden");
    assert_eq!(trimmed("\u{a0}gold en\u{2003}".as_bytes()).unwrap(), b"gold en");
    // What is not UTF-8 loses what is white space in ASCII.
    assert_eq!(trimmed(b"\t\xff ").unwrap(), b"\xff");
    assert_eq!(trimmed(b" ").unwrap(), b"");
    for none in [&b""[..], b"golden", b"gold en", b"\xff"] {
        assert_eq!(trimmed(none), None);
    }
}

#[test]
fn names_go_both_ways_and_others_are_refused() {
    for derivation in KeyDerivation::ALL {
        assert_eq!(KeyDerivation::from_name(derivation.name()).unwrap(), derivation);
    }
    for name in ["", "testing-only-insecure", "scrypt-1048576-8-1"] {
        assert!(matches!(KeyDerivation::from_name(name), Err(Error::Unsupported { .. })));
    }
}

#[test]
fn nothing_secret_is_printed() {
    assert_eq!(format!("{:?}", Password::from(String::from("golden"))), "Password(..)");
    assert_eq!(format!("{:?}", FormatKey(Box::new(Zeroizing::new([7; 32])))), "FormatKey(..)");
}
