//! How two text files differ, line by line.

use std::fs;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kopia_rs::Entry;
use similar::TextDiff;

use super::report::Report;
use crate::args;
use crate::terminal::output::for_terminal;

/// The longest files that are compared line by line, in bytes.
const LONGEST: u64 = 16 << 20;

/// How long to look for the shortest list of changes; after that, a longer one is shown.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads a file of a snapshot; nothing if it is too long to be compared.
pub(super) fn read(entry: &Entry) -> io::Result<Option<Vec<u8>>> {
    if entry.size() > LONGEST {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    entry.open()?.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Reads a file of this machine.
pub(super) fn read_local(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= LONGEST))
}

/// Shows how a file changed. The inner result is why that cannot be told.
pub(super) fn show(
    report: &mut Report,
    path: &str,
    old: io::Result<Option<Vec<u8>>>,
    new: io::Result<Option<Vec<u8>>>,
) -> ControlFlow<(), Result<(), String>> {
    let (old, new) = match (old, new) {
        (Ok(Some(old)), Ok(Some(new))) => (old, new),
        (Ok(_), Ok(_)) => {
            let written = writeln!(report.out, "  (too long to be compared line by line)");
            report.broken.note(written)?;
            return ControlFlow::Continue(Ok(()));
        }
        (Err(error), _) | (_, Err(error)) => return ControlFlow::Continue(Err(error.to_string())),
    };
    if let Some((program, arguments)) = args::Diff::program() {
        return ControlFlow::Continue(call(report, &program, &arguments, path, &old, &new));
    }
    let (Some(old), Some(new)) = (text(&old), text(&new)) else {
        let written = writeln!(report.out, "  (no text)");
        report.broken.note(written)?;
        return ControlFlow::Continue(Ok(()));
    };
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let unified = diff.unified_diff().header(&format!("old/{path}"), &format!("new/{path}")).to_string();
    for line in unified.lines() {
        // Tabs are harmless, and what lines are indented by.
        let pieces: Vec<_> = line.split('\t').map(for_terminal).collect();
        let written = writeln!(report.out, "{}", pieces.join("\t"));
        report.broken.note(written)?;
    }
    ControlFlow::Continue(Ok(()))
}

/// Takes bytes for a text if they may be one.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Has another program compare two files, which it finds in a folder that only this user may read.
fn call(
    report: &mut Report,
    program: &Path,
    arguments: &[String],
    path: &str,
    old: &[u8],
    new: &[u8],
) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("kopia-rs-diff-").tempdir();
    let folder = folder.map_err(|error| format!("no folder for {}: {error}", program.display()))?;
    // Programs guess by the end of a name what is in a file.
    let extension = Path::new(path).extension().and_then(|end| end.to_str()).unwrap_or("txt");
    let write = |side: &str, bytes: &[u8]| {
        let file = folder.path().join(format!("{side}.{extension}"));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(&file)?.write_all(bytes)?;
        Ok(file)
    };
    let files = write("old", old).and_then(|old| Ok((old, write("new", new)?)));
    let (old, new) = files.map_err(|error: io::Error| error.to_string())?;
    let _ = report.out.flush();
    // It may fail because the files differ, as diff does.
    let ran = Command::new(program).args(arguments).arg(old).arg(new).stdin(Stdio::null()).status();
    ran.map(drop).map_err(|error| format!("KOPIA_DIFF names {}: {error}", program.display()))
}
