//! Signs requests as AWS's Signature Version 4 wants it.
//!
//! The path is signed as it is sent: S3 normalises nothing, and neither may we. Authority: "Authenticating
//! Requests (AWS Signature Version 4)" of the S3 API reference, whose examples are the tests.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign as hmac};
use jiff::Timestamp;

use super::credentials::Keys;
use crate::http::Request;

/// What a signature is for, besides the request.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    /// `s3` or `sts`.
    pub(super) service: &'a str,
    pub(super) time: SystemTime,
}

/// Adds the headers that sign a request. All headers that it has are signed, so others must be added before.
pub(super) fn sign(request: &mut Request, keys: &Keys, scope: &Scope<'_>) {
    let time = Timestamp::try_from(scope.time).unwrap_or_default();
    let stamp = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = stamp.get(..8).unwrap_or_default();
    request.set("x-amz-date", &*stamp);
    request.set("x-amz-content-sha256", hex(digest(&SHA256, &request.body).as_ref()));
    if let Some(token) = &keys.token {
        request.set("x-amz-security-token", token.reveal());
    }
    let (canonical, signed) = canonical(request);
    let credential_scope = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let hashed = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{credential_scope}\n{hashed}");
    let mut key =
        hmac(&Key::new(HMAC_SHA256, format!("AWS4{}", keys.secret.reveal()).as_bytes()), date.as_bytes());
    for part in [scope.region, scope.service, "aws4_request", &to_sign] {
        key = hmac(&Key::new(HMAC_SHA256, key.as_ref()), part.as_bytes());
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{credential_scope}, SignedHeaders={signed}, Signature={}",
        keys.id,
        hex(key.as_ref())
    );
    request.set("authorization", authorization);
}

/// Returns the canonical form of a request, and which headers are in it.
fn canonical(request: &Request) -> (String, String) {
    let mut headers: Vec<(&str, String)> =
        request.headers.iter().map(|(name, value)| (&**name, one_blank(value))).collect();
    headers.sort();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let hash = request.header("x-amz-content-sha256").unwrap_or_default();
    let canonical =
        format!("{}\n{path}\n{}\n{lines}\n{signed}\n{hash}", request.method, canonical_query(query));
    (canonical, signed)
}

/// Sorts a query that is already encoded; what has no value gets an empty one.
fn canonical_query(query: &str) -> String {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let mut pairs: Vec<(&str, &str)> = parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn one_blank(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Returns the signature of a request of the examples in the API reference.
    fn signature(request: Request) -> String {
        let keys = Keys::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let mut request = request.with("host", "examplebucket.s3.amazonaws.com");
        sign(&mut request, &keys, &Scope { region: "us-east-1", service: "s3", time });
        let authorization = request.header("authorization").unwrap();
        assert!(
            authorization.contains("Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ")
        );
        authorization.rsplit_once("Signature=").unwrap().1.to_string()
    }

    #[test]
    fn the_published_examples_are_signed_right() {
        let range = Request::get("/test.txt").with("range", "bytes=0-9");
        assert_eq!(signature(range), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        let lifecycle = Request::get("/?lifecycle");
        assert_eq!(signature(lifecycle), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
        let list = Request::get("/?max-keys=2&prefix=J");
        assert_eq!(signature(list), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    }

    #[test]
    fn odd_keys_are_signed_as_amazons_own_library_signs_them() {
        for (path, wanted) in [
            ("/b//k%20/..//p1", "08d1da16f443f2dc4d480812e9e8be4abc8b8bbf24ca2fde75044242fac7779c"),
            ("/b/%C3%A9%2B%25~-._/p", "da7dbbd02bc6e94b5ecc0dba713d13fa5db14953239247138f4d7dda4b33a007"),
            (
                "/b/?list-type=2&delimiter=%2F&encoding-type=url&prefix=k%20%2F%2F",
                "90be05c23a977f96f736ab7ef254d8720924e12be5560ac0ec63b9c7115cecf6",
            ),
            ("/b/p?versionId=o%2Fld", "f9f125deefc6d0d2f5b959a9fa16891b44f6ed88a539eab3714fb75001e81eb8"),
        ] {
            let keys = Keys::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
            let keys = keys.with_token(Some("tok".into()));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
            let mut request = Request::get(path).with("host", "h.example:9000").with("range", "bytes=0-9");
            sign(&mut request, &keys, &Scope { region: "eu-west-1", service: "s3", time });
            assert!(request.header("authorization").unwrap().ends_with(wanted), "{path}");
        }
    }

    #[test]
    fn the_query_is_sorted_and_the_path_is_not_touched() {
        assert_eq!(canonical_query("prefix=a%2Fb&list-type=2&x&Z=1"), "Z=1&list-type=2&prefix=a%2Fb&x=");
        let request = Request::get("/b//a/../k?x").with("a", " two   words ");
        let (canonical, signed) = canonical(&request);
        assert_eq!((&*canonical, &*signed), ("GET\n/b//a/../k\nx=\na:two words\n\na\n", "a"));
    }
}
