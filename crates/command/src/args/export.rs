//! The options of `export`.

use std::path::{Path, PathBuf};

use kopia_rs::export::{Format, Options};

use super::owners::Owners;
use super::patterns::Patterns;
use super::places::IntoFile;
use super::values::one_of;
use super::what::{What, Which};

/// Standard output, as people write it.
const STDOUT: &str = "-";

/// Headings in the help.
const ERRORS: &str = "Errors";
const SPEED: &str = "Speed and space";

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) places: IntoFile,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    pub(crate) patterns: Patterns,
    /// Leave the first N names out of all paths below WHAT, as tar does; what has no more than those falls
    /// away.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) strip_components: Option<u32>,
    /// What to write; by default what the name of FILE ends in, and tar to standard output.
    #[arg(long, value_name = "FORMAT", value_parser = one_of(&Format::NAMES, about_format))]
    pub(crate) format: Option<Format>,
    /// How hard to compress: 1 to 9, with zstd to 19; by default 6, with zstd 3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=19))]
    pub(crate) level: Option<u8>,
    /// Replace FILE if it exists, once the archive is whole.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Show how many files and bytes it would be; write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Leave owner, mode and time of the folder itself out of a tar.
    #[arg(long)]
    pub(crate) no_root_attributes: bool,
    #[command(flatten)]
    pub(crate) owners: Owners,
    /// Stop at the first error.
    #[arg(help_heading = ERRORS, long)]
    pub(crate) fail_fast: bool,
    /// Write files that have lost pieces all the same, with zeros in place of these.
    #[arg(help_heading = ERRORS, long)]
    pub(crate) salvage: bool,
    /// Write every problem to this file, one JSON object a line.
    #[arg(help_heading = ERRORS, long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// How many threads decode, and how many compress; by default as many as there are cores for this
    /// process.
    #[arg(
        help_heading = SPEED,
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=1024),
    )]
    pub(crate) parallel: Option<u16>,
    /// How many MiB of files are in memory at most. A file longer than half of it is read twice: to see that
    /// all of it can be had, and to write it.
    #[arg(
        help_heading = SPEED,
        long,
        value_name = "MIB",
        default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(1..=1 << 20),
    )]
    pub(crate) window: u64,
    /// How many MiB may be read ahead from networks and spinning disks.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "MIB",
        default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(1..=1 << 20),
    )]
    pub(crate) read_ahead: u64,
    /// Leave out folders nested more than N deep; each is an error.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "N",
        default_value_t = Options::default().max_depth,
    )]
    pub(crate) max_depth: usize,
    /// Compare every content with its hash; the encryption authenticates it in any case.
    #[arg(help_heading = SPEED, hide_short_help = true, long)]
    pub(crate) verify_hashes: bool,
}

impl Export {
    /// Returns each thing to export as commands take one.
    pub(crate) fn each(&self) -> Vec<What> {
        self.which.each(&self.places.what)
    }

    /// Returns the file that is written to; nothing for standard output.
    pub(crate) fn named_file(&self) -> Option<&Path> {
        self.places.file.as_deref().filter(|file| *file != Path::new(STDOUT))
    }
}

fn about_format(format: &Format) -> &'static str {
    match format {
        Format::Tar => "Not compressed",
        Format::TarZst => "Compressed by zstd",
        Format::TarGz => "Compressed by gzip",
        Format::Zip => "Times in seconds; the list of entries is kept in memory to the end",
        _ => "",
    }
}
