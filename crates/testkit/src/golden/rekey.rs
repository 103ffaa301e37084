//! Golden repositories behind a cheaper key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_codec::key::{KeyDerivation, Password};
use serde_json::{Value, json};

/// Seals the inside of a format blob anew, with a key that takes no time to derive, and changes nothing else.
/// What opens a golden repository hundreds of times would otherwise do little but derive its key.
///
/// # Panics
///
/// When the password does not open the blob.
pub(super) fn rekeyed(blob: &[u8], password: &str) -> Vec<u8> {
    let mut outside: Value = serde_json::from_slice(blob).expect("a format blob is JSON");
    let text = |field: &str| outside[field].as_str().expect("a format blob has its fields").to_owned();
    let bytes = |field: &str| STANDARD.decode(text(field)).expect("bytes are in base64");
    let (unique_id, sealed) = (bytes("uniqueID"), bytes("encryptedBlockFormat"));
    let key = |derivation: KeyDerivation| derivation.derive(&Password::from(password), &unique_id);
    let derivation = KeyDerivation::from_name(&text("keyAlgo")).expect("kopia's key derivations are known");
    let old = key(derivation).expect("the salt is long enough");
    let inside = old.open(&unique_id, &sealed).expect("the password is that of the case");
    let cheaper = KeyDerivation::TestingOnly;
    let new = key(cheaper).expect("the salt is long enough");
    outside["encryptedBlockFormat"] = json!(STANDARD.encode(new.seal(&unique_id, [5; 12], &inside)));
    outside["keyAlgo"] = json!(cheaper.name());
    outside.to_string().into_bytes()
}
