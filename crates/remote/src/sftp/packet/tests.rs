use kopia_testkit::random::Random;

use super::*;

/// Joins parts of a packet: numbers as they stand, texts with their lengths.
fn packet(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, text.as_bytes());
    out
}

#[test]
fn requests_are_written_as_the_draft_has_them() {
    let mut out = Vec::new();
    Request::Open(b"/a").write(7, &mut out);
    assert_eq!(out, *b"\0\0\0\x13\x03\0\0\0\x07\0\0\0\x02/a\0\0\0\x01\0\0\0\0");
    out.clear();
    Request::Read { handle: b"h", offset: 1 << 32, length: 255 << 10 }.write(8, &mut out);
    assert_eq!(out, *b"\0\0\0\x16\x05\0\0\0\x08\0\0\0\x01h\0\0\0\x01\0\0\0\0\0\x03\xfc\0");
    let one = out.len();
    Request::Close(b"h").write(9, &mut out);
    assert_eq!(out[one..], *b"\0\0\0\x0a\x04\0\0\0\x09\0\0\0\x01h", "packets are appended");
    assert_eq!(init(), b"\0\0\0\x05\x01\0\0\0\x03");
}

#[test]
fn replies_are_read_as_the_draft_has_them() {
    let id = 5u32.to_be_bytes();
    let status = packet(&[&[REPLY_STATUS], &id, &2u32.to_be_bytes(), &text("No such file"), &text("en")]);
    let wanted = Status { code: Status::NO_SUCH_FILE, message: "No such file".into() };
    assert_eq!(reply(status).unwrap(), (5, Reply::Status(wanted)));
    let short = packet(&[&[REPLY_STATUS], &id, &1u32.to_be_bytes()]);
    assert_eq!(reply(short).unwrap().1, Reply::Status(Status { code: Status::END, message: String::new() }));
    let (_, data) = reply(packet(&[&[REPLY_DATA], &id, &text("bytes"), b"more"])).unwrap();
    assert!(matches!(data, Reply::Data(data) if data.bytes() == b"bytes"));
    let names = packet(&[
        &[REPLY_NAME],
        &id,
        &2u32.to_be_bytes(),
        &text(".."),
        &text("drwx .."),
        &0u32.to_be_bytes(),
        &text("p.f"),
        &text("-rw- p.f"),
        &(1u32 | 2 | 4 | 8 | 1 << 31).to_be_bytes(),
        &9u64.to_be_bytes(),
        &[0; 8],
        &0o100_644u32.to_be_bytes(),
        &1u32.to_be_bytes(),
        &3u32.to_be_bytes(),
        &1u32.to_be_bytes(),
        &text("x@y"),
        &text("z"),
    ]);
    let attributes = Attributes { length: Some(9), mode: Some(0o100_644), modified: Some(3) };
    assert_eq!(attributes.modified(), Some(UNIX_EPOCH + Duration::from_secs(3)));
    assert_eq!(reply(names).unwrap().1, Reply::Names(vec![Name { name: b"p.f".into(), attributes }]));
}

#[test]
fn lengths_that_lie_are_refused() {
    let id = 5u32.to_be_bytes();
    for bad in [
        packet(&[]),
        packet(&[&[REPLY_STATUS]]),
        packet(&[&[99], &id]),
        packet(&[&[REPLY_DATA], &id, &u32::MAX.to_be_bytes(), b"few"]),
        packet(&[&[REPLY_HANDLE], &id, &text(&"h".repeat(257))]),
        packet(&[&[REPLY_NAME], &id, &u32::MAX.to_be_bytes(), &text("a"), &text("a"), &[0; 4]]),
        packet(&[&[REPLY_ATTRIBUTES], &id, &1u32.to_be_bytes(), &[0; 7]]),
        packet(&[&[REPLY_ATTRIBUTES], &id, &(1u32 << 31).to_be_bytes(), &u32::MAX.to_be_bytes()]),
    ] {
        assert!(reply(bad.clone()).is_err(), "{bad:?}");
    }
}

#[test]
fn names_that_lead_elsewhere_are_passed_over() {
    let mut names = vec![REPLY_NAME, 0, 0, 0, 1, 0, 0, 0, 6];
    for name in ["", ".", "..", "../x", &"n".repeat(256), "good"] {
        names.extend(text(name));
        names.extend(text(""));
        names.extend(0u32.to_be_bytes());
    }
    let Reply::Names(names) = reply(names).unwrap().1 else { panic!("names") };
    assert_eq!(names.iter().map(|name| &*name.name).collect::<Vec<_>>(), [b"good"]);
}

#[test]
fn damaged_packets_are_no_danger() {
    let id = 5u32.to_be_bytes();
    let entry =
        [text("p.f"), text("-rw"), (13u32 | 1 << 31).to_be_bytes().into(), vec![0; 24], text("a")].concat();
    let whole = [
        packet(&[&[REPLY_NAME], &id, &3u32.to_be_bytes(), &entry, &entry, &entry]),
        packet(&[&[REPLY_STATUS], &id, &2u32.to_be_bytes(), &text("words"), &text("en")]),
        packet(&[&[REPLY_DATA], &id, &text("bytes")]),
        packet(&[&[REPLY_VERSION], &3u32.to_be_bytes(), &text("limits@openssh.com"), &text("1")]),
    ];
    let mut random = Random::of("packets");
    for turn in 0..20_000 {
        let mut packet = whole[turn % whole.len()].clone();
        for _ in 0..random.within(1..4) {
            let at = random.within(0..packet.len());
            packet[at] = [0, 1, 0x7f, 0xff, random.next() as u8][random.within(0..5)];
        }
        packet.truncate(random.within(0..packet.len() + 1));
        let length = packet.len();
        let _ = version(&packet);
        let _ = limits(&packet);
        if let Ok((_, Reply::Names(names))) = reply(packet) {
            assert!(names.len() <= length / 12, "no more than there are bytes for");
        }
    }
}

#[test]
fn the_version_comes_with_extensions() {
    let first = packet(&[&[REPLY_VERSION], &3u32.to_be_bytes(), &text("limits@openssh.com"), &text("1")]);
    assert_eq!(version(&first).unwrap(), (3, vec![LIMITS.to_vec()]));
    assert!(version(&first[..8]).is_err());
    assert!(version(b"Welcome to this server").is_err());
    let body = [262_144u64, 261_120, 261_120, 1019].map(u64::to_be_bytes).concat();
    assert_eq!(limits(&body).unwrap(), Limits { read_length: 261_120, open_handles: 1019 });
    assert!(limits(&body[..31]).is_err());
}
