//! Names of packs.

/// Returns whether a name is that of a pack: `p` or `q`, 32 digits, and perhaps a session after a `-`.
pub(super) fn is_pack(name: &[u8]) -> bool {
    let stem = name.split(|&byte| byte == b'-').next().unwrap_or_default();
    stem.len() == 33 && begins_pack(stem) && !name.contains(&b'.')
}

pub(super) fn begins_pack(name: &[u8]) -> bool {
    matches!(name, [b'p' | b'q', digits @ ..] if digits.iter().take(32).all(u8::is_ascii_hexdigit))
}
