//! Variants of a password that is nearly right.
//!
//! Secrets are made with editors and shells that add a line break, and encoded once too often. No password,
//! nor a part of one, leaves this module.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_codec::key::Password;
use kopia_repository::FormatBlob;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::effort::Effort;

/// What would make the password right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Variant {
    /// Without line breaks at its end.
    WithoutLineBreak,
    /// Without blanks around it.
    WithoutBlanks,
    /// Without quotes around it.
    WithoutQuotes,
    /// With a line break after it.
    WithLineBreak,
    /// Decoded from base64.
    FromBase64,
    /// Without a byte order mark before it.
    WithoutMark,
    /// Converted from UTF-16.
    FromUtf16,
}

/// Where a password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// A file.
    File(PathBuf),
    /// What a command prints.
    Command,
    /// The variable KOPIA_PASSWORD.
    Environment,
    /// The variable KOPIA_SERVER_PASSWORD, by which the web pages of `kopia server` are told theirs.
    ServerEnvironment,
    /// The file that kopia stored it in when it connected.
    Stored(PathBuf),
    /// The key ring of the system, where kopia stored it when it connected.
    KeyRing,
    /// A token or URL that says where the repository is.
    Connection,
    /// A person at a terminal.
    Prompt,
}

/// Finds a variant of a wrong password that opens the format blob. Each one tried takes some 150 ms and 64
/// MiB; with little effort only those are tried that something in the password speaks for.
pub fn variant(blob: &FormatBlob, wrong: &Password, effort: Effort) -> Option<Variant> {
    let bytes = wrong.as_bytes();
    let mut tried: Vec<Password> = vec![wrong.clone()];
    let mut candidates: Vec<(Variant, Password)> = vec![
        (Variant::WithoutLineBreak, without_line_break(bytes).into()),
        (Variant::WithoutBlanks, bytes.trim_ascii().into()),
        (Variant::WithoutQuotes, without_quotes(bytes.trim_ascii()).into()),
    ];
    candidates
        .extend(bytes.strip_prefix(MARK).map(|rest| (Variant::WithoutMark, without_line_break(rest).into())));
    candidates.extend(from_utf16(bytes).map(|text| (Variant::FromUtf16, text)));
    if effort == Effort::Doctor {
        candidates.push((Variant::WithLineBreak, [bytes, b"\n"].concat().into()));
        candidates.extend(decoded(bytes).map(|decoded| (Variant::FromBase64, decoded)));
    }
    candidates.into_iter().find_map(|(variant, candidate)| {
        if tried.iter().any(|tried| tried.as_bytes() == candidate.as_bytes()) {
            return None;
        }
        tried.push(candidate.clone());
        blob.open(&candidate).is_ok().then_some(variant)
    })
}

/// What some editors write before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Converts UTF-16 of either order, which a mark or every other byte gives away, to UTF-8 without its last
/// line break.
fn from_utf16(bytes: &[u8]) -> Option<Password> {
    let is_little = bytes.starts_with(b"\xff\xfe") || bytes.get(1) == Some(&0);
    let is_big = bytes.starts_with(b"\xfe\xff") || bytes.first() == Some(&0);
    // The file's last line break may have been cut, of which one half is left.
    let (pairs, _) = bytes.as_chunks::<2>();
    if pairs.is_empty() || !is_little && !is_big {
        return None;
    }
    let unit = |pair: &[u8; 2]| if is_little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) };
    let units = pairs.iter().map(unit).skip_while(|&unit| unit == 0xfeff);
    // No unit takes more than three bytes, so that nothing grows and leaves a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(3 * pairs.len()));
    for decoded in char::decode_utf16(units) {
        let mut buffer = Zeroizing::new([0; 4]);
        text.extend_from_slice(decoded.ok()?.encode_utf8(&mut *buffer).as_bytes());
    }
    Some(without_line_break(&text).into())
}

/// Undoes base64, and the line break that `echo` gives to it.
fn decoded(text: &[u8]) -> Option<Password> {
    // What was decoded before an error is wiped as well.
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    let length = STANDARD.decode_slice(text.trim_ascii(), &mut bytes[..]).ok()?;
    Some(without_line_break(&bytes[..length]).into())
}

/// Takes all line breaks from the end.
fn without_line_break(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    &bytes[..end.map_or(0, |end| end + 1)]
}

/// Takes one pair of quotes away.
fn without_quotes(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => bytes,
    }
}
