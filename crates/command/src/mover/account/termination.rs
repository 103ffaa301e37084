//! The container's message: one line of JSON in the file that kubelet reads when the container has ended.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::report::JobReport;

/// How much of it kubelet takes, in bytes.
const LONGEST: usize = 4096;

/// Writes the message if the file is there. Outside a pod it is not, and is not made.
pub(crate) fn write(path: &Path, report: &JobReport) -> io::Result<()> {
    // Whatever has that name must neither lead elsewhere nor keep the end waiting.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut file = OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    file.set_len(0)?;
    let mut line = serde_json::to_vec(report)?;
    if line.len() >= LONGEST {
        line = serde_json::to_vec(&report.shortest())?;
    }
    line.push(b'\n');
    file.write_all(&line)
}
