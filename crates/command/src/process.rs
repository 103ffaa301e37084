//! Limits and memory of this process, and how it ends by a mistake of its own.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is done where a panic ends the process, beside what is said.
static LAST_WORK: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

/// How long that may take: the thread that panicked may hold what it waits for, and a disk be slow.
const LONGEST: Duration = Duration::from_secs(1);

/// Raises the limit of open files, disables core dumps, and has freed memory given back.
///
/// A program that this process becomes by exec(3) would inherit the limits, so the mover calls this only once it
/// will not. The umask stays as it is: modes of restored entries are set through handles, and for all other
/// files it is right.
pub(crate) fn prepare() {
    kopia_rs::storage::filesystem::map_large_blocks();
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
        if let Some(work) = LAST_WORK.get() {
            // Nothing is ever sent: the thread drops its end once it is done, or if it cannot be had.
            let (done, wait) = mpsc::channel::<()>();
            let work = move || {
                let _done = done;
                work();
            };
            let _ = thread::Builder::new().spawn(work);
            let _ = wait.recv_timeout(LONGEST);
        }
        std::process::exit(1);
    }));
}

/// Sets what is done before a panic ends the process, once in its life: files go on telling how an earlier run
/// ended.
pub(crate) fn do_at_panic(work: impl Fn() + Send + Sync + 'static) {
    let _ = LAST_WORK.set(Box::new(work));
}

/// Returns whether a file is the program that runs: by device and inode, as links and what bind mounts show have other
/// names.
pub(crate) fn is_ourselves(file: &std::fs::Metadata) -> bool {
    let own = std::fs::metadata("/proc/self/exe").or_else(|_| std::env::current_exe()?.metadata());
    own.is_ok_and(|own| (own.dev(), own.ino()) == (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    #[ignore = "ends the process that runs it: the test below does, in a child"]
    fn panics_in_a_thread() {
        super::end_at_panic("error:");
        super::do_at_panic(|| println!("the last work is done"));
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
        let written = String::from_utf8_lossy(&output.stdout);
        assert!(written.contains("the last work is done"), "{written}");
    }

    /// Has each of 16 threads fill blocks of 4 MiB, as readers of packs do, and gives all of them back.
    ///
    /// Returns how many KiB of memory that are no file's the process has afterwards.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn fill_blocks_and_free_them() -> u64 {
        for _ in 0..3 {
            let block = || vec![1_u8; 4 << 20];
            let filling: Vec<_> = (0..16).map(|_| std::thread::spawn(block)).collect();
            let blocks: Vec<_> = filling.into_iter().map(|thread| thread.join().expect("it fills")).collect();
            assert!(std::hint::black_box(&blocks).iter().all(|block| block[block.len() - 1] == 1));
        }
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("as of Linux 4.5");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    #[ignore = "is for a process of its own: the test below makes one"]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn freed_blocks_in_a_process() {
        super::prepare();
        println!("{} KiB", fill_blocks_and_free_them());
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn what_is_freed_is_given_back() {
        let mut child = Command::new(std::env::current_exe().expect("a test has a program"));
        child.args(["process::tests::freed_blocks_in_a_process", "--exact", "--ignored", "--nocapture"]);
        let output = child.output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let kib =
            said.lines().find_map(|line| line.strip_suffix(" KiB")?.rsplit(' ').next()?.parse::<u64>().ok());
        assert!(kib.is_some_and(|kib| kib < 16 << 10), "of 64 MiB in threads' heaps: {said}");
    }
}
