//! KOPIA_ADDITIONAL_ARGS: options of `kopia snapshot restore`, taken for ours.
//!
//! The controller joins them with a separator that the original script takes for a set of characters, so that arguments with a
//! capital V or an underscore fall apart there. Here they are split at the whole separator. Every option of kopia's restore is
//! known: it is obeyed, is so anyway, or is refused by its name.

use std::num::NonZeroUsize;

use kopia_rs::restore::Existing;

use super::sentence::Trouble;

/// What stands between two arguments.
const SEPARATOR: &str = "|VOLSYNC_ARG_SEP|";

const NAME: &str = "KOPIA_ADDITIONAL_ARGS";

/// What the arguments ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Arguments {
    pub(crate) parallel: Option<NonZeroUsize>,
    pub(crate) existing: Existing,
    pub(crate) sparse: bool,
    pub(crate) delete_extra: bool,
    pub(crate) in_place: bool,
    pub(crate) salvage: bool,
    pub(crate) verify_hashes: bool,
    pub(crate) skip: Skip,
    /// Whether an attribute that cannot be set is a failure.
    pub(crate) strict: bool,
    pub(crate) on_missing: Option<OnMissing>,
    /// What is accepted and changes nothing, each as a sentence.
    pub(crate) notes: Vec<String>,
}

/// Attributes that are not restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Skip {
    pub(crate) owners: bool,
    pub(crate) permissions: bool,
    pub(crate) times: bool,
}

/// What to do where there is nothing to restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnMissing {
    Continue,
    Fail,
}

impl std::str::FromStr for OnMissing {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "continue" => Ok(Self::Continue),
            "fail" => Ok(Self::Fail),
            other => Err(format!("is {other:?}, neither \"continue\" nor \"fail\"")),
        }
    }
}

/// What an option means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
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
enum Switch {
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Parallel,
    Mode,
    OnMissing,
}

const NO_CACHE: &str = "there is no cache";
const NO_LOG_FILES: &str = "no log files are written";
const ONE_IDENTITY: &str = "sourceIdentity says what to restore";

/// Every option that is known: those of kopia's restore, those of `kopia repository connect` and of all its commands that people
/// set, and our own.
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
    // Ours.
    ("on-missing", Meaning::Value(Value::OnMissing)),
    ("in-place", Meaning::Switch(Switch::InPlace)),
    ("salvage", Meaning::Switch(Switch::Salvage)),
    ("verify-hashes", Meaning::Switch(Switch::VerifyHashes)),
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
    ("override-hostname", Meaning::Refused(ONE_IDENTITY)),
    ("override-username", Meaning::Refused(ONE_IDENTITY)),
    ("config-file", Meaning::Refused("no configuration file is read")),
    ("password", Meaning::Refused("the password belongs in KOPIA_PASSWORD")),
];

/// Reads the arguments.
pub(crate) fn parse(text: &str) -> Result<Arguments, Trouble> {
    let mut arguments = Arguments::default();
    let mut rest = text.split(SEPARATOR).filter(|argument| !argument.is_empty()).peekable();
    while let Some(argument) = rest.next() {
        let bad = |why: String| Trouble::setting(NAME, format!("holds {argument:?}, which {why}"));
        let long = argument.strip_prefix("--").ok_or_else(|| bad("is no option".into()))?;
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let (name, meaning, on) = find(name).ok_or_else(|| bad(unknown(name)))?;
        match meaning {
            Meaning::Refused(why) => return Err(bad(format!("cannot be obeyed: {why}"))),
            Meaning::Switch(switch) => {
                arguments.switch(switch, is_on(on, value).map_err(bad)?).map_err(bad)?
            }
            Meaning::Moot(why) => {
                is_on(on, value).map_err(bad)?;
                arguments.notes.push(format!("--{name} changes nothing: {why}"));
            }
            Meaning::Value(_) | Meaning::MootValue(_) if !on => return Err(bad("has no opposite".into())),
            Meaning::Value(kind) => {
                let value = value.or_else(|| rest.next()).ok_or_else(|| bad("has no value".into()))?;
                arguments.value(kind, value).map_err(bad)?;
            }
            Meaning::MootValue(why) => {
                value.or_else(|| rest.next()).ok_or_else(|| bad("has no value".into()))?;
                arguments.notes.push(format!("--{name} changes nothing: {why}"));
            }
        }
    }
    Ok(arguments)
}

/// Finds an option by its name or by `no-` and its name.
fn find(name: &str) -> Option<(&'static str, Meaning, bool)> {
    let known = |name: &str| OPTIONS.iter().find(|(known, _)| *known == name);
    match known(name) {
        Some((name, meaning)) => Some((name, *meaning, true)),
        None => known(name.strip_prefix("no-")?).map(|(name, meaning)| (*name, *meaning, false)),
    }
}

/// Says what is wrong with a name.
fn unknown(name: &str) -> String {
    let known = |word: &str| find(word).is_some();
    match name.split_once(' ') {
        Some((word, value)) if known(word) => format!("is two arguments in one; write --{word}={value}"),
        _ => "is not known; kopia-rs takes the options of `kopia snapshot restore`".into(),
    }
}

fn is_on(on: bool, value: Option<&str>) -> Result<bool, String> {
    match value {
        None => Ok(on),
        Some("true") => Ok(on),
        Some("false") => Ok(!on),
        Some(_) => Err("is on or off and takes no value".into()),
    }
}

impl Arguments {
    fn switch(&mut self, switch: Switch, on: bool) -> Result<(), String> {
        match switch {
            Switch::SkipExisting if on => self.existing = Existing::Skip,
            Switch::OverwriteFiles | Switch::OverwriteSymlinks if !on => {
                self.existing = Existing::Error;
                self.notes.push("files and links that exist are left alone, and are problems".into());
            }
            Switch::OverwriteDirectories if !on => {
                return Err("cannot be obeyed: a volume is a folder that exists".into());
            }
            Switch::SkipExisting
            | Switch::OverwriteFiles
            | Switch::OverwriteSymlinks
            | Switch::OverwriteDirectories => {}
            Switch::Sparse => self.sparse = on,
            Switch::DeleteExtra => self.delete_extra = on,
            Switch::SkipOwners => self.skip.owners = on,
            Switch::SkipPermissions => self.skip.permissions = on,
            Switch::SkipTimes => self.skip.times = on,
            Switch::IgnorePermissionErrors => self.strict = !on,
            Switch::InPlace => self.in_place = on,
            Switch::Salvage => self.salvage = on,
            Switch::VerifyHashes => self.verify_hashes = on,
        }
        Ok(())
    }

    fn value(&mut self, kind: Value, text: &str) -> Result<(), String> {
        match kind {
            Value::Parallel => {
                let number = text.parse().ok().filter(|number| (1..=1024).contains(number));
                let number = number.ok_or_else(|| format!("is {text:?}, not a number from 1 to 1024"))?;
                self.parallel = NonZeroUsize::new(number);
            }
            Value::Mode if matches!(text, "auto" | "local") => {}
            Value::Mode => return Err("cannot be obeyed: a volume holds files, not an archive".into()),
            Value::OnMissing => self.on_missing = Some(text.parse()?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Arguments, String> {
        parse(&arguments.join(SEPARATOR)).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn options_of_a_restore() {
        let all = parsed(&[
            "--parallel=3",
            "--skip-existing",
            "--write-sparse-files",
            "--delete-extra",
            "--skip-owners",
            "--skip-permissions",
            "--skip-times=true",
            "--no-ignore-permission-errors",
            "--on-missing",
            "fail",
            "--mode=local",
            "--overwrite-files",
            "--overwrite-directories=true",
        ])
        .unwrap();
        let skip = Skip { owners: true, permissions: true, times: true };
        let expected = Arguments {
            parallel: NonZeroUsize::new(3),
            existing: Existing::Skip,
            sparse: true,
            delete_extra: true,
            skip,
            strict: true,
            on_missing: Some(OnMissing::Fail),
            ..Arguments::default()
        };
        assert_eq!(all, expected);
        assert_eq!(parsed(&["--no-overwrite-symlinks"]).unwrap().existing, Existing::Error);
        assert_eq!(parsed(&[]).unwrap(), Arguments::default());
        assert_eq!(parsed(&["", "--no-delete-extra", ""]).unwrap(), Arguments::default());
    }

    #[test]
    fn only_the_whole_separator_separates() {
        // The script makes `--cache-directory=` and `UM` of this.
        let read = parsed(&["--cache-directory=VOLUME_A|B_SEP", "--parallel", "2"]).unwrap();
        assert_eq!((read.parallel, read.notes.len()), (NonZeroUsize::new(2), 1));
    }

    #[test]
    fn what_changes_nothing_is_said() {
        let read =
            parsed(&["--no-write-files-atomically", "--ignore-errors", "--log-level", "debug"]).unwrap();
        let starts = ["--write-files-atomically", "--ignore-errors", "--log-level"];
        assert_eq!(read.notes.len(), starts.len());
        for (note, start) in read.notes.iter().zip(starts) {
            assert!(note.starts_with(start), "{note}");
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        for (argument, says) in [
            ("--frobnicate", "not known"),
            ("--no-parallel", "no opposite"),
            ("--parallel", "has no value"),
            ("--parallel=0", "1 to 1024"),
            ("--parallel 8", "write --parallel=8"),
            ("--shallow=3", "cannot be obeyed"),
            ("--mode=tar", "cannot be obeyed"),
            ("--skip-owners=maybe", "takes no value"),
            ("--no-overwrite-directories", "cannot be obeyed"),
            ("--on-missing=never", "\"continue\" nor \"fail\""),
            ("-p", "no option"),
            ("k1234", "no option"),
        ] {
            let said = parsed(&[argument]).unwrap_err();
            assert!(said.contains(says) && said.contains(argument), "{said}");
        }
    }
}
