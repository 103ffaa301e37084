//! KOPIA_ADDITIONAL_ARGS: options of `kopia snapshot restore`, taken for ours.
//!
//! The controller joins them with a separator that the original script takes for a set of characters, so that arguments with a
//! capital V or an underscore fall apart there. Here they are split at the whole separator. Every option of kopia's restore is
//! known: it is obeyed, is so anyway, or is refused by its name.

mod options;

use std::num::NonZeroUsize;

use kopia_rs::restore::Existing;

use super::sentence::Trouble;
use options::{Meaning, Switch, Value, find};

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

/// Reads the arguments.
pub(crate) fn parse(text: &str) -> Result<Arguments, Trouble> {
    let mut arguments = Arguments::default();
    let mut rest = text.split(SEPARATOR).filter(|argument| !argument.is_empty()).peekable();
    while let Some(argument) = rest.next() {
        let (given, value) = match argument.split_once('=') {
            Some((given, value)) => (given, Some(value)),
            None => (argument, None),
        };
        // Values are not repeated where they were not asked for: one may be a password.
        let bad = |why: String| Trouble::setting(NAME, format!("holds {given:?}, which {why}"));
        let name = given.strip_prefix("--").ok_or_else(|| bad("is no option that is known".into()))?;
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
            ("--password=hush", "belongs in KOPIA_PASSWORD"),
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
            let name = argument.split('=').next().unwrap();
            assert!(said.contains(says) && said.contains(name) && !said.contains("hush"), "{said}");
        }
    }
}
