//! What lies around a repository in its bucket.
//!
//! Which other buckets there are only a project knows, and nothing here has the name of one.

use std::io;

use kopia_storage::{Near, Shape, Surroundings};

use super::{GcsStore, listing};
use crate::http::{Kind, Request};
use crate::objects::encoded;

/// A bucket, to be looked at outside of the prefix, too.
#[derive(Debug)]
pub(crate) struct Around(pub(super) GcsStore);

impl Surroundings for Around {
    fn root(&self) -> String {
        self.0.prefix.clone()
    }

    fn shape(&self) -> Shape {
        Shape::Keys
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        let (bucket, prefix) = (encoded(&self.0.service.name), encoded(prefix));
        let path = format!("/storage/v1/b/{bucket}/o?prefix={prefix}&delimiter=%2F&maxResults=1000");
        let client = &self.0.client;
        let answer = client.call(&self.0.service, &Request::new("GET", path, Kind::List));
        let answer = answer.map_err(|trouble| trouble.failure(&client.host()))?;
        listing::level(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.0.client.clock_ahead()
    }
}
