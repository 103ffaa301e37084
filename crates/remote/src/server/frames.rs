//! The frames of gRPC: one byte for compression, four for the length, and a message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::protobuf::Malformed;

/// The longest message that is taken: Kopia's own limit both ways (`internal/grpcapi`).
pub(super) const LONGEST: usize = 20 << 20;

const HEAD: usize = 5;

/// Puts a message into a frame.
pub(super) fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// Cuts what comes in into messages. No more is kept than one frame and what came with its end.
#[derive(Debug, Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    /// Takes bytes as they come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Returns the next whole message.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Malformed> {
        let Some(head) = self.0.first_chunk::<HEAD>() else { return Ok(None) };
        let [compressed, length @ ..] = *head;
        let length = u32::from_be_bytes(length) as usize;
        if compressed != 0 {
            return Err(Malformed("a message is compressed, which was not asked for"));
        }
        if length > LONGEST {
            return Err(Malformed("a message has more than 20 MiB"));
        }
        if self.0.len() - HEAD < length {
            self.0.reserve(HEAD + length - self.0.len());
            return Ok(None);
        }
        self.0.advance(HEAD);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_out_of_whatever_pieces_come() {
        let bytes: Vec<u8> = [&b"one"[..], b"", &[7; 1000]].into_iter().flat_map(frame).collect();
        for size in [1, 2, 3, 5, 6, 7, 999, 5000] {
            let (mut frames, mut messages) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.push(piece);
                while let Some(message) = frames.next().unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, [&b"one"[..], b"", &[7; 1000]], "pieces of {size}");
        }
    }

    #[test]
    fn long_and_compressed_messages_are_refused_before_they_come() {
        let next = |head: &[u8]| {
            let mut frames = Frames::default();
            frames.push(head);
            let next = frames.next();
            assert!(frames.0.capacity() < 1 << 10 || next.is_ok());
            next
        };
        assert!(next(&[0, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(next(&[0, 0x01, 0x40, 0, 1]).is_err());
        assert!(next(&[1, 0, 0, 0, 1]).is_err());
        assert_eq!(next(&[0, 0x01, 0x40, 0, 0]), Ok(None));
    }
}
