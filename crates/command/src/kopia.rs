//! kopia's words for tools: `kopia-rs kopia …`, or called as `kopia`.
//!
//! Operators run a `kopia` binary, read its JSON, its exit status and what it says. What only reads the repository is
//! done here, in kopia's words; everything else is handed to the real kopia, with arguments and environment as they
//! are.
//!
//! | room | what |
//! |---|---|
//! | `line` | the command line as kingpin reads it |
//! | `table` | commands and their options |
//! | `hand_over` | the real kopia: where it is, and becoming it |
//! | `trouble` | failures in kopia's words, by their class |
//! | `call` | the configuration, the password and the repository that a call means |
//! | the rest | a command or group of commands each |

mod call;
mod client;
mod connect;
mod contents;
mod diff;
mod hand_over;
mod line;
mod listing;
mod lists;
mod maintenance;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod mount;
mod objects;
mod policies;
mod restore;
mod retention;
mod snapshots;
mod status;
mod table;
mod trouble;
mod verify;
mod words;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::terminal::output::log_line;
use crate::terminal::signals::Interrupt;
use call::Call;
use line::Wrong;
use trouble::Trouble;

/// The name by which tools call it, and the word that stands for it.
const NAME: &str = "kopia";

/// What kopia says of a line that makes no sense, and of what failed.
const FAILED: u8 = 1;

/// What this program says of what it cannot do: no kopia has this status.
const UNABLE: u8 = 2;

/// Returns what follows the name, if kopia is meant.
pub(crate) fn called_with(all: &[OsString]) -> Option<Vec<OsString>> {
    let name = Path::new(all.first()?).file_name();
    if name == Some(OsStr::new(NAME)) {
        return Some(all[1..].to_vec());
    }
    (all.get(1).is_some_and(|word| word == NAME)).then(|| all[2..].to_vec())
}

/// Does what a line asks for, and returns the exit status.
pub(crate) fn run(arguments: &[OsString]) -> u8 {
    let (command, given) = match line::parse(arguments) {
        Ok(parsed) => parsed,
        Err(Wrong::Unknown(words)) => return hand_over(arguments, &words),
        // It may mean something to a newer kopia.
        Err(Wrong::Flag(words)) => {
            return match hand_over::find() {
                Ok(kopia) => hand_over::become_kopia(&kopia, arguments),
                Err(_) => {
                    log_line(words);
                    FAILED
                }
            };
        }
        Err(Wrong::Line(words)) => {
            log_line(words);
            return FAILED;
        }
        Err(Wrong::Version) => return answer(arguments, &version()),
        Err(Wrong::Help) => return answer(arguments, &help()),
    };
    if let Some(words) = hand_over::of_line(command, &given) {
        return hand_over(arguments, words);
    }
    // From here on nobody is handed this process, who would inherit limits, and signals that are not ignored any more.
    crate::process::prepare();
    let interrupt = Interrupt::install(crate::terminal::password::show_typing);
    let call = Call::new(given, &interrupt);
    let done = (command.run)(&call).and_then(|()| crate::terminal::output::check().map_err(Trouble::from));
    match end(done) {
        0 => 0,
        failed => interrupt.signal().map_or(failed, crate::terminal::signals::status),
    }
}

/// Says why it failed, if it did, and returns the exit status.
fn end(ended: Result<(), Trouble>) -> u8 {
    match ended {
        Ok(()) | Err(Trouble::BrokenPipe) => 0,
        Err(Trouble::Failed(lines)) => {
            lines.iter().for_each(log_line);
            FAILED
        }
    }
}

/// Leaves what is asked of kopia alone to the real one. Without one, says what it is here.
fn answer(arguments: &[OsString], text: &str) -> u8 {
    match hand_over::find() {
        Ok(kopia) => hand_over::become_kopia(&kopia, arguments),
        Err(_) => end(words::print(text)),
    }
}

/// Returns the version in kopia's form: tools take its first word for what can be asked for.
fn version() -> String {
    let from = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    format!("{} build: kopia-rs-{} from: {from}\n", table::VERSION, env!("CARGO_PKG_VERSION"))
}

fn help() -> String {
    let mut text = String::from(
        "usage: kopia [<flags>] <command> [<args> ...]\n\nCommands that kopia-rs has; all others are for kopia itself:\n",
    );
    for command in table::COMMANDS {
        text += &format!("  {}\n", table::name(command));
    }
    text
}

/// Becomes the real kopia. Without one, says what is missing.
fn hand_over(arguments: &[OsString], words: &str) -> u8 {
    match hand_over::find() {
        Ok(kopia) => hand_over::become_kopia(&kopia, arguments),
        Err(missing) => {
            log_line(format_args!(
                "kopia: error: kopia-rs never writes to a repository, so `{words}` is for kopia itself"
            ));
            log_line(format_args!("hint: {missing}"));
            UNABLE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_or_the_first_word_counts() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(called_with(&words("/usr/bin/kopia snapshot list")), Some(words("snapshot list")));
        assert_eq!(called_with(&words("kopia-rs kopia ls k1")), Some(words("ls k1")));
        assert_eq!(called_with(&words("kopia-rs ls kopia")), None);
        assert_eq!(called_with(&words("kopia")), Some(Vec::new()));
    }
}
