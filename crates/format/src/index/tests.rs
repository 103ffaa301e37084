use proptest::prelude::*;

use super::*;

/// A version 1 blob with one pack name and the given (key, offset, packed length).
fn v1(entries: &[(&[u8], u32, u32)]) -> Vec<u8> {
    let key_size = entries.first().map_or(255, |(key, ..)| key.len());
    let names = 8 + entries.len() * (key_size + 20);
    let mut blob = vec![1, key_size as u8, 0, 20];
    blob.extend((entries.len() as u32).to_be_bytes());
    for (key, offset, length) in entries {
        blob.extend_from_slice(key);
        blob.extend([0, 0, 0x65, 0, 0, 7, 1, 3]);
        blob.extend((names as u32).to_be_bytes());
        blob.extend(offset.to_be_bytes());
        blob.extend(length.to_be_bytes());
    }
    blob.extend(b"p12");
    blob
}

/// A version 2 blob of one entry whose value is `value`, with packs `p12` and `q3` and two formats.
fn v2(value: &[u8]) -> Vec<u8> {
    let mut blob = vec![2, 3, 0, value.len() as u8, 0, 0, 0, 1, 0, 0, 0, 2, 2, 0, 0, 0, 100];
    blob.extend([b'k', 0xaa, 0xbb]);
    blob.extend_from_slice(value);
    let names = (blob.len() + 2 * 5 + 2 * 6) as u32;
    blob.push(3);
    blob.extend(names.to_be_bytes());
    blob.push(2);
    blob.extend((names + 3).to_be_bytes());
    blob.extend([0, 0, 0, 0, 2, 0]);
    blob.extend([0, 0, 0x11, 0, 2, 0]);
    blob.extend(b"p12q3");
    blob
}

const VALUE: [u8; 19] = [0, 0, 0, 5, 0x80, 0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 1, 1, 0, 0x21];

#[test]
fn version_1() {
    let blob = v1(&[(&[0, 1, 2], 32, 128), (&[b'm', 1, 3], 1 << 31 | 160, 30)]);
    let index = Index::parse(&blob).unwrap();
    let entries: Vec<_> = index.entries().collect();
    let first = Entry {
        key: &[0, 1, 2],
        timestamp: 0x6500_0007,
        deleted: false,
        pack: 0,
        offset: 32,
        packed_length: 128,
        original_length: 100,
        compression: 0,
        format_version: 1,
    };
    let second = Entry {
        key: &[b'm', 1, 3],
        deleted: true,
        offset: 160,
        packed_length: 30,
        original_length: 2,
        ..first
    };
    assert_eq!(entries, [first, second]);
    assert_eq!((index.len(), index.is_empty()), (2, false));
    assert_eq!(index.packs(), [BlobId::new("p12").unwrap()]);
}

/// A version 1 blob whose entries have the given pack names, each as its offset behind the entries and its
/// length.
fn v1_of_packs(packs: &[(u32, u8)], names: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = (0..packs.len()).map(|number| [0, number as u8]).collect();
    let entries: Vec<_> = keys.iter().map(|key| (&key[..], 0, 30)).collect();
    let mut blob = v1(&entries);
    blob.truncate(blob.len() - b"p12".len());
    let start = blob.len() as u32;
    for (number, (offset, length)) in packs.iter().enumerate() {
        let value = 8 + number * 22 + 2;
        blob[value + 7] = *length;
        blob[value + 8..value + 12].copy_from_slice(&(start + offset).to_be_bytes());
    }
    blob.extend(names);
    blob
}

#[test]
fn packs_of_version_1_are_numbered_as_they_are_mentioned() {
    let blob = v1_of_packs(&[(0, 3), (0, 3), (3, 2), (0, 3)], b"p12q3");
    let index = Index::parse(&blob).unwrap();
    assert_eq!(index.packs().iter().map(BlobId::as_str).collect::<Vec<_>>(), ["p12", "q3"]);
    assert_eq!(index.entries().map(|entry| entry.pack).collect::<Vec<_>>(), [0, 0, 1, 0]);
    assert_eq!(index.packs().len(), 2);
}

#[test]
fn names_that_overlap_take_no_more_than_the_blob_has() {
    // Four entries take 96 bytes, header included; their names take 200 of 300, or 400.
    let packs = |length| [(0, length), (1, length), (2, length), (3, length)];
    assert_eq!(Index::parse(v1_of_packs(&packs(50), &[b'p'; 204])).unwrap().packs().len(), 4);
    let blob = v1_of_packs(&packs(100), &[b'p'; 304]);
    assert_eq!((blob.len(), Index::parse(&blob).unwrap().packs().len()), (400, 4));
    let blob = v1_of_packs(&packs(100), &[b'p'; 303]);
    let error = Index::parse(&blob).unwrap_err().to_string();
    assert!(error.contains("pack names of more than 400 bytes in 399 bytes"), "{error}");
}

#[test]
fn names_of_version_2_that_overlap_take_no_more_than_the_blob_has() {
    // No entries, and four packs whose names take 400 bytes together.
    let parse = |length: usize| {
        let mut blob = vec![2, 3, 0, 16, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0];
        for offset in 37..41_u32 {
            blob.push(100);
            blob.extend(offset.to_be_bytes());
        }
        blob.resize(length, b'p');
        Index::parse(blob).map(|index| index.packs().len()).map_err(|error| error.to_string())
    };
    assert_eq!(parse(400), Ok(4));
    assert_eq!(parse(399), Err("index: pack names of 400 bytes in 399 bytes".into()));
}

#[test]
fn version_2_of_every_entry_size() {
    for size in 16..=19 {
        let blob = v2(&VALUE[..size]);
        let index = Index::parse(&blob).unwrap();
        let entry = index.entries().next().unwrap();
        assert_eq!(entry.key, [b'k', 0xaa, 0xbb]);
        assert_eq!((entry.timestamp, entry.deleted, entry.offset), (105, true, 256));
        assert_eq!(index.packs()[entry.pack as usize].as_str(), "q3");
        let high = if size == 19 { 1 << 24 } else { 0 };
        assert_eq!((entry.original_length, entry.packed_length), (2 * high + 512, high + 256));
        assert_eq!(entry.compression, if size > 16 { 0x1100 } else { 0 });
        assert_eq!(entry.format_version, 2);
    }
}

#[test]
fn version_2_of_a_content_that_is_not_deleted() {
    let mut value = VALUE;
    value[4] = 0;
    let blob = v2(&value);
    let entry = Index::parse(&blob).unwrap().entries().next().map(|entry| (entry.deleted, entry.offset));
    assert_eq!(entry, Some((false, 256)));
}

#[test]
fn an_empty_index_states_a_key_size_of_255() {
    assert!(Index::parse(v1(&[])).unwrap().is_empty());
    assert!(Index::parse([2, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap().is_empty());
}

#[test]
fn other_key_sizes_are_refused() {
    let [mut empty, mut full] = [v1(&[]), v1(&[(&[0, 1, 2], 32, 128)])];
    empty[1] = 1;
    full[1] = 255;
    assert!(Index::parse(empty).unwrap_err().to_string().contains("keys of 1 bytes"));
    assert!(Index::parse(full).unwrap_err().to_string().contains("keys of 255 bytes"));
}

#[test]
fn padding_is_ignored_and_cuts_are_not() {
    for blob in [v1(&[(&[0, 1, 2], 32, 128)]), v2(&VALUE)] {
        assert_eq!(Index::parse([&blob[..], &[9; 100]].concat()).unwrap().len(), 1);
        for length in 0..blob.len() {
            assert!(Index::parse(&blob[..length]).is_err(), "cut to {length} of {}", blob.len());
        }
    }
}

#[test]
fn hostile_numbers() {
    let broken = |at: usize, byte: u8| {
        let mut blob = v2(&VALUE);
        blob[at] = byte;
        Index::parse(blob).unwrap_err().to_string()
    };
    assert!(broken(0, 3).contains("index version: 3"));
    assert!(broken(1, 1).contains("keys of 1 bytes"));
    assert!(broken(3, 20).contains("entries of 20 bytes"));
    assert!(broken(4, 0xff).contains("do not fit"));
    assert!(broken(8, 0xff).contains("packs do not fit"));
    assert!(broken(12, 0xff).contains("formats do not fit"));
    assert!(broken(17, b'!').contains("entry 0"));
    assert!(broken(17 + 3 + 15, 2).contains("pack 2 of 2"));
    assert!(broken(17 + 3 + 16, 2).contains("format 2 of 2"));
    assert!(broken(17 + 3 + 17, 1).contains("pack 65537 of 2"));
    assert!(broken(17 + 3 + 19 + 1, 0xff).contains("pack name"));
    assert!(broken(17 + 3 + 19 + 10 + 5, 1).contains("encryption key id"));
}

proptest! {
    #[test]
    fn any_bytes_give_an_index_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 1u8..3) {
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        if let Ok(index) = Index::parse(&bytes) {
            prop_assert_eq!(index.entries().count(), index.len());
            for entry in index.entries() {
                prop_assert!((entry.pack as usize) < index.packs().len());
                prop_assert!(ContentId::from_key(entry.key).is_ok());
            }
        }
    }

    #[test]
    fn any_changed_byte_gives_an_index_or_an_error(at in 0usize..81, byte: u8) {
        let mut blob = v2(&VALUE);
        prop_assume!(at < blob.len());
        blob[at] = byte;
        if let Ok(index) = Index::parse(&blob) {
            for entry in index.entries() {
                prop_assert!((entry.pack as usize) < index.packs().len());
            }
        }
    }
}

#[test]
fn entries_are_dropped_from_the_end() {
    let blob = v1(&[(&[0, 1, 2], 32, 128), (&[0, 1, 3], 160, 30), (&[0, 1, 4], 190, 40)]);
    let whole = Index::parse(&blob).unwrap();
    let mut index = Index::parse(blob.clone()).unwrap();
    for count in [5, 3, 2, 0] {
        index.truncate(count);
        assert_eq!(index.len(), count.min(3));
        assert!(index.entries().eq(whole.entries().take(count)));
        assert!(index.entries_from(1).eq(whole.entries().take(count).skip(1)));
        assert_eq!(index.packs(), whole.packs());
    }
}
