//! What to do about what lies in an archive, such as S3's storage classes GLACIER and DEEP_ARCHIVE.

use kopia_rs::storage::ThawSpeed;

use super::values::{about_thaw, one_of};

/// Options for what has to be fetched from an archive before it can be read.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of archives: S3's GLACIER and DEEP_ARCHIVE, Azure's archive tier")]
pub(crate) struct Archive {
    /// Ask for those packs that are needed and lie in an archive, no others; the provider takes money for it.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "TIER",
        value_parser = one_of(&ThawSpeed::NAMES, about_thaw),
    )]
    pub(crate) thaw: Option<ThawSpeed>,
    /// How many days they can be read once they have been fetched.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "N",
        default_value_t = Archive::DAYS,
        requires = "thaw",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(Archive::MOST_DAYS)),
    )]
    pub(crate) days: u32,
    /// Wait until what is being fetched can be read, instead of ending with exit status 4.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) wait: bool,
}

impl Archive {
    /// How many days, if nobody says it.
    pub(crate) const DAYS: u32 = 7;

    /// How many days at most.
    pub(crate) const MOST_DAYS: u32 = 365;
}
