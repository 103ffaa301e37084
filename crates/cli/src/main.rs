//! The command `kopia-rs`: its `main` alone. What it does is in `kopia-rs-command`, which says why there are two crates;
//! the tests of the real binary are here.

use std::process::ExitCode;

fn main() -> ExitCode {
    kopia_rs_command::main()
}
