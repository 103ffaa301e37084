//! The options of `mount`.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::only::{Only, WHICH};
use super::what::What;
use crate::terminal::time::When;
use kopia_rs::diagnosis::text::as_stored as stored;

#[derive(Debug, clap::Args)]
#[command(override_usage = "kopia-rs mount [OPTIONS] [WHAT]... <MOUNTPOINT>")]
pub(crate) struct Mount {
    /// What to show, and last the folder where: `latest`, user@host:/path or a part of it, an id, each with
    /// /a/path/below. One WHAT fills the folder; several are folders in it. Without any, all snapshots are
    /// shown, by source and time.
    #[arg(value_names = ["WHAT", "MOUNTPOINT"], num_args = 1.., required = true)]
    places: Vec<OsString>,
    /// The newest snapshot made by then: 2026-03-02, "2026-03-02 10:30 Europe/Berlin", yesterday, 2w,
    /// 3-days-ago; or the oldest.
    #[arg(help_heading = WHICH, long, value_name = "TIME")]
    pub(crate) at: Option<When>,
    /// Also choose among unfinished snapshots.
    #[arg(help_heading = WHICH, long)]
    incomplete: bool,
    #[command(flatten)]
    pub(crate) only: Only,
    /// Unmount once nothing was read for so long, as in 30s, 10m or 2h, and nothing is in use.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) idle: Option<Duration>,
    /// Let other users in, too: each may read what modes and owners say. An ordinary user needs
    /// `user_allow_other` in /etc/fuse.conf for it.
    #[arg(long)]
    pub(crate) allow_other: bool,
}

impl Mount {
    /// Returns the folder to mount at.
    pub(crate) fn point(&self) -> &Path {
        self.places.last().map_or(Path::new("."), Path::new)
    }

    /// Returns what is named, each as other commands take one.
    pub(crate) fn each(&self) -> Vec<What> {
        let named = self.places.split_last().map_or(&[][..], |(_, named)| named);
        let names: Vec<String> = named.iter().map(|name| stored(name.as_encoded_bytes())).collect();
        let what = What {
            at: self.at.clone(),
            incomplete: self.incomplete,
            only: self.only.clone(),
            ..What::default()
        };
        what.each(&names).collect()
    }
}

/// Parses a length of time, in seconds unless it has a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = unit.zip(digits.parse::<u64>().ok()).and_then(|(unit, number)| number.checked_mul(unit));
    match seconds {
        Some(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("write a length of time as 30s, 10m, 2h or 1d".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_units() {
        for (text, seconds) in [("90", 90), ("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "m", "1x", "-1", "1.5h", "1m30s", "18446744073709551615d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
