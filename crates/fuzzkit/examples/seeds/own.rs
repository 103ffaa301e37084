//! What no golden repository holds.

use kopia_fuzzkit::repository::join;
use serde_json::{Value, json};

use crate::Seeds;

pub(crate) fn add(seeds: &mut Seeds) {
    for id in ["Ix0a", "IIk0a1b", "Z0a1b", "ZD0a1b", "IIIIIIIIIIIIIIIIxff", "k", "DDab"] {
        seeds.add("object_id", id, id.as_bytes());
    }
    for time in [
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.5Z",
        "2020-02-29T08:57:05+05:53",
        "9999-12-30T22:00:00Z",
    ] {
        seeds.add("time", time, time.as_bytes());
    }
    for name in ["kopia.repository", "xn0_0a1b-s5ac8-c1", "..", "user@domain@host:/data"] {
        seeds.add("names", name, name.as_bytes());
    }
    for (shape, names) in [
        ("ranges", "xe9\nxr0_1_a\nxr2_3_b\nxr0_3_c\nxn4_d\nxn1_e\nxw5"),
        ("sets", "xe2\nxn0_a\nxs0_b-s1-c2\nxs0_c-s2-c1\nxs0_d-s3-c1"),
        ("last", "xe18446744073709551615\nxn18446744073709551615_a\nxs7_b"),
    ] {
        seeds.add("epoch", shape, names.as_bytes());
    }
    let shards: &[u8] =
        br#"{"default":[2,2],"maxNonShardedLength":3,"overrides":[{"prefix":"q","shards":[4]}]}"#;
    seeds.add("shards", "with names", &[shards, b"\0qq3456\n....outside\n..outside"].concat());
    for percent in [1, 5, 100] {
        seeds.add(
            "ecc",
            (percent, "encoded"),
            &[&[percent, 3][..], b"hello kopia, this is repaired"].concat(),
        );
    }
    for (shape, pieces) in [
        ("last without bytes", &[(0, 5, "0a"), (5, 5, "0b"), (10, 0, "0c")][..]),
        ("first and middle without bytes", &[(0, 0, "0c"), (0, 5, "0a"), (5, 0, "Ix0c"), (5, 5, "0b")]),
        ("no bytes at all", &[(0, 0, "0c"), (0, 0, "0c")]),
    ] {
        seeds.add("indirect", shape, &list(pieces));
    }
    repositories(seeds);
}

fn file(name: &str, object: &str, size: usize) -> Value {
    json!({"name": name, "type": "f", "mode": "0644", "size": size, "mtime": "2020-01-02T03:04:05Z", "obj": object})
}

fn subdirectory(name: &str, object: &str) -> Value {
    json!({"name": name, "type": "d", "mode": "0755", "mtime": "2020-01-02T03:04:05Z", "obj": object})
}

fn directory(entries: &[Value]) -> Vec<u8> {
    json!({"stream": "kopia:directory", "entries": entries, "summary": null}).to_string().into_bytes()
}

fn list(pieces: &[(u64, u64, &str)]) -> Vec<u8> {
    let pieces = pieces.iter().map(|(start, length, object)| json!({"s": start, "l": length, "o": object}));
    json!({"stream": "kopia:indirect", "entries": pieces.collect::<Vec<_>>()}).to_string().into_bytes()
}

fn manifest(root: &Value) -> Vec<u8> {
    json!({"entries": [{
        "id": "0d85",
        "labels": {"type": "snapshot"},
        "modified": "2026-01-01T00:00:00Z",
        "data": {
            "source": {"host": "h", "userName": "u", "path": "/d"},
            "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:00Z", "rootEntry": root,
        },
    }]})
    .to_string()
    .into_bytes()
}

/// Small repositories, each with something that the others do not have.
fn repositories(seeds: &mut Seeds) {
    let root = manifest(&subdirectory("d", "k01"));
    let mut add = |shape: &str, rest: &[(u8, Vec<u8>)]| {
        let rest = rest.iter().map(|(kind, bytes)| (*kind, &bytes[..]));
        let sections: Vec<_> = std::iter::once((b'm', &root[..])).chain(rest).collect();
        seeds.add("repository", shape, &join(&sections));
    };
    let link = json!({"name": "l", "type": "s", "mode": "0777", "obj": "02"});
    add(
        "tree",
        &[
            (b'k', directory(&[subdirectory("sub", "k03"), file("f", "02", 5), link])),
            (b'p', b"hello".to_vec()),
            (b'k', directory(&[file("again", "02", 5), file("empty", "04", 0)])),
            (b'p', Vec::new()),
        ],
    );
    add(
        "pieces",
        &[
            (b'k', directory(&[file("f", "Ix02", 15), file("g", "IIx05", 10)])),
            (b'x', list(&[(0, 5, "03"), (5, 5, "04"), (10, 5, "03")])),
            (b'p', b"hello".to_vec()),
            (b'p', b"kopia".to_vec()),
            (b'x', list(&[(0, 82, "x06")])),
            (b'x', list(&[(0, 5, "03"), (5, 5, "04")])),
        ],
    );
    add(
        "pieces without bytes",
        &[
            (b'k', directory(&[file("f", "Ix02", 10), file("g", "Ix05", 0), file("h", "Ix06", 5)])),
            (b'x', list(&[(0, 0, "04"), (0, 5, "03"), (5, 0, "Ix05"), (5, 5, "03"), (10, 0, "04")])),
            (b'p', b"hello".to_vec()),
            (b'p', Vec::new()),
            (b'x', list(&[(0, 0, "04"), (0, 0, "0f")])),
            (b'x', list(&[(0, 5, "03"), (5, 0, "04")])),
        ],
    );
    add(
        "names with slashes",
        &[
            (
                b'k',
                directory(&[
                    subdirectory("dev", "k03"),
                    file("/dev/sda", "02", 5),
                    file("/var/lib/db.tar", "02", 5),
                    file("var//lib/./log", "02", 5),
                    file("var/lib/db.tar/no", "02", 5),
                    file("../up", "02", 5),
                ]),
            ),
            (b'p', b"hello".to_vec()),
            (b'k', directory(&[file("sda", "02", 5), file("sdb", "02", 5)])),
        ],
    );
    let gzip = [&[0, 0, 0x10, 0][..], &gzip(b"hello kopia")].concat();
    add(
        "compressed",
        &[
            (b'k', directory(&[file("f", "02", 5), file("z", "Z04", 11)])),
            (
                b'C',
                [&b"p\0\0\x05\0\0\x12\0"[..], b"\xff\x06\0\0S2sTwO\x01\x09\0\0\xbb\x1f\x1c\x19hello"]
                    .concat(),
            ),
            (b'C', [&b"p\0\0\x0b"[..], &gzip].concat()),
            (b'p', gzip.clone()),
        ],
    );
    add(
        "split folder",
        &[
            (b'k', directory(&[subdirectory("sub", "Ik02")])),
            (b'k', list(&[(0, 45, "k03"), (45, 25, "k04")])),
            (b'k', br#"{"stream":"kopia:directory","entries":[{"na"#.to_vec()),
            (b'k', br#"me":"f","type":"f","obj":"03"}]}"#.to_vec()),
        ],
    );
    add(
        "cycles",
        &[
            (b'k', directory(&[subdirectory("again", "k01"), file("f", "Ix02", 5), file("g", "IIIx02", 5)])),
            (b'x', list(&[(0, 5, "Ix02")])),
        ],
    );
    add(
        "hostile names",
        &[
            (
                b'k',
                directory(&[
                    file("..", "02", 5),
                    subdirectory("../up", "k01"),
                    file("a", "02", 5),
                    file("a", "02", 9),
                ]),
            ),
            (b'p', b"hello".to_vec()),
        ],
    );
    let index = index(&[(b'm', 0, 32, 251), (b'k', 1, 283, 150), (0, 2, 433, 33)]);
    for kind in [b'I', b'P'] {
        add(
            if kind == b'I' { "index" } else { "degraded" },
            &[(b'k', directory(&[file("f", "02", 5)])), (b'p', b"hello".to_vec()), (kind, index.clone())],
        );
    }
}

/// An index of version 2 in a form that the fuzzer can change; places need not be right.
fn index(rows: &[(u8, u8, u32, u32)]) -> Vec<u8> {
    let mut index = vec![2, 2, 0, 17];
    index.extend((rows.len() as u32).to_be_bytes());
    index.extend([0, 0, 0, 1, 1, 0x60, 0, 0, 0]);
    for (prefix, hash, offset, length) in rows {
        index.extend([*prefix, *hash, 0, 0, 0, 0]);
        index.extend(offset.to_be_bytes());
        index.extend(&(length - 28).to_be_bytes()[1..]);
        index.extend(&length.to_be_bytes()[1..]);
        index.extend([0, 0, 0]);
    }
    index.push(2);
    index.extend((index.len() as u32 + 4 + 6).to_be_bytes());
    index.extend([0, 0, 0, 0, 2, 0]);
    index.extend(b"p0");
    index
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, bytes).expect("memory takes everything");
    gzip.finish().expect("memory takes everything")
}
