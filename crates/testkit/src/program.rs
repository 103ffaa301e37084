//! Programs that a test makes and runs.
//!
//! Linux runs no program that some process has open for writing (ETXTBSY), and a process that another thread
//! starts meanwhile has a copy of the descriptor until it runs something itself. So another process writes them.

use std::path::Path;
use std::process::Command;

/// Copies a program, with its mode.
pub fn copy(from: impl AsRef<Path>, to: &Path) {
    run(Command::new("cp").arg("-p").arg(from.as_ref()).arg(to), to);
}

/// Writes a script that everybody may run; its text begins with `#!`.
pub fn write(path: &Path, text: &str) {
    let write = r#"printf %s "$1" > "$2" && chmod 755 "$2""#;
    run(Command::new("/bin/sh").args(["-c", write, "sh", text]).arg(path), path);
}

fn run(command: &mut Command, path: &Path) {
    let status = command.status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{}: {status:?}", path.display());
}
