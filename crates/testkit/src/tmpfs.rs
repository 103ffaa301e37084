//! A small file system in memory, for tests of disks that fill up.
//!
//! Mounting needs a mount namespace, which a test gets by running itself once more.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the rerun finds it.
const VARIABLE: &str = "KOPIA_RS_TEST_TMPFS";

/// Returns where the file system is mounted, if this is the test that [`rerun`] started.
pub fn mounted() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// Runs a test of this binary by itself, in a mount namespace of its own with a file system in memory mounted
/// at `directory`. Where there are no such namespaces, it is skipped, and that is said.
///
/// # Panics
/// If the test fails.
pub fn rerun(test: &str, directory: &Path) {
    let may = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|ran| ran.status.success());
    if !may {
        crate::facilities::left_out("no mount namespaces here");
        return;
    }
    let script = "mount -t tmpfs tmpfs \"$2\" && exec \"$0\" \"$1\" --exact --nocapture";
    let this = std::env::current_exe().expect("a test has a path");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script]).arg(this).arg(test).arg(directory).env(VARIABLE, directory);
    let output = command.output().expect("unshare just ran");
    let [said, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{told}");
    eprint!("{told}");
}

/// Gives the file system another size, in bytes, and at least a page: none stands for no limit.
///
/// # Panics
/// If it has more in it than that.
pub fn resize(directory: &Path, bytes: u64) {
    let mut command = Command::new("mount");
    let status = command.arg("-o").arg(format!("remount,size={}", bytes.max(4096))).arg(directory).status();
    assert!(status.expect("mount ran before").success(), "{bytes} bytes are too little");
}

/// Returns how many bytes of the file system are used.
///
/// # Panics
/// If the directory is not there.
pub fn used(directory: &Path) -> u64 {
    let output =
        Command::new("stat").args(["-f", "-c", "%b %f %S"]).arg(directory).output().expect("stat runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let [blocks, free, block] = numbers[..] else { panic!("{text}") };
    (blocks - free) * block
}
