//! The entries of one index blob, and both forms that kopia writes them in.

use crate::random::Random;

/// One content in this many is metadata, with the prefix `k` and in a `q` pack.
const METADATA: u64 = 20;

/// Contents in a pack of some 20 MiB.
const A_PACK: usize = 200;

/// The time of the first index blob, in seconds since 1970. Each is a minute later than the one before.
const TIME: u32 = 1_767_225_600;

/// Bytes of a key: prefix and hash.
const KEY: usize = 17;

/// What encryption adds to a content, in bytes.
const OVERHEAD: u32 = 28;

struct Entry {
    key: [u8; KEY],
    pack: u32,
    offset: u32,
    packed_length: u32,
    original_length: u32,
}

/// Contents that were written together, sorted by key.
pub(super) struct Entries {
    time: u32,
    entries: Vec<Entry>,
    packs: Vec<String>,
}

impl Entries {
    /// Forges `count` contents of the index blob with this number.
    pub(super) fn new(blob: u64, count: u64) -> Self {
        let mut random = Random::new(blob << 40);
        let (mut entries, mut packs) = (Vec::with_capacity(count as usize), Vec::new());
        // The pack being filled, its contents and its length, for data and for metadata.
        let mut open = [(0u32, A_PACK, 0u32); 2];
        for _ in 0..count {
            let numbers = [random.next(), random.next(), random.next()];
            let metadata = numbers[2].is_multiple_of(METADATA);
            let (pack, used, end) = &mut open[usize::from(metadata)];
            if *used == A_PACK {
                (*pack, *used, *end) = (packs.len() as u32, 0, 32);
                let letter = if metadata { 'q' } else { 'p' };
                packs.push(format!("{letter}{:016x}{:016x}-s0123456789abcdef", random.next(), random.next()));
            }
            let packed_length = OVERHEAD + (numbers[2] >> 32) as u32 % 200_000;
            let mut key = [0; KEY];
            key[0] = if metadata { b'k' } else { 0 };
            key[1..9].copy_from_slice(&numbers[0].to_be_bytes());
            key[9..].copy_from_slice(&numbers[1].to_be_bytes());
            let original_length = packed_length - OVERHEAD;
            entries.push(Entry { key, pack: *pack, offset: *end, packed_length, original_length });
            *used += 1;
            *end += packed_length;
        }
        entries.sort_unstable_by_key(|entry| entry.key);
        Self { time: TIME.saturating_add(blob as u32 * 60), entries, packs }
    }

    /// Writes an index blob of version 1 or 2; the layouts stand in `kopia_format::index`.
    pub(super) fn index(&self, version: u8) -> Vec<u8> {
        match version {
            1 => self.v1(),
            _ => self.v2(),
        }
    }

    fn v1(&self) -> Vec<u8> {
        let size = 20;
        let mut blob = vec![1, KEY as u8, 0, size as u8];
        blob.extend((self.entries.len() as u32).to_be_bytes());
        let names_at = blob.len() + self.entries.len() * (KEY + size);
        // All names have the same length.
        let name_length = self.packs.first().map_or(0, String::len);
        for entry in &self.entries {
            blob.extend(entry.key);
            blob.extend([0, 0]);
            blob.extend(self.time.to_be_bytes());
            blob.extend([1, name_length as u8]);
            let name_at = names_at + entry.pack as usize * name_length;
            blob.extend((name_at as u32).to_be_bytes());
            blob.extend(entry.offset.to_be_bytes());
            blob.extend(entry.packed_length.to_be_bytes());
        }
        self.packs.iter().for_each(|pack| blob.extend(pack.as_bytes()));
        blob
    }

    fn v2(&self) -> Vec<u8> {
        // Kopia takes more bytes only where they are needed: here for more than 65,536 packs.
        let wide = self.packs.len() > 1 << 16;
        let size: usize = if wide { 18 } else { 16 };
        let mut blob = vec![2, KEY as u8, 0, size as u8];
        blob.extend((self.entries.len() as u32).to_be_bytes());
        blob.extend((self.packs.len() as u32).to_be_bytes());
        blob.push(1);
        blob.extend(self.time.to_be_bytes());
        for entry in &self.entries {
            blob.extend(entry.key);
            blob.extend([0; 4]);
            blob.extend(entry.offset.to_be_bytes());
            blob.extend(&entry.original_length.to_be_bytes()[1..]);
            blob.extend(&entry.packed_length.to_be_bytes()[1..]);
            blob.extend((entry.pack as u16).to_be_bytes());
            if wide {
                blob.extend([0, (entry.pack >> 16) as u8]);
            }
        }
        let mut name_at = blob.len() + self.packs.len() * 5 + 6;
        for pack in &self.packs {
            blob.push(pack.len() as u8);
            blob.extend((name_at as u32).to_be_bytes());
            name_at += pack.len();
        }
        blob.extend([0, 0, 0, 0, 2, 0]);
        self.packs.iter().for_each(|pack| blob.extend(pack.as_bytes()));
        blob
    }
}
