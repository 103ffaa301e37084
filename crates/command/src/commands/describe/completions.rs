//! `completions`: what shells need to complete words, and the answers to what they ask then.
//!
//! The scripts ask this very program, so they never lag behind it: `completions -- WORDS` writes a candidate a
//! line, with a tab and what it is. The engine is clap_complete's, which calls it unstable: hence its version
//! is pinned. Its own scripts are not used: that of bash takes `user@host:/path` apart.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::engine::{ArgValueCompleter, PathCompleter, ValueCompleter, complete};

use super::candidates;
use crate::args::{Args, Shell};
use crate::error::{Exit, Failure};
use crate::terminal::output;

/// What values are called that name something in the repository.
const IN_REPOSITORY: [&str; 4] = ["WHAT", "OTHER", "PATH", "SOURCE"];

/// Writes what a shell has to be told.
pub(super) fn register(shell: Option<Shell>) -> Result<Exit, Failure> {
    let script = match shell.or_else(shell_of_user) {
        Some(Shell::Bash) => include_str!("completions/kopia-rs.bash"),
        Some(Shell::Zsh) => include_str!("completions/kopia-rs.zsh"),
        Some(Shell::Fish) => include_str!("completions/kopia-rs.fish"),
        None => return Err(Failure::usage("which shell is it? name bash, zsh or fish")),
    };
    let mut out = output::out();
    let said = out.write_all(script.replace("PROGRAM", &quoted(&program())).as_bytes());
    Exit::Complete.after(said.and_then(|()| out.flush()))
}

/// Returns the shell that SHELL names, if it is one of ours.
fn shell_of_user() -> Option<Shell> {
    let shell = PathBuf::from(env::var_os("SHELL")?);
    match shell.file_name()?.to_str()? {
        "bash" => Some(Shell::Bash),
        "zsh" => Some(Shell::Zsh),
        "fish" => Some(Shell::Fish),
        _ => None,
    }
}

/// Returns how the scripts are to call this program: by its name as it was called, or by its whole path.
fn program() -> String {
    let name = env::args_os().next().map(PathBuf::from).unwrap_or_else(|| "kopia-rs".into());
    let is_path = name.components().count() > 1;
    let path = if is_path { std::path::absolute(&name).unwrap_or(name) } else { name };
    path.to_string_lossy().into_owned()
}

/// Quotes a word as all three shells read it, if it needs that.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if word.chars().all(is_plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Writes the candidates for the last of some words.
pub(super) fn answer(words: &[OsString]) -> Result<Exit, Failure> {
    be_silent();
    let last = words.len().saturating_sub(1);
    let mut command = command(words);
    // Where there is nothing to offer it is an error, too.
    let found = complete(&mut command, words.to_vec(), last, env::current_dir().ok().as_deref());
    let mut out = output::out();
    let said = found.unwrap_or_default().iter().try_for_each(|candidate| -> io::Result<()> {
        out.write_all(candidate.get_value().as_encoded_bytes())?;
        if let Some(help) = candidate.get_help() {
            write!(out, "\t{}", help.to_string().lines().next().unwrap_or_default())?;
        }
        out.write_all(b"\n")
    });
    Exit::Complete.after(said.and_then(|()| out.flush()))
}

/// Cuts standard input and error off: nobody is asked anything, and nothing is said, while a line is typed.
fn be_silent() {
    if let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Returns the command with what its arguments can be.
fn command(words: &[OsString]) -> Command {
    let mut command = Args::command();
    // Those that all commands take, and --help, come with it.
    command.build();
    // There are some forty options: they are offered once a hyphen is typed, or where there is nothing else.
    let hides_options = words.last().is_some_and(|last| last.is_empty());
    with_values(command, words, hides_options)
}

fn with_values(command: Command, words: &[OsString], hides_options: bool) -> Command {
    // The last of what these take is a place of this machine.
    let takes_place = ["restore", "export"].contains(&command.get_name());
    let has_what = words.iter().filter(|word| !word.as_encoded_bytes().starts_with(b"-")).count() > 3;
    let is_place = takes_place && has_what;
    let command = command.mut_args(|arg| {
        if arg.is_positional() { with_value(arg, words, is_place) } else { option(arg, hides_options) }
    });
    command.mut_subcommands(|below| with_values(below, words, hides_options))
}

fn option(arg: Arg, is_hidden: bool) -> Arg {
    let is_place = name(&arg).as_deref() == Some("WHERE");
    let arg = if is_place { arg.value_hint(ValueHint::AnyPath) } else { arg };
    let is_hidden = is_hidden || arg.is_hide_set();
    arg.hide(is_hidden)
}

fn with_value(arg: Arg, words: &[OsString], is_place: bool) -> Arg {
    if !name(&arg).is_some_and(|name| IN_REPOSITORY.contains(&&*name)) {
        return arg;
    }
    let words = words.to_vec();
    arg.add(ArgValueCompleter::new(move |current: &OsStr| {
        let mut found = candidates::find(&words, current);
        if is_place {
            found.extend(PathCompleter::any().complete(current));
        }
        found
    }))
}

/// Returns what the value of an argument is called.
fn name(arg: &Arg) -> Option<String> {
    arg.get_value_names()?.first().map(ToString::to_string)
}
