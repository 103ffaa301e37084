//! Digest: shows that one knows a password without showing it (RFC 7616, RFC 2617 and, for old servers, RFC
//! 2069).

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

use super::challenge::Challenge;

/// What hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// Returns the hash of a text in hex.
    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&md5::compute(text).0),
            Self::Sha256 => hex(digest(&SHA256, text.as_bytes()).as_ref()),
        }
    }
}

/// What a server gave out to be answered, and how often it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// The algorithm's name as the server writes it, if it does.
    named: Option<String>,
    algorithm: Algorithm,
    /// Whether the password's hash holds for one nonce alone.
    is_session: bool,
    /// Whether requests are counted, with a nonce of ours.
    is_counted: bool,
    /// Whether the user's name is hashed, too.
    hashes_user: bool,
    count: u32,
}

impl Digest {
    /// Takes a challenge, if it can be answered.
    pub(super) fn of(challenge: &Challenge) -> Option<Self> {
        if !challenge.is("digest") {
            return None;
        }
        let named = challenge.get("algorithm");
        let name = named.unwrap_or("MD5").to_ascii_lowercase();
        let (name, is_session) = name.strip_suffix("-sess").map_or((&*name, false), |name| (name, true));
        let algorithm = match name {
            "md5" => Algorithm::Md5,
            "sha-256" => Algorithm::Sha256,
            _ => return None,
        };
        let qop =
            challenge.get("qop").map(|qop| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
        if qop == Some(false) {
            return None;
        }
        let text = |name| challenge.get(name).map(String::from);
        Some(Self {
            realm: text("realm")?,
            nonce: text("nonce")?,
            opaque: text("opaque"),
            named: named.map(String::from),
            algorithm,
            is_session,
            is_counted: qop.is_some(),
            hashes_user: challenge.flag("userhash"),
            count: 0,
        })
    }

    /// Returns by what the better one of two is taken.
    pub(super) fn strength(&self) -> impl Ord + use<> {
        self.algorithm
    }

    /// Returns whether a header that was sent answers this nonce.
    pub(super) fn made(&self, header: &str) -> bool {
        header.starts_with("Digest ") && header.contains(&format!(", nonce={}", quoted(&self.nonce)))
    }

    /// Goes on counting where another challenge gave out the same nonce.
    pub(super) fn going_on_from(mut self, before: &Self) -> Self {
        if self.nonce == before.nonce {
            self.count = before.count;
        }
        self
    }

    /// Returns whether it was answered more than once, so that the server has believed it before.
    pub(super) fn is_worn(&self) -> bool {
        self.count > 1
    }

    /// Makes the header for a request, which counts.
    pub(super) fn authorize(&mut self, user: &str, password: &str, method: &str, path: &str) -> String {
        let mut random = [0; 16];
        // Without randomness of the system the count alone makes answers differ.
        let _ = rand::fill(&mut random);
        self.authorize_with(user, password, method, path, &hex(&random))
    }

    fn authorize_with(&mut self, user: &str, password: &str, method: &str, path: &str, ours: &str) -> String {
        self.count = self.count.wrapping_add(1).max(1);
        let count = format!("{:08x}", self.count);
        let hash = |text: String| self.algorithm.hash(&text);
        let Self { realm, nonce, .. } = self;
        let mut secret = hash(format!("{user}:{realm}:{password}"));
        if self.is_session {
            secret = hash(format!("{secret}:{nonce}:{ours}"));
        }
        let what = hash(format!("{method}:{path}"));
        let response = if self.is_counted {
            hash(format!("{secret}:{nonce}:{count}:{ours}:auth:{what}"))
        } else {
            hash(format!("{secret}:{nonce}:{what}"))
        };
        let user = if self.hashes_user { hash(format!("{user}:{realm}")) } else { user.into() };
        let mut header = format!("Digest {}, realm={}, nonce={}", named(&user), quoted(realm), quoted(nonce));
        let mut add = |text: String| _ = write!(header, ", {text}");
        add(format!("uri={}", quoted(path)));
        add(format!("response=\"{response}\""));
        if let Some(algorithm) = &self.named {
            add(format!("algorithm={algorithm}"));
        }
        if let Some(opaque) = &self.opaque {
            add(format!("opaque={}", quoted(opaque)));
        }
        if self.is_counted {
            add(format!("qop=auth, nc={count}, cnonce=\"{ours}\""));
        } else if self.is_session {
            add(format!("cnonce=\"{ours}\""));
        }
        if self.hashes_user {
            add("userhash=true".into());
        }
        header
    }
}

/// Writes the user's name; what is not ASCII as RFC 8187 wants it.
fn named(user: &str) -> String {
    if user.is_ascii() {
        return format!("username={}", quoted(user));
    }
    let encoded = percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC);
    format!("username*=UTF-8''{encoded}")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webdav::challenge;

    fn digest(header: &str) -> Option<Digest> {
        Digest::of(&challenge::parse(header)[0])
    }

    /// The examples of RFC 7616, section 3.9.1.
    #[test]
    fn the_examples_of_the_standard_are_answered() {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let ours = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let header = format!(
                r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{nonce}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
            );
            let mut digest = digest(&header).unwrap();
            let header = digest.authorize_with("Mufasa", "Circle of Life", "GET", "/dir/index.html", ours);
            assert_eq!(
                header,
                format!(
                    "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", nonce=\"{nonce}\", uri=\"/dir/index.html\", \
                     response=\"{response}\", algorithm={algorithm}, opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", \
                     qop=auth, nc=00000001, cnonce=\"{ours}\""
                )
            );
            assert!(digest.made(&header) && !digest.is_worn());
            assert!(digest.authorize("Mufasa", "", "GET", "/").contains("nc=00000002"));
            assert!(digest.is_worn());
        }
    }

    /// The example of RFC 2617, section 3.5, and that of RFC 2069 as its errata have it.
    #[test]
    fn older_servers_are_answered() {
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let mut counted =
            digest(&format!(r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="{nonce}""#))
                .unwrap();
        let header = counted.authorize_with("Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b");
        assert!(header.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{header}");
        let mut plain = digest(&format!(r#"Digest realm="testrealm@host.com", nonce="{nonce}""#)).unwrap();
        let header = plain.authorize_with("Mufasa", "CircleOfLife", "GET", "/dir/index.html", "0a4f113b");
        assert!(header.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{header}");
        assert!(!header.contains("cnonce"), "{header}");
    }

    #[test]
    fn names_are_hidden_or_encoded_where_they_must_be() {
        let mut hidden =
            digest(r#"Digest realm="r", nonce="n", qop=auth, userhash=true, algorithm=SHA-256"#).unwrap();
        let header = hidden.authorize("Jäsøn Doe", "pw", "GET", "/");
        assert!(header.contains("userhash=true") && !header.contains("oe\""), "{header}");
        let mut plain = digest(r#"Digest realm="a \"b\"", nonce="n", qop=auth, algorithm=MD5-sess"#).unwrap();
        let header = plain.authorize("Jäsøn", "pw", "GET", "/");
        assert!(header.contains("username*=UTF-8''J%C3%A4s%C3%B8n, realm=\"a \\\"b\\\"\""), "{header}");
    }

    #[test]
    fn what_cannot_be_answered_is_not_taken() {
        for header in [
            r#"Basic realm="r", nonce="n""#,
            r#"Digest realm="r", nonce="n", qop="auth-int""#,
            r#"Digest realm="r", nonce="n", algorithm=SHA-512-256"#,
            r#"Digest realm="r""#,
        ] {
            assert_eq!(digest(header), None, "{header}");
        }
    }
}
