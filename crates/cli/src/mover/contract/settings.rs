//! What a Job asks for, read from its environment before anything else is done.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use kopia_rs::Password;

use super::arguments::{self, Arguments, OnMissing};
use super::configuration::Structured;
use super::environment::{Environment, Variable};
use super::selection::Wanted;
use crate::mover::account::line::SetupError;

/// Everything but where the repository is.
pub(crate) struct Settings {
    pub(crate) wanted: Wanted,
    pub(crate) target: PathBuf,
    pub(crate) password: Password,
    pub(crate) arguments: Arguments,
    /// Whether what the snapshot does not have is deleted.
    pub(crate) delete_extra: bool,
    /// What was said about having nothing to restore, if anything was.
    pub(crate) on_missing: Option<OnMissing>,
    /// Whether a damaged repository is opened as far as that can be done.
    pub(crate) degraded: bool,
    /// Whether identities are listed where none fits.
    pub(crate) discover: bool,
}

impl Settings {
    pub(crate) fn read(
        environment: &Environment,
        structured: Option<&Structured>,
    ) -> Result<Self, SetupError> {
        let unset = |variable: Variable| SetupError::unset(variable.name());
        let password = environment.raw(Variable::Password).ok_or_else(|| unset(Variable::Password))?;
        let target = environment.raw(Variable::DataDir).ok_or_else(|| unset(Variable::DataDir))?;
        let arguments = environment.text(Variable::AdditionalArgs)?.map(arguments::parse).transpose()?;
        let arguments = arguments.unwrap_or_default();
        let on_missing = environment.text(Variable::OnMissing)?.map(str::parse).transpose();
        let on_missing = on_missing.map_err(|why| SetupError::setting(Variable::OnMissing.name(), why))?;
        Ok(Self {
            wanted: Wanted::read(environment, structured)?,
            target: target.into(),
            password: Password::new(password.as_bytes()),
            delete_extra: environment.is_true(Variable::FileDeletion)? || arguments.delete_extra,
            on_missing: on_missing.or(arguments.on_missing),
            degraded: environment.is_true(Variable::Degraded)? || arguments.degraded,
            discover: environment.is_true(Variable::Discover)?,
            arguments,
        })
    }
}
