//! A folder as if it lay behind a network, for one restore: this package's other program does that.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use kopia_rs_benches::operations::Counts;

use crate::Result;

/// A mounted folder. It is unmounted when this is dropped, or when this process dies.
pub(crate) struct Mount {
    child: Child,
    /// The program ends with its standard input.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Mount {
    /// Mounts `folder` at `point`, which is made, with so long a round trip.
    ///
    /// # Errors
    /// If it cannot be mounted; the program says why on standard error.
    pub(crate) fn start(program: &Path, trip: Duration, folder: &Path, point: &Path) -> Result<Self> {
        fs::create_dir_all(point)?;
        let mut child = Command::new(program)
            .arg("--attached")
            .arg(format!("--delay-ms={}", trip.as_secs_f64() * 1000.0))
            .arg(folder)
            .arg(point)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut mount = Self { child, input, output };
        let mut line = String::new();
        mount.output.read_line(&mut line)?;
        if line.trim_end() != "mounted" {
            return Err(format!("{} cannot be mounted", point.display()).into());
        }
        Ok(mount)
    }

    /// Unmounts it, and returns what was asked for.
    pub(crate) fn end(mut self) -> Result<Counts> {
        drop(self.input.take());
        let mut counts = String::new();
        self.output.read_to_string(&mut counts)?;
        Ok(serde_json::from_str(&counts)?)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}
