use kopia_format::index::Index;

use super::*;

#[test]
fn both_versions_hold_the_same_entries() {
    let entries = Entries::new(3, 1000);
    let [one, two] = [1, 2].map(|version| Index::parse(entries.index(version)).unwrap());
    assert_eq!((one.len(), two.len()), (1000, 1000));
    assert!(one.packs().len() >= 6 && one.packs().len() == two.packs().len());
    for (a, b) in one.entries().zip(two.entries()) {
        assert_eq!(one.packs()[a.pack as usize], two.packs()[b.pack as usize]);
        assert_eq!(
            (a.key, a.timestamp, a.offset, a.packed_length),
            (b.key, b.timestamp, b.offset, b.packed_length)
        );
        assert_eq!(a.original_length, b.original_length);
    }
    assert!(one.entries().zip(one.entries().skip(1)).all(|(a, b)| a.key < b.key), "sorted");
}

#[test]
fn as_many_as_asked_for() {
    for plain in [false, true] {
        let mut huge = HugeIndex::new(1001, 7);
        if plain {
            huge = huge.plain();
        }
        let mut indexes = 0;
        huge.for_each_blob(|name, _| {
            indexes += usize::from(name.starts_with(if plain { "n" } else { "xn0_" }));
            Ok(())
        })
        .unwrap();
        assert_eq!(indexes, 8, "one is that of the snapshot");
    }
    assert_eq!(layout::file("kopia.repository"), "kopia.repository.f");
    assert_eq!(layout::file("xn0_0123456789abcdef012345"), "x/n0_/0123456789abcdef012345.f");
}
