//! Who takes part, and by which commands.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::args::Args;
use crate::backup::{HOST, PASSWORD, Repositories, SOURCE, USER, kopia, restic, rustic, vykar, vykar_config};
use crate::figures::Away;
use crate::step::Step;
use crate::tools::{Tool, Tools};

/// A way to restore a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    KopiaRs,
    Before,
    Floor,
    FloorWrite,
    FloorDecode,
    Mover,
    KopiaAtomic,
    KopiaCold,
    KopiaWarm,
    KopiaParallel,
    Restic,
    Rustic,
    Vykar,
    Cp,
    Tar,
    Rsync,
}

/// Where one restore takes place.
pub(crate) struct Place<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) repositories: &'a Repositories,
    /// The folder of this restore alone: caches and logs go here.
    pub(crate) folder: PathBuf,
    /// The folder that is restored into.
    pub(crate) target: PathBuf,
    /// What this contestant keeps from one round to the next.
    pub(crate) kept: PathBuf,
}

impl Contestant {
    /// Those of local restores.
    pub(crate) const LOCAL: [Self; 13] = [
        Self::KopiaRs,
        Self::Before,
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

    /// Those of restores to and from a slow file system.
    pub(crate) const LATENCY: [Self; 8] = [
        Self::KopiaRs,
        Self::Before,
        Self::KopiaCold,
        Self::KopiaParallel,
        Self::Restic,
        Self::Rustic,
        Self::Vykar,
        Self::Cp,
    ];

    /// Those whose requests to a file system are counted.
    pub(crate) const OPERATIONS: [Self; 9] = [
        Self::KopiaRs,
        Self::Before,
        Self::Cp,
        Self::Tar,
        Self::Rsync,
        Self::KopiaCold,
        Self::Restic,
        Self::Rustic,
        Self::Vykar,
    ];

    /// Returns those of a list that are asked for, and whose programs are there.
    pub(crate) fn chosen(list: &[Self], args: &Args, tools: &Tools) -> Vec<Self> {
        let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
        let all = list.iter().copied();
        all.filter(|contestant| wanted(contestant.name()) && contestant.takes_part(tools)).collect()
    }

    /// Returns what it is called on the command line and in figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KopiaRs => "kopia-rs",
            Self::Before => "before",
            Self::Floor => "floor",
            Self::FloorWrite => "floor-write",
            Self::FloorDecode => "floor-decode",
            Self::Mover => "mover",
            Self::KopiaAtomic => "kopia-atomic",
            Self::KopiaCold => "kopia-cold",
            Self::KopiaWarm => "kopia-warm",
            Self::KopiaParallel => "kopia-parallel",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Vykar => "vykar",
            Self::Cp => "cp",
            Self::Tar => "tar",
            Self::Rsync => "rsync",
        }
    }

    /// Returns what it is called in the table and the chart.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::KopiaRs => "kopia-rs",
            Self::Before => "kopia-rs, before",
            Self::Floor => "floor: decode and write, no more",
            Self::FloorWrite => "floor: write only",
            Self::FloorDecode => "floor: decode only",
            Self::Mover => "kopia, as VolSync's mover runs it",
            Self::KopiaAtomic => "kopia, cold cache, atomic files",
            Self::KopiaCold => "kopia, cold cache",
            Self::KopiaWarm => "kopia, warm cache",
            Self::KopiaParallel => "kopia, cold cache, `--parallel 32`",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Vykar => "vykar",
            Self::Cp => "cp -a of the plain tree",
            Self::Tar => "tar x of an archive",
            Self::Rsync => "rsync -a of the plain tree",
        }
    }

    /// Returns the program that it needs.
    pub(crate) fn tool(self) -> Tool {
        match self {
            Self::KopiaRs => Tool::KopiaRs,
            Self::Before => Tool::Before,
            Self::Floor | Self::FloorWrite | Self::FloorDecode => Tool::Floor,
            Self::Mover | Self::KopiaAtomic | Self::KopiaCold | Self::KopiaWarm | Self::KopiaParallel => {
                Tool::Kopia
            }
            Self::Restic => Tool::Restic,
            Self::Rustic => Tool::Rustic,
            Self::Vykar => Tool::Vykar,
            Self::Cp => Tool::Cp,
            Self::Tar => Tool::Tar,
            Self::Rsync => Tool::Rsync,
        }
    }

    /// Returns whose repository it reads: that of kopia-rs is made by kopia. What reads none needs only itself.
    pub(crate) fn reads(self) -> Tool {
        match self.tool() {
            Tool::KopiaRs | Tool::Before | Tool::Floor => Tool::Kopia,
            tool => tool,
        }
    }

    /// Says whether everything that it needs is there.
    pub(crate) fn takes_part(self, tools: &Tools) -> bool {
        [self.tool(), self.reads()].iter().all(|tool| tools.path(*tool).is_some())
    }

    /// Returns whether it can be measured there: cp, tar and rsync read no repository.
    pub(crate) fn takes_part_at(self, away: Away) -> bool {
        let is_source = matches!(away, Away::Source { .. });
        !is_source || !matches!(self.tool(), Tool::Cp | Tool::Tar | Tool::Rsync)
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
            Tool::KopiaRs | Tool::Before | Tool::Floor => repositories.of(Tool::Kopia),
            Tool::Kopia => repositories.kopias_own(),
            Tool::Cp | Tool::Rsync | Tool::DelayedFs => repositories.tree.clone(),
            tool @ (Tool::Restic | Tool::Rustic | Tool::Vykar) => repositories.of(tool),
            // The archive is the one file in there.
            Tool::Tar => repositories.home(Tool::Tar),
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
        let (program, target) = (place.program(self.tool())?, &place.target);
        let repository = place.repositories.of(self.tool());
        let floor = |args: &[&str]| {
            let floor = Step::new(program, [place.repositories.of(Tool::Kopia)]).arg("latest").arg(target);
            vec![floor.and_args(args).variable("KOPIA_PASSWORD", PASSWORD)]
        };
        Ok(match self {
            Self::KopiaRs | Self::Before => vec![
                Step::new(program, ["restore", "latest"])
                    .arg(target)
                    .arg("--repository")
                    .arg(place.repositories.of(Tool::Kopia))
                    .variable("KOPIA_PASSWORD", PASSWORD),
            ],
            Self::Floor => floor(&[]),
            Self::FloorWrite => floor(&["--half", "write"]),
            Self::FloorDecode => floor(&["--half", "decode"]),
            Self::Mover => place.mover()?,
            Self::KopiaAtomic => place.kopia(&place.folder, target, &["--write-files-atomically"])?,
            Self::KopiaCold => place.kopia(&place.folder, target, &[])?,
            Self::KopiaParallel => place.kopia(&place.folder, target, &["--parallel", "32"])?,
            // It is connected already.
            Self::KopiaWarm => place.kopia(&place.kept, target, &[])?.split_off(1),
            Self::Restic => {
                let restore = ["restore", "latest", "--target"];
                vec![restic(program, &repository, &place.folder, &restore).arg(target)]
            }
            Self::Rustic => {
                let mut what = std::ffi::OsString::from("latest:");
                what.push(&place.repositories.tree);
                vec![rustic(program, &repository, &place.folder, &["restore"]).arg(what).arg(target)]
            }
            Self::Vykar => {
                // Of its own, as the repository may be seen through another folder than it was made in.
                let config = place.folder.join("vykar.yaml");
                fs::write(&config, vykar_config(&repository, &place.repositories.tree))?;
                vec![vykar(program, &config, &place.folder, &["restore", "latest"]).arg(target)]
            }
            Self::Cp => vec![Step::new(program, ["-a"]).arg(&place.repositories.tree).arg(target)],
            Self::Tar => {
                let mut folder = std::ffi::OsString::from("--one-top-level=");
                folder.push(target);
                vec![Step::new(program, ["--extract", "--file"]).arg(repository).arg(folder)]
            }
            // With a slash at its end, what lies in a folder is meant.
            Self::Rsync => {
                vec![Step::new(program, ["-a"]).arg(place.repositories.tree.join("")).arg(target)]
            }
        })
    }
}

impl Place<'_> {
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
        fs::create_dir(&self.target)?;
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
                .within(&self.target),
        ])
    }
}
