//! Who restores over a line, and by which commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::minio::{BUCKET, SECRET, USER};
use crate::Result;
use crate::args::Args;
use crate::backup::{PASSWORD, Repositories, kopia};
use crate::figures::Away;
use crate::step::Step;
use crate::tools::{Tool, Tools};

/// A way to restore over a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rival {
    KopiaRs,
    Kopia,
    KopiaParallel,
    Restic,
}

/// Where one restore takes place.
pub(super) struct Spot<'a> {
    pub(super) tools: &'a Tools,
    pub(super) repositories: &'a Repositories,
    /// The folder of this restore alone: caches and logs go here.
    pub(super) place: &'a Path,
    /// Where the server seems to be; none if the local repository is read.
    pub(super) endpoint: Option<SocketAddr>,
}

impl Rival {
    pub(crate) const ALL: [Self; 4] = [Self::KopiaRs, Self::Kopia, Self::KopiaParallel, Self::Restic];

    /// Returns what it is called on the command line and in figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KopiaRs => "kopia-rs",
            Self::Kopia => "kopia-cold",
            Self::KopiaParallel => "kopia-parallel",
            Self::Restic => "restic",
        }
    }

    /// Returns what it is called in the table.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::KopiaRs => "kopia-rs",
            Self::Kopia => "kopia, cold cache",
            Self::KopiaParallel => "kopia, cold cache, `--parallel 32`",
            Self::Restic => "restic, cold cache",
        }
    }

    /// Returns the program that it needs.
    pub(crate) fn tool(self) -> Tool {
        match self {
            Self::KopiaRs => Tool::KopiaRs,
            Self::Kopia | Self::KopiaParallel => Tool::Kopia,
            Self::Restic => Tool::Restic,
        }
    }

    /// Returns whether it is asked for, and its programs are there: kopia makes the repository of its format.
    pub(crate) fn is_wanted(self, args: &Args, tools: &Tools) -> bool {
        let is_asked_for = args.only.is_empty() || args.only.iter().any(|only| only == self.name());
        let needs_kopia = self == Self::KopiaRs;
        is_asked_for
            && tools.path(self.tool()).is_some()
            && (!needs_kopia || tools.path(Tool::Kopia).is_some())
    }

    /// Returns whether it is measured there: from the local disk the one that distances are compared with.
    pub(super) fn takes_part_at(self, away: Away) -> bool {
        away != Away::Local || self == Self::KopiaRs
    }

    /// Returns what restores the set, and is measured.
    pub(super) fn steps(self, spot: &Spot<'_>) -> Result<Vec<Step>> {
        let program = spot.tools.path(self.tool()).ok_or("the program is not there")?;
        let target = spot.target();
        match self {
            Self::KopiaRs => {
                let restore = Step::new(program, ["restore", "latest"]).arg(&target).arg("--repository");
                let restore = match spot.endpoint {
                    None => restore.arg(spot.repositories.of(Tool::Kopia)),
                    Some(endpoint) => restore.arg(format!("s3://{BUCKET}/kopia/?endpoint=http://{endpoint}")),
                };
                Ok(vec![keys(restore.variable("KOPIA_PASSWORD", PASSWORD).variable("HOME", spot.place))])
            }
            Self::Kopia => spot.kopia(program, &[]),
            Self::KopiaParallel => spot.kopia(program, &["--parallel", "32"]),
            Self::Restic => {
                let step =
                    Step::new(program, ["--quiet", "--no-lock", "--repo"]).arg(restic_url(spot.endpoint()?));
                let step = step.and_args(&["restore", "latest", "--target"]).arg(&target);
                // A cache of its own, empty at first.
                let cache = spot.place.join("cache");
                let step = step.variable("HOME", spot.place).variable("RESTIC_CACHE_DIR", cache);
                Ok(vec![keys(step.variable("RESTIC_PASSWORD", PASSWORD))])
            }
        }
    }
}

/// Returns the folder that is restored into.
pub(super) fn target(place: &Path) -> PathBuf {
    place.join("restored")
}

impl Spot<'_> {
    fn target(&self) -> PathBuf {
        target(self.place)
    }

    fn endpoint(&self) -> Result<SocketAddr> {
        Ok(self.endpoint.ok_or("this one is measured over a line only")?)
    }

    /// Connects and restores.
    fn kopia(&self, program: &Path, flags: &[&str]) -> Result<Vec<Step>> {
        let connect = kopia(program, self.place, &["repository", "connect", "s3", "--readonly"]);
        let restore = kopia(program, self.place, &["snapshot", "restore", "--no-progress"]).and_args(flags);
        let restore = restore.arg(self.repositories.snapshot()?).arg(self.target());
        Ok(vec![bucket(connect, self.endpoint()?), restore])
    }
}

/// Adds kopia's flags for the bucket.
pub(super) fn bucket(step: Step, endpoint: SocketAddr) -> Step {
    let step = step.arg("--bucket").arg(BUCKET).arg("--prefix=kopia/").arg("--disable-tls");
    let step = step.arg("--endpoint").arg(endpoint.to_string()).arg("--region=us-east-1");
    step.arg("--access-key").arg(USER).arg("--secret-access-key").arg(SECRET)
}

pub(super) fn restic_url(endpoint: SocketAddr) -> String {
    format!("s3:http://{endpoint}/{BUCKET}/restic")
}

pub(super) fn keys(step: Step) -> Step {
    let step = step.variable("AWS_ACCESS_KEY_ID", USER).variable("AWS_SECRET_ACCESS_KEY", SECRET);
    step.variable("AWS_DEFAULT_REGION", "us-east-1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_local_comparison_where_it_is_the_same() {
        let mut names = Rival::ALL.map(Rival::name).to_vec();
        names.dedup();
        assert_eq!(names, ["kopia-rs", "kopia-cold", "kopia-parallel", "restic"]);
    }
}
