//! Signs requests by the key of a storage account.
//!
//! Authority: Microsoft's "Authorize with Shared Key", for versions of the service since 2015-02-21.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kopia_connection::Secret;
use percent_encoding::percent_decode_str;

/// The headers that are signed by their place, in this order. A request for reading has no other of them than
/// `range`.
const BY_PLACE: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// The key of a storage account.
pub(super) struct SharedKey {
    account: String,
    key: hmac::Key,
}

impl SharedKey {
    /// Reads a key in base64; `None` if it is none.
    pub(super) fn new(account: &str, key: &Secret) -> Option<Self> {
        let key = zeroize::Zeroizing::new(STANDARD.decode(key.reveal().trim()).ok()?);
        Some(Self { account: account.into(), key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// Returns the value of `Authorization` for a request: `target` is its path and query, encoded as they
    /// are sent.
    pub(super) fn authorization<'h>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> String {
        let text = string_to_sign(&self.account, method, target, headers);
        let signature = hmac::sign(&self.key, text.as_bytes());
        format!("SharedKey {}:{}", self.account, STANDARD.encode(signature))
    }
}

fn string_to_sign<'h>(
    account: &str,
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
) -> String {
    let headers: BTreeMap<String, &str> =
        headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
    let mut text = format!("{method}\n");
    for name in BY_PLACE {
        // An empty body has no length here.
        let value = headers.get(name).filter(|value| name != "content-length" || **value != "0");
        text.push_str(value.copied().unwrap_or_default());
        text.push('\n');
    }
    for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
        text.push_str(&format!("{name}:{value}\n"));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    text.push_str(&format!("/{account}{path}"));
    text.push_str(&canonical_query(query));
    text
}

/// Returns a line for each parameter, sorted by name, with all of its values.
fn canonical_query(query: &str) -> String {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut parameters = BTreeMap::<String, Vec<String>>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.entry(decode(name).to_lowercase()).or_default().push(decode(value));
    }
    let line = |(name, mut values): (String, Vec<String>)| {
        values.sort_unstable();
        format!("\n{name}:{}", values.join(","))
    };
    parameters.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of "Authorize with Shared Key".
    #[test]
    fn the_published_example_is_put_together_alike() {
        let headers = [("x-ms-version", "2015-02-21"), ("X-Ms-Date", "Fri, 26 Jun 2015 23:39:12 GMT")];
        let target = "/mycontainer?restype=container&comp=metadata&timeout=20";
        let wanted = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
                      /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
        assert_eq!(string_to_sign("myaccount", "GET", target, headers), wanted);
    }

    /// The other example there: several values of one parameter are sorted and joined.
    #[test]
    fn parameters_are_decoded_sorted_and_joined() {
        let query = "restype=container&comp=list&include=snapshots&include=metadata&include=uncommittedblobs&Prefix=a%2Fb";
        let wanted =
            "\ncomp:list\ninclude:metadata,snapshots,uncommittedblobs\nprefix:a/b\nrestype:container";
        assert_eq!(canonical_query(query), wanted);
        assert_eq!(canonical_query(""), "");
    }

    #[test]
    fn headers_stand_in_their_places() {
        let headers = [("Range", "bytes=0-9"), ("Content-Length", "0"), ("Accept", "x"), ("Date", "d")];
        let wanted = "GET\n\n\n\n\n\nd\n\n\n\n\nbytes=0-9\n/a/c/p%201";
        assert_eq!(string_to_sign("a", "GET", "/c/p%201", headers), wanted);
    }

    /// The signature was made by OpenSSL, with the public key of Azure's emulators.
    #[test]
    fn the_signature_is_the_hmac_of_the_text() {
        let key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
        let key = SharedKey::new("devstoreaccount1", &key.into()).unwrap();
        let headers = [("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"), ("x-ms-version", "2021-12-02")];
        let made = key.authorization("GET", "/c?restype=container&comp=list", headers);
        assert_eq!(made, "SharedKey devstoreaccount1:XAwv6XjiYeWaMO6k+7vbmeY6Lc3qyBb+h1FO+AXTGVk=");
        assert!(SharedKey::new("a", &"no base64!".into()).is_none());
    }
}
