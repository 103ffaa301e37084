//! What lies around a repository in its bucket, and which other buckets its project has.

use std::io;

use kopia_connection::Environment;
use kopia_storage::{Near, Shape, Surroundings};

use super::{GcsStore, listing};
use crate::google::PROJECT;
use crate::http::{Kind, Request};
use crate::objects::encoded;

/// A bucket, to be looked at outside of the prefix, too.
#[derive(Debug)]
pub(crate) struct Around {
    pub(super) store: GcsStore,
    pub(super) environment: Environment,
}

impl Surroundings for Around {
    fn root(&self) -> String {
        self.store.prefix.clone()
    }

    fn shape(&self) -> Shape {
        Shape::Keys
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        let (bucket, prefix) = (encoded(&self.store.service.name), encoded(prefix));
        let path = format!("/storage/v1/b/{bucket}/o?prefix={prefix}&delimiter=%2F&maxResults=1000");
        let client = &self.store.client;
        let answer = client.call(&self.store.service, &Request::new("GET", path, Kind::List));
        let answer = answer.map_err(|trouble| trouble.failure(&client.host()))?;
        listing::level(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    /// Lists those of the project that variables or credentials name: no other interface tells them.
    fn containers(&self) -> io::Result<Vec<String>> {
        let environment = &self.environment;
        let project = match &self.store.service.account {
            Some(account) => account.project(),
            // Emulators have all in one.
            None => Some(environment.var(PROJECT[0]).unwrap_or("emulated").to_string()),
        };
        let project = project.ok_or(io::ErrorKind::Unsupported)?;
        let path = format!("/storage/v1/b?project={}&maxResults=1000&fields=items(name)", encoded(&project));
        let client = &self.store.client;
        let answer = client.call(&self.store.service, &Request::new("GET", path, Kind::List));
        let answer = answer.map_err(|trouble| trouble.failure(&client.host()))?;
        listing::buckets(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.store.client.clock_ahead()
    }
}
