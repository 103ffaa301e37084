//! The programs that take part, as far as they are there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::args::Args;

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    KopiaRs,
    /// An earlier kopia-rs.
    Before,
    Floor,
    Kopia,
    Restic,
    Rustic,
    Vykar,
    Cp,
    Tar,
    Rsync,
    DelayedFs,
}

/// Where programs are, and which versions.
#[derive(Debug)]
pub(crate) struct Tools {
    found: Vec<(Tool, PathBuf, String)>,
}

impl Tool {
    const ALL: [Self; 11] = [
        Self::KopiaRs,
        Self::Before,
        Self::Floor,
        Self::Kopia,
        Self::Restic,
        Self::Rustic,
        Self::Vykar,
        Self::Cp,
        Self::Tar,
        Self::Rsync,
        Self::DelayedFs,
    ];

    /// Those that have a format of their own for backups.
    pub(crate) const OF_BACKUPS: [Self; 4] = [Self::Kopia, Self::Restic, Self::Rustic, Self::Vykar];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KopiaRs => "kopia-rs",
            Self::Before => "before",
            Self::Floor => "floor",
            Self::Kopia => "kopia",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Vykar => "vykar",
            Self::Cp => "cp",
            Self::Tar => "tar",
            Self::Rsync => "rsync",
            Self::DelayedFs => "delayed-fs",
        }
    }
}

impl Tools {
    /// Looks for all of them: what belongs to this workspace beside this program, then everything on PATH.
    pub(crate) fn find(args: &Args) -> Result<Self> {
        let mut found = Vec::new();
        for tool in Tool::ALL {
            let beside = match tool {
                Tool::KopiaRs | Tool::Floor | Tool::DelayedFs => {
                    std::env::current_exe()?.with_file_name(tool.name())
                }
                _ => PathBuf::new(),
            };
            let path = match tool {
                Tool::KopiaRs if args.kopia_rs.is_some() => args.kopia_rs.as_ref().map(std::path::absolute),
                // Nothing on PATH is meant by its name, and few ask for it.
                Tool::Before if args.before.is_none() => continue,
                Tool::Before => args.before.as_ref().map(std::path::absolute),
                _ if beside.is_file() => Some(Ok(beside)),
                _ => on_path(tool.name()).map(Ok),
            };
            let path = path.transpose()?;
            let Some(path) = path else {
                eprintln!("{} is not there and takes no part", tool.name());
                continue;
            };
            let given = args.version_of.iter().find(|(name, _)| name == tool.name());
            let argument = match tool {
                Tool::Before | Tool::Floor | Tool::DelayedFs => None,
                Tool::Restic => Some("version"),
                _ => Some("--version"),
            };
            let asked = || argument.map(|argument| version(argument, &path)).unwrap_or_default();
            let version = given.map_or_else(asked, |(_, version)| version.clone());
            found.push((tool, path, version));
        }
        Ok(Self { found })
    }

    /// Returns where a program is, if it is there.
    pub(crate) fn path(&self, tool: Tool) -> Option<&Path> {
        self.found.iter().find(|(found, ..)| *found == tool).map(|(_, path, _)| &**path)
    }

    /// Returns names and versions of the given tools.
    pub(crate) fn versions(&self, wanted: impl Fn(Tool) -> bool) -> Vec<(String, String)> {
        let found = self.found.iter().filter(|(tool, _, version)| wanted(*tool) && !version.is_empty());
        found.map(|(tool, _, version)| (tool.name().into(), version.clone())).collect()
    }
}

/// Returns where a program is that is on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Returns what a program says its version is: the first word with a digit. Empty if it does not say.
pub(crate) fn version(argument: &str, path: &Path) -> String {
    let said = Command::new(path).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    first_version(said.lines().next().unwrap_or_default()).to_owned()
}

fn first_version(line: &str) -> &str {
    let mut words = line.split_whitespace().map(|word| word.trim_start_matches('v'));
    words.find(|word| word.starts_with(|first: char| first.is_ascii_digit())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::first_version;

    #[test]
    fn versions_are_found() {
        for (line, version) in [
            ("restic 0.19.1 compiled with go1.26 on linux/amd64", "0.19.1"),
            ("v0.23.1 build: abc from: kopia/kopia", "0.23.1"),
            ("cp (GNU coreutils) 9.7", "9.7"),
            ("rustic v0.11.0", "0.11.0"),
            ("", ""),
        ] {
            assert_eq!(first_version(line), version);
        }
    }
}
