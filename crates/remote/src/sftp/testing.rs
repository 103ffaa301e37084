//! Opens what reads packets and `known_hosts` to fuzz targets.

use super::known_hosts::{KnownKeys, Verdict};
use super::packet::{self, Reply};

/// Reads bytes as a reply, as a greeting and as limits.
pub fn packets(bytes: &[u8]) {
    match packet::reply(bytes.to_vec()) {
        Ok((_, Reply::Data(data))) => assert!(data.bytes().len() <= bytes.len()),
        Ok((_, Reply::Names(names))) => {
            assert!(names.len() <= bytes.len() / 12);
            for name in names {
                assert!(!name.name.contains(&b'/') && !matches!(&*name.name, b"" | b"." | b".."));
                let _ = (name.attributes.kind(), name.attributes.modified());
            }
        }
        Ok((_, Reply::Handle(handle))) => assert!(handle.len() <= 256),
        Ok(_) | Err(_) => {}
    }
    let _ = (packet::version(bytes), packet::limits(bytes));
}

/// Reads a text as `known_hosts`: what it does not name is not known.
///
/// # Panics
/// If a text without the host's name knows it.
pub fn known_hosts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let known = KnownKeys::of(&text, "host.example", 2222);
    let _ = (known.algorithms(), known.has_authority());
    let key = russh::keys::key::parse_public_key(&KEY).expect("the key is one");
    if known.key(&key) == Verdict::Known {
        let text = text.to_ascii_lowercase();
        assert!(["host.example", "*", "?", "|1|"].iter().any(|part| text.contains(part)), "{text}");
    }
}

/// A key of Ed25519, as it is sent.
const KEY: [u8; 51] = {
    let mut key = [7; 51];
    let head = *b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
    let mut at = 0;
    while at < head.len() {
        key[at] = head[at];
        at += 1;
    }
    key
};
