//! Checked reads from byte slices: a cursor, ranges, and big-endian numbers.
//!
//! Parsers take bytes of hostile input through these, or through arrays whose lengths the compiler knows.

use crate::{Error, Result};

/// Reads big-endian numbers and byte runs from a slice, front to back.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    what: &'static str,
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the front of `bytes`; `what` names them in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, position: 0 }
    }

    /// Returns how many bytes were read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Returns the next `length` bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the offset if fewer are left.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let start = self.position;
        let end = start.checked_add(length);
        let Some((end, taken)) = end.and_then(|end| Some((end, self.bytes.get(start..end)?))) else {
            let left = self.bytes.len().saturating_sub(start);
            let why = format!("{length} bytes wanted at offset {start}, {left} left");
            return Err(Error::corrupt(self.what, why));
        };
        self.position = end;
        Ok(taken)
    }

    /// Returns the next byte.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub fn u8(&mut self) -> Result<u8> {
        Ok(uint(self.take(1)?) as u8)
    }

    /// Returns the next two bytes as a big-endian number.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub fn u16(&mut self) -> Result<u16> {
        Ok(uint(self.take(2)?) as u16)
    }

    /// Returns the next four bytes as a big-endian number.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub fn u32(&mut self) -> Result<u32> {
        Ok(uint(self.take(4)?) as u32)
    }

    /// Returns the next number in Go's unsigned varint coding (7 bits a byte, low bits first).
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is cut off or longer than 64 bits.
    pub fn uvarint(&mut self) -> Result<u64> {
        let start = self.position;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::corrupt(self.what, format!("varint at offset {start} is longer than 64 bits")))
    }
}

/// Returns `length` bytes from `offset` on, or `None` if the slice ends before them.
pub(crate) fn slice(bytes: &[u8], offset: usize, length: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(length)?)
}

/// Reads up to eight bytes as one big-endian number.
pub(crate) fn uint(bytes: &[u8]) -> u64 {
    debug_assert!(bytes.len() <= 8, "callers pass slices of a constant length");
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_big_endian_and_ends_are_checked() {
        let mut cursor = Cursor::new("test", &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(cursor.u8().unwrap(), 1);
        assert_eq!(cursor.u16().unwrap(), 0x0203);
        assert_eq!(cursor.u32().unwrap(), 0x0405_0607);
        assert!(cursor.u16().unwrap_err().to_string().contains("2 bytes wanted at offset 7, 1 left"));
        assert_eq!(cursor.u8().unwrap(), 8);
        assert!(cursor.take(usize::MAX).is_err());
    }

    #[test]
    fn varints() {
        let varint = |bytes: &[u8]| Cursor::new("test", bytes).uvarint();
        assert_eq!(varint(&[0x7f]).unwrap(), 127);
        assert_eq!(varint(&[0x80, 0x01]).unwrap(), 128);
        assert_eq!(varint(&[0xff; 9].iter().copied().chain([1]).collect::<Vec<_>>()).unwrap(), u64::MAX);
        assert!(varint(&[0xff; 9].iter().copied().chain([2]).collect::<Vec<_>>()).is_err());
        assert!(varint(&[0xff; 11]).is_err());
        assert!(varint(&[0x80]).is_err());
    }
}
