use kopia_format::BlobId;
use kopia_format::index::Index;

use super::*;

/// One entry of a version 2 index: key, seconds, deleted, pack, offset.
pub(crate) type Row<'a> = (&'a [u8], u32, bool, &'a str, u32);

/// Writes a version 2 index blob.
pub(crate) fn index(rows: &[Row<'_>]) -> Vec<u8> {
    let key_size = rows[0].0.len();
    let mut blob = vec![2, key_size as u8, 0, 16];
    blob.extend((rows.len() as u32).to_be_bytes());
    blob.extend((rows.len() as u32).to_be_bytes());
    blob.extend([1, 0, 0, 0, 0]);
    for (number, (key, seconds, deleted, _, offset)) in rows.iter().enumerate() {
        blob.extend_from_slice(key);
        blob.extend(seconds.to_be_bytes());
        blob.extend((offset | u32::from(*deleted) << 31).to_be_bytes());
        blob.extend([0, 0, 5, 0, 0, 33]);
        blob.extend((number as u16).to_be_bytes());
    }
    let mut name_at = blob.len() + rows.len() * 5 + 6;
    for (.., pack, _) in rows {
        blob.push(pack.len() as u8);
        blob.extend((name_at as u32).to_be_bytes());
        name_at += pack.len();
    }
    blob.extend([0, 0, 0x11, 0, 2, 0]);
    rows.iter().for_each(|(.., pack, _)| blob.extend(pack.as_bytes()));
    blob
}

fn parsed(rows: &[Row<'_>]) -> Index<Vec<u8>> {
    Index::parse(index(rows)).unwrap()
}

fn table(hash_length: usize, watermark: Option<i64>, rows: &[Row<'_>]) -> Table {
    let builder = Builder::new(hash_length, 0, &PackNames::default());
    rows.iter().for_each(|&row| builder.add(&parsed(&[row])).unwrap());
    builder.finish(watermark).unwrap().0
}

#[test]
fn of_two_rows_the_right_one_wins() {
    let key = &[0, 0xaa, 0xbb][..];
    let id = ContentId::from_key(key).unwrap();
    for (rows, offset) in [
        ([(key, 5, false, "p1", 1), (key, 6, false, "p0", 2)], Some(2)),
        ([(key, 6, false, "p1", 1), (key, 5, false, "p2", 2)], Some(1)),
        ([(key, 5, true, "p2", 1), (key, 5, false, "p1", 2)], Some(2)),
        ([(key, 5, false, "p2", 1), (key, 5, false, "p1", 2)], Some(1)),
        // A deletion up to the watermark hides the older row too.
        ([(key, 9, true, "p1", 1), (key, 5, false, "p1", 2)], None),
        ([(key, 10, true, "p1", 1), (key, 5, false, "p1", 2)], Some(1)),
    ] {
        for rows in [rows, [rows[1], rows[0]]] {
            let table = table(16, Some(9), &rows);
            assert_eq!(table.find(&id).map(|place| place.offset), offset, "{rows:?}");
            assert_eq!(table.len(), usize::from(offset.is_some()));
        }
    }
}

#[test]
fn manifests_deleted_or_not() {
    let rows: [Row<'_>; 4] = [
        (&[b'm', 1], 1, false, "q1", 0),
        (&[b'm', 2], 1, true, "q1", 0),
        (&[b'k', 3], 1, false, "q2", 0),
        (&[0, 1], 1, false, "p", 0),
    ];
    let id = |hash| ContentId::new(Some('m'), &[hash]).unwrap();
    let all = table(16, None, &rows);
    assert_eq!((&all.manifests().live[..], &all.manifests().deleted[..]), (&[id(1)][..], &[id(2)][..]));
    assert_eq!((all.len(), all.pack_count()), (4, 3));
    assert!(table(16, Some(1), &rows).manifests().deleted.is_empty());
}

#[test]
fn totals_are_sums_without_what_is_deleted() {
    let rows: [Row<'_>; 4] = [
        (&[b'k', 1], 1, false, "q1", 0),
        (&[0, 0x22], 1, false, "p", 0),
        (&[0, 0x23], 1, false, "p", 0),
        (&[0, 0x24], 1, true, "gone", 0),
    ];
    let table = table(16, None, &rows);
    assert_eq!((table.pack_count(), table.living_pack_count()), (3, 2));
    let Totals { contents, deleted, packed_bytes, original_bytes } = *table.totals();
    assert_eq!((contents, deleted, packed_bytes, original_bytes), (3, 1, 3 * 33, 3 * 5));
}

#[test]
fn packs_that_were_known_keep_their_numbers() {
    let known: Vec<_> = ["q1", "p0", "q0"].iter().map(|name| name.parse().unwrap()).collect();
    let builder = Builder::new(16, 0, &PackNames::from(known));
    let rows: [Row<'_>; 3] =
        [(&[0, 1], 1, false, "new", 0), (&[0, 2], 1, false, "p0", 0), (&[0, 3], 1, false, "newer", 0)];
    rows.iter().for_each(|&row| builder.add(&parsed(&[row])).unwrap());
    let (table, new) = builder.finish(None).unwrap();
    let pack = |hash| table.find(&ContentId::new(None, &[hash]).unwrap()).unwrap().pack;
    assert_eq!((pack(1), pack(2), pack(3)), (3, 1, 4));
    assert_eq!(new.iter().map(BlobId::as_str).collect::<Vec<_>>(), ["new", "newer"]);
    let named: Vec<_> = (0..6).filter(|&pack| table.is_indexed(pack)).collect();
    assert_eq!((named, table.pack_count()), (vec![1, 3, 4], 3));
}

#[test]
fn every_row_is_found_however_hashes_are_spread() {
    for (hash_length, spread) in [(16, 0xff), (16, 0x00), (28, 0xff), (32, 0x01)] {
        let mut keys = Vec::new();
        let mut state = 1u64;
        for _ in 0..2000 {
            let mut key = vec![0];
            for _ in 0..hash_length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                key.push((state >> 56) as u8);
            }
            // All in one shard, and with `spread` 0 all near its end.
            key[1] = 7;
            key[2..10].iter_mut().for_each(|byte| *byte |= !spread);
            keys.push(key);
        }
        keys.sort();
        keys.dedup();
        let builder = Builder::new(hash_length, 0, &PackNames::default());
        for (number, key) in keys.iter().enumerate() {
            builder.add(&parsed(&[(key, 1, false, "p", number as u32)])).unwrap();
        }
        let (table, _) = builder.finish(None).unwrap();
        for (number, key) in keys.iter().enumerate() {
            let id = ContentId::from_key(key).unwrap();
            assert_eq!(table.find(&id).unwrap().offset, number as u32);
            let other = ContentId::new(Some('k'), id.hash()).unwrap();
            assert_eq!(table.find(&other), None);
        }
        let mut seen = 0;
        table.for_each(|id, place| {
            assert_eq!(table.find(&id), Some(place));
            seen += 1;
        });
        assert_eq!(seen, keys.len());
    }
}

#[test]
fn longer_hashes_than_the_repository_has() {
    let long = [0; 33];
    assert!(
        Builder::new(16, 0, &PackNames::default())
            .add(&parsed(&[(&long, 1, false, "p", 0)]))
            .unwrap_err()
            .contains("hash of 32 bytes")
    );
    assert!(Builder::new(28, 0, &PackNames::default()).add(&parsed(&[(&long, 1, false, "p", 0)])).is_ok());
    assert_eq!(
        table(16, None, &[(&[0, 1], 1, false, "p", 0)]).find(&ContentId::from_key(&long).unwrap()),
        None
    );
}

#[test]
fn large_index_blobs_and_tables_in_files_have_the_same_rows_as_others() {
    let keys: Vec<Vec<u8>> =
        (0..2000_u32).map(|number| [&[0][..], &(number * 2_000_000).to_be_bytes()].concat()).collect();
    let rows: Vec<Row<'_>> =
        keys.iter().zip(0..).map(|(key, place)| (&key[..], 1, false, "p", place)).collect();
    let (known, place) = (PackNames::default(), tempfile::tempdir().unwrap());
    let in_file = || Builder::in_file(16, &known, place.path()).unwrap();
    let builders = [Builder::new(16, 0, &known), Builder::new(16, 0, &known), in_file(), in_file()];
    for (number, builder) in builders.iter().enumerate() {
        if number % 2 == 0 {
            builder.add(&parsed(&rows)).unwrap();
            builder.add(&parsed(&rows[..1000])).unwrap();
        } else {
            builder.add_large(parsed(&rows)).unwrap();
        }
    }
    let [one, others @ ..] = builders.map(|builder| {
        let mut found = Vec::new();
        builder.finish(None).unwrap().0.for_each(|id, place| found.push((id, place)));
        found
    });
    assert_eq!(one.len(), 2000);
    assert!(others.iter().all(|other| *other == one));
}
