//! Commands by which the command describes itself to shells, to `man` and to programs.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Describe {
    /// Print what a shell needs to complete commands, options, sources, snapshots and paths in them.
    #[command(after_help = "Put one line into the shell's start file:\n  \
                            bash, ~/.bashrc:                  source <(kopia-rs completions bash)\n  \
                            zsh, ~/.zshrc, after compinit:    source <(kopia-rs completions zsh)\n  \
                            fish, ~/.config/fish/config.fish: kopia-rs completions fish | source\n\n\
                            Sources, snapshots and paths are completed where the repository opens without a \
                            question: variables, kopia's configuration and what stands on the line say which it is.")]
    Completions(Completions),
    /// Write manual pages: one of the command and one of each of its commands.
    #[command(after_help = "Examples:\n  kopia-rs man | man -l -\n  \
                            kopia-rs man ~/.local/share/man/man1 && man kopia-rs-restore")]
    Man(Man),
    /// Print the schema of everything that is written as JSON.
    #[command(after_help = "Examples:\n  kopia-rs schema | jq -r '.outputs | keys[]'\n  \
                            kopia-rs schema | jq '.\"$defs\".restore'\n\n\
                            It is one JSON Schema (2020-12). `version` rises when a field goes away or changes what \
                            it means.")]
    Schema,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell; without it the one that SHELL names.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Option<Shell>,
    /// The words of a line up to the one that is to be completed.
    #[arg(last = true, hide = true, value_name = "WORD", conflicts_with = "shell")]
    pub(crate) words: Vec<OsString>,
}

/// A shell that can be told how to complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The folder to write all pages to; it is made if it is missing. Without it, the page of the command goes
    /// to standard output.
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}
