//! Replicas of the format blob at the start of packs, where the password cannot be changed.
//!
//! ```text
//! replica   length u16 LE · bytes · HMAC-SHA256(key "kopia-repository", bytes) · length u16 LE
//! ```
//! The length covers bytes and HMAC. Authority: `repo/format/format_blob.go` (recovery).

use crate::bytes::slice;

/// The longest replica, HMAC included, in bytes.
const MAX_LENGTH: usize = 65_000;

const HMAC_LENGTH: usize = 32;

/// Finds a replica at the start of a pack, or else at its end.
///
/// Returns its bytes and their HMAC, which is not checked here.
pub fn find_replica(pack: &[u8]) -> Option<(&[u8], &[u8])> {
    at_start(pack).or_else(|| at_end(pack))
}

fn at_start(pack: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = length(pack.get(..2)?)?;
    let stated_again = self::length(slice(pack, length.checked_add(2)?, 2)?)?;
    split(slice(pack, 2, length).filter(|_| stated_again == length)?)
}

fn at_end(pack: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = pack.len().checked_sub(2)?;
    let length = length(pack.get(rest..)?)?;
    let start = rest.checked_sub(length)?;
    let stated_before = self::length(slice(pack, start.checked_sub(2)?, 2)?)?;
    split(slice(pack, start, length).filter(|_| stated_before == length)?)
}

/// Parses the length of a replica, the format's only little-endian number.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_le_bytes(*bytes.first_chunk()?));
    (HMAC_LENGTH + 1..=MAX_LENGTH).contains(&length).then_some(length)
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(bytes.len().checked_sub(HMAC_LENGTH)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_either_end() {
        let replica = [&[34, 0][..], b"{}", &[7; 32], &[34, 0]].concat();
        let expected = Some((&b"{}"[..], &[7; 32][..]));
        assert_eq!(find_replica(&[&replica[..], &[9; 50]].concat()), expected);
        assert_eq!(find_replica(&[&[9; 50], &replica[..]].concat()), expected);
        for cut in 0..replica.len() {
            assert_eq!(find_replica(&replica[..cut]), None, "cut to {cut}");
        }
        for wrong in [0, 1, replica.len() - 2, replica.len() - 1] {
            let mut replica = replica.clone();
            replica[wrong] ^= 1;
            assert_eq!(find_replica(&[&replica[..], &[9; 50]].concat()), None, "byte {wrong}");
            assert_eq!(find_replica(&[&[9; 50], &replica[..]].concat()), None, "byte {wrong}");
        }
        assert_eq!(find_replica(&[0xff; 100]), None);
        assert_eq!(find_replica(&[0; 100]), None);
    }

    #[test]
    fn of_any_length_that_kopia_writes() {
        let found = |length: usize| {
            let stated = [length as u8, (length >> 8) as u8];
            let replica = [&stated[..], &vec![7; length], &stated].concat();
            let ends = [[&replica[..], &[9; 50]].concat(), [&[9; 50], &replica[..]].concat()];
            ends.map(|pack| find_replica(&pack).map(|(bytes, hmac)| (bytes.len(), hmac.len())))
        };
        for length in [33, 255, 256, 300, 65_000] {
            assert_eq!(found(length), [Some((length - 32, 32)); 2], "{length}");
        }
        for length in [32, 65_001] {
            assert_eq!(found(length), [None; 2], "{length}");
        }
    }
}
