//! Protocol buffers, as little as the messages of a repository server need of them.
//!
//! Reading takes bytes that a stranger sent: every length is compared with the bytes at hand before it is
//! used, nothing is allocated, and groups, which nobody writes any more, are refused.

use kopia_storage::Failure;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number: an integer of any kind, a boolean or an enum.
    Number(u64),
    /// Bytes: a text, bytes, a message within the message.
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no message here uses.
    Fixed,
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Malformed {
    /// Says that a server sent it.
    pub(crate) fn sent_by(self, host: &str) -> Failure {
        Failure::NoKopiaServer { host: host.into(), why: self.0.into() }
    }
}

/// Walks the fields of a message.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn step(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(Malformed("it has a field without a number"))?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| CUT)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed("it has a field of no known kind")),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (number, &byte) in self.0.iter().enumerate().take(10) {
            // The tenth byte has room for one bit.
            if number == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * number);
            if byte < 0x80 {
                self.0 = &self.0[number + 1..];
                return Ok(value);
            }
        }
        Err(if self.0.len() < 10 { CUT } else { Malformed("it has a number of more than 64 bits") })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }
}

const CUT: Malformed = Malformed("a message ends too early");

/// After a malformed field there is nothing more.
impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.0 = &[];
        }
        Some(step)
    }
}

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a number; 0 is what is not written.
    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
        self
    }

    /// Adds a text; an empty one is not written.
    pub(crate) fn text(self, field: u32, text: &str) -> Self {
        if text.is_empty() { self } else { self.bytes(field, text.as_bytes()) }
    }

    /// Adds bytes, or a message, even without bytes.
    pub(crate) fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a message.
    pub(crate) fn message(self, field: u32, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        Fields::new(message).collect()
    }

    #[test]
    fn the_examples_of_the_specification() {
        // protobuf.dev, "Encoding": 150 as field 1, "testing" as field 2, a message with 150 as field 3.
        assert_eq!(Message::new().number(1, 150).0, [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").0, b"\x12\x07testing");
        assert_eq!(Message::new().message(3, &Message::new().number(1, 150)).0, [0x1a, 3, 8, 0x96, 1]);
        assert_eq!(fields(&[0x08, 0x96, 0x01]), Ok(vec![(1, Value::Number(150))]));
        assert_eq!(fields(b"\x12\x07testing"), Ok(vec![(2, Value::Bytes(b"testing"))]));
    }

    #[test]
    fn what_is_written_is_read() {
        let message =
            Message::new().number(1, u64::MAX).number(2, 0).text(3, "").bytes(15, b"").number(16, 1);
        let expected = vec![(1, Value::Number(u64::MAX)), (15, Value::Bytes(b"")), (16, Value::Number(1))];
        assert_eq!(fields(&message.0), Ok(expected));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bad in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x12, 5, 1],
            // More bytes than any memory has.
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            // 70 bits.
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
            // Field 0; a group; a kind that there is not.
            &[0x00, 1],
            &[0x0b],
            &[0x0f, 1],
            &[0x09, 1, 2, 3],
        ] {
            let read = fields(bad);
            assert!(read.is_err(), "{bad:x?}: {read:?}");
            assert!(Fields::new(bad).count() <= 2);
        }
    }

    #[test]
    fn any_bytes_are_read_in_bounded_time() {
        let mut state = 1_u64;
        for length in 0..2000 {
            let bytes: Vec<u8> = (0..length % 64)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            assert!(Fields::new(&bytes).count() <= bytes.len());
        }
    }
}
