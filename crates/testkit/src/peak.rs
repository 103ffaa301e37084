//! How much memory something takes at most: it runs in a process of its own, of which the kernel keeps count.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Tells the process of its own which work is its, and where its place is.
const WORK: &str = "KOPIA_TESTKIT_PEAK_WORK";
const PLACE: &str = "KOPIA_TESTKIT_PEAK_PLACE";

/// The file in that place which says how much was taken.
const RESULT: &str = "peak";

/// Runs `work` in a process of its own, and returns the most bytes that this had in memory meanwhile: the
/// program itself, some ten MiB, and files that it mapped included.
///
/// Before that, `set_up` runs in this process; both get the same empty directory, in memory where there is
/// one. `test` is the name of the test that calls this, with its modules, and `case` one word for this call:
/// the new process runs that test once more, which ends with this work.
///
/// Returns nothing where the system does not tell: Linux alone does.
///
/// # Panics
///
/// When the work does.
pub fn of(test: &str, case: &str, set_up: impl FnOnce(&Path), work: impl FnOnce(&Path)) -> Option<u64> {
    let key = OsString::from(format!("{test} {case}"));
    match std::env::var_os(WORK) {
        Some(wanted) if wanted == key => {
            let place = std::env::var_os(PLACE).expect("both variables are set");
            work(Path::new(&place));
            let bytes = resident().unwrap_or_default().to_string();
            fs::write(Path::new(&place).join(RESULT), bytes).expect("the result can be written");
            std::process::exit(0);
        }
        // That of another call in the same test.
        Some(_) => return None,
        None => {}
    }
    resident()?;
    let place = crate::scratch();
    set_up(place.path());
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"));
    child.args([test, "--exact", "--include-ignored", "--test-threads=1"]);
    let output = child.env(WORK, &key).env(PLACE, place.path()).output().expect("it can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{test} {case}: {}\n{said}", output.status);
    let bytes = fs::read_to_string(place.path().join(RESULT));
    Some(bytes.unwrap_or_else(|error| panic!("{test} {case}: {error}\n{said}")).parse().expect("a number"))
}

/// Returns the most bytes that this process ever had in memory.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_touched_counts_and_what_is_not_does_not() {
        let name = "peak::tests::what_is_touched_counts_and_what_is_not_does_not";
        let nothing = |_: &std::path::Path| {};
        let little = super::of(name, "little", nothing, |_| drop(Vec::<u8>::with_capacity(64 << 20)));
        let much = super::of(name, "much", nothing, |_| drop(std::hint::black_box(vec![1_u8; 64 << 20])));
        let (Some(little), Some(much)) = (little, much) else { return };
        assert!((60 << 20..80 << 20).contains(&(much - little)), "{little} and {much} bytes");
    }
}
