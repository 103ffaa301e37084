//! Backs a tree up with every tool, once, and knows where the repositories are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;
use crate::step::Step;
use crate::tools::{Tool, Tools};

/// Of all repositories.
pub(crate) const PASSWORD: &str = "comparison";

/// Whose backup kopia thinks it is, in the way of VolSync: an application, its namespace, its volume.
pub(crate) const USER: &str = "app";
pub(crate) const HOST: &str = "media";
pub(crate) const SOURCE: &str = "app@media:/data";

/// All repositories of one set.
#[derive(Debug)]
pub(crate) struct Repositories {
    folder: PathBuf,
    /// The tree that was backed up.
    pub(crate) tree: PathBuf,
}

impl Repositories {
    /// Makes those of these tools that are missing.
    pub(crate) fn make(tools: &Tools, tree: &Path, folder: &Path, of: &[Tool]) -> Result<Self> {
        let repositories = Self { folder: folder.into(), tree: tree.into() };
        for &tool in of {
            let Some(program) = tools.path(tool) else { continue };
            let place = folder.join(tool.name());
            let complete = place.join("complete");
            if complete.exists() {
                continue;
            }
            eprintln!("backing up with {}: {}", tool.name(), place.display());
            if place.exists() {
                fs::remove_dir_all(&place)?;
            }
            fs::create_dir_all(&place)?;
            repositories.back_up(tool, program)?;
            File::create(complete)?;
        }
        Ok(repositories)
    }

    /// Returns the folder that all of them lie in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the same repositories as they are seen through another folder.
    pub(crate) fn seen_at(&self, folder: &Path) -> Self {
        Self { folder: folder.into(), tree: self.tree.clone() }
    }

    /// Returns the folder of a tool's repository. Kopia's is the one that kopia-rs reads.
    pub(crate) fn of(&self, tool: Tool) -> PathBuf {
        self.folder.join(tool.name()).join("repository")
    }

    /// Returns the folder that a tool keeps its configuration in.
    pub(crate) fn home(&self, tool: Tool) -> PathBuf {
        self.folder.join(tool.name())
    }

    /// Returns the copy that kopia itself reads: it writes into repositories even when it only restores.
    pub(crate) fn kopias_own(&self) -> PathBuf {
        self.folder.join(Tool::Kopia.name()).join("copy")
    }

    /// Returns the id of kopia's snapshot.
    pub(crate) fn snapshot(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.join(Tool::Kopia.name()).join("snapshot"))?)
    }

    fn back_up(&self, tool: Tool, program: &Path) -> Result<()> {
        let (place, repository) = (self.folder.join(tool.name()), self.of(tool));
        let log = place.join("log");
        let run = |step: Step| step.run(&log).map(|(_, output)| output);
        match tool {
            Tool::Kopia => {
                let kopia = |args: &[&str]| kopia(program, &place, args);
                run(kopia(&["repository", "create", "filesystem", "--path"]).arg(&repository))?;
                run(kopia(&["policy", "set", "--global", "--compression=zstd-fastest"]))?;
                let create = ["snapshot", "create", "--json", "--no-progress", "--override-source", SOURCE];
                let snapshot: Snapshot = serde_json::from_str(&run(kopia(&create).arg(&self.tree))?)?;
                fs::write(place.join("snapshot"), snapshot.id)?;
                let copy = Step::new(Path::new("cp"), ["-a", "--reflink=never"]);
                run(copy.arg(repository).arg(self.kopias_own()))?;
            }
            Tool::Restic => {
                run(restic(program, &repository, &place, &["init"]))?;
                run(restic(program, &repository, &place, &["backup", "."]).within(&self.tree))?;
            }
            Tool::Rustic => {
                run(rustic(program, &repository, &place, &["init"]))?;
                run(rustic(program, &repository, &place, &["backup"]).arg(&self.tree))?;
            }
            Tool::Vykar => {
                let config = place.join("repository.yaml");
                fs::write(&config, vykar_config(&repository, &self.tree))?;
                run(vykar(program, &config, &place, &["init"]))?;
                run(vykar(program, &config, &place, &["backup"]))?;
            }
            Tool::Tar => {
                // Only this format has fractions of seconds.
                let create = Step::new(program, ["--format=posix", "--create", "--file"])
                    .arg(&repository)
                    .arg("--directory");
                run(create.arg(&self.tree).arg("."))?;
            }
            Tool::KopiaRs | Tool::Before | Tool::Floor | Tool::Cp | Tool::Rsync | Tool::DelayedFs => {}
        }
        Ok(())
    }
}

/// The part of what `kopia snapshot create --json` prints that is of interest.
#[derive(Deserialize)]
struct Snapshot {
    id: String,
}

/// Kopia with configuration, cache and logs in a folder of its own.
pub(crate) fn kopia(program: &Path, home: &Path, args: &[&str]) -> Step {
    Step::new(program, args)
        .variable("HOME", home)
        .variable("KOPIA_PASSWORD", PASSWORD)
        .variable("KOPIA_CONFIG_PATH", home.join("repository.config"))
        .variable("KOPIA_CACHE_DIRECTORY", home.join("cache"))
        .variable("KOPIA_CHECK_FOR_UPDATES", "false")
}

pub(crate) fn restic(program: &Path, repository: &Path, home: &Path, args: &[&str]) -> Step {
    Step::new(program, ["--no-cache", "--quiet", "--repo"])
        .arg(repository)
        .variable("HOME", home)
        .variable("RESTIC_PASSWORD", PASSWORD)
        .and_args(args)
}

pub(crate) fn rustic(program: &Path, repository: &Path, home: &Path, args: &[&str]) -> Step {
    Step::new(program, ["--no-cache", "--no-progress", "--repository"])
        .arg(repository)
        .variable("HOME", home)
        .variable("RUSTIC_PASSWORD", PASSWORD)
        .and_args(args)
}

/// Vykar's cache cannot be switched off, but it lies in the home folder, so that a new one begins without.
pub(crate) fn vykar(program: &Path, config: &Path, home: &Path, args: &[&str]) -> Step {
    Step::new(program, ["--config"])
        .arg(config)
        .variable("HOME", home)
        .variable("VYKAR_PASSPHRASE", PASSWORD)
        .and_args(args)
}

/// Returns vykar's configuration for one repository of a tree.
pub(crate) fn vykar_config(repository: &Path, tree: &Path) -> String {
    let config = serde_json::json!({
        "repositories": [{"label": "main", "url": repository}],
        "sources": [{"path": tree, "label": "data"}],
    });
    // JSON is YAML.
    config.to_string()
}
