//! The same Jobs to the original script and to the mover, side by side.
//!
//! `KOPIA_RS_ORIGINAL_MOVER` names the script, `mover-kopia/entry.sh` of VolSync's fork; it wants bash, jq and kopia
//! on PATH. Without it, the mover alone is run. Each Job says what both make of it, so that a difference which is
//! gone is noticed as well.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;
use kopia_testkit::servers;
use kopia_testkit::tree::{Compare, Kind, Tree, compare};

use crate::common::{Job, Pod};
use scenarios::{Scenario, all};

mod scenarios;

/// What the script cannot restore, and why.
const REFUSED: [(&str, &str); 2] = [
    ("comp-lz4", "kopia 0.23 does not decompress LZ4"),
    ("tricky", "kopia's atomic writes have no room for names of 255 bytes"),
];

/// The script, where there is one and what it calls.
fn script() -> Option<PathBuf> {
    let script = std::env::var_os("KOPIA_RS_ORIGINAL_MOVER")?;
    for program in ["bash", "jq", "kopia"] {
        assert!(servers::find(program).is_some(), "the script calls {program}, which is not on PATH");
    }
    Some(script.into())
}

/// Runs a Job by the script and returns how it ended.
fn by_script(script: &Path, pod: &Pod, job: Job) -> i32 {
    for folder in ["cache", "home"] {
        fs::create_dir_all(pod.path(folder)).unwrap();
    }
    let job = job.env("KOPIA_CACHE_DIR", pod.path("cache")).env("HOME", pod.path("home"));
    let job = job.env("PATH", std::env::var_os("PATH").unwrap()).env("KOPIA_CHECK_FOR_UPDATES", "false");
    let mut command = job.by_script(script).command();
    let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("bash runs");
    ended.code().expect("it ends by itself")
}

/// What a volume holds: `name=text` of each file, sorted; nothing if it is not there.
fn holds(volume: &Path) -> String {
    if !volume.exists() {
        return String::new();
    }
    let mut all = Vec::new();
    let mut folders = vec![volume.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(volume).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                all.push(format!("{name}->{}", fs::read_link(&path).unwrap().display()));
            } else {
                all.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
            }
        }
    }
    all.sort();
    all.join(" ")
}

impl Scenario {
    /// Makes a pod, and the Job in it.
    fn made(&self) -> (Pod, Job) {
        let pod = Pod::new();
        pod.write(self.repository);
        (self.prepare)(&pod);
        let job = pod.job(self.identity);
        let job = self.variables.iter().fold(job, |job, (name, value)| job.env(name, value));
        (pod, job)
    }
}

#[test]
fn each_job_ends_as_it_says_with_the_script_too() {
    let script = script();
    let mut wrong = Vec::new();
    for scenario in all() {
        let (pod, job) = scenario.made();
        let ran = job.run();
        let ended = (ran.code.unwrap(), holds(&pod.volume()));
        if (ended.0, &*ended.1) != scenario.mover {
            wrong.push(format!("{}: the mover ended with {ended:?}: {}", scenario.about, ran.last()));
        }
        let Some(script) = &script else { continue };
        let (pod, job) = scenario.made();
        let ended = (by_script(script, &pod, job), holds(&pod.volume()));
        if (ended.0, &*ended.1) != scenario.script.unwrap_or(scenario.mover) {
            wrong.push(format!("{}: the script ended with {ended:?}", scenario.about));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is in the volume, without the times of folders: kopia gives a folder that of the newest thing in it.
fn restored(pod: &Pod) -> Tree {
    let mut entries = Tree::scan(pod.volume()).entries().to_vec();
    entries.iter_mut().filter(|entry| entry.kind == Kind::Directory).for_each(|entry| entry.mtime_ns = 0);
    Tree::new(entries)
}

#[test]
fn every_source_of_every_repository_comes_back_alike() {
    let Some(script) = script() else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for case in golden::cases() {
        let pairs = case.pairs();
        let whole =
            pairs.iter().filter(|(listed, expected)| expected.file.is_none() && listed.incomplete.is_none());
        let sources: BTreeMap<_, _> = whole.map(|(listed, _)| (listed.source.to_string(), ())).collect();
        for source in sources.keys() {
            let (ours, theirs) = (Pod::new(), Pod::new());
            ours.golden(&case, source).run().exits(0);
            // kopia writes into what it reads.
            let copy = copy_repository(&case);
            let job = theirs.golden(&case, source).repository(&copy.path());
            let code = by_script(&script, &theirs, job);
            if let Some((_, why)) = REFUSED.iter().find(|(name, _)| case.name == *name) {
                assert_eq!(code, 1, "{}: {why}", case.name);
                continue;
            }
            let differences = compare(&restored(&theirs), &restored(&ours), &Compare::settable());
            if code != 0 || !differences.is_empty() {
                wrong.push(format!("{} {source}: {code}, {differences:#?}", case.name));
            }
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
    assert!(wrong.is_empty(), "{} of {compared}: {wrong:#?}", wrong.len());
}
