use super::testing::{hex, payload, unhex};
use super::*;

/// Made by Kopia's own `repo/hashing`, see the file's first lines.
const VECTORS: &str = include_str!("../../../../testdata/vectors/hash/kopia.txt");

#[test]
fn every_vector_of_kopia() {
    let (mut digests, mut refusals) = (0, 0);
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let algorithm = HashAlgorithm::from_name(fields[0]).unwrap();
        let hasher = Hasher::new(algorithm, &payload(fields[1].parse().unwrap()));
        if fields[2] == "refused" {
            assert!(matches!(hasher, Err(Error::Corrupt { .. })), "{line}");
            refusals += 1;
            continue;
        }
        let digest = hasher.unwrap().hash(&payload(fields[2].parse().unwrap()));
        assert_eq!(hex(digest.as_bytes()), fields[3], "{line}");
        assert_eq!(digest.as_bytes().len(), algorithm.output_len());
        assert_eq!(digest.as_ref(), digest.as_bytes());
        digests += 1;
    }
    assert_eq!((digests, refusals), (344, 13));
}

/// RFC 4231, test case 2.
#[test]
fn hmac_sha256_of_the_rfc() {
    let hasher = Hasher::new(HashAlgorithm::HmacSha256, b"Jefe").unwrap();
    let digest = hasher.hash(b"what do ya want for nothing?");
    assert_eq!(digest.as_bytes(), unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
}

#[test]
fn many_at_once_are_the_same_as_one_by_one() {
    let inputs: Vec<Vec<u8>> = [0, 1, 127, 128, 129, 4096, 5, 100_000, 0, 256, 64].map(payload).into();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    for algorithm in HashAlgorithm::ALL {
        for secret_length in [1, 32] {
            let hasher = Hasher::new(algorithm, &payload(secret_length)).unwrap();
            // What was there before must go.
            let mut digests = vec![hasher.hash(b"old")];
            for count in [0, 1, 3, inputs.len()] {
                hasher.hash_many(&inputs[..count], &mut digests);
                let expected: Vec<Digest> = inputs[..count].iter().map(|data| hasher.hash(data)).collect();
                assert_eq!(digests, expected, "{algorithm:?}");
            }
        }
    }
}

#[test]
fn names_go_both_ways() {
    for algorithm in HashAlgorithm::ALL {
        assert_eq!(HashAlgorithm::from_name(algorithm.name()).unwrap(), algorithm);
    }
    for name in ["", "BLAKE2B-512", "blake2b-256", "HMAC-RIPEMD-160"] {
        assert!(matches!(HashAlgorithm::from_name(name), Err(Error::Unsupported { what: "hash", .. })));
    }
}

#[test]
fn debug_shows_no_secret() {
    let hasher = Hasher::new(HashAlgorithm::Blake2b256, b"secret").unwrap();
    assert_eq!(format!("{hasher:?}"), "Hasher { algorithm: Blake2b256, .. }");
}
