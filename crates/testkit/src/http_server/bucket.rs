//! A bucket as S3 shows it, in memory: enough for a reader, and without credentials.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Request, Response};

/// Keys, and their bytes.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
    objects: BTreeMap<String, Vec<u8>>,
}

impl Bucket {
    /// Makes a bucket that is asked for by `/NAME/…`. Names of keys are plain ASCII.
    pub fn new(name: &str, objects: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self { name: name.into(), objects: objects.into_iter().collect() }
    }

    /// Answers a request as S3 does.
    pub fn answer(&self, request: &Request) -> Response {
        let rest = request.path.strip_prefix(&format!("/{}/", self.name));
        let Some(rest) = rest else { return error(404, "NoSuchBucket") };
        let (key, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.split('&').any(|part| part == "location") {
            return Response::new(200, "<LocationConstraint>us-east-1</LocationConstraint>");
        }
        if key.is_empty() {
            return self.listing(query);
        }
        match self.objects.get(&decoded(key)) {
            Some(bytes) => Response::file(request, bytes),
            None => error(404, "NoSuchKey"),
        }
    }

    /// All on one page.
    fn listing(&self, query: &str) -> Response {
        let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
        let prefix = decoded(prefix);
        let mut page = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
        for (key, bytes) in self.objects.range(prefix.clone()..) {
            if key.starts_with(&prefix) {
                let _ = write!(page, "<Contents><Key>{key}</Key><Size>{}</Size></Contents>", bytes.len());
            }
        }
        Response::new(200, page + "</ListBucketResult>").header("content-type", "application/xml")
    }
}

/// Answers as S3 does where something is wrong.
pub fn error(status: u16, code: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>a test</Message></Error>");
    Response::new(status, text).header("content-type", "application/xml")
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        decoded.push(u8::from_str_radix(hex, 16).expect("two digits").into());
        decoded.push_str(rest);
    }
    decoded
}
