//! The blobs around the packs: the index and the format.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_codec::key::{KeyDerivation, Password};
use kopia_format::{BlobId, ContentId};
use serde_json::{Value, json};

use super::Entry;

/// The salt of the password.
const UNIQUE_ID: [u8; 32] = [3; 32];

/// The time of entries when they are written first, in seconds since 1970.
pub(super) const TIME: u32 = 1_767_225_600;

/// Writes an index of version 2; the layout stands in `kopia_format::index`.
pub(super) fn index(entries: &BTreeMap<ContentId, Entry>, time: u32) -> Vec<u8> {
    // Hashes are all of one length; a byte before each says what kind of content it is.
    let key_size = entries.keys().next().map_or(17, |id| 1 + id.hash().len() as u8);
    let mut packs: Vec<&BlobId> = entries.values().map(|entry| &entry.pack).collect();
    packs.sort();
    packs.dedup();
    let mut compressions: Vec<u32> = entries.values().map(|entry| entry.compression).collect();
    compressions.sort_unstable();
    compressions.dedup();
    let mut blob = vec![2, key_size, 0, 19];
    blob.extend((entries.len() as u32).to_be_bytes());
    blob.extend((packs.len() as u32).to_be_bytes());
    blob.push(compressions.len() as u8);
    blob.extend(time.to_be_bytes());
    for (id, entry) in entries {
        let pack = packs.binary_search(&&entry.pack).expect("every pack is listed") as u32;
        let compression = compressions.binary_search(&entry.compression).expect("every one is listed");
        blob.push(id.prefix_byte());
        blob.extend(id.hash());
        blob.extend([0; 4]);
        blob.extend((entry.offset | u32::from(entry.deleted) << 31).to_be_bytes());
        blob.extend(&entry.original_length.to_be_bytes()[1..]);
        blob.extend(&entry.packed_length.to_be_bytes()[1..]);
        blob.extend((pack as u16).to_be_bytes());
        blob.push(compression as u8);
        blob.push((pack >> 16) as u8);
        blob.push(((entry.original_length >> 24) << 4 | entry.packed_length >> 24) as u8);
    }
    let mut name_at = blob.len() + packs.len() * 5 + compressions.len() * 6;
    for pack in &packs {
        blob.push(pack.as_str().len() as u8);
        blob.extend((name_at as u32).to_be_bytes());
        name_at += pack.as_str().len();
    }
    for compression in compressions {
        blob.extend(compression.to_be_bytes());
        blob.extend([2, 0]);
    }
    packs.iter().for_each(|pack| blob.extend(pack.as_str().as_bytes()));
    blob
}

/// Writes the end of a pack; the layout stands in `kopia_format::postamble`.
pub fn postamble(iv: &[u8], offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    uvarint(&mut bytes, 1);
    uvarint(&mut bytes, iv.len() as u64);
    bytes.extend(iv);
    uvarint(&mut bytes, offset);
    uvarint(&mut bytes, length);
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes.push(bytes.len() as u8);
    bytes
}

fn uvarint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Writes the format blob, with fields of the inner format replaced.
pub(super) fn format(
    secret: &[u8; 32],
    derivation: KeyDerivation,
    password: &str,
    replaced: &BTreeMap<String, Value>,
) -> Vec<u8> {
    let mut format = json!({
        "hash": "BLAKE2B-256-128",
        "encryption": "AES256-GCM-HMAC-SHA256",
        "secret": STANDARD.encode(secret),
        "masterKey": STANDARD.encode(secret),
        "version": 3,
        "maxPackSize": 20 << 20,
        "indexVersion": 2,
        // Kopia's own, times in nanoseconds: with none it would read the list of indexes for ever.
        "epochParameters": {
            "Enabled": true,
            "EpochRefreshFrequency": 1_200_000_000_000_u64,
            "FullCheckpointFrequency": 7,
            "CleanupSafetyMargin": 14_400_000_000_000_u64,
            "MinEpochDuration": 86_400_000_000_000_u64,
            "EpochAdvanceOnCountThreshold": 20,
            "EpochAdvanceOnTotalSizeBytesThreshold": 10 << 20,
            "DeleteParallelism": 4,
        },
        "splitter": "DYNAMIC-4M-BUZHASH",
        "enablePasswordChange": true,
    });
    for (field, value) in replaced {
        format[field] = value.clone();
    }
    let plain = json!({"format": format}).to_string();
    let key = derivation.derive(&Password::from(password), &UNIQUE_ID).expect("the salt is long enough");
    let sealed = key.seal(&UNIQUE_ID, [5; 12], plain.as_bytes());
    let blob = json!({
        "tool": "kopia-testkit",
        "buildVersion": "",
        "uniqueID": STANDARD.encode(UNIQUE_ID),
        "keyAlgo": derivation.name(),
        "encryption": "AES256_GCM",
        "encryptedBlockFormat": STANDARD.encode(sealed),
    });
    blob.to_string().into_bytes()
}
