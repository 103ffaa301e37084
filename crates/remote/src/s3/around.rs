//! What lies around a repository in its bucket, and which other buckets there are.

use std::io;
use std::sync::Arc;

use kopia_storage::{Failure, Near, Shape, Surroundings};

use super::S3Store;
use super::listing;
use super::target::Target;
use crate::http::{Kind, Request, Trouble};

/// How many names servers put on a page at most.
const FULL_PAGE: usize = 1000;

/// A bucket, to be looked at outside of the prefix, too.
#[derive(Debug)]
pub(crate) struct Around(pub(super) S3Store);

impl Around {
    fn failed(&self, trouble: Trouble) -> io::Error {
        trouble.failure(&self.0.host()).into()
    }

    /// Fetches a page of a level, and what the next one is asked for by.
    fn page(&self, prefix: &str, token: Option<&str>) -> io::Result<(Vec<Near>, Option<String>)> {
        let page = self.0.with(|target| {
            let request =
                Request::new("GET", target.address.query(&listing::query(prefix, token)), Kind::List);
            let answer = target.client.call(target, &request)?;
            listing::level(&answer.body).ok_or_else(|| Trouble::from(answer.nonsense()))
        });
        let listing::Level { keys, common, next } = page.map_err(|trouble| self.failed(trouble))?;
        let keys = keys.into_iter().map(|entry| Near::new(entry.key).with_modified(entry.modified));
        Ok((keys.chain(common.into_iter().map(Near::new)).collect(), next))
    }

    /// Fetches pages of a level until there are enough names, or that many pages.
    fn pages(&self, prefix: &str, enough: usize, most: usize) -> io::Result<(Vec<Near>, bool)> {
        let (mut level, mut next) = self.page(prefix, None)?;
        for _ in 1..most {
            let Some(token) = next.take_if(|_| level.len() < enough) else { break };
            let (more, after) = self.page(prefix, Some(&token))?;
            // A server that gives pages without names would never come to an end.
            next = after.filter(|_| !more.is_empty());
            level.extend(more);
        }
        Ok((level, next.is_none()))
    }

    /// Makes a client of the whole server, in the bucket's region as far as that is known.
    fn server(&self) -> Result<Target, Failure> {
        let store = &self.0;
        let mut nameless = store.place.clone();
        nameless.bucket.clear();
        let region = store.target().region.clone();
        Target::new(&nameless, region, &store.network, &store.trust, &Arc::clone(&store.shared))
    }
}

impl Surroundings for Around {
    fn root(&self) -> String {
        self.0.place.prefix.clone()
    }

    fn shape(&self) -> Shape {
        Shape::Keys
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        self.page(prefix, None).map(|(level, _)| level)
    }

    fn look_through(&self, prefix: &str, enough: usize) -> io::Result<(Vec<Near>, bool)> {
        // Full pages, and one: a server may not string somebody along with one name a page.
        self.pages(prefix, enough, enough / FULL_PAGE + 1)
    }

    fn containers(&self) -> io::Result<Vec<String>> {
        let server = self.server()?;
        let answer = server.client.call(&server, &Request::new("GET", "/", Kind::List));
        let answer = answer.map_err(|trouble| self.failed(trouble))?;
        listing::buckets(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.0.target().client.clock_ahead()
    }
}
