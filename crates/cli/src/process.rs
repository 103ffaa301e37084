//! Limits of this process, and how it ends by a mistake of its own.

use std::io::Write;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files and disables core dumps.
///
/// A program that this process becomes by exec(3) would inherit both, so the mover calls this only once it
/// will not. The umask stays as it is: modes of restored entries are set through handles, and for all other
/// files it is right.
pub(crate) fn prepare() {
    // Large files are open while their pieces are written; 64 at once, as some containers have it, are few.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    // No crash may write keys and plain data down. Linux runs the program that cores are piped to whatever
    // the limit is, but for a limit of 1. To make the process undumpable would take its own files in /proc
    // away from it.
    let limit = getrlimit(Resource::Core);
    let least = limit.maximum.map_or(1, |maximum| maximum.min(1));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(least), ..limit });
}

/// Lets a panic of any thread end the process with exit status 1, and with a line that begins with `label`.
///
/// Nothing is left to save: the repository is only read, and the next run goes on with what was restored.
pub(crate) fn end_at_panic(label: &'static str) {
    let said_by_default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        said_by_default(panic);
        // Not `eprintln!`: it would panic again where standard error is closed.
        let _ = writeln!(
            std::io::stderr(),
            "{label} this is a mistake in kopia-rs: please report it with the lines above\n\
             the repository is as it was, and the same command goes on with what was restored"
        );
        std::process::exit(1);
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    #[ignore = "ends the process that runs it: the test below does, in a child"]
    fn panics_in_a_thread() {
        super::end_at_panic("error:");
        let _ = std::thread::spawn(|| panic!("a mistake")).join();
        unreachable!("the process has ended");
    }

    #[test]
    fn a_panic_of_a_thread_ends_the_process_with_an_error() {
        let mut child = Command::new(std::env::current_exe().expect("a test has a program"));
        child.args(["process::tests::panics_in_a_thread", "--exact", "--ignored", "--nocapture"]);
        let output = child.output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("a mistake"), "{said}");
        assert!(said.lines().any(|line| line.starts_with("error: this is a mistake in kopia-rs")), "{said}");
    }
}
