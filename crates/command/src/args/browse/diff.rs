//! The options of `diff`.

use std::path::{Path, PathBuf};

use super::{What, as_stored};

#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) what: What,
    /// What is newer: another WHAT, or a folder of this machine, beginning with / or a dot. Without it, WHAT is
    /// compared with the snapshot before it.
    #[arg(value_name = "OTHER", value_parser = as_stored())]
    other: Option<String>,
    /// Also list what is in folders that only one side has.
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// Show how text files differ, line by line; by the program that KOPIA_DIFF names, if it is set.
    #[arg(long, conflicts_with_all = ["json", "summary"])]
    pub(crate) text: bool,
    /// Show only the numbers of what was added, removed and changed.
    #[arg(long)]
    pub(crate) summary: bool,
    /// With a folder: compare the bytes of files, not only their sizes and times.
    #[arg(long)]
    pub(crate) checksum: bool,
}

/// What WHAT is compared with.
#[derive(Debug)]
pub(crate) enum Other<'a> {
    /// The snapshot before it.
    Before,
    /// A folder of this machine.
    Folder(&'a Path),
    /// Another thing of the repository.
    What(What),
}

impl Diff {
    /// Returns what WHAT is compared with.
    pub(crate) fn other(&self) -> Other<'_> {
        match &self.other {
            None => Other::Before,
            Some(path) if path.starts_with(['/', '.']) => Other::Folder(Path::new(path)),
            Some(what) => {
                Other::What(What { what: what.clone(), incomplete: self.what.incomplete, ..What::default() })
            }
        }
    }

    /// Returns the program that shows how files differ, with its arguments, if the environment names one.
    pub(crate) fn program() -> Option<(PathBuf, Vec<String>)> {
        let command = std::env::var("KOPIA_DIFF").ok()?;
        let mut words = command.split_whitespace().map(str::to_owned);
        Some((words.next()?.into(), words.collect()))
    }
}
