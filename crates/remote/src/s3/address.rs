//! Where a bucket is: its host, its path, and its region.
//!
//! As kopia's client has it (minio-go): the bucket is a part of the host's name only at Amazon, Google and
//! Aliyun, and there not if it has a dot and certificates are checked; everywhere else it begins the path.

use kopia_connection::Environment;
use kopia_connection::storage::S3;
use kopia_storage::Failure;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::http::Origin;

/// The host that is meant where none is given.
const AMAZON: &str = "s3.amazonaws.com";

/// The region where none is known: the one that can ask for all others.
pub(super) const FIRST_REGION: &str = "us-east-1";

/// All but what may stand in a path, as signatures want it; a slash stays.
const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The address of a bucket.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) origin: Origin,
    /// What the path of every key begins with: `/`, or `/bucket/`.
    base: String,
}

impl Address {
    /// Returns the address of a bucket in a region.
    ///
    /// # Errors
    /// [`Failure::Unusable`] if the endpoint is no host.
    pub(super) fn new(place: &S3, region: &str) -> Result<Self, Failure> {
        let endpoint = regional(place.endpoint.as_deref().unwrap_or(AMAZON), region);
        let origin = Origin::new(!place.disable_tls, &endpoint)?;
        let dotted = origin.is_secure() && place.bucket.contains('.');
        if dotted || !has_virtual_hosts(origin.host()) || !is_a_name(&place.bucket) {
            return Ok(Self { origin, base: format!("/{}/", encoded(&place.bucket)) });
        }
        let host = Origin::new(origin.is_secure(), &format!("{}.{}", place.bucket, origin.authority()))?;
        Ok(Self { origin: host, base: "/".into() })
    }

    /// Returns the path of a key, byte for byte.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{}", self.base, encoded(key))
    }

    /// Returns the path of a question about the bucket. The query is encoded already.
    pub(super) fn query(&self, query: &str) -> String {
        format!("{}?{query}", self.base)
    }
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Returns the region to begin with: the one that is given, that the host's name has, or that is usual on
/// this machine.
pub(super) fn first_region(place: &S3, environment: &Environment) -> String {
    let endpoint = place.endpoint.as_deref().unwrap_or(AMAZON);
    if let Some(region) = place.region.as_deref().or_else(|| region_of(endpoint)) {
        return region.into();
    }
    let usual = || environment.var("AWS_REGION").or_else(|| environment.var("AWS_DEFAULT_REGION"));
    let region = if is_amazon(endpoint) { usual() } else { None };
    region.unwrap_or(FIRST_REGION).into()
}

/// Returns the region that a host of Amazon has in its name.
pub(super) fn region_of(host: &str) -> Option<&str> {
    let name = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let last = name.rsplit('.').next()?;
    let region = last.strip_prefix("s3-").unwrap_or(last);
    let parts: Vec<&str> = region.split('-').collect();
    let numbered = parts.last().is_some_and(|part| part.parse::<u8>().is_ok());
    (parts.len() >= 3 && numbered && region != "external-1").then_some(region)
}

/// Returns the host of Amazon's for a region, if `endpoint` is one of those that only differ in it.
fn regional(endpoint: &str, region: &str) -> String {
    let plain = endpoint == AMAZON
        || region_of(endpoint).is_some_and(|named| {
            [
                format!("s3.{named}.amazonaws.com"),
                format!("s3-{named}.amazonaws.com"),
                format!("s3.{named}.amazonaws.com.cn"),
            ]
            .contains(&endpoint.to_string())
        });
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    if plain && is_a_name(region) { format!("s3.{region}.{domain}") } else { endpoint.into() }
}

pub(super) fn is_amazon(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

fn has_virtual_hosts(host: &str) -> bool {
    // Private endpoints have the bucket in the host's name as well.
    is_amazon(host) || host == "storage.googleapis.com" || host.ends_with(".aliyuncs.com")
}

/// Whether a text can be a part of a host's name. A region may come from a server, which must not choose any
/// host.
fn is_a_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    (1..=63).contains(&text.len()) && text.chars().all(plain) && !text.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: Option<&str>, bucket: &str, region: &str, tls: bool) -> String {
        let mut place = S3::default();
        place.bucket = bucket.into();
        place.endpoint = endpoint.map(Into::into);
        place.disable_tls = !tls;
        let address = Address::new(&place, region).unwrap();
        format!("{}{}", address.origin, address.key("p/k"))
    }

    #[test]
    fn the_bucket_is_a_host_at_amazon_and_a_path_elsewhere() {
        for (endpoint, bucket, region, tls, wanted) in [
            (None, "b", "us-east-1", true, "https://b.s3.us-east-1.amazonaws.com/p/k"),
            (Some("s3.amazonaws.com"), "b", "eu-west-1", true, "https://b.s3.eu-west-1.amazonaws.com/p/k"),
            (
                Some("s3.eu-west-1.amazonaws.com"),
                "b",
                "us-west-2",
                true,
                "https://b.s3.us-west-2.amazonaws.com/p/k",
            ),
            (None, "b", "cn-north-1", true, "https://b.s3.cn-north-1.amazonaws.com.cn/p/k"),
            (None, "b.c", "us-east-1", true, "https://s3.us-east-1.amazonaws.com/b.c/p/k"),
            (None, "b.c", "us-east-1", false, "http://b.c.s3.us-east-1.amazonaws.com/p/k"),
            (None, "Old_Bucket", "us-east-1", true, "https://s3.us-east-1.amazonaws.com/Old_Bucket/p/k"),
            (
                Some("s3-fips.us-east-1.amazonaws.com"),
                "b",
                "us-east-1",
                true,
                "https://b.s3-fips.us-east-1.amazonaws.com/p/k",
            ),
            (Some("storage.googleapis.com"), "b", "auto", true, "https://b.storage.googleapis.com/p/k"),
            (Some("minio:9000"), "b", "us-east-1", false, "http://minio:9000/b/p/k"),
            (
                Some("s3.us-west-002.backblazeb2.com"),
                "b",
                "x",
                true,
                "https://s3.us-west-002.backblazeb2.com/b/p/k",
            ),
            (None, "b", "evil.example/", true, "https://b.s3.amazonaws.com/p/k"),
        ] {
            assert_eq!(url(endpoint, bucket, region, tls), wanted);
        }
    }

    #[test]
    fn keys_are_not_normalised() {
        let mut place = S3::default();
        place.bucket = "b".into();
        place.endpoint = Some("h".into());
        let address = Address::new(&place, "r").unwrap();
        assert_eq!(address.key("/a//b/../c+d e%ü"), "/b//a//b/../c%2Bd%20e%25%C3%BC");
    }

    #[test]
    fn the_region_is_looked_for_in_the_hosts_name() {
        for (host, region) in [
            ("s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3-us-west-2.amazonaws.com", Some("us-west-2")),
            ("b.s3.dualstack.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("s3.amazonaws.com", None),
            ("s3-external-1.amazonaws.com", None),
            ("minio", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
