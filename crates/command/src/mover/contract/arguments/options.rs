//! The options that are known, and what each means here.

/// What an option means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is on or off.
    Switch(Switch),
    /// It has a value.
    Value(Value),
    /// It is on or off, and changes nothing: why.
    Moot(&'static str),
    /// It has a value, and changes nothing: why.
    MootValue(&'static str),
    /// It cannot be obeyed: why.
    Refused(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    SkipExisting,
    OverwriteFiles,
    OverwriteSymlinks,
    OverwriteDirectories,
    Sparse,
    DeleteExtra,
    SkipOwners,
    SkipPermissions,
    SkipTimes,
    IgnorePermissionErrors,
    InPlace,
    Salvage,
    VerifyHashes,
    OnlyDifferences,
    Verify,
    Degraded,
    Wait,
    /// It is for the store, under this name of kopia's.
    Store(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Parallel,
    Mode,
    OnMissing,
    Thaw,
    Days,
    /// It is for the store, under this name of kopia's.
    Store(&'static str),
}

const NO_CACHE: &str = "there is no cache";
const NO_LOG_FILES: &str = "no log files are written";
const ONE_IDENTITY: &str = "sourceIdentity says what to restore";

/// The options that kopia does not have.
const OWN: &[(&str, Meaning)] = &[
    ("on-missing", Meaning::Value(Value::OnMissing)),
    ("degraded", Meaning::Switch(Switch::Degraded)),
    ("in-place", Meaning::Switch(Switch::InPlace)),
    ("salvage", Meaning::Switch(Switch::Salvage)),
    ("verify-hashes", Meaning::Switch(Switch::VerifyHashes)),
    ("only-differences", Meaning::Switch(Switch::OnlyDifferences)),
    ("verify", Meaning::Switch(Switch::Verify)),
    ("thaw", Meaning::Value(Value::Thaw)),
    ("days", Meaning::Value(Value::Days)),
    ("wait", Meaning::Switch(Switch::Wait)),
];

/// The options of kopia that are known: those of its restore, and those of `kopia repository connect` and of
/// all its commands that people set.
const OPTIONS: &[(&str, Meaning)] = &[
    ("parallel", Meaning::Value(Value::Parallel)),
    ("skip-existing", Meaning::Switch(Switch::SkipExisting)),
    ("overwrite-files", Meaning::Switch(Switch::OverwriteFiles)),
    ("overwrite-symlinks", Meaning::Switch(Switch::OverwriteSymlinks)),
    ("overwrite-directories", Meaning::Switch(Switch::OverwriteDirectories)),
    ("write-sparse-files", Meaning::Switch(Switch::Sparse)),
    ("delete-extra", Meaning::Switch(Switch::DeleteExtra)),
    ("skip-owners", Meaning::Switch(Switch::SkipOwners)),
    ("skip-permissions", Meaning::Switch(Switch::SkipPermissions)),
    ("skip-times", Meaning::Switch(Switch::SkipTimes)),
    ("ignore-permission-errors", Meaning::Switch(Switch::IgnorePermissionErrors)),
    ("mode", Meaning::Value(Value::Mode)),
    ("write-files-atomically", Meaning::Moot("nothing gets its name before it is whole")),
    ("flush-files", Meaning::Moot("everything is on disk before the restore ends")),
    (
        "ignore-errors",
        Meaning::Moot(
            "one problem never keeps the rest from being restored, and is never passed over in silence",
        ),
    ),
    ("consistent-attributes", Meaning::Moot("one snapshot is restored, not several")),
    ("shallow", Meaning::Refused("placeholders cannot be written")),
    ("shallow-minsize", Meaning::Refused("placeholders cannot be written")),
    ("snapshot-time", Meaning::Refused("restoreAsOf chooses by time")),
    // Of all of kopia's commands.
    ("progress", Meaning::Moot("progress is a line every few seconds")),
    ("progress-update-interval", Meaning::MootValue("progress is a line every few seconds")),
    ("log-level", Meaning::MootValue("the log has one level")),
    ("file-log-level", Meaning::MootValue(NO_LOG_FILES)),
    ("log-dir", Meaning::MootValue(NO_LOG_FILES)),
    ("log-file", Meaning::MootValue(NO_LOG_FILES)),
    ("disable-file-logging", Meaning::Moot(NO_LOG_FILES)),
    ("disable-content-log", Meaning::Moot(NO_LOG_FILES)),
    ("disable-repository-log", Meaning::Moot("nothing is written to the repository")),
    ("auto-maintenance", Meaning::Moot("nothing is written to the repository")),
    ("check-for-updates", Meaning::Moot("nothing is looked for on the network")),
    ("readonly", Meaning::Moot("nothing is written to the repository")),
    ("cache-directory", Meaning::MootValue(NO_CACHE)),
    ("content-cache-size-mb", Meaning::MootValue(NO_CACHE)),
    ("content-cache-size-limit-mb", Meaning::MootValue(NO_CACHE)),
    ("metadata-cache-size-mb", Meaning::MootValue(NO_CACHE)),
    ("metadata-cache-size-limit-mb", Meaning::MootValue(NO_CACHE)),
    ("max-list-cache-duration", Meaning::MootValue(NO_CACHE)),
    // Of its `repository connect`: what no variable of a Job can say. The script gives them to its restore as
    // well, which knows none of them and ends.
    ("disable-tls", Meaning::Switch(Switch::Store("disable-tls"))),
    ("disable-tls-verification", Meaning::Switch(Switch::Store("disable-tls-verification"))),
    ("point-in-time", Meaning::Value(Value::Store("point-in-time"))),
    ("root-ca-pem-base64", Meaning::Value(Value::Store("root-ca-pem-base64"))),
    ("server-cert-fingerprint", Meaning::Value(Value::Store("server-cert-fingerprint"))),
    ("rclone-args", Meaning::Value(Value::Store("rclone-args"))),
    ("rclone-startup-timeout", Meaning::Value(Value::Store("rclone-startup-timeout"))),
    ("override-hostname", Meaning::Refused(ONE_IDENTITY)),
    ("override-username", Meaning::Refused(ONE_IDENTITY)),
    ("config-file", Meaning::Refused("no configuration file is read")),
    ("password", Meaning::Refused("the password belongs in KOPIA_PASSWORD")),
];

/// Finds an option by its name or by `no-` and its name.
pub(super) fn find(name: &str) -> Option<(&'static str, Meaning, bool)> {
    find_in(OPTIONS, name).or_else(|| find_in(OWN, name))
}

/// Returns whether an option is one that kopia does not know, and whether a value follows it.
pub(super) fn find_own(name: &str) -> Option<(&'static str, bool)> {
    find_in(OWN, name).map(|(name, meaning, _)| (name, matches!(meaning, Meaning::Value(_))))
}

fn find_in(options: &'static [(&str, Meaning)], name: &str) -> Option<(&'static str, Meaning, bool)> {
    let known = |name: &str| options.iter().find(|(known, _)| *known == name);
    match known(name) {
        Some((name, meaning)) => Some((name, *meaning, true)),
        None => known(name.strip_prefix("no-")?).map(|(name, meaning)| (*name, *meaning, false)),
    }
}
