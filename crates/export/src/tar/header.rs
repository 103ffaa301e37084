//! The headers of one entry.

use std::borrow::Cow;

use super::BLOCK;
use super::records::{Records, time};
use crate::batch::Meta;

/// How long a name may be in a header.
const NAME: usize = 100;

/// The largest numbers that fit into fields of 7 and 11 octal digits.
const SHORT: u64 = (1 << 21) - 1;
const LONG: u64 = (1 << 33) - 1;

/// The type of the records that come before a header, and of GNU tar's long targets.
const RECORDS: u8 = b'x';
const LONG_TARGET: u8 = b'K';

/// What a header says.
pub(super) struct Header<'m> {
    /// `0` for a file, `2` for a link, `5` for a directory.
    pub(super) kind: u8,
    pub(super) meta: &'m Meta,
    /// The bytes of a file.
    pub(super) length: u64,
    /// Where a link leads.
    pub(super) target: &'m [u8],
}

impl<'m> Header<'m> {
    pub(super) fn new(kind: u8, meta: &'m Meta) -> Self {
        Self { kind, meta, length: 0, target: b"" }
    }

    /// Appends the header, and before it whatever does not fit into it.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let Meta { path, attributes, .. } = self.meta;
        let (path, modified) = (shown(path, self.kind), attributes.modified);
        let (uid, gid) = (u64::from(attributes.owner.0), u64::from(attributes.owner.1));
        let mut records = Records::default();
        if !is_plain(path.as_bytes()) {
            records.add("path", path.as_bytes());
        }
        let text = std::str::from_utf8(self.target);
        match text {
            Ok(target) if !is_plain(target.as_bytes()) => records.add("linkpath", self.target),
            Err(_) if self.target.len() > NAME => {
                let bytes = [self.target, b"\0"].concat();
                block(
                    to,
                    &Fields { name: b"././@LongLink", size: bytes.len() as u64, ..Fields::of(LONG_TARGET) },
                );
                padded(to, &bytes);
            }
            _ => {}
        }
        let seconds = u64::try_from(modified.seconds()).ok().filter(|&seconds| seconds <= LONG);
        if seconds.is_none() || modified.nanoseconds() != 0 {
            records.add("mtime", time(modified).as_bytes());
        }
        for (key, number, most) in [("uid", uid, SHORT), ("gid", gid, SHORT), ("size", self.length, LONG)] {
            if number > most {
                records.add(key, number.to_string().as_bytes());
            }
        }
        if !records.is_empty() {
            let name = format!("./PaxHeaders/{}", self.meta.path.rsplit('/').next().unwrap_or_default());
            let size = records.bytes().len() as u64;
            block(to, &Fields { name: cut(name.as_bytes()), size, mode: 0o644, ..Fields::of(RECORDS) });
            padded(to, records.bytes());
        }
        let fits = |number: u64, most| if number > most { 0 } else { number };
        block(
            to,
            &Fields {
                kind: self.kind,
                name: cut(path.as_bytes()),
                mode: attributes.mode,
                owner: (fits(uid, SHORT), fits(gid, SHORT)),
                size: fits(self.length, LONG),
                seconds: seconds.unwrap_or(0),
                target: cut(self.target),
            },
        );
    }
}

/// Returns a path as the archive has it: all of a directory's begin with `./`, and those of directories end
/// in `/`.
fn shown(path: &str, kind: u8) -> Cow<'_, str> {
    match (path, kind) {
        ("", _) => Cow::Borrowed("./"),
        (path, b'5') => Cow::Owned(format!("./{path}/")),
        (path, _) => Cow::Owned(format!("./{path}")),
    }
}

/// Returns whether all tars read a name in a header in the same way.
fn is_plain(name: &[u8]) -> bool {
    name.len() <= NAME && name.is_ascii()
}

/// Cuts a name so that it fits; not within a character of UTF-8, which would look broken in listings.
fn cut(name: &[u8]) -> &[u8] {
    if name.len() <= NAME {
        return name;
    }
    let is_start = |&end: &usize| name[end] & 0xc0 != 0x80;
    let end = (NAME - 3..=NAME).rev().find(is_start).unwrap_or(NAME);
    &name[..end]
}

/// The fields of a block.
struct Fields<'f> {
    kind: u8,
    name: &'f [u8],
    mode: u32,
    owner: (u64, u64),
    size: u64,
    seconds: u64,
    target: &'f [u8],
}

impl Fields<'_> {
    fn of(kind: u8) -> Self {
        Self { kind, name: b"", mode: 0, owner: (0, 0), size: 0, seconds: 0, target: b"" }
    }
}

/// Appends a block.
///
/// | bytes | field |
/// |---|---|
/// | 0..100 | name |
/// | 100..108 | mode |
/// | 108..116, 116..124 | owner, group |
/// | 124..136 | size |
/// | 136..148 | time |
/// | 148..156 | sum of all bytes, this field taken for blanks |
/// | 156 | type |
/// | 157..257 | target of a link |
/// | 257..265 | `ustar`, NUL, `00` |
fn block(to: &mut Vec<u8>, fields: &Fields<'_>) {
    let mut block = [0; BLOCK];
    block[..fields.name.len()].copy_from_slice(fields.name);
    octal(&mut block[100..108], u64::from(fields.mode));
    octal(&mut block[108..116], fields.owner.0);
    octal(&mut block[116..124], fields.owner.1);
    octal(&mut block[124..136], fields.size);
    octal(&mut block[136..148], fields.seconds);
    block[148..156].fill(b' ');
    block[156] = fields.kind;
    block[157..157 + fields.target.len()].copy_from_slice(fields.target);
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    octal(&mut block[148..155], sum);
    block[154] = 0;
    to.extend_from_slice(&block);
}

/// Writes a number as octal digits that end in NUL.
fn octal(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev().skip(1) {
        *place = b'0' + (number & 7) as u8;
        number >>= 3;
    }
}

/// Appends bytes, filled up to whole blocks.
fn padded(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(bytes);
    to.resize(to.len().next_multiple_of(BLOCK), 0);
}
