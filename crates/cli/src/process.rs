//! Limits of this process.

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
