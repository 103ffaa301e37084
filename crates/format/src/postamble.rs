//! The end of a pack: where its own index lies and how it is sealed.
//!
//! ```text
//! postamble   uvarint 1 (version) · uvarint iv length · iv · uvarint index offset · uvarint index length
//! then        CRC-32 (IEEE) of the postamble u32 BE
//!             · length of postamble and CRC u8, the last byte of the pack
//! ```
//! Authority: `repo/content/content_index_recovery.go`.

use crate::bytes::{Cursor, uint};
use crate::{Error, Result};

const WHAT: &str = "pack postamble";

/// The longest postamble, in bytes: so many at the end of a pack are enough to find it.
pub const MAX_LENGTH: usize = 256;

/// Where a pack keeps its own index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postamble {
    /// The initialization vector that the index was sealed with: the whole hash of its plain bytes.
    pub iv: Vec<u8>,
    /// Where the sealed index begins in the pack, in bytes.
    pub offset: u64,
    /// How many bytes the sealed index has.
    pub length: u64,
}

impl Postamble {
    /// Parses the postamble at the end of `end`, the last [`MAX_LENGTH`] bytes of a pack, or fewer.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is none or its checksum is wrong; [`Error::Unsupported`] for another
    /// version.
    pub fn parse(end: &[u8]) -> Result<Self> {
        let bad = |why: &str| Error::corrupt(WHAT, why);
        let (&length, rest) = end.split_last().ok_or_else(|| bad("the pack is empty"))?;
        let start = rest.len().checked_sub(length.into());
        let sealed =
            start.and_then(|start| rest.get(start..)).ok_or_else(|| bad("is longer than what was read"))?;
        let (fields, checksum) =
            sealed.split_last_chunk::<4>().ok_or_else(|| bad("is shorter than its checksum"))?;
        if u64::from(crc32(fields)) != uint(checksum) {
            return Err(bad("has a wrong checksum"));
        }
        let mut cursor = Cursor::new(WHAT, fields);
        match cursor.uvarint()? {
            1 => {}
            version => return Err(Error::unsupported("pack postamble version", version)),
        }
        let iv_length = usize::try_from(cursor.uvarint()?).map_err(|_| bad("has an endless iv"))?;
        let iv = cursor.take(iv_length)?.to_vec();
        Ok(Self { iv, offset: cursor.uvarint()?, length: cursor.uvarint()? })
    }
}

/// CRC-32 (IEEE), bit by bit: a postamble has some 30 bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(fields: &[u8]) -> Vec<u8> {
        let mut end = [&[7; 40], fields, &crc32(fields).to_be_bytes()].concat();
        end.push(fields.len() as u8 + 4);
        end
    }

    #[test]
    fn checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn fields() {
        let end = sealed(&[1, 2, 0xaa, 0xbb, 0x80, 0x02, 9]);
        assert_eq!(
            Postamble::parse(&end).unwrap(),
            Postamble { iv: vec![0xaa, 0xbb], offset: 256, length: 9 }
        );
        for start in 0..end.len() {
            assert_eq!(Postamble::parse(&end[start..]).is_ok(), start <= 40, "from {start}");
        }
    }

    #[test]
    fn lies_are_refused() {
        assert!(
            Postamble::parse(&sealed(&[2, 1, 0xaa, 0, 0])).unwrap_err().to_string().contains("version: 2")
        );
        assert!(Postamble::parse(&sealed(&[1, 200, 0xaa])).is_err());
        assert!(Postamble::parse(&sealed(&[1])).is_err());
        assert!(Postamble::parse(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 3]).is_err());
        assert!(Postamble::parse(&[]).is_err());
    }
}
