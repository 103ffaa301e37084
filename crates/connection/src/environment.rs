//! What the process is told by its variables and its home directory.
//!
//! Credentials and configurations lie there by custom. Libraries do not look by themselves: the caller hands
//! an [`Environment`] over, that of the process or one of its own.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where systems say how they are called.
const HOST_NAMES: [&str; 2] = ["/proc/sys/kernel/hostname", "/etc/hostname"];

/// Variables, a home directory and the system's name.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Arc<HashMap<OsString, OsString>>,
    home: Option<PathBuf>,
    host: Option<String>,
}

impl Environment {
    /// Returns one without variables and without a home.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Takes the variables and the home directory of this process, and the system's name, as they are now.
    pub fn of_process() -> Self {
        let host = HOST_NAMES.iter().find_map(|file| std::fs::read_to_string(file).ok());
        Self { variables: Arc::new(std::env::vars_os().collect()), home: std::env::home_dir(), host }
    }

    /// Takes another home directory.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Takes another name of the system.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Returns the name of the system as kopia has it: up to the first dot, in lower case.
    pub fn host(&self) -> Option<String> {
        let name = self.host.as_deref()?.trim().split('.').next()?.to_lowercase();
        Some(name).filter(|name| !name.is_empty())
    }

    /// Returns the value of a variable, unless it is empty or not set.
    pub fn var_os(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable, unless it is empty, not set or not UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.var_os(name).and_then(OsStr::to_str)
    }

    /// Returns the home directory.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Reads a path as a shell does that begins with the home directory (`~/`).
    pub fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => path.into(),
        }
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables: Arc::new(variables), ..Self::default() }
    }
}

/// Values may be secrets, so none is written.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("home", &self.home).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_none() {
        let environment: Environment = [("A", "1"), ("B", "")].into_iter().collect();
        assert_eq!(
            (environment.var("A"), environment.var("B"), environment.var("C")),
            (Some("1"), None, None)
        );
        assert!(!format!("{environment:?}").contains('1'));
        assert_eq!(environment.host(), None);
        assert_eq!(environment.with_host("Desk.lan").host().as_deref(), Some("desk"));
    }
}
