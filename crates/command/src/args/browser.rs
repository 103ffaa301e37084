//! The options of `browse`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Global;
use super::only::{Only, WHICH};
use super::what::What;
use crate::terminal::time::When;
use kopia_rs::diagnosis::text::as_stored as stored;

#[derive(Debug, clap::Args)]
pub(crate) struct Browser {
    /// The repository, as --repository takes it: a folder or a URL. It may be left out: what is no folder of a
    /// repository, and no URL, is WHAT.
    #[arg(value_name = "REPOSITORY")]
    place: Option<OsString>,
    /// Where to begin: `latest`, user@host:/path or a part of it, a snapshot's id, each with /a/path/below;
    /// otherwise with the list of sources.
    #[arg(value_name = "WHAT")]
    what: Option<OsString>,
    /// Begin in the newest snapshot of WHAT that was made by then: 2026-03-02, yesterday, 2w; or the oldest.
    #[arg(help_heading = WHICH, long, value_name = "TIME")]
    at: Option<When>,
    #[command(flatten)]
    pub(crate) only: Only,
}

impl Browser {
    /// Returns the repository if it is named as an argument, and where to begin.
    ///
    /// # Errors
    /// What is wrong with them together.
    pub(crate) fn places(&self, global: &Global) -> Result<(Option<&OsStr>, Option<What>), &'static str> {
        let is_given = global.repository.is_some()
            || global.config.is_some()
            || global.token.is_some()
            || global.token_file.is_some()
            || global.token_stdin;
        let (repository, what) = match (self.place.as_deref(), self.what.as_deref()) {
            (Some(_), Some(_)) if is_given => {
                return Err("the repository is given twice: as an argument, and by an option");
            }
            (Some(one), None) if is_given || !is_repository(one) => (None, Some(one)),
            both => both,
        };
        if what.is_none() && self.at.is_some() {
            return Err("--at chooses a snapshot of something, and nothing is named");
        }
        let what = what.map(|what| What {
            what: stored(what.as_bytes()),
            at: self.at.clone(),
            only: self.only.clone(),
            ..What::default()
        });
        Ok((repository, what))
    }
}

/// Returns whether an argument can be nothing but a repository: a URL, or a folder with its first blob.
fn is_repository(text: &OsStr) -> bool {
    let is_url = text.to_str().is_some_and(|text| text.contains("://") || text.starts_with("rclone:"));
    let has_blob = || {
        let names = fs::read_dir(Path::new(text)).into_iter().flatten().flatten();
        names.map(|entry| entry.file_name()).any(|name| name.as_bytes().starts_with(b"kopia.repository"))
    };
    is_url || has_blob()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Args, Command};

    #[test]
    fn a_single_argument_is_a_repository_or_where_to_begin() {
        let places = |line: &str| {
            let args =
                Args::try_parse_from(["kopia-rs", "browse"].into_iter().chain(line.split_whitespace()));
            let args = args.expect("it parses");
            let Some(Command::Browser(browser)) = &args.command else { panic!("{args:?}") };
            let shown = |(repository, what): (Option<&std::ffi::OsStr>, Option<super::What>)| {
                let repository = repository.map(|one| one.to_string_lossy().into_owned());
                (repository.unwrap_or_default(), what.map(|what| what.what).unwrap_or_default())
            };
            browser.places(&args.global).map(shown)
        };
        let both = |one: &str, other: &str| Ok((one.to_owned(), other.to_owned()));
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
        assert_eq!(places(""), both("", ""));
        assert_eq!(places("latest"), both("", "latest"));
        assert_eq!(places("/etc"), both("", "/etc"), "a folder, but not of a repository");
        assert_eq!(places(golden), both(golden, ""));
        assert_eq!(places("s3://bucket"), both("s3://bucket", ""));
        assert_eq!(places("/etc latest"), both("/etc", "latest"));
        assert_eq!(places("--repository /r /etc"), both("", "/etc"));
        assert_eq!(places("--repository /r s3://x"), both("", "s3://x"));
        assert!(places("--repository /r a b").is_err() && places("--at 2w").is_err());
    }
}
