//! What may be said about storage beside its place: by the query of a URL, and by options of a command.
//!
//! The names are those of kopia's own options (`cli/storage_*.go`); what kopia has no option for has a name
//! in the same style.

mod apply;
mod known;

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_format::Timestamp;

use crate::limits::bytes_per_second;
use crate::{Connection, Environment, Error, Result, Secret, file};

pub use known::{KNOWN, Known};

/// Options by their names, without hyphens before them.
#[derive(Debug, Clone, Default)]
pub struct Options(BTreeMap<String, Vec<Secret>>);

impl Options {
    /// Takes an option. A switch has the value `true`, or none. Of several of one name the last one counts,
    /// unless it is a list.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Secret>) {
        self.0.entry(name.into()).or_default().push(value.into());
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all values of an option, if there is any.
    fn all(&mut self, name: &str) -> Option<Vec<Secret>> {
        self.0.remove(name)
    }

    fn secret(&mut self, name: &str) -> Option<Secret> {
        self.all(name)?.pop()
    }

    /// Returns a text, unless it is empty.
    fn filled(&mut self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// Returns a number that is greater than zero; zero says that there is no limit.
    fn rate(&mut self, name: &str) -> Result<Option<Option<f64>>> {
        let read = |text: String| {
            let rate: f64 = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0)?;
            Some(Some(rate).filter(|rate| *rate > 0.0))
        };
        let bad = || bad(name, "it is no number such as 20");
        self.text(name).map(|text| read(text).ok_or_else(bad)).transpose()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.secret(name).map(|value| value.reveal().into())
    }

    fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn switch(&mut self, name: &str) -> Result<Option<bool>> {
        let read = |value: String| match &*value {
            "" | "true" | "1" | "yes" => Ok(true),
            "false" | "0" | "no" => Ok(false),
            _ => Err(bad(name, "it is neither true nor false")),
        };
        self.text(name).map(read).transpose()
    }

    fn port(&mut self, name: &str) -> Result<Option<u16>> {
        let read = |text: String| text.parse().map_err(|_| bad(name, "it is no number up to 65535"));
        self.text(name).map(read).transpose()
    }

    fn time(&mut self, name: &str) -> Result<Option<Timestamp>> {
        let read =
            |text: String| text.parse().map_err(|_| bad(name, "it is no time such as 2026-03-02T12:00:00Z"));
        self.text(name).map(read).transpose()
    }

    /// Returns certificates: from a file, or in base64.
    fn root_ca(&mut self) -> Result<Option<Vec<u8>>> {
        if let Some(path) = self.path("root-ca-pem-path") {
            return file::read(&path).map(|text| Some(text.as_bytes().into()));
        }
        let name = "root-ca-pem-base64";
        let read = |text: String| STANDARD.decode(text.trim()).map_err(|_| bad(name, "it is no base64"));
        self.text(name).map(read).transpose()
    }
}

fn bad(name: &str, why: impl Into<String>) -> Error {
    Error::Option { name: name.into(), why: why.into() }
}

/// Splits at single blanks, as kopia splits arguments of ssh. Nothing at all is no argument.
pub(super) fn split(arguments: &str) -> Vec<String> {
    if arguments.is_empty() {
        return Vec::new();
    }
    arguments.split(' ').map(Into::into).collect()
}

/// Replaces a field if a value is given.
fn put<T>(field: &mut T, value: Option<impl Into<T>>) {
    if let Some(value) = value {
        *field = value.into();
    }
}

impl Connection {
    /// Applies options of the connection and of its storage. They replace what was said before.
    ///
    /// # Errors
    /// [`Error::Option`] for one that means nothing to this kind of storage, or makes no sense; [`Error::Read`]
    /// for a file that is named and cannot be read.
    pub fn apply(&mut self, mut options: Options) -> Result<()> {
        let given = &mut options;
        let limits = &mut self.limits;
        let name = "limit-download";
        if let Some(text) = given.text(name) {
            let why = "it is no number of bytes per second such as 500K or 20M";
            let rate = bytes_per_second(&text).ok_or_else(|| bad(name, why))?;
            limits.download_bytes_per_second = Some(rate).filter(|rate| *rate > 0.0);
        }
        put(&mut limits.reads_per_second, given.rate("read-requests-per-second")?);
        put(&mut limits.lists_per_second, given.rate("list-requests-per-second")?);
        if let Some(count) = given.rate("concurrent-reads")? {
            limits.concurrent_reads = count.map(|count| count as usize);
        }
        put(&mut self.username, given.filled("override-username").map(Some));
        put(&mut self.hostname, given.filled("override-hostname").map(Some));
        self.storage.apply(options)
    }

    /// Takes from variables what kopia takes from them when it connects, where nothing else said it.
    ///
    /// # Errors
    /// As [`Storage::complete`](crate::Storage::complete).
    pub fn complete(&mut self, environment: &Environment) -> Result<()> {
        self.storage.complete(environment)
    }
}

#[cfg(test)]
mod tests;
