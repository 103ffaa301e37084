//! Which repository is meant: what the options say, the variables, or what kopia is connected to.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use kopia_rs::Password;
use kopia_rs::connection::{self, Connection, Environment, config_file, places, read_text, token};
use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::diagnosis::velero;
use kopia_rs::diagnosis::{Class, Hint};

use super::{key_ring, place};
use crate::args::Global;
use crate::error::Failure;
use crate::wording::advice;

/// The repository that is meant.
pub(crate) struct Choice {
    pub(crate) connection: Connection,
    /// Where the password of the connection comes from, if it has one.
    pub(crate) password: Option<PasswordSource>,
    /// The configuration of kopia that was found, where nothing was given.
    pub(crate) found: Option<PathBuf>,
    /// Whether its place has the form of Velero's, whose own password may open it.
    pub(crate) is_velero: bool,
    /// Whether it is Velero's because the command is, whatever lies there.
    pub(crate) is_asked_as_veleros: bool,
    /// The password that opened this one or another of the same bucket, of those that somebody was asked for.
    pub(crate) opened_by: Arc<OnceLock<Password>>,
}

impl Choice {
    /// Finds out which repository is meant.
    pub(crate) fn of(global: &Global, environment: &Environment) -> Result<Self, Failure> {
        Self::find(global, environment)?.ok_or_else(|| {
            Failure::usage("no repository is given, and kopia is not connected to one on this machine")
                .hint("give its folder or URL with --repository or KOPIA_REPOSITORY")
        })
    }

    /// As [`Self::of`], where it is no failure that none is meant.
    pub(crate) fn find(global: &Global, environment: &Environment) -> Result<Option<Self>, Failure> {
        let mut choice = match Self::given(global, environment)? {
            Some(choice) => choice,
            None => match Self::connected(global, environment)? {
                Some(choice) => choice,
                None => return Ok(None),
            },
        };
        choice.connection.apply(global.stores.options())?;
        choice.connection.complete(environment)?;
        choice.is_velero = velero::namespace_of(&place::root(&choice.connection)).is_some();
        Ok(Some(choice))
    }

    /// Chooses another place in the same bucket or server, of Velero's.
    #[cfg(feature = "velero")]
    pub(crate) fn at(&self, root: &str) -> Self {
        let connection = place::at(&self.connection, root);
        Self { opened_by: self.opened_by.clone(), ..Self::new(connection, self.password.clone()) }.of_velero()
    }

    /// Takes it for Velero's.
    #[cfg(feature = "velero")]
    pub(crate) fn of_velero(self) -> Self {
        Self { is_velero: true, is_asked_as_veleros: true, ..self }
    }

    fn new(connection: Connection, password: Option<PasswordSource>) -> Self {
        Self {
            connection,
            password,
            found: None,
            is_velero: false,
            is_asked_as_veleros: false,
            opened_by: Arc::default(),
        }
    }

    /// Returns the prefix of keys, or the path of the directory.
    #[cfg(feature = "velero")]
    pub(crate) fn place(&self) -> String {
        place::root(&self.connection)
    }

    /// Returns what options or variables name.
    fn given(global: &Global, environment: &Environment) -> Result<Option<Self>, Failure> {
        if let Some(text) = global.repository.as_ref().filter(|text| !text.is_empty()) {
            return Self::url(Connection::parse(text)?).map(Some);
        }
        if let Some(file) = &global.config {
            return Self::config(places::resolve(file, environment), global, environment).map(Some);
        }
        let unread = |error: io::Error| Failure::system("the token cannot be read", &error);
        let text = match (&global.token, &global.token_file) {
            (Some(token), _) => Some(token.clone().into()),
            (None, Some(file)) => Some(
                std::fs::File::open(file).and_then(|file| read_text(file, "token")).map_err(|error| {
                    Failure::system(format!("the token file {} cannot be read", file.display()), &error)
                })?,
            ),
            (None, None) if global.token_stdin => {
                Some(read_text(io::stdin().lock(), "token").map_err(unread)?)
            }
            (None, None) => None,
        };
        if let Some(text) = text {
            return Self::url(token::parse(&text)?).map(Some);
        }
        let text = environment.var_os("KOPIA_REPOSITORY");
        text.map(|text| Self::url(Connection::parse(text)?)).transpose()
    }

    /// Takes a connection whose password, if it has one, is part of what was given.
    fn url(connection: Connection) -> Result<Self, Failure> {
        let password = connection.password.is_some().then_some(PasswordSource::Connection);
        Ok(Self::new(connection, password))
    }

    /// Takes what a configuration holds, with the password that kopia stored.
    fn config(file: PathBuf, global: &Global, environment: &Environment) -> Result<Self, Failure> {
        let mut connection = config_file::read(&file)?;
        let stored = || PasswordSource::Stored(connection::stored_password::file(&file));
        let mut password = connection.password.is_some().then(stored);
        if key_ring::fill(&mut connection, &file, global, environment)? {
            password = Some(PasswordSource::KeyRing);
        }
        Ok(Self::new(connection, password))
    }

    /// Returns what kopia is connected to. Of several, kopia's own default is meant.
    fn connected(global: &Global, environment: &Environment) -> Result<Option<Self>, Failure> {
        let places = places::find(environment);
        match &places[..] {
            [] => Ok(None),
            [first, rest @ ..] if first.is_default || rest.is_empty() => {
                let choice = Self::config(first.file.clone(), global, environment)?;
                Ok(Some(Self { found: Some(first.file.clone()), ..choice }))
            }
            several => {
                Err(Failure::usage("kopia is connected to several repositories, and none is its default")
                    .candidates(several.iter().map(|place| place.file.display().to_string()).collect())
                    .hint("name one with --config; `kopia-rs connections` says where each leads"))
            }
        }
    }
}

impl From<connection::Error> for Failure {
    fn from(error: connection::Error) -> Self {
        let text = chain(&error);
        let hint = |hint: Hint| advice::hint(&hint);
        match error {
            connection::Error::BadLocation { .. } => Self::usage(text).hint(hint(Hint::SpellLocation)),
            connection::Error::Option { .. } => Self::usage(text),
            connection::Error::UnknownStorage { .. } => {
                let failure = Self::failed(text).with_class(Class::Unsupported);
                failure.hint(hint(Hint::MountStorage)).hint(hint(Hint::MarkDirectory))
            }
            connection::Error::Read { source, .. } => Self::failed(text).with_class(Class::of_io(&source)),
            _ => Self::failed(text).with_class(Class::Usage),
        }
    }
}
