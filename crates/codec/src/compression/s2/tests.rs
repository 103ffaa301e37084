use super::super::{Compression, Decompressor};
use super::*;
use crate::Error;

fn run(stream: &[u8], expect: Expect) -> Result<Vec<u8>, String> {
    let mut out = b"left over from before".to_vec();
    decompress(stream, expect, &mut out).map(|()| out)
}

fn piece(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    [&[kind], &length[..3], body].concat()
}

fn stored(plain: &[u8]) -> Vec<u8> {
    let checksum = crc32c::crc32c(plain).rotate_right(15).wrapping_add(0xa282_ead8);
    piece(1, &[&checksum.to_le_bytes(), plain].concat())
}

fn compressed(plain: &[u8], length: &[u8], tags: &[u8]) -> Vec<u8> {
    let checksum = crc32c::crc32c(plain).rotate_right(15).wrapping_add(0xa282_ead8);
    piece(0, &[&checksum.to_le_bytes(), length, tags].concat())
}

fn identifier() -> Vec<u8> {
    piece(0xff, b"S2sTwO")
}

#[test]
fn the_vector_of_a_mebibyte_of_zeroes() {
    let content =
        b"\0\0\x12\0\xff\x06\0\0S2sTwO\0\x10\0\0\x2b\x13\xa7\xba\x80\x80\x40\0\0\x11\x01\x1d\0\xf3\xff\x0e";
    let (compression, stream) = super::super::split_header(content).unwrap();
    assert_eq!(compression, Compression::S2Default);
    let mut out = vec![];
    Decompressor::new().decompress(compression, stream, 1 << 20, &mut out).unwrap();
    assert!(out == vec![0; 1 << 20]);
    for wrong in [0, 1, (1 << 20) - 1, (1 << 20) + 1] {
        let error = Decompressor::new().decompress(compression, stream, wrong, &mut out).unwrap_err();
        assert!(matches!(error, Error::Corrupt { what: "S2 stream", .. }), "{error}");
        assert!(out.is_empty());
    }
}

#[test]
fn an_empty_stream_is_empty() {
    assert_eq!(run(&[], Expect::Exactly(0)), Ok(vec![]));
    assert_eq!(run(&identifier(), Expect::Within(5)), Ok(vec![]));
}

#[test]
fn skipped_chunks_and_second_identifiers_are_no_trouble() {
    let stream = [
        identifier(),
        piece(0xfe, &[0; 33]),
        stored(b"one, "),
        piece(0x99, b"an index"),
        piece(0x80, b""),
        identifier(),
        compressed(b"twoooo", &[6], &[2 << 2, b't', b'w', b'o', 2 << 2 | 2, 1, 0]),
        piece(0xfd, b"?"),
    ]
    .concat();
    assert_eq!(run(&stream, Expect::Exactly(11)), Ok(b"one, twoooo".into()));
    assert_eq!(run(&stream, Expect::Within(1000)), Ok(b"one, twoooo".into()));
    assert!(run(&stream, Expect::Within(10)).is_err());
}

#[test]
fn damage_is_told() {
    let s2 = identifier();
    let mut flipped = stored(b"text");
    *flipped.last_mut().unwrap() ^= 1;
    for bad in [
        stored(b"no identifier"),
        piece(0xfe, b"padding first"),
        piece(0xff, b"S2sTwo"),
        piece(0xff, b"S2sTw"),
        [&s2[..], &[0]].concat(),
        [&s2[..], &[1, 4, 0]].concat(),
        [&s2[..], &[0xfe, 1, 0, 0]].concat(),
        [s2.clone(), piece(2, b"")].concat(),
        [s2.clone(), piece(0x7f, b"")].concat(),
        [s2.clone(), piece(0, b"abc")].concat(),
        [s2.clone(), piece(1, b"abc")].concat(),
        [s2.clone(), piece(0, b"abcd")].concat(),
        [s2.clone(), flipped].concat(),
        [s2.clone(), compressed(b"aaaaa", &[5], &[0, b'a', 2 << 2 | 2, 1, 0])].concat(),
    ] {
        assert!(run(&bad, Expect::Within(1 << 20)).is_err(), "{bad:x?}");
    }
}

#[test]
fn blocks_are_bounded() {
    // Says 2^22 + 1 bytes; and 2^16 + 1 bytes where Snappy allows 2^16.
    let tags = [0, b'a', 7 << 2 | 1, 0];
    let huge = [identifier(), compressed(b"", &[0x81, 0x80, 0x80, 2], &tags)].concat();
    assert!(run(&huge, Expect::Within(usize::MAX)).unwrap_err().contains("4194305"));
    let mut out = vec![];
    let snappy = [piece(0xff, b"sNaPpY"), stored(&vec![7; (1 << 16) + 1])].concat();
    assert!(decompress(&snappy, Expect::Within(usize::MAX), &mut out).is_err());
    let snappy = [piece(0xff, b"sNaPpY"), stored(&vec![7; 1 << 16])].concat();
    assert!(decompress(&snappy, Expect::Within(usize::MAX), &mut out).is_ok());
    // A block larger than what is left to expect is not made room for.
    let mut out = vec![];
    let bomb = [identifier(), compressed(b"", &[0x80, 0x80, 0x80, 2], &tags)].concat();
    assert!(decompress(&bomb, Expect::Within(4096), &mut out).is_err());
    assert_eq!(out.capacity(), 0);
}
