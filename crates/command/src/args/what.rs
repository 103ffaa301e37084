//! WHAT: a thing to read, as commands take it.

use super::only::{Only, WHICH};
use super::values::as_stored;
use crate::terminal::time::When;

/// A thing to read, and which of its snapshots.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct What {
    /// What to read: `latest`, user@host:/path or a part of it, an id, each with /a/path/below.
    #[arg(value_name = "WHAT", value_parser = as_stored())]
    pub(crate) what: String,
    /// The newest snapshot made by then: 2026-03-02, "2026-03-02 10:30 Europe/Berlin", yesterday, 2w,
    /// 3-days-ago; or the oldest.
    #[arg(help_heading = WHICH, long, value_name = "TIME")]
    pub(crate) at: Option<When>,
    /// Also choose among unfinished snapshots.
    #[arg(help_heading = WHICH, long)]
    pub(crate) incomplete: bool,
    #[command(flatten)]
    pub(crate) only: Only,
    /// This version of it, as `log` counts them.
    #[arg(long, value_name = "N", conflicts_with = "at", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) version: Option<u32>,
}

impl What {
    /// Names several things, each of them chosen like this one.
    pub(super) fn each(self, names: &[String]) -> impl Iterator<Item = Self> {
        names.iter().map(move |name| Self { what: name.clone(), ..self.clone() })
    }
}

/// Which of their snapshots are meant, of one or several things to read.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Which {
    /// The newest snapshot made by then: 2026-03-02, "2026-03-02 10:30 Europe/Berlin", yesterday, 2w,
    /// 3-days-ago; or the oldest.
    #[arg(help_heading = WHICH, long, value_name = "TIME")]
    at: Option<When>,
    /// Also choose among unfinished snapshots.
    #[arg(help_heading = WHICH, long)]
    incomplete: bool,
    #[command(flatten)]
    only: Only,
    /// This version of each, as `log` counts them.
    #[arg(long, value_name = "N", conflicts_with = "at", value_parser = clap::value_parser!(u32).range(1..))]
    version: Option<u32>,
}

impl Which {
    /// Returns each thing as commands take one.
    pub(super) fn each(&self, names: &[String]) -> Vec<What> {
        let Self { at, incomplete, only, version } = self.clone();
        What { what: String::new(), at, incomplete, only, version }.each(names).collect()
    }
}

/// Several things to read, and which of their snapshots.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Whats {
    /// What to read: `latest`, user@host:/path or a part of it, an id, each with /a/path/below.
    #[arg(value_name = "WHAT", required = true, value_parser = as_stored())]
    what: Vec<String>,
    #[command(flatten)]
    which: Which,
}

impl Whats {
    /// Returns each as commands take one.
    pub(crate) fn each(&self) -> Vec<What> {
        self.which.each(&self.what)
    }
}

/// As [`What`], where a thing need not be named.
#[derive(Debug, clap::Args)]
pub(crate) struct OptionalWhat {
    /// What to look at: `latest`, user@host:/path or a part of it, an id, each with /a/path/below. Without it,
    /// the whole repository.
    #[arg(value_name = "WHAT", value_parser = as_stored())]
    what: Option<String>,
    /// The newest snapshot made by then.
    #[arg(help_heading = WHICH, long, value_name = "TIME", requires = "what")]
    at: Option<When>,
    /// Also choose among unfinished snapshots.
    #[arg(help_heading = WHICH, long, requires = "what")]
    incomplete: bool,
}

impl OptionalWhat {
    /// Returns what is named, if anything is.
    pub(crate) fn get(&self) -> Option<What> {
        let what = self.what.clone()?;
        Some(What { what, at: self.at.clone(), incomplete: self.incomplete, ..What::default() })
    }
}

/// As [`Whats`], where nothing need be named.
#[derive(Debug, clap::Args)]
pub(crate) struct OptionalWhats {
    /// What to look at: `latest`, user@host:/path or a part of it, an id, each with /a/path/below. Without it,
    /// the whole repository.
    #[arg(value_name = "WHAT", value_parser = as_stored())]
    what: Vec<String>,
    /// The newest snapshot made by then.
    #[arg(help_heading = WHICH, long, value_name = "TIME", requires = "what")]
    at: Option<When>,
    /// Also choose among unfinished snapshots.
    #[arg(help_heading = WHICH, long, requires = "what")]
    incomplete: bool,
}

impl OptionalWhats {
    /// Returns each that is named as commands take one.
    pub(crate) fn each(&self) -> Vec<What> {
        let (at, incomplete) = (self.at.clone(), self.incomplete);
        What { at, incomplete, ..What::default() }.each(&self.what).collect()
    }
}
