//! A bucket as S3 shows it, in memory: enough for a reader, and without credentials.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Request, Response};

/// Keys, and their bytes.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
    objects: BTreeMap<String, Vec<u8>>,
    /// How many names are on a page at most.
    page: usize,
}

/// How many names S3 puts on a page at most.
const PAGE: usize = 1000;

impl Bucket {
    /// Makes a bucket that is asked for by `/NAME/…`. Names of keys are plain ASCII.
    pub fn new(name: &str, objects: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self { name: name.into(), objects: objects.into_iter().collect(), page: PAGE }
    }

    /// Puts fewer names on a page, so that a small bucket has several.
    #[must_use]
    pub fn with_pages_of(self, page: usize) -> Self {
        Self { page, ..self }
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

    /// A page of keys that begin with `prefix`, with what goes on behind a `delimiter` as one, in the order of
    /// keys. The token of the next page is the last name of this one.
    fn listing(&self, query: &str) -> Response {
        let parameter = |name: &str| {
            let value = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            value.map(decoded).unwrap_or_default()
        };
        let (prefix, delimiter) = (parameter("prefix"), parameter("delimiter"));
        let asked = parameter("max-keys").parse().unwrap_or(self.page);
        let after = parameter("continuation-token");
        let mut names = BTreeMap::new();
        for (key, bytes) in
            self.objects.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix))
        {
            let end = if delimiter.is_empty() { None } else { key[prefix.len()..].find(&delimiter) };
            match end.map(|end| &key[..prefix.len() + end + delimiter.len()]) {
                Some(common) => names.insert(common, None),
                None => names.insert(key, Some(bytes.len())),
            };
        }
        names.retain(|name, _| *name > &*after);
        let is_truncated = names.len() > asked.min(self.page);
        let mut page = format!("<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>");
        let shown: Vec<_> = names.into_iter().take(asked.min(self.page)).collect();
        for (name, length) in &shown {
            let _ = match length {
                Some(length) => write!(page, "<Contents><Key>{name}</Key><Size>{length}</Size></Contents>"),
                None => write!(page, "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
            };
        }
        if let Some((last, _)) = shown.last().filter(|_| is_truncated) {
            let _ = write!(page, "<NextContinuationToken>{last}</NextContinuationToken>");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(bucket: &Bucket, query: &str) -> String {
        let request =
            Request { method: "GET".into(), path: format!("/b/?list-type=2&{query}"), ..Request::default() };
        String::from_utf8(bucket.answer(&request).body().to_vec()).unwrap()
    }

    /// Returns all names, page after page, and how many pages there were.
    fn all(bucket: &Bucket, query: &str) -> (Vec<String>, usize) {
        let (mut names, mut pages, mut token) = (Vec::new(), 0, String::new());
        loop {
            let text = page(bucket, &format!("{query}{token}"));
            let of = |tag: &str| {
                let start = format!("<{tag}>");
                let parts =
                    text.split(&start).skip(1).map(|rest| rest.split('<').next().unwrap().to_string());
                parts.collect::<Vec<String>>()
            };
            names.extend(of("Key"));
            names.extend(of("Prefix"));
            pages += 1;
            match of("NextContinuationToken").first() {
                Some(next) => token = format!("&continuation-token={}", next.replace('/', "%2F")),
                None => return (names, pages),
            }
        }
    }

    #[test]
    fn what_goes_on_behind_a_delimiter_is_one_name_on_pages_of_any_size() {
        let keys = ["a/1", "a/2", "a/b/1", "a/b/2", "a/c/1", "z"];
        let bucket = Bucket::new("b", keys.map(|key| (key.to_string(), vec![0])));
        assert_eq!(all(&bucket, "prefix=a%2F"), (keys[..5].iter().map(ToString::to_string).collect(), 1));
        for size in [1, 2, 3, 4, 1000] {
            let bucket = bucket.clone().with_pages_of(size);
            let (mut names, pages) = all(&bucket, "prefix=a%2F&delimiter=%2F");
            names.sort();
            assert_eq!(names, ["a/1", "a/2", "a/b/", "a/c/"]);
            assert_eq!(pages, 4_usize.div_ceil(size), "{size}");
            let (mut names, _) = all(&bucket, "delimiter=%2F");
            names.sort();
            assert_eq!(names, ["a/", "z"]);
        }
        assert_eq!(all(&bucket, "max-keys=2").1, 3);
    }
}
