//! What a store needs beside its place, under kopia's own names. A URL can say all of it, too.

use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};
use kopia_rs::connection::storage::Options;
use kopia_rs::connection::storage::options::{KNOWN, Known};

/// Options of stores, as they are given: a list of [`KNOWN`] keeps what `--help` and URLs know in one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stores(Options);

impl Stores {
    /// Returns what is given, by kopia's names.
    pub(crate) fn options(&self) -> Options {
        self.0.clone()
    }
}

/// Makes an option of the command. Few need one, so `--help` shows those of all stores alone.
fn arg(known: &Known) -> Arg {
    let arg = Arg::new(known.name).long(known.name).global(true).help(help(known));
    let arg = arg.hide(!known.is_common()).hide_short_help(true).help_heading("Options of all commands");
    match known.value {
        Some(name) => {
            arg.value_name(name).action(ArgAction::Append).allow_hyphen_values(takes_hyphens(known))
        }
        None => arg.action(ArgAction::SetTrue),
    }
}

/// Returns whether a value may begin with a hyphen: keys in PEM do, and refusing them would show them.
fn takes_hyphens(known: &Known) -> bool {
    known.is_list || known.is_secret || known.name == "ssh-args"
}

/// Says what an option is for, and which variable says the same.
pub(crate) fn help(known: &Known) -> String {
    let variable = known.variable.map(|name| format!(" [env: {name}]")).unwrap_or_default();
    format!("{}{variable}", known.about)
}

impl clap::Args for Stores {
    fn augment_args(command: Command) -> Command {
        command.args(KNOWN.iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Stores {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut stores = Self::default();
        stores.update_from_arg_matches(matches)?;
        Ok(stores)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for Known { name, value, .. } in KNOWN {
            if value.is_none() {
                if matches.get_flag(name) {
                    self.0.set(*name, "");
                }
                continue;
            }
            for value in matches.get_many::<String>(name).into_iter().flatten() {
                self.0.set(*name, value.as_str());
            }
        }
        Ok(())
    }
}
