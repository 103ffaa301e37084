//! What lies around a repository in its container, and which other containers there are.

use std::io;

use kopia_storage::{Near, Shape, Surroundings};

use super::{AzureStore, listing};
use crate::http::{Answer, Kind, Request};
use crate::objects::encoded;

/// A container, to be looked at outside of the prefix, too.
#[derive(Debug)]
pub(crate) struct Around(pub(super) AzureStore);

impl Around {
    fn ask(&self, path: String) -> io::Result<Answer> {
        let client = &self.0.client;
        let answer = client.call(&self.0.service, &Request::new("GET", path, Kind::List));
        Ok(answer.map_err(|trouble| trouble.failure(&client.host()))?)
    }
}

impl Surroundings for Around {
    fn root(&self) -> String {
        self.0.prefix.clone()
    }

    fn shape(&self) -> Shape {
        Shape::Keys
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        let (container, prefix) = (encoded(&self.0.service.name), encoded(prefix));
        let path = format!(
            "/{container}?restype=container&comp=list&prefix={prefix}&delimiter=%2F&include=metadata&maxresults=1000"
        );
        let answer = self.ask(path)?;
        listing::level(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    fn containers(&self) -> io::Result<Vec<String>> {
        let answer = self.ask("/?comp=list&maxresults=1000".into())?;
        listing::containers(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.0.client.clock_ahead()
    }
}
