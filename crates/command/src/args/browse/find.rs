//! The options of `find`.

use clap::ValueEnum;
use kopia_rs::EntryKind;

use super::{Only, WHICH, What, as_stored};
use crate::terminal::time::When;

/// Headings in the help.
const MATCH: &str = "What matches";
const OUTPUT: &str = "What is shown";

#[derive(Debug, clap::Args)]
pub(crate) struct Find {
    /// What to look for: a name, where `*` and `?` stand for what is unknown; with a `/`, the end of a path,
    /// where `**` stands for folders.
    #[arg(value_name = "PATTERN", value_parser = as_stored())]
    pub(crate) pattern: String,
    /// Where to look: `latest`, user@host:/path or a part of it, an id, each with /a/path/below. Without it, in
    /// all snapshots.
    #[arg(value_name = "WHAT", value_parser = as_stored())]
    what: Vec<String>,
    /// Look in all snapshots that have WHAT, not only in the one that is meant.
    #[arg(help_heading = WHICH, long, short)]
    pub(crate) all: bool,
    /// The newest snapshot made by then: 2026-03, 2026-03-02, "2026-03-02 10:30", or RFC 3339.
    #[arg(help_heading = WHICH, long, value_name = "TIME", requires = "what", conflicts_with = "all")]
    at: Option<When>,
    /// Also look in unfinished snapshots.
    #[arg(help_heading = WHICH, long)]
    pub(crate) incomplete: bool,
    #[command(flatten)]
    pub(crate) only: Only,
    /// PATTERN is a regular expression that matches anywhere in a path.
    #[arg(help_heading = MATCH, long)]
    pub(crate) regex: bool,
    /// Take upper and lower case for the same.
    #[arg(help_heading = MATCH, long, short)]
    pub(crate) ignore_case: bool,
    /// Only files, folders or links; may be repeated.
    #[arg(help_heading = MATCH, long, short, value_name = "KIND")]
    pub(crate) r#type: Vec<Kind>,
    /// Only files of at least so many bytes: 500, 20k, 1.5M, 2G, or 2GiB for powers of 1024.
    #[arg(help_heading = MATCH, long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) min_size: Option<u64>,
    /// Only files of at most so many bytes.
    #[arg(help_heading = MATCH, long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_size: Option<u64>,
    /// Only what was modified after this year, month, day or time.
    #[arg(help_heading = MATCH, long, value_name = "TIME")]
    pub(crate) after: Option<When>,
    /// Only what was modified by the end of this year, month, day or time.
    #[arg(help_heading = MATCH, long, value_name = "TIME")]
    pub(crate) until: Option<When>,
    /// Show mode, owner, size and time.
    #[arg(help_heading = OUTPUT, long, short)]
    pub(crate) long: bool,
    /// With --long: sizes in kB, MB, GB.
    #[arg(help_heading = OUTPUT, long, requires = "long")]
    pub(crate) human_readable: bool,
    /// Write ID/PATH, which other commands take as WHAT, each with a NUL byte at its end, and escape nothing.
    #[arg(help_heading = OUTPUT, long, short = '0', conflicts_with_all = ["json", "long"])]
    pub(crate) null: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Files.
    #[value(alias = "file")]
    F,
    /// Folders.
    #[value(alias = "folder", alias = "dir")]
    D,
    /// Symbolic links.
    #[value(alias = "link", alias = "s")]
    L,
}

impl From<Kind> for EntryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::F => Self::File,
            Kind::D => Self::Directory,
            Kind::L => Self::Symlink,
        }
    }
}

impl Find {
    /// Returns where to look, each as other commands take one; nothing stands for all snapshots.
    pub(crate) fn each(&self) -> impl Iterator<Item = What> {
        let (at, only) = (self.at.clone(), self.only.clone());
        What { at, only, incomplete: self.incomplete, ..What::default() }.each(&self.what)
    }
}

/// Parses a size in bytes: a number, and a unit as sizes are shown with (k, M, G, T: powers of 1000), or as
/// memory is counted (Ki, Mi, Gi, Ti: powers of 1024).
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size: write 500, 20k, 1.5M, 2G, or 2GiB for powers of 1024");
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (letter, base) = unit.strip_suffix('i').map_or((unit, 1000_f64), |letter| (letter, 1024.0));
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == letter).ok_or_else(wrong)?;
    // Above 2^53 no file is counted to the byte.
    Ok((number * base.powi(power as i32)).round() as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("500", 500),
            ("20k", 20_000),
            ("1.5MB", 1_500_000),
            ("2 GB", 2_000_000_000),
            ("2GiB", 2 << 30),
            ("1Ki", 1024),
            ("7b", 7),
        ] {
            assert_eq!(super::bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "-1", "1x", "1.2.3", "1ii", "i"] {
            assert!(super::bytes(text).is_err(), "{text}");
        }
    }
}
