//! One command of a contestant, and what it took.
//!
//! The system tells the peak memory of children only as that of the largest one ever, and a child's is never
//! less than that of the process that started it. So each command gets a small parent of its own: this
//! program again, as `compare measure`, which runs nothing else and prints the figures.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use kopia_rs_benches::usage::Usage;
use serde::{Deserialize, Serialize};

use crate::Result;

/// How much of a failed command's messages is shown, in bytes.
const SHOWN: usize = 600;

/// A command line.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    program: PathBuf,
    args: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
    folder: Option<PathBuf>,
    may_fail: bool,
}

/// What a command took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Wall seconds.
    pub(crate) wall_s: f64,
    /// Processor seconds of all its processes.
    pub(crate) cpu_s: f64,
    /// The most memory of one process in MiB; none where it means nothing.
    pub(crate) peak_mib: Option<f64>,
    /// What went over the line; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traffic: Option<Traffic>,
}

/// What went over a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    /// That the server sent.
    pub(crate) bytes: u64,
}

/// What `compare measure` prints.
#[derive(Serialize, Deserialize)]
struct Measured {
    taken: Taken,
    /// None after a signal.
    code: Option<i32>,
}

impl Step {
    pub(crate) fn new<A: Into<OsString>>(program: &Path, args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { program: program.into(), args, variables: Vec::new(), folder: None, may_fail: false }
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn and_args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(Into::into));
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Runs it in this folder.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Takes a failure as it comes: it is part of what is measured.
    pub(crate) fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// Runs commands one after the other, with their messages in a folder; returns what they took together.
    pub(crate) fn run_all(steps: &[Self], folder: &Path) -> Result<Taken> {
        let mut taken: Option<Taken> = None;
        for (number, step) in steps.iter().enumerate() {
            let (step_taken, _) = step.run(&folder.join(format!("step-{number}.log")))?;
            taken = Some(taken.map_or(step_taken, |taken| taken.and(step_taken)));
        }
        Ok(taken.ok_or("nothing to measure")?)
    }

    /// Runs it and returns what it took and what it wrote to standard output. Its messages go to files beside
    /// `log`.
    pub(crate) fn run(&self, log: &Path) -> Result<(Taken, String)> {
        let (output, errors) = (log.with_extension("out"), log.with_extension("err"));
        let mut measure = Command::new(std::env::current_exe()?);
        measure.arg("measure").arg("--output").arg(&output).arg("--errors").arg(&errors);
        measure.arg("--").arg(&self.program).args(&self.args).stdin(Stdio::null());
        // Nothing that is set for a tool outside may change what it does here.
        measure.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
        measure.envs(self.variables.iter().cloned());
        if let Some(folder) = &self.folder {
            measure.current_dir(folder);
        }
        let ended = measure.stderr(Stdio::inherit()).output()?;
        if !ended.status.success() {
            return Err(format!("{} could not be started", self.program.display()).into());
        }
        let Measured { taken, code } = serde_json::from_slice(&ended.stdout)?;
        if code != Some(0) && !self.may_fail {
            let errors = fs::read(&errors)?;
            let last = String::from_utf8_lossy(&errors[errors.len().saturating_sub(SHOWN)..]).into_owned();
            let code = code.map_or("a signal".into(), |code| format!("exit status {code}"));
            return Err(format!("{} ended with {code}: {}", self.program.display(), last.trim()).into());
        }
        Ok((taken, String::from_utf8_lossy(&fs::read(&output)?).into_owned()))
    }
}

impl Taken {
    /// Of two commands, one after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        let peak_mib = match (self.peak_mib, other.peak_mib) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        // Traffic is counted once, at the end of all.
        let traffic = other.traffic.or(self.traffic);
        Self { wall_s: self.wall_s + other.wall_s, cpu_s: self.cpu_s + other.cpu_s, peak_mib, traffic }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s, {:.2} CPU s", self.wall_s, self.cpu_s)?;
        self.peak_mib.map_or(Ok(()), |peak| write!(f, ", {peak:.0} MiB"))?;
        match self.traffic {
            Some(Traffic { requests, bytes }) => write!(f, ", {requests} requests, {bytes} bytes"),
            None => Ok(()),
        }
    }
}

/// `compare measure`: runs a command and prints what it took.
pub(crate) fn measure(output: &Path, errors: &Path, command: &[OsString]) -> Result<()> {
    let (program, args) = command.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command.args(args).stdout(File::create(output)?).stderr(File::create(errors)?);
    let clock = Instant::now();
    let status = command.status().map_err(|error| format!("{}: {error}", program.display()))?;
    let wall_s = clock.elapsed().as_secs_f64();
    let usage = Usage::of_children()?;
    let peak_mib = Some(usage.peak_kib as f64 / 1024.0);
    let taken = Taken { wall_s, cpu_s: usage.cpu.as_secs_f64(), peak_mib, traffic: None };
    println!("{}", serde_json::to_string(&Measured { taken, code: status.code() })?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_and_memory_does_not() {
        let one = Taken { wall_s: 1.0, cpu_s: 2.0, peak_mib: Some(30.0), traffic: None };
        let other = Taken { wall_s: 0.5, cpu_s: 0.25, peak_mib: Some(20.0), traffic: None };
        assert_eq!(one.and(other), Taken { wall_s: 1.5, cpu_s: 2.25, ..one });
        let unknown = Taken { peak_mib: None, ..other };
        assert_eq!(unknown.and(unknown).peak_mib, None);
    }
}
