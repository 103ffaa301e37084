//! Opens what reads answers and profiles to fuzz targets.

use super::answers::Asker;
use super::credentials;
use super::listing::{self, Entry};
use super::target;
use crate::http::{Answer, Request};
use crate::objects::{Page, id_of};

/// Reads an answer as a listing, as a refusal, as keys and as a region.
pub fn answers(bytes: &[u8]) {
    for page in [listing::objects(bytes), listing::versions(bytes)].into_iter().flatten() {
        check(&page, bytes);
    }
    let asker = Asker { bucket: "b", region: "us-east-1", credentials: Some("c"), looked: "l" };
    for status in [301, 400, 403, 404, 503] {
        let answer = Answer::made(status, bytes);
        let _ = asker.judge(&Request::get("/b/k"), &answer);
        target::testing::region(&answer);
        credentials::testing::keys(&answer);
    }
}

fn check(page: &Page<Entry>, bytes: &[u8]) {
    assert!(page.items.len() <= bytes.len() / 8, "{} items in {} bytes", page.items.len(), bytes.len());
    assert!(page.next.as_ref().is_none_or(|next| !next.is_empty()));
    let ids = page.items.iter().filter_map(|entry| id_of("", &entry.key));
    ids.for_each(|id| assert!(!id.as_str().contains('/')));
}

/// Reads a text as profiles, and as the line of a program that prints keys.
pub fn profiles(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        credentials::testing::profiles(text);
    }
}
