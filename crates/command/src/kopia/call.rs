//! The configuration, the password and the repository that a call means.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kopia_rs::connect::{self, Opened};
use kopia_rs::connection::{
    Connection, Environment, Storage, config_file, places, read_text, stored_password,
};
use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::{OpenOptions, Password, Repository};

use super::line::Line;
use super::trouble::Trouble;
/// Says what kopia says of what it does.
pub(super) use crate::terminal::output::log_line as info;
use crate::terminal::password;
use crate::terminal::replace;
use crate::terminal::signals::Interrupt;

/// What kopia was at when a repository does not open.
const OPENING: &str = "open repository: unable to open repository";

/// A call of a command.
pub(super) struct Call<'a> {
    pub(super) line: Line,
    pub(super) environment: Environment,
    pub(super) interrupt: &'a Arc<Interrupt>,
}

impl<'a> Call<'a> {
    pub(super) fn new(line: Line, interrupt: &'a Arc<Interrupt>) -> Self {
        Self { line, environment: Environment::of_process(), interrupt }
    }

    /// Returns the file of the configuration: a bare name lies where kopia keeps its settings.
    pub(super) fn config_file(&self) -> PathBuf {
        let name =
            self.line.value("config-file").map_or_else(|| OsString::from("repository.config"), Into::into);
        let name = PathBuf::from(name);
        if name.file_name() != Some(name.as_os_str()) {
            return name;
        }
        places::settings_directory(&self.environment).map_or(name.clone(), |directory| directory.join(name))
    }

    /// Reads the text of the configuration.
    pub(super) fn config_text(&self) -> Result<zeroize::Zeroizing<String>, Trouble> {
        let file = self.config_file();
        let opened = fs::File::open(&file).and_then(|opened| read_text(opened, "file"));
        opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Trouble::failed(
                "open repository: repository is not connected. See https://kopia.io/docs/repositories/",
            ),
            std::io::ErrorKind::PermissionDenied => Trouble::failed(format!(
                "{OPENING}: error loading config file: open {}: permission denied",
                file.display()
            )),
            _ => Trouble::failed(format!("{OPENING}: error loading config file: {error}")),
        })
    }

    /// Reads the connection.
    pub(super) fn connection(&self) -> Result<Connection, Trouble> {
        self.config_text()?;
        let file = self.config_file();
        let mut connection = config_file::read(&file)?;
        #[cfg(feature = "key-ring")]
        if self.line.is_on("use-keyring", false) && self.given_password().is_none() {
            let _ = connect::key_ring::fill(&mut connection, &file, &self.environment);
        }
        connection.complete(&self.environment)?;
        Ok(connection)
    }

    /// Returns the password that is given, without blanks around it, as kopia takes it.
    pub(super) fn given_password(&self) -> Option<Password> {
        let text = self.line.text("password").filter(|text| !text.is_empty())?;
        Some(Password::new(text.trim()))
    }

    /// Returns the password: the one that is given, else `stored`, else what somebody types.
    pub(super) fn password(&self, stored: Option<&Password>) -> Result<Password, Trouble> {
        if let Some(given) = self.given_password().or_else(|| stored.cloned()) {
            return Ok(given);
        }
        use std::io::IsTerminal;
        let none = || {
            Trouble::failed(
                "open repository: get password: password prompt error: inappropriate ioctl for device",
            )
        };
        if !std::io::stdin().is_terminal() {
            return Err(none());
        }
        password::read(Some(&PasswordSource::Prompt), password::Given::default(), None).map_err(|_| none())
    }

    /// Opens the repository of the configuration.
    pub(super) fn open(&self) -> Result<Repository, Trouble> {
        self.open_as(&OpenOptions::default())
    }

    /// As [`Self::open`], as options say.
    pub(super) fn open_as(&self, options: &OpenOptions) -> Result<Repository, Trouble> {
        let connection = self.connection()?;
        let password = self.password(connection.password.as_ref())?;
        self.open_with(connection, &password, OPENING, options)
    }

    /// Opens the repository of a connection; `doing` is what kopia is at.
    pub(super) fn open_with(
        &self,
        mut connection: Connection,
        password: &Password,
        doing: &str,
        open: &OpenOptions,
    ) -> Result<Repository, Trouble> {
        let place = match &connection.storage {
            Storage::Filesystem(directory) => directory.path.display().to_string(),
            _ => connection.location(),
        };
        let mut options = connect::Options::default();
        options.environment = self.environment.clone();
        options.notice = Arc::new(|_| {});
        connection.password = Some(password.clone());
        let opened = match kopia_rs::connect(&connection, &options) {
            Ok(Opened::Blobs(store)) => Repository::open_with(store, password, open),
            Ok(Opened::Contents(server)) => Repository::open_server(server, open),
            Ok(_) => return Err(Trouble::failed(format!("{place} gives neither blobs nor contents"))),
            Err(error) => return Err(Trouble::unconnected(&error, &place)),
        };
        opened.map_err(|error| Trouble::unopened(&error, doing))
    }

    /// Returns the names of user and host of this connection.
    pub(super) fn owner(&self) -> (String, String) {
        let connection = config_file::read(&self.config_file()).ok();
        let own = own_names(&self.environment);
        let (user, host) = connection.map(|one| (one.username, one.hostname)).unwrap_or_default();
        (user.unwrap_or(own.0), host.unwrap_or(own.1))
    }
}

/// Returns what kopia calls this user and this host.
pub(super) fn own_names(environment: &Environment) -> (String, String) {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| environment.var(name));
    let root = || if rustix::process::geteuid().is_root() { "root" } else { "nobody" };
    (user.unwrap_or_else(root).to_lowercase(), environment.host().unwrap_or_else(|| "localhost".into()))
}

/// Writes a file for its owner alone, whole or not at all.
pub(super) fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    let directory = replace::directory(file);
    if !directory.exists() {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    replace::replace(file, text.as_bytes(), 0o600)
}

/// Stores a password beside a configuration, as kopia does.
pub(super) fn store_password(config: &Path, password: &Password) -> std::io::Result<()> {
    let file = stored_password::file(config);
    let text = stored_password::text(password);
    let _ = fs::remove_file(&file);
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?.write_all(text.as_bytes())
}
