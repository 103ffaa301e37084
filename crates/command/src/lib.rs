//! All that the command `kopia-rs` does; the crate of the command itself has nothing but its `main`.
//!
//! | room | what | imports |
//! |---|---|---|
//! | `wording` | words that several others share | nothing of the others |
//! | `terminal` | standard streams, password prompt, progress, signals, reports, times | `wording` |
//! | `args` | the command line, as clap reads it | `terminal` |
//! | `error` | exit status, message and hints of a failure | `terminal`, `wording` |
//! | `process` | limits of this process, its end by a panic | nothing |
//! | `session` | from the global options to an open repository | all above |
//! | `commands` | one module a command | all above |
//! | `mover` | VolSync's restore Job, in rooms of its own | all above but `commands` |
//! | `kopia` | kopia's words for tools, in rooms of its own | all above but `mover` |
//!
//! Each command returns an `Exit` or a `Failure` of `error`; exit codes are decided
//! here and nowhere else.
//!
//! It is a crate of its own as it is built for size. The command is not: the last step of a build optimises all
//! crates once more, by the wishes of the crate that has `main`. Where that was built for size, no loop of any crate was
//! vectorised, and a key took half as long again to derive.

mod args;
mod commands;
mod error;
#[cfg(feature = "kopia-words")]
mod kopia;
mod mover;
mod process;
mod session;
mod terminal;
mod wording;

use std::process::ExitCode;

use terminal::password;
use terminal::signals::Interrupt;

/// Gives the terminal back as it was; returns whether a line without an end is left there.
fn restore_terminal() -> bool {
    #[cfg(feature = "terminal-browser")]
    kopia_rs::browse::give_back();
    password::show_typing()
}

/// Runs the command with the arguments of this process, and returns the exit status that it ends with. It takes over
/// signals and panics, and sets limits of the process: nobody but the command's `main` has a use for it.
pub fn main() -> ExitCode {
    #[cfg(feature = "kopia-words")]
    if let Some(words) = kopia::called_with(&std::env::args_os().collect::<Vec<_>>()) {
        process::end_at_panic("kopia: error:");
        return ExitCode::from(kopia::run(&words));
    }
    let name = std::env::args_os().next();
    let arguments = mover::called_with(std::env::args_os());
    process::end_at_panic(if mover::is_called(&arguments) { "ERROR:" } else { "error:" });
    let args = match args::Args::parse_line(&arguments) {
        Ok(args) => args,
        Err(error) if mover::is_called(&arguments) && error.use_stderr() => {
            return ExitCode::from(mover::wrong_usage(&arguments, &error));
        }
        Err(error) => {
            if error.use_stderr() {
                commands::tell_of_wrong_usage(&arguments);
            }
            args::foreign::exit(error)
        }
    };
    let interrupt = Interrupt::install(restore_terminal);
    if let Some(args::Command::Mover(mover)) = &args.command {
        return ExitCode::from(mover::run(name.as_deref(), &args.global, mover, &interrupt));
    }
    process::prepare();
    let ended = commands::run(&args, &interrupt).and_then(|exit| exit.after(terminal::output::check()));
    let status = match ended {
        Ok(exit) => exit.status(),
        Err(failure) => {
            failure.report();
            if let Some(json) = failure.json().filter(|_| args.global.json) {
                if args.owns_stdout() {
                    // What was written there is taken for bytes of a file.
                    terminal::output::log_json_error(&json);
                } else {
                    // Whoever reads no output learns it from the exit status.
                    let _ = terminal::output::json_error(&json);
                }
            }
            failure.status()
        }
    };
    ExitCode::from(status)
}
