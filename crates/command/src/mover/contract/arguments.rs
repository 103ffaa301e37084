//! KOPIA_ADDITIONAL_ARGS: options of `kopia snapshot restore`, taken for ours.
//!
//! The controller joins them with a separator that the original script takes for a set of characters, so that
//! arguments with a capital V or an underscore fall apart there. Here they are split at the whole separator.
//! Every option of kopia's restore is known: it is obeyed, is so anyway, or is refused by its name.

mod options;

use std::num::NonZeroUsize;

use kopia_rs::restore::Existing;
use kopia_rs::storage::ThawSpeed;

use crate::args;
use crate::mover::account::line::SetupError;
use options::{Meaning, Switch, Value, find, find_own};

/// What stands between two arguments.
const SEPARATOR: &str = "|VOLSYNC_ARG_SEP|";

const NAME: &str = "KOPIA_ADDITIONAL_ARGS";

/// What the arguments ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Arguments {
    pub(crate) parallel: Option<NonZeroUsize>,
    pub(crate) existing: ExistingFlags,
    pub(crate) sparse: bool,
    pub(crate) delete_extra: bool,
    pub(crate) in_place: bool,
    pub(crate) salvage: bool,
    /// Of a block device: write only what differs.
    pub(crate) only_differences: bool,
    /// Of a block device: read everything again at the end.
    pub(crate) verify: bool,
    pub(crate) verify_hashes: bool,
    /// Whether a damaged repository is opened as far as that can be done.
    pub(crate) degraded: bool,
    pub(crate) skip: Skip,
    /// Whether an attribute that cannot be set is a failure.
    pub(crate) strict: bool,
    pub(crate) on_missing: Option<OnMissing>,
    /// What is done about what lies in an archive.
    pub(crate) thaw: Thaw,
    /// What is for the store, by kopia's names.
    pub(crate) store: Vec<(&'static str, String)>,
    /// What is accepted and changes nothing, each as a sentence.
    pub(crate) notes: Vec<String>,
}

/// What kopia's options say of files and links that exist. It has one switch for files and one for links,
/// where there is but one choice here: the careful one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ExistingFlags {
    skip: bool,
    keep_files: bool,
    keep_symlinks: bool,
}

impl From<ExistingFlags> for Existing {
    /// Decides whatever their order was: like kopia, which looks first for what it may skip.
    fn from(flags: ExistingFlags) -> Self {
        match flags {
            ExistingFlags { skip: true, .. } => Self::Skip,
            ExistingFlags { keep_files: false, keep_symlinks: false, .. } => Self::Verify,
            _ => Self::Error,
        }
    }
}

/// Attributes that are not restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Skip {
    pub(crate) owners: bool,
    pub(crate) permissions: bool,
    pub(crate) times: bool,
}

/// What is done about what lies in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Thaw {
    pub(crate) speed: Option<ThawSpeed>,
    pub(crate) days: Option<u32>,
    pub(crate) wait: bool,
}

/// Reads the name of a tier.
pub(crate) fn tier(text: &str) -> Result<ThawSpeed, String> {
    text.parse().map_err(|_| format!("is {text:?}, neither \"bulk\" nor \"standard\" nor \"expedited\""))
}

/// Reads a number of days.
pub(crate) fn days(text: &str) -> Result<u32, String> {
    let most = args::Archive::MOST_DAYS;
    let days = text.trim().parse().ok().filter(|days| (1..=most).contains(days));
    days.ok_or_else(|| format!("is {text:?}, not a number from 1 to {most}"))
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
pub(crate) fn parse(text: &str) -> Result<Arguments, SetupError> {
    let mut arguments = Arguments::default();
    let mut rest = text.split(SEPARATOR).filter(|argument| !argument.is_empty()).peekable();
    while let Some(argument) = rest.next() {
        let (given, value) = match argument.split_once('=') {
            Some((given, value)) => (given, Some(value)),
            None => (argument, None),
        };
        // Values are not repeated where they were not asked for: one may be a password.
        let bad = |why: String| SetupError::setting(NAME, format!("holds {given:?}, which {why}"));
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
    if Existing::from(arguments.existing) == Existing::Error {
        arguments.notes.push("files and links that exist are left alone, and are problems".into());
    }
    Ok(arguments)
}

/// What is left of arguments for a program that does not know ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Foreign {
    /// The arguments of kopia, joined as they came; empty if there are none.
    pub(crate) rest: String,
    /// The names of those that were taken out.
    pub(crate) taken: Vec<&'static str>,
}

/// Takes out the options that kopia does not have, with their values. Everything else stays as it is, right
/// or wrong.
pub(crate) fn without_own(text: &str) -> Foreign {
    let mut foreign = Foreign::default();
    let mut kept = Vec::new();
    let mut arguments = text.split(SEPARATOR);
    while let Some(argument) = arguments.next() {
        let (name, value) =
            argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)));
        match name.strip_prefix("--").and_then(find_own) {
            Some((own, has_value)) => {
                foreign.taken.push(own);
                if has_value && value.is_none() {
                    arguments.next();
                }
            }
            None => kept.push(argument),
        }
    }
    foreign.rest = kept.join(SEPARATOR);
    foreign
}

/// Returns what is wrong with a name.
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

/// Returns the first name that goes with what is on.
fn first_on(switches: &[(bool, &'static str)]) -> Option<&'static str> {
    switches.iter().find_map(|(on, name)| on.then_some(*name))
}

impl Arguments {
    /// Returns an option that only a restore to a folder can obey. The command refuses the same ones with
    /// `--device`.
    pub(crate) fn only_for_folder(&self) -> Option<&'static str> {
        first_on(&[
            (self.existing.skip, "--skip-existing"),
            (self.existing.keep_files, "--no-overwrite-files"),
            (self.existing.keep_symlinks, "--no-overwrite-symlinks"),
            (self.delete_extra, "--delete-extra"),
            (self.in_place, "--in-place"),
        ])
    }

    /// Returns an option that only a restore to a block device can obey.
    pub(crate) fn only_for_device(&self) -> Option<&'static str> {
        first_on(&[(self.only_differences, "--only-differences"), (self.verify, "--verify")])
    }

    fn switch(&mut self, switch: Switch, on: bool) -> Result<(), String> {
        match switch {
            Switch::SkipExisting => self.existing.skip = on,
            Switch::OverwriteFiles => self.existing.keep_files = !on,
            Switch::OverwriteSymlinks => self.existing.keep_symlinks = !on,
            Switch::OverwriteDirectories if !on => {
                return Err("cannot be obeyed: a volume is a folder that exists".into());
            }
            Switch::OverwriteDirectories => {}
            Switch::Sparse => self.sparse = on,
            Switch::DeleteExtra => self.delete_extra = on,
            Switch::SkipOwners => self.skip.owners = on,
            Switch::SkipPermissions => self.skip.permissions = on,
            Switch::SkipTimes => self.skip.times = on,
            Switch::IgnorePermissionErrors => self.strict = !on,
            Switch::InPlace => self.in_place = on,
            Switch::Salvage => self.salvage = on,
            Switch::OnlyDifferences => self.only_differences = on,
            Switch::Verify => self.verify = on,
            Switch::VerifyHashes => self.verify_hashes = on,
            Switch::Degraded => self.degraded = on,
            Switch::Wait => self.thaw.wait = on,
            Switch::Store(name) => self.store.push((name, on.to_string())),
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
            Value::Thaw => self.thaw.speed = Some(tier(text)?),
            Value::Days => self.thaw.days = Some(days(text)?),
            Value::Store(name) => self.store.push((name, text.into())),
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
            "--degraded",
            "--thaw=bulk",
            "--days",
            "3",
            "--wait",
        ])
        .unwrap();
        let skip = Skip { owners: true, permissions: true, times: true };
        let expected = Arguments {
            parallel: NonZeroUsize::new(3),
            existing: ExistingFlags { skip: true, ..ExistingFlags::default() },
            sparse: true,
            delete_extra: true,
            skip,
            strict: true,
            on_missing: Some(OnMissing::Fail),
            degraded: true,
            thaw: Thaw { speed: Some(ThawSpeed::Bulk), days: Some(3), wait: true },
            ..Arguments::default()
        };
        assert_eq!(all, expected);
        assert_eq!(parsed(&[]).unwrap(), Arguments::default());
        assert_eq!(parsed(&["", "--no-delete-extra", ""]).unwrap(), Arguments::default());
    }

    #[test]
    fn what_is_skipped_goes_before_what_is_not_overwritten() {
        for (given, existing, notes) in [
            (&["--skip-existing"][..], Existing::Skip, 0),
            (&[], Existing::Verify, 0),
            (&["--no-overwrite-files"], Existing::Error, 1),
            (&["--no-overwrite-symlinks"], Existing::Error, 1),
            (&["--no-overwrite-symlinks", "--overwrite-files"], Existing::Error, 1),
            (&["--no-overwrite-files", "--overwrite-files"], Existing::Verify, 0),
            (&["--skip-existing", "--no-overwrite-files"], Existing::Skip, 0),
            (&["--no-overwrite-files", "--skip-existing"], Existing::Skip, 0),
            (&["--skip-existing", "--no-skip-existing"], Existing::Verify, 0),
            (&["--skip-existing", "--no-overwrite-files", "--no-skip-existing"], Existing::Error, 1),
        ] {
            let read = parsed(given).unwrap();
            assert_eq!((Existing::from(read.existing), read.notes.len()), (existing, notes), "{given:?}");
        }
    }

    #[test]
    fn what_is_for_the_store_is_kept_by_its_name() {
        let given = ["--disable-tls-verification", "--point-in-time", "2026-01-02T00:00:00Z"];
        let [tls, time] = &parsed(&given).unwrap().store[..] else { panic!("two are for the store") };
        assert_eq!(*tls, ("disable-tls-verification", "true".into()));
        assert_eq!(*time, ("point-in-time", given[2].into()));
        let off = parsed(&["--no-disable-tls-verification"]).unwrap().store;
        assert_eq!(off, [("disable-tls-verification", "false".into())]);
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
    fn what_kopia_does_not_know_is_taken_out_for_it() {
        let without = |arguments: &[&str]| {
            let Foreign { rest, taken } = without_own(&arguments.join(SEPARATOR));
            (rest, taken.join(" "))
        };
        for (own, taken) in [
            (&["--on-missing=fail"][..], "on-missing"),
            (&["--on-missing", "fail"], "on-missing"),
            (&["--degraded", "--no-in-place", "--salvage=true"], "degraded in-place salvage"),
            (&["--verify-hashes"], "verify-hashes"),
            (&["--thaw", "bulk", "--days=3", "--wait"], "thaw days wait"),
            (&[], ""),
        ] {
            // Alone, and among others that stay as they are, whether kopia takes them or not.
            assert_eq!(without(own), (String::new(), taken.into()));
            let all = [&["--parallel", "8", "--x=VOLUME_A"], own, &["--log-level=debug", "fail"]].concat();
            let rest = ["--parallel", "8", "--x=VOLUME_A", "--log-level=debug", "fail"].join(SEPARATOR);
            assert_eq!(without(&all), (rest, taken.into()));
        }
        // Every option that is ours is one that is known.
        for name in [
            "on-missing",
            "degraded",
            "in-place",
            "salvage",
            "verify-hashes",
            "only-differences",
            "verify",
            "thaw",
            "days",
            "wait",
        ] {
            assert!(find(name).is_some() && find_own(name).is_some(), "{name}");
        }
        assert!(find_own("parallel").is_none() && find_own("no-progress").is_none());
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
            ("--thaw=fast", "nor \"standard\""),
            ("--days=0", "1 to 365"),
            ("-p", "no option"),
            ("k1234", "no option"),
        ] {
            let said = parsed(&[argument]).unwrap_err();
            let name = argument.split('=').next().unwrap();
            assert!(said.contains(says) && said.contains(name) && !said.contains("hush"), "{said}");
        }
    }
}
