//! Reads what a Job asks for from its environment, before anything else is done.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use kopia_rs::Password;
use kopia_rs::restore::{Durability, Options};

use super::arguments::{self, Arguments, OnMissing, Thaw};
use super::configuration::Structured;
use super::environment::{Environment, Variable};
use super::selection::Wanted;
use crate::mover::account::line::SetupError;
use crate::session::archive::Archive;

/// Everything but where the repository is.
pub(crate) struct Settings {
    pub(crate) wanted: Wanted,
    pub(crate) target: PathBuf,
    /// The block device that is written in place of a folder.
    pub(crate) device: Option<PathBuf>,
    /// Whether the device is compared first, and only what differs is written.
    pub(crate) device_only_differences: bool,
    /// Whether everything is read from the device again at the end.
    pub(crate) device_verify: bool,
    pub(crate) password: Password,
    /// How the restore is done.
    pub(crate) options: Options,
    /// Whether an attribute that cannot be set is a failure.
    pub(crate) strict: bool,
    /// What was said about having nothing to restore, if anything was.
    pub(crate) on_missing: Option<OnMissing>,
    /// Whether a damaged repository is opened as far as that can be done.
    pub(crate) degraded: bool,
    /// What is done about what lies in an archive.
    pub(crate) archive: Archive,
    /// Whether identities are listed where none fits.
    pub(crate) discover: bool,
    /// Options of the store, by kopia's names.
    pub(crate) store: Vec<(&'static str, String)>,
    /// What is accepted and changes nothing, each as a sentence.
    pub(crate) notes: Vec<String>,
}

impl Settings {
    pub(crate) fn read(
        environment: &Environment,
        structured: Option<&Structured>,
    ) -> Result<Self, SetupError> {
        let unset = |variable: Variable| SetupError::unset(variable.name());
        let password = environment.raw(Variable::Password).ok_or_else(|| unset(Variable::Password))?;
        let device = environment.raw(Variable::Device).map(PathBuf::from);
        let folder = environment.raw(Variable::DataDir).map(PathBuf::from);
        let target = folder.or_else(|| device.clone()).ok_or_else(|| unset(Variable::DataDir))?;
        let arguments = environment.text(Variable::AdditionalArgs)?.map(arguments::parse).transpose()?;
        let arguments = arguments.unwrap_or_default();
        let on_missing = environment.text(Variable::OnMissing)?.map(str::parse).transpose();
        let on_missing = on_missing.map_err(|why| SetupError::setting(Variable::OnMissing.name(), why))?;
        let delete_extra = environment.is_true(Variable::FileDeletion)?;
        refuse_disobeyed(&arguments, device.is_some(), delete_extra)?;
        Ok(Self {
            wanted: Wanted::read(environment, structured)?,
            target,
            device,
            device_only_differences: arguments.only_differences,
            device_verify: arguments.verify,
            password: Password::new(password.as_bytes()),
            options: options(&arguments, delete_extra),
            strict: arguments.strict,
            on_missing: on_missing.or(arguments.on_missing),
            degraded: environment.is_true(Variable::Degraded)? || arguments.degraded,
            archive: archive(environment, arguments.thaw)?,
            discover: environment.is_true(Variable::Discover)?,
            store: arguments.store,
            notes: arguments.notes,
        })
    }
}

/// Refuses what would be passed over: what only folders can obey where a device is written, and the other way
/// round.
fn refuse_disobeyed(arguments: &Arguments, is_device: bool, delete_extra: bool) -> Result<(), SetupError> {
    let device = Variable::Device.name();
    if is_device && delete_extra {
        let why = format!("is \"true\", which cannot be obeyed with {device}: a device has no other files");
        return Err(SetupError::setting(Variable::FileDeletion.name(), why));
    }
    let (option, why) = match is_device {
        true => (arguments.only_for_folder(), format!("with {device}: it is for folders")),
        false => (arguments.only_for_device(), format!("without {device}: it is for block devices")),
    };
    let refused = |option: &str| format!("holds {option:?}, which cannot be obeyed {why}");
    let name = Variable::AdditionalArgs.name();
    option.map_or(Ok(()), |option| Err(SetupError::setting(name, refused(option))))
}

/// Returns what is done about what lies in an archive. A variable goes before an argument.
fn archive(environment: &Environment, arguments: Thaw) -> Result<Archive, SetupError> {
    let bad = |variable: Variable| move |why: String| SetupError::setting(variable.name(), why);
    let speed = environment.text(Variable::Thaw)?.map(arguments::tier).transpose();
    let speed = speed.map_err(bad(Variable::Thaw))?;
    let days = environment.text(Variable::ThawDays)?.map(arguments::days).transpose();
    let days = days.map_err(bad(Variable::ThawDays))?;
    let wait = environment.is_true(Variable::ThawWait)? || arguments.wait;
    Ok(Archive::of_job(speed.or(arguments.speed), days.or(arguments.days), wait))
}

/// Returns the options of a restore. What one of the two settings wants deleted is deleted.
fn options(arguments: &Arguments, delete_extra: bool) -> Options {
    let mut options = Options::default();
    options.sync = Durability::Filesystem;
    options.keep_lost_found = true;
    options.delete_extra = delete_extra || arguments.delete_extra;
    options.parallel = arguments.parallel;
    options.existing = arguments.existing.into();
    options.sparse = arguments.sparse;
    options.in_place = arguments.in_place;
    options.salvage = arguments.salvage;
    options.verify_hashes = arguments.verify_hashes;
    options.skip_owners = arguments.skip.owners;
    options.skip_permissions = arguments.skip.permissions;
    options.skip_times = arguments.skip.times;
    options
}
