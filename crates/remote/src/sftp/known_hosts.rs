//! Which servers are known: the keys of `known_hosts`, as OpenSSH reads it.
//!
//! A line names hosts, by patterns or hashed, and a key. Marked lines name an authority that vouches for
//! hosts, or a key that is trusted no more. Authority: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"; Kopia's client
//! reads it by Go's `knownhosts`.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

/// The keys that are known of one host.
#[derive(Debug, Default)]
pub(super) struct KnownKeys {
    keys: Vec<PublicKey>,
    authorities: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

/// What is known of a key that a server has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the host's.
    Known,
    /// Nothing is known of the host.
    Unknown,
    /// The host has other keys; of which kinds they are.
    Changed(Vec<String>),
    /// It, or who vouches for it, is trusted no more.
    Revoked,
    /// A certificate that does not count, and why.
    Invalid(&'static str),
}

impl KnownKeys {
    /// Reads what a text says of a host. Lines that make no sense are passed over, as by OpenSSH.
    pub(super) fn of(text: &str, host: &str, port: u16) -> Self {
        let mut known = Self::default();
        let name = host_name(host, port);
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let mut fields = line.split_ascii_whitespace();
            let Some(first) = fields.next() else { continue };
            let (marker, hosts) = match first.strip_prefix('@') {
                Some(marker) => (marker, fields.next().unwrap_or_default()),
                None => ("", first),
            };
            if !names(hosts, &name) {
                continue;
            }
            let Some(key) = fields.nth(1).and_then(parse_key) else { continue };
            match marker {
                "" => known.keys.push(key),
                "cert-authority" => known.authorities.push(key),
                "revoked" => known.revoked.push(key),
                _ => {}
            }
        }
        known
    }

    /// Returns the kinds of keys that the host is known by.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        self.keys.iter().map(PublicKey::algorithm).collect()
    }

    /// Returns whether some authority vouches for the host.
    pub(super) fn has_authority(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// Judges a key.
    pub(super) fn key(&self, key: &PublicKey) -> Verdict {
        let is = |other: &PublicKey| other.key_data() == key.key_data();
        if self.revoked.iter().any(is) {
            return Verdict::Revoked;
        }
        if self.keys.iter().any(is) {
            return Verdict::Known;
        }
        if self.keys.is_empty() {
            return Verdict::Unknown;
        }
        Verdict::Changed(self.keys.iter().map(|key| key.algorithm().to_string()).collect())
    }

    /// Judges a certificate for `host`, at a time in seconds since 1970.
    pub(super) fn certificate(&self, certificate: &Certificate, host: &str, now: u64) -> Verdict {
        let is_revoked = |revoked: &PublicKey| {
            [certificate.public_key(), certificate.signature_key()].contains(&revoked.key_data())
        };
        if self.revoked.iter().any(is_revoked) {
            return Verdict::Revoked;
        }
        if !certificate.cert_type().is_host() {
            return Verdict::Invalid("it is none of a host");
        }
        let host = host.to_ascii_lowercase();
        // As for OpenSSH, one without names is for no host.
        if !certificate.valid_principals().iter().any(|name| matches(name.as_bytes(), host.as_bytes())) {
            return Verdict::Invalid("it is for another host");
        }
        if !certificate.critical_options().is_empty() {
            return Verdict::Invalid("it has conditions that are not known here");
        }
        let authorities: Vec<_> =
            self.authorities.iter().map(|key| key.fingerprint(HashAlg::Sha256)).collect();
        match certificate.validate_at(now, &authorities) {
            Ok(()) => Verdict::Known,
            Err(_) => Verdict::Invalid("no known authority vouches for it, or it is not valid now"),
        }
    }
}

/// Returns what a host is called in `known_hosts`.
pub(super) fn host_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Returns the line that makes a key known.
pub(super) fn line(host: &str, port: u16, key: &PublicKey) -> String {
    let key = PublicKey::new(key.key_data().clone(), "").to_openssh().unwrap_or_default();
    format!("{} {}", host_name(host, port), key.trim_end())
}

fn parse_key(text: &str) -> Option<PublicKey> {
    let bytes = BASE64_STANDARD.decode(text).or_else(|_| BASE64_STANDARD_NO_PAD.decode(text)).ok()?;
    russh::keys::key::parse_public_key(&bytes).ok()
}

/// Returns whether the first field of a line names a host.
fn names(field: &str, host: &str) -> bool {
    if let Some(hash) = field.strip_prefix("|1|") {
        return is_hash_of(hash, host);
    }
    let mut found = false;
    for pattern in field.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern.as_bytes(), host.as_bytes()) => return false,
            Some(_) => {}
            None => found |= matches(pattern.as_bytes(), host.as_bytes()),
        }
    }
    found
}

/// Returns whether `SALT|HASH` is that of a host: its HMAC by SHA-1.
fn is_hash_of(hash: &str, host: &str) -> bool {
    let Some((salt, hash)) = hash.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (BASE64_STANDARD.decode(salt), BASE64_STANDARD.decode(hash)) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    hmac::verify(&key, host.as_bytes(), &hash).is_ok()
}

/// Returns whether a pattern with `*` and `?` is that of a host, in lower or upper case.
fn matches(pattern: &[u8], host: &[u8]) -> bool {
    // Where to go on after the last star: it takes one more byte each time that the rest does not fit.
    let (mut at, mut in_pattern, mut star) = (0, 0, None);
    while at < host.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern + 1, at));
                in_pattern += 1;
            }
            Some(byte) if *byte == b'?' || byte.eq_ignore_ascii_case(&host[at]) => {
                at += 1;
                in_pattern += 1;
            }
            _ => {
                let Some((after, taken)) = star else { return false };
                star = Some((after, taken + 1));
                (in_pattern, at) = (after, taken + 1);
            }
        }
    }
    pattern[in_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
