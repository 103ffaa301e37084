use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn decoded(tags: &[u8], length: usize) -> Decoded<Vec<u8>> {
    // Not zeroes, so that a byte nobody wrote shows.
    let mut out = vec![0xee; length];
    decompress(tags, &mut out).map(|()| out)
}

#[test]
fn lengths_are_uvarints() {
    assert_eq!(split_length(&[0]), Ok((0, &[][..])));
    assert_eq!(split_length(&[5, 9, 8]), Ok((5, &[9, 8][..])));
    assert_eq!(split_length(&[0x80, 0x80, 0x40]), Ok((1 << 20, &[][..])));
    assert!(split_length(&[]).is_err());
    assert!(split_length(&[0x80, 0x80]).is_err());
    assert!(split_length(&[0xff; 10]).is_err());
}

#[test]
fn literals_of_every_length_field() {
    for (tag, field, length) in [
        (4 << 2, &[][..], 5),
        (59 << 2, &[], 60),
        (60 << 2, &[3], 4),
        (60 << 2, &[255], 256),
        (61 << 2, &[1, 1], 258),
        (62 << 2, &[0, 0, 1], 65_537),
        (63 << 2, &[9, 0, 0, 0], 10),
    ] {
        let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let tags = [&[tag], field, &plain].concat();
        assert_eq!(decoded(&tags, length), Ok(plain), "tag {tag:#04x}");
        assert!(decoded(&tags, length + 1).is_err());
        assert!(decoded(&tags, length - 1).is_err());
        for cut in 0..tags.len().min(300) {
            assert!(decoded(&tags[..cut], length).is_err());
        }
    }
    // The longest literal there is; on 32 bits its length does not even fit.
    assert!(decoded(&[63 << 2, 255, 255, 255, 255, 1], 1).is_err());
}

#[test]
fn copies_of_every_kind() {
    let abcde = [4 << 2, b'a', b'b', b'c', b'd', b'e'];
    for (copy, length, plain) in [
        (&[1, 5][..], 9, "abcdeabcd"),
        (&[1 << 2 | 1, 3], 10, "abcdecdecd"),
        (&[2, 4, 0], 6, "abcdeb"),
        (&[9 << 2 | 2, 1, 0], 15, "abcdeeeeeeeeeee"),
        (&[1 << 2 | 3, 2, 0, 0, 0], 7, "abcdede"),
        // Repeats: the plain one, and each length field.
        (&[2, 2, 0, 1, 0], 10, "abcdededed"),
        (&[2, 5, 0, 4 << 2 | 1, 0], 14, "abcdeabcdeabcd"),
        (&[2, 5, 0, 5 << 2 | 1, 0, 0], 14, "abcdeabcdeabcd"),
        (&[2, 5, 0, 0, b'x', 1, 0], 11, "abcdeaxcdea"),
    ] {
        assert_eq!(decoded(&[&abcde, copy].concat(), length), Ok(plain.into()));
        assert!(decoded(&[&abcde, copy].concat(), length - 1).is_err());
        assert!(decoded(&[&abcde, copy].concat(), length + 1).is_err());
    }
    for (tag, field, length) in
        [(5 << 2 | 1, &[255][..], 263), (6 << 2 | 1, &[2, 1], 518), (7 << 2 | 1, &[3, 2, 1], 131_591)]
    {
        let tags = [&[0, b'z', 2, 1, 0, tag, 0], field].concat();
        assert_eq!(decoded(&tags, length + 2), Ok(vec![b'z'; length + 2]));
    }
    // An offset with its high bits in the tag.
    let plain: Vec<u8> = (0..=255).cycle().take(2000).collect();
    let tags = [&[61 << 2, 0xcf, 7], &plain[..], &[7 << 5 | 1, 3]].concat();
    assert_eq!(decoded(&tags, 2004).unwrap()[2000..], plain[2000 - 0x703..][..4]);
}

#[test]
fn damage_is_told() {
    for tags in [
        // Before there is anything, and before the block's start.
        &[1, 0][..],
        &[1, 1],
        &[2, 1, 0],
        &[0, b'a', 2, 2, 0],
        &[0, b'a', 3, 0, 0, 0, 0x80],
        &[0, b'a', 3, 255, 255, 255, 255],
        // Offset 0 does not mean "repeat" outside of the short copy; a repeat needs a copy before it.
        &[0, b'a', 2, 0, 0],
        &[0, b'a', 3, 0, 0, 0, 0],
        &[0, b'a', 1, 0],
        // Cut short.
        &[0],
        &[0, b'a', 1],
        &[0, b'a', 2, 1],
        &[0, b'a', 3, 1, 0, 0],
        &[0, b'a', 2, 1, 0, 7 << 2 | 1, 0, 0, 0],
    ] {
        for length in [0, 1, 2, 5, 70, 1000] {
            assert!(decoded(tags, length).is_err(), "{tags:x?} at {length}");
        }
    }
    assert_eq!(decoded(&[], 0), Ok(vec![]));
}

/// A step of the writer in the test below.
#[derive(Debug, Clone)]
enum Step {
    Literal(Vec<u8>),
    Copy { back: usize, length: usize },
    Repeat { length: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let copy = |back, length| (back, length).prop_map(|(back, length)| Step::Copy { back, length });
    let step = prop_oneof![
        vec(any::<u8>(), 1..40).prop_map(Step::Literal),
        vec(any::<u8>(), 60..400).prop_map(Step::Literal),
        copy(1..40_usize, 1..65_usize),
        copy(1..100_000, 1..65),
        (4..80_usize).prop_map(|length| Step::Repeat { length }),
        (4..70_000_usize).prop_map(|length| Step::Repeat { length }),
    ];
    vec(step, 0..60)
}

/// Writes the steps down as tags, and says what they should give, byte by byte.
fn encode(steps: Vec<Step>) -> (Vec<u8>, Vec<u8>) {
    let (mut tags, mut plain, mut offset) = (vec![], vec![], 0);
    for step in steps {
        let length = match step {
            Step::Literal(bytes) => {
                match bytes.len() - 1 {
                    last @ 0..60 => tags.push((last << 2) as u8),
                    last @ 60..256 => tags.extend([60 << 2, last as u8]),
                    last => tags.extend([61 << 2, last as u8, (last >> 8) as u8]),
                }
                tags.extend_from_slice(&bytes);
                plain.extend_from_slice(&bytes);
                continue;
            }
            Step::Copy { back, length } if !plain.is_empty() => {
                offset = (back - 1) % plain.len() + 1;
                let low = (offset as u32).to_le_bytes();
                match (offset, length) {
                    (..2048, 4..12) => {
                        tags.extend([((offset >> 8) << 5 | (length - 4) << 2 | 1) as u8, low[0]])
                    }
                    (..0x1_0000, _) => tags.extend([((length - 1) << 2 | 2) as u8, low[0], low[1]]),
                    _ => {
                        tags.push(((length - 1) << 2 | 3) as u8);
                        tags.extend(low);
                    }
                }
                length
            }
            Step::Repeat { length } if offset != 0 => {
                let (code, field, bytes) = match length {
                    ..9 => (length - 4, 0, 0),
                    9..264 => (5, length - 8, 1),
                    264..65_796 => (6, length - 260, 2),
                    _ => (7, length - 65_540, 3),
                };
                tags.extend([(code << 2 | 1) as u8, 0]);
                tags.extend(&(field as u32).to_le_bytes()[..bytes]);
                length
            }
            Step::Copy { .. } | Step::Repeat { .. } => continue,
        };
        for _ in 0..length {
            plain.push(plain[plain.len() - offset]);
        }
    }
    (tags, plain)
}

proptest! {
    #[test]
    fn any_tags_give_what_they_say(steps in steps()) {
        let (tags, plain) = encode(steps);
        prop_assert!(decoded(&tags, plain.len()) == Ok(plain));
    }

    #[test]
    fn cut_tags_are_told(steps in steps(), cut in any::<prop::sample::Index>()) {
        let (tags, plain) = encode(steps);
        prop_assume!(!tags.is_empty());
        prop_assert!(decoded(&tags[..cut.index(tags.len())], plain.len()).is_err());
    }

    #[test]
    fn noise_does_no_harm(tags in vec(any::<u8>(), 0..200), length in 0..500_usize) {
        let _ = split_length(&tags);
        let _ = decoded(&tags, length);
    }
}
