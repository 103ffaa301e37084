//! Tokens of `kopia repository status --reconnect-token`. Authority: Kopia's `repo/token.go`.
//!
//! A token is base64 of `{"version":"1","storage":{…},"password":"…"}`. It may hold keys and the password in
//! clear, so no error quotes it. A connection to a Kopia repository server has none.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use kopia_codec::key::Password;
use kopia_format::go_json::Object;
use zeroize::Zeroizing;

use crate::storage::json::{self, Flaw};
use crate::{Connection, Error, Result, file};

/// The only version that there is.
const VERSION: &str = "1";

/// Takes what Go takes.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Reads a token. Blanks and line breaks in it, `=` at its end, and the other alphabet of base64 are no
/// mistakes: terminals break lines, and programs encode as they like. All that kopia shows may stand around
/// it.
///
/// ```
/// let token = "eyJ2ZXJzaW9uIjoiMSIsInN0b3JhZ2UiOnsidHlwZSI6ImZpbGVzeXN0ZW0iLCJjb25maWciOnsicGF0aCI6Ii9iIn19LCJwYXNzd29yZCI6InB3In0";
/// let connection = kopia_connection::token::parse(token)?;
/// assert_eq!(connection.location(), "/b");
/// assert!(connection.password.is_some());
/// # Ok::<(), kopia_connection::Error>(())
/// ```
///
/// # Errors
/// [`Error::Token`], [`Error::UnknownStorage`].
pub fn parse(token: &str) -> Result<Connection> {
    connection(&decoded(token)?).map_err(|flaw| match flaw {
        Flaw::Malformed(why) => Error::Token { why },
        Flaw::UnknownType(name) => Error::UnknownStorage { name: format!("storage of the type {name:?}") },
    })
}

/// Undoes the base64 of a token.
pub(crate) fn decoded(token: &str) -> Result<Zeroizing<String>> {
    let bad = |why: String| Error::Token { why };
    if token.len() > file::LONGEST {
        return Err(bad(format!("it has more than {} bytes", file::LONGEST)));
    }
    let token = shown(token);
    let mut letters = Zeroizing::new(Vec::with_capacity(token.len()));
    letters.extend(token.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        byte => byte,
    }));
    while letters.last() == Some(&b'=') {
        letters.pop();
    }
    if letters.is_empty() {
        return Err(bad("it is empty".into()));
    }
    let mut bytes = Zeroizing::new(vec![0; letters.len()]);
    let length = ENGINE.decode_slice(&letters[..], &mut bytes[..]);
    let length = length.map_err(|_| bad("it is no base64; was it copied as a whole?".into()))?;
    let json = std::str::from_utf8(&bytes[..length]).map_err(|_| bad("it holds no JSON".into()))?;
    Ok(Zeroizing::new(json.into()))
}

/// Returns the token in what `kopia repository status --reconnect-token` shows: a command that has it as an
/// option, after much else. Any other text is a token alone.
fn shown(text: &str) -> &str {
    let option = text.rsplit_once("--token ").or_else(|| text.rsplit_once("--token="));
    option.and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or(text)
}

/// Writes a token of a storage, given as JSON as it stands in a configuration, and of a password if it is to be in it.
pub(crate) fn text(storage: &str, password: Option<&Password>) -> Zeroizing<String> {
    let mut json = Zeroizing::new(String::with_capacity(storage.len().saturating_mul(2)));
    json.push_str(r#"{"version":"1","storage":"#);
    escape(&compact(storage), &mut json);
    if let Some(password) = password.filter(|password| !password.as_bytes().is_empty()) {
        json.push_str(r#","password":"#);
        let text = Zeroizing::new(String::from_utf8_lossy(password.as_bytes()).into_owned());
        escape(&Zeroizing::new(serde_json::to_string(&*text).expect("a text")), &mut json);
    }
    json.push('}');
    Zeroizing::new(ENGINE.encode(json.as_bytes()))
}

/// Adds JSON as Go writes it: what means something in HTML is escaped.
fn escape(json: &str, to: &mut String) {
    for letter in json.chars() {
        match letter {
            '&' | '<' | '>' | '\u{2028}' | '\u{2029}' => {
                to.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => to.push(letter),
        }
    }
}

/// Leaves out the blanks between the parts of JSON.
fn compact(json: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(json.len()));
    let (mut in_text, mut is_escaped) = (false, false);
    for letter in json.chars() {
        if in_text || !letter.is_ascii_whitespace() {
            text.push(letter);
        }
        if letter == '"' && !is_escaped {
            in_text = !in_text;
        }
        is_escaped = in_text && letter == '\\' && !is_escaped;
    }
    text
}

fn connection(json: &str) -> Result<Connection, Flaw> {
    let object = Object::parse(json)?;
    let version = object.value::<String>("version")?.unwrap_or_default();
    if version != VERSION {
        let shown: String = version.chars().take(8).collect();
        let why = format!("it is of version {shown:?}, and only version {VERSION:?} is known");
        return Err(Flaw::Malformed(why));
    }
    let storage = object.pointer("storage")?;
    let storage = storage.ok_or_else(|| Flaw::Malformed("it names no storage".into()))?;
    let (storage, limits) = json::storage(&storage)?;
    let password = object.value::<String>("password")?.filter(|password| !password.is_empty());
    Ok(Connection { password: password.map(Into::into), limits, ..Connection::new(storage) })
}

#[cfg(test)]
mod tests;
