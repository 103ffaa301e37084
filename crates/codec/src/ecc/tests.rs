use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::geometry::{CRC, LENGTH};
use super::*;
use crate::hash::testing::{hex, payload, unhex};

/// Made by Kopia's own `repo/ecc`, see the file's first lines.
const VECTORS: &str = include_str!("../../../../testdata/vectors/ecc/kopia.txt");

fn ecc(percent: u32) -> Ecc {
    Ecc::new("REED-SOLOMON-CRC32", percent).unwrap()
}

fn decode(ecc: Ecc, stored: &[u8]) -> Result<(Vec<u8>, usize)> {
    // What was in the buffer must not matter.
    let mut out = vec![0xEE; 7];
    let repair = ecc.decode(stored, &mut out);
    if repair.is_err() {
        assert!(out.is_empty());
    }
    repair.map(|repair| (out, repair.damaged_shards))
}

/// Where shard `number` of `block` begins in the stored bytes.
fn position(ecc: Ecc, stored: usize, block: usize, number: usize) -> usize {
    let g = ecc.parameters.geometry_of_stored(stored);
    let slot = if number < g.data {
        g.blocks * g.parity + block * g.data + number
    } else {
        block * g.parity + number - g.data
    };
    slot * (CRC + g.shard)
}

#[test]
fn names_and_percentages_are_checked() {
    assert!(matches!(Ecc::new("REED-SOLOMON-CRC64", 5), Err(Error::Unsupported { .. })));
    assert!(matches!(Ecc::new("", 5), Err(Error::Unsupported { .. })));
    assert!(matches!(Ecc::new("REED-SOLOMON-CRC32", 0), Err(Error::Corrupt { .. })));
}

#[test]
fn the_vector_of_the_format_notes() {
    let stored = unhex(
        "dfac638deba68fafbff307dca08bff41d91200000063e8428b0b6865aac9b3346c6c6f9c085157206b6f253a3062706961ff41\
         d912000000",
    );
    assert_eq!(ecc(5).encode(b"hello kopia").unwrap(), stored);
    assert_eq!(decode(ecc(5), &stored).unwrap(), (b"hello kopia".to_vec(), 0));
}

#[test]
fn every_vector_of_kopia() {
    let mut count = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [percent, shards, length, stored_length, digest] = fields[..] else { panic!("{line}") };
        let ecc = ecc(percent.parse().unwrap());
        assert_eq!(format!("{}/{}", ecc.parameters.data, ecc.parameters.parity), shards, "{line}");
        let payload = payload(length.parse().unwrap());
        let stored = ecc.encode(&payload).unwrap();
        assert_eq!(stored.len().to_string(), stored_length, "{line}");
        assert_eq!(hex(&Sha256::digest(&stored)[..16]), digest, "{line}");
        assert!(decode(ecc, &stored).unwrap() == (payload, 0), "{line}");
        count += 1;
    }
    assert_eq!(count, 480);
}

#[test]
fn one_shard_too_many_is_an_error_that_says_so() {
    let ecc = ecc(10);
    let payload = payload(20_000);
    let mut stored = ecc.encode(&payload).unwrap();
    for number in [0, 77, 128, 131] {
        let at = position(ecc, stored.len(), 1, number);
        stored[at + CRC] ^= 0x40;
    }
    assert!(decode(ecc, &stored).unwrap() == (payload, 4));
    let at = position(ecc, stored.len(), 1, 5);
    stored[at] ^= 1;
    let error = decode(ecc, &stored).unwrap_err().to_string();
    assert_eq!(
        error,
        "error correction: block 2 of 3: 5 of 132 shards are damaged, no more than 4 can be rebuilt"
    );
}

#[test]
fn a_length_that_cannot_be_is_an_error() {
    // Sound shards that hold a length of 0xFFFFFFFF, in both layouts.
    for payload_length in [0, 11, 20_000] {
        let ecc = ecc(10);
        let mut stored = ecc.encode(&payload(payload_length)).unwrap();
        let g = ecc.parameters.geometry_of_stored(stored.len());
        let mut plain: Vec<u8> = Vec::new();
        for number in 0..g.data {
            let at = position(ecc, stored.len(), 0, number);
            plain.extend_from_slice(&stored[at + CRC..][..g.shard]);
        }
        plain[..LENGTH].fill(0xFF);
        for (number, shard) in plain.chunks(g.shard).enumerate() {
            let at = position(ecc, stored.len(), 0, number);
            stored[at..at + CRC].copy_from_slice(&crc32fast::hash(shard).to_be_bytes());
            stored[at + CRC..][..g.shard].copy_from_slice(shard);
        }
        let error = decode(ecc, &stored).unwrap_err().to_string();
        assert!(error.contains("a length of 4294967295 bytes"), "{error}");
    }
}

#[test]
fn no_bytes_at_all_are_no_empty_payload() {
    assert!(decode(ecc(5), &[]).is_err());
}

#[test]
fn cut_units_never_give_other_bytes() {
    let ecc = ecc(10);
    for length in [0, 3, 11, 500, 5000, 20_000] {
        let payload = payload(length);
        let stored = ecc.encode(&payload).unwrap();
        for cut in (0..stored.len()).rev().take(200).chain((0..stored.len()).step_by(97)) {
            if let Ok((decoded, _)) = decode(ecc, &stored[..cut]) {
                assert!(decoded == payload, "{length} cut to {cut} of {}", stored.len());
            }
        }
    }
}

#[test]
fn a_few_shards_cut_off_are_rebuilt() {
    let ecc = ecc(10);
    // Two blocks, and three: only the length in the first one says which shards of the last one were written.
    for length in [10_000, 20_000] {
        let payload = payload(length);
        let stored = ecc.encode(&payload).unwrap();
        let last = (LENGTH + length) % 64;
        for (cut, damaged) in [(1, 1), (last, 1), (last + CRC, 1), (last + CRC + 3 * 68, 4)] {
            let decoded = decode(ecc, &stored[..stored.len() - cut]).unwrap();
            assert!(decoded == (payload.clone(), damaged), "{cut} bytes cut off {length}");
        }
        assert!(decode(ecc, &stored[..stored.len() - last - CRC - 4 * 68]).is_err());
    }
}

/// Picks a payload length near all of a percentage's limits.
fn payload_length(ecc: Ecc, kind: u8, extra: usize) -> usize {
    let Parameters { data, parity, shard } = ecc.parameters;
    match kind {
        0 => extra,
        1 => 8 * (data + parity) - 20 + extra,
        2 => data * shard - 20 + extra,
        _ => 2 * data * shard - 20 + extra,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn damage_up_to_the_parity_is_repaired(
        percent in 1..=100_u32,
        kind in 0..4_u8,
        extra in 0..40_usize,
        seed in vec(btree_set(any::<u8>(), 0..=128), 1..4),
        in_crc: bool,
    ) {
        let ecc = ecc(percent);
        let payload = payload(payload_length(ecc, kind, extra));
        let mut stored = ecc.encode(&payload).unwrap();
        let g = ecc.parameters.geometry_of_stored(stored.len());
        prop_assert_eq!(g, ecc.parameters.geometry_of_payload(payload.len() + LENGTH));
        let mut expected = 0;
        for (block, numbers) in (0..g.blocks).zip(seed.iter().cycle()) {
            let numbers = numbers.iter().map(|&n| usize::from(n) % g.shards());
            let numbers: std::collections::BTreeSet<usize> = numbers.collect();
            for &number in numbers.iter().take(g.parity) {
                let at = position(ecc, stored.len(), block, number) + if in_crc { 0 } else { CRC };
                // Shards in the unstored zeros cannot be damaged.
                if let Some(byte) = stored.get_mut(at) {
                    *byte ^= 0x5A;
                    expected += 1;
                }
            }
        }
        let (decoded, damaged) = decode(ecc, &stored).unwrap();
        prop_assert!(decoded == payload);
        prop_assert_eq!(damaged, expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic(percent in 1..=130_u32, bytes in vec(any::<u8>(), 0..3000)) {
        let _ = decode(ecc(percent), &bytes);
    }

    #[test]
    fn arbitrary_lengths_never_panic(percent in 1..=130_u32, length in 0..400_000_usize, byte: u8) {
        let _ = decode(ecc(percent), &vec![byte; length]);
    }
}
