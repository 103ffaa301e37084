//! A sample of the matrix through the real binary: files on a disk, exit statuses, messages, and that nothing
//! but the target is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kopia_rs::ContentId;
use kopia_testkit::damage::{Change, Damage, copy_repository};
use kopia_testkit::random::Random;
use kopia_testkit::scratch;
use serde_json::Value;

use crate::judge::{Ended, judge};
use crate::sound::{Fate, Snapshot, Sound};
use crate::{Tally, cases, each};

/// Repositories, each with the blobs of which one is damaged: what their names begin with.
const SAMPLE: [(&str, &[&str]); 3] = [
    ("compacted-v0.8.4", &["kopia.repository", "p", "q", "n", "m"]),
    ("ecc-5", &["kopia.repository", "p", "q", "xn"]),
    ("epochs", &["xn", "xs", "xr"]),
];

#[test]
fn the_command() {
    let tally = Tally::default();
    each(SAMPLE, |(name, kinds)| {
        let case = cases(&[name]).into_iter().find(|case| case.name == name).unwrap();
        let sound = Sound::new(case.clone(), case.cheap_blobs(), false);
        for (number, kind) in kinds.iter().enumerate() {
            let id = sound.ids(kind).next().unwrap();
            each(damages(&sound, id, name), |damage| {
                let changes = damage.changes(id, &sound.blobs);
                for degraded in [false, true] {
                    let mode = if degraded { "degraded" } else { "strict" };
                    tally.case(&format!("{name}, {mode}: {id} {damage}"), || {
                        tally.restored();
                        // Another snapshot for every kind.
                        let snapshot = &sound.snapshots[number % sound.snapshots.len()];
                        Run { sound: &sound, snapshot, id, changes: &changes, degraded }.judged()
                    });
                }
            });
        }
    });
    tally.finish("the command");
}

/// Each kind of damage once, in the middle.
fn damages(sound: &Sound, id: &str, name: &str) -> [Damage; 6] {
    let length = sound.blobs[id].len();
    let mut random = Random::of(&format!("{name} {id}"));
    let other = sound.ids(&id[..1]).find(|other| *other != id).or_else(|| sound.ids("q").next()).unwrap();
    [
        Damage::Truncate(random.within(1..length)),
        Damage::FlipBit(random.within(length / 4..length - length / 4), 3),
        Damage::Zero(length / 2..length / 2 + length / 4),
        Damage::Delete,
        Damage::Append(random.bytes(10)),
        Damage::Swap(other.clone()),
    ]
}

/// A restore of one snapshot.
struct Run<'a> {
    sound: &'a Sound,
    snapshot: &'a Snapshot,
    /// The blob that is damaged.
    id: &'a str,
    changes: &'a [Change],
    degraded: bool,
}

impl Run<'_> {
    fn is_index(&self) -> bool {
        !self.id.starts_with(['k', 'p', 'q'])
    }

    /// A damaged index blob ends it, one that is missing may be noticed late or never.
    fn may_fail(&self) -> bool {
        self.id == "kopia.repository" || self.is_index() && !self.degraded
    }

    fn fate_of(&self, content: &ContentId) -> Fate {
        match (self.is_index(), self.degraded) {
            (true, false) => Fate::Either,
            (false, false) => self.sound.fate_of(content, self.changes),
            // Another pack may have it, too.
            (_, true) => self.sound.fate_of(content, self.changes).min(Fate::Either),
        }
    }

    /// Says what is wrong with it.
    fn judged(&self) -> Vec<String> {
        let copy = copy_repository(&self.sound.case);
        copy.blob("kopia.repository").write(&self.sound.blobs["kopia.repository"]);
        copy.change(self.changes);
        let place = scratch();
        let target = place.path().join("target");
        let others = ["home", "temporary", "here"].map(|name| place.path().join(name));
        others.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
        command.args(["restore", &self.snapshot.id, "--json"]).arg(&target);
        command.arg("--repository").arg(copy.path()).args(self.degraded.then_some("--degraded"));
        command.env_clear().env("KOPIA_PASSWORD", &self.sound.case.password);
        command.env("HOME", &others[0]).env("TMPDIR", &others[1]).current_dir(&others[2]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let mut wrong = self.wrong(&output, &target);
        wrong.extend(unchanged(self.sound, self.changes, &copy.path()));
        wrong.extend(strays(place.path(), &others));
        wrong
    }

    fn wrong(&self, output: &Output, target: &Path) -> Vec<String> {
        let stderr = std::str::from_utf8(&output.stderr).unwrap();
        let mut wrong = Vec::new();
        let code = output.status.code();
        let said = stderr.lines().any(|line| line.starts_with("error:"));
        if said == (code == Some(0)) {
            wrong.push(format!("exit status {code:?} does not fit what was said:\n{stderr}"));
        }
        let fate_of = |content: &_| self.fate_of(content);
        let own = self.sound.own_fates(self.snapshot, &self.sound.repository, fate_of);
        match code {
            Some(1) => {
                let list = self.sound.fate_of_list(fate_of);
                if !self.may_fail() && list == Fate::Kept && own[""] == Fate::Kept {
                    wrong.push(format!("it failed without need:\n{stderr}"));
                }
                wrong.extend(target.exists().then(|| "it failed and left something".to_owned()));
                let named = self.changes.iter().any(|change| stderr.contains(&change.id));
                wrong.extend((!named && !self.degraded).then(|| format!("no blob is named:\n{stderr}")));
                let helps = self.degraded || !self.is_index() || stderr.contains("--degraded");
                wrong.extend((!helps).then(|| format!("--degraded is not named:\n{stderr}")));
            }
            Some(code @ (0 | 3)) => {
                let ended = ended(&output.stdout);
                if matches!(&ended, Ended::Done(problems) if problems.is_empty() != (code == 0)) {
                    wrong.push(format!("exit status {code} does not fit the problems:\n{stderr}"));
                }
                // Where indexes are lost, a content is missing, and nobody knows from where.
                let blamed = if self.is_index() { &[] } else { self.changes };
                let blamed: Vec<&str> = blamed.iter().map(|change| change.id.as_str()).collect();
                wrong.extend(judge(self.snapshot, &own, &ended, target, &blamed));
            }
            _ => wrong.push(format!("exit status {code:?}:\n{stderr}")),
        }
        wrong
    }
}

/// Nothing is written but the target: not at home, not where temporary files go, not here.
fn strays(place: &Path, others: &[PathBuf]) -> Vec<String> {
    let names = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let beside =
        names(place).into_iter().filter(|path| *path != place.join("target") && !others.contains(path));
    let within = others.iter().flat_map(|folder| names(folder));
    beside.chain(within).map(|path| format!("{} was written", path.display())).collect()
}

/// Reads the problems of `--json`.
fn ended(stdout: &[u8]) -> Ended {
    let json: Value = serde_json::from_slice(stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let problem = |problem: &Value| (text(&problem["path"]), text(&problem["message"]));
    Ended::Done(json["problems"].as_array().unwrap().iter().map(problem).collect())
}

/// Nothing is repaired in a repository that is only to be read.
fn unchanged(sound: &Sound, changes: &[Change], repository: &Path) -> Vec<String> {
    let mut blobs = sound.blobs.clone();
    for Change { id, after } in changes {
        match after {
            Some(bytes) => drop(blobs.insert(id.clone(), bytes.clone())),
            None => drop(blobs.remove(id)),
        }
    }
    let found = kopia_testkit::damage::blobs(repository, "");
    let found = found.into_iter().map(|blob| (blob.id.clone(), fs::read(&blob.path).unwrap())).collect();
    if blobs == found { Vec::new() } else { vec!["the repository was changed".to_owned()] }
}
