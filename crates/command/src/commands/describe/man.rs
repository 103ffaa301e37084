//! `man [DIR]`: manual pages, made of what `--help` says.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::{self, Args};
use crate::error::{Exit, Failure};
use crate::terminal::output::{self, count, for_terminal};

pub(super) fn run(args: &args::Man) -> Result<Exit, Failure> {
    let mut command = Args::command().disable_help_subcommand(true);
    // Names of pages and global options come with it.
    command.build();
    let Some(directory) = &args.directory else {
        return Exit::Complete.after(print(command));
    };
    let failed = |error: io::Error| Failure::system(directory.display(), &error);
    fs::create_dir_all(directory).map_err(failed)?;
    let written = write(command, directory).map_err(failed)?;
    let mut out = output::out();
    let pages = count(written, "page", "pages");
    let said = writeln!(out, "wrote {pages} to {}", for_terminal(&directory.display().to_string()));
    Exit::Complete.after(said.and_then(|()| out.flush()))
}

/// Writes the page of the command itself to standard output.
fn print(command: Command) -> io::Result<()> {
    let mut out = output::out();
    Man::new(command).render(&mut out)?;
    out.flush()
}

/// Writes the pages of a command and of those below it, and returns how many they are.
fn write(command: Command, directory: &Path) -> io::Result<u64> {
    let mut written = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()).cloned() {
        written += write(below, directory)?;
    }
    Man::new(command).generate_to(directory)?;
    Ok(written)
}
