//! Who takes part, and by which commands.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::backup::{HOST, PASSWORD, Repositories, SOURCE, USER, kopia, restic, rustic, vykar};
use crate::step::Step;
use crate::tools::{Tool, Tools};

/// A way to restore a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    KopiaRs,
    Floor,
    FloorWrite,
    FloorDecode,
    Mover,
    KopiaAtomic,
    KopiaCold,
    KopiaWarm,
    Restic,
    Rustic,
    Vykar,
    Cp,
}

/// Where one restore takes place.
pub(crate) struct Place<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) repositories: &'a Repositories,
    /// The folder of this restore alone: caches and logs go here.
    pub(crate) folder: PathBuf,
    /// What this contestant keeps from one round to the next.
    pub(crate) kept: PathBuf,
}

impl Contestant {
    pub(crate) const ALL: [Self; 12] = [
        Self::KopiaRs,
        Self::Floor,
        Self::FloorWrite,
        Self::FloorDecode,
        Self::Mover,
        Self::KopiaAtomic,
        Self::KopiaCold,
        Self::KopiaWarm,
        Self::Restic,
        Self::Rustic,
        Self::Vykar,
        Self::Cp,
    ];

    /// Returns what it is called on the command line and in figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KopiaRs => "kopia-rs",
            Self::Floor => "floor",
            Self::FloorWrite => "floor-write",
            Self::FloorDecode => "floor-decode",
            Self::Mover => "mover",
            Self::KopiaAtomic => "kopia-atomic",
            Self::KopiaCold => "kopia-cold",
            Self::KopiaWarm => "kopia-warm",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Vykar => "vykar",
            Self::Cp => "cp",
        }
    }

    /// Returns what it is called in the table and the chart.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::KopiaRs => "kopia-rs",
            Self::Floor => "floor: decode and write, no more",
            Self::FloorWrite => "floor: write only",
            Self::FloorDecode => "floor: decode only",
            Self::Mover => "kopia, as VolSync's mover runs it",
            Self::KopiaAtomic => "kopia, cold cache, atomic files",
            Self::KopiaCold => "kopia, cold cache",
            Self::KopiaWarm => "kopia, warm cache",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Vykar => "vykar",
            Self::Cp => "cp -a of the plain tree",
        }
    }

    /// Returns the program that it needs.
    pub(crate) fn tool(self) -> Tool {
        match self {
            Self::KopiaRs => Tool::KopiaRs,
            Self::Floor | Self::FloorWrite | Self::FloorDecode => Tool::Floor,
            Self::Mover | Self::KopiaAtomic | Self::KopiaCold | Self::KopiaWarm => Tool::Kopia,
            Self::Restic => Tool::Restic,
            Self::Rustic => Tool::Rustic,
            Self::Vykar => Tool::Vykar,
            Self::Cp => Tool::Cp,
        }
    }

    /// Says whether everything that it needs is there: the repository of kopia's format is made by kopia.
    pub(crate) fn takes_part(self, tools: &Tools) -> bool {
        let needs_kopia = matches!(self.tool(), Tool::KopiaRs | Tool::Floor);
        tools.path(self.tool()).is_some() && (!needs_kopia || tools.path(Tool::Kopia).is_some())
    }

    /// Says whether it leaves the tree that was backed up.
    pub(crate) fn restores(self) -> bool {
        !matches!(self, Self::FloorWrite | Self::FloorDecode)
    }

    /// Says whether it measures itself, because not all that it does belongs to it.
    pub(crate) fn measures_itself(self) -> bool {
        self.tool() == Tool::Floor
    }

    /// Returns what it reads.
    pub(crate) fn input(self, repositories: &Repositories) -> PathBuf {
        match self.tool() {
            Tool::KopiaRs | Tool::Floor => repositories.of(Tool::Kopia),
            Tool::Kopia => repositories.kopias_own(),
            Tool::Cp => repositories.tree.clone(),
            tool @ (Tool::Restic | Tool::Rustic | Tool::Vykar) => repositories.of(tool),
        }
    }

    /// Returns what is done before the first round, and not measured.
    pub(crate) fn preparation(self, place: &Place<'_>) -> Result<Vec<Step>> {
        match self {
            Self::KopiaWarm => place.kopia(&place.kept, &place.folder.join("prepared"), &[]),
            _ => Ok(Vec::new()),
        }
    }

    /// Returns what restores the set, and is measured.
    pub(crate) fn steps(self, place: &Place<'_>) -> Result<Vec<Step>> {
        let (program, target) = (place.program(self.tool())?, place.target());
        let repository = place.repositories.of(self.tool());
        let floor = |args: &[&str]| {
            let floor = Step::new(program, [place.repositories.of(Tool::Kopia)]).arg("latest").arg(&target);
            vec![floor.and_args(args).variable("KOPIA_PASSWORD", PASSWORD)]
        };
        Ok(match self {
            Self::KopiaRs => vec![
                Step::new(program, ["restore", "latest"])
                    .arg(&target)
                    .arg("--repository")
                    .arg(place.repositories.of(Tool::Kopia))
                    .variable("KOPIA_PASSWORD", PASSWORD),
            ],
            Self::Floor => floor(&[]),
            Self::FloorWrite => floor(&["--half", "write"]),
            Self::FloorDecode => floor(&["--half", "decode"]),
            Self::Mover => place.mover()?,
            Self::KopiaAtomic => place.kopia(&place.folder, &target, &["--write-files-atomically"])?,
            Self::KopiaCold => place.kopia(&place.folder, &target, &[])?,
            // It is connected already.
            Self::KopiaWarm => place.kopia(&place.kept, &target, &[])?.split_off(1),
            Self::Restic => {
                let restore = ["restore", "latest", "--target"];
                vec![restic(program, &repository, &place.folder, &restore).arg(&target)]
            }
            Self::Rustic => {
                let mut what = std::ffi::OsString::from("latest:");
                what.push(&place.repositories.tree);
                vec![rustic(program, &repository, &place.folder, &["restore"]).arg(what).arg(&target)]
            }
            Self::Vykar => {
                vec![vykar(program, &repository, &place.folder, &["restore", "latest"]).arg(&target)]
            }
            Self::Cp => vec![Step::new(program, ["-a"]).arg(&place.repositories.tree).arg(&target)],
        })
    }
}

impl Place<'_> {
    /// Returns the folder that is restored into.
    pub(crate) fn target(&self) -> PathBuf {
        self.folder.join("restored")
    }

    fn program(&self, tool: Tool) -> Result<&Path> {
        Ok(self.tools.path(tool).ok_or_else(|| format!("{} is not there", tool.name()))?)
    }

    fn connect(&self, home: &Path) -> Result<Step> {
        let connect = kopia(self.program(Tool::Kopia)?, home, &["repository", "connect", "filesystem"]);
        Ok(connect.arg("--path").arg(self.repositories.kopias_own()))
    }

    /// Connects and restores.
    fn kopia(&self, home: &Path, target: &Path, flags: &[&str]) -> Result<Vec<Step>> {
        let restore = kopia(self.program(Tool::Kopia)?, home, &["snapshot", "restore"]);
        let restore = restore.arg(self.repositories.snapshot()?).arg(target).and_args(flags);
        Ok(vec![self.connect(home)?, restore])
    }

    /// The commands of a restore by the mover script of VolSync's kopia fork, in its order, with the cache
    /// limits that its controller sets by default; without its final `sync`.
    fn mover(&self) -> Result<Vec<Step>> {
        let program = self.program(Tool::Kopia)?;
        let kopia = |args: &[&str]| kopia(program, &self.folder, args);
        fs::create_dir(self.target())?;
        let limits = ["--metadata-cache-size-limit-mb=5734", "--content-cache-size-limit-mb=1638"];
        let restore = kopia(&["snapshot", "restore", &self.repositories.snapshot()?, "."]);
        Ok(vec![
            kopia(&["--version"]),
            // It is not connected yet, which is what this finds out.
            kopia(&["repository", "status"]).may_fail(),
            self.connect(&self.folder)?,
            kopia(&["repository", "set-client", "--username", USER, "--hostname", HOST]),
            kopia(&["repository", "status"]),
            kopia(&["cache", "set"]).and_args(&limits),
            kopia(&["snapshot", "list", SOURCE, "--json"]),
            restore
                .and_args(&["--write-files-atomically", "--ignore-permission-errors"])
                .within(&self.target()),
        ])
    }
}
