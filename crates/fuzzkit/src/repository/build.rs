//! From sections to blobs.

use std::io::Write;
use std::sync::OnceLock;

use kopia_format::{BlobId, ContentId};
use kopia_storage::MemoryStore;
use kopia_testkit::writer::RepositoryWriter;

use super::index::{self, Row};

const SEPARATOR: &[u8] = b"\n%%";

/// The pack that all contents lie in.
pub(super) const PACK: &str = "p0";

/// What is put before the contents of a pack, in bytes.
const PREAMBLE: usize = 32;

/// A part of the input: what it is, and its bytes.
pub type Section<'a> = (u8, &'a [u8]);

/// Joins sections to one input.
pub fn join(sections: &[Section<'_>]) -> Vec<u8> {
    let bytes = sections.iter().map(|(kind, bytes)| [&[*kind], *bytes].concat());
    bytes.collect::<Vec<_>>().join(SEPARATOR)
}

/// Builds the repository, and says whether it is to be opened degraded.
pub(super) fn build(bytes: &[u8]) -> (MemoryStore, bool) {
    let writer = RepositoryWriter::new();
    let mut pack = vec![0x55; PREAMBLE];
    let mut rows = Vec::new();
    let (mut indexes, mut at_end) = (Vec::new(), None);
    for (kind, bytes) in split(bytes) {
        match kind {
            b'I' => indexes.push(bytes.to_vec()),
            b'P' => at_end = Some(bytes),
            _ => {
                let Ok(number) = u8::try_from(rows.len()) else { continue };
                let Some(content) = content(kind, bytes) else { continue };
                let id = ContentId::new(content.prefix, &[number]).expect("the prefix is a letter");
                let sealed = writer.seal_content(&id, &content.stored);
                rows.push(Row {
                    id,
                    offset: pack.len(),
                    packed: sealed.len(),
                    original: content.length,
                    compression: content.compression,
                });
                pack.extend(sealed);
            }
        }
    }
    let store = MemoryStore::new();
    let blob_id = |name: &str| BlobId::new(name).expect("it is a name");
    if let Some(bytes) = at_end {
        let (name, sealed) = writer.seal_index(bytes);
        let end = index::postamble(&name, pack.len(), sealed.len());
        pack.extend([sealed, end].concat());
    } else {
        if indexes.is_empty() {
            indexes.push(index::write(&rows));
        }
        for index in indexes {
            let (name, sealed) = writer.seal_index(&index);
            store.insert(blob_id(&name), sealed);
        }
    }
    store.insert(blob_id(PACK), pack);
    let (name, format) = format_blob();
    store.insert(blob_id(name), format.clone());
    (store, at_end.is_some())
}

/// The format blob, made once: that is slow on purpose.
fn format_blob() -> &'static (String, Vec<u8>) {
    static BLOB: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    BLOB.get_or_init(|| RepositoryWriter::new().format_blob())
}

/// Cuts the input into sections.
pub(super) fn split(bytes: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        let (section, after) = match end {
            Some(end) => (&bytes[..end], Some(&bytes[end + SEPARATOR.len()..])),
            None => (bytes, None),
        };
        rest = after;
        Some(section)
    })
    .filter_map(|section| section.split_first().map(|(&kind, bytes)| (kind, bytes)))
}

struct Content {
    prefix: Option<char>,
    stored: Vec<u8>,
    length: u32,
    compression: u32,
}

fn content(kind: u8, bytes: &[u8]) -> Option<Content> {
    let prefix = |letter: u8| (letter != b'p').then_some(char::from(letter));
    let plain = |prefix, stored: Vec<u8>| {
        let length = stored.len() as u32;
        Some(Content { prefix, stored, length, compression: 0 })
    };
    match kind {
        b'm' => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            gzip.write_all(bytes).expect("memory takes everything");
            plain(Some('m'), gzip.finish().expect("memory takes everything"))
        }
        b'M' => plain(Some('m'), bytes.to_vec()),
        b'g'..=b'z' => plain(prefix(kind), bytes.to_vec()),
        b'C' => {
            let (&[letter @ b'g'..=b'z', high, middle, low], stored) = bytes.split_first_chunk()? else {
                return None;
            };
            let header = stored.first_chunk().copied().unwrap_or_default();
            Some(Content {
                prefix: prefix(letter),
                stored: stored.to_vec(),
                length: u32::from_be_bytes([0, high, middle, low]),
                compression: u32::from_be_bytes(header),
            })
        }
        _ => None,
    }
}
