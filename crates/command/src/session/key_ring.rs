//! The key ring of the system, in which kopia may have stored the password of a configuration.

use std::path::Path;

use kopia_rs::connection::{Connection, Environment, Storage};

use crate::args::Global;
use crate::error::Failure;

/// By which kopia on Linux is told to use the key ring.
const USE: &str = "KOPIA_USE_KEYRING";

/// What Go takes for true, and for false.
const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE: [&str; 6] = ["0", "f", "F", "FALSE", "false", "False"];

/// Takes the password that the key ring has for a configuration, and returns whether it has one. It is asked
/// where nobody gives another one, and none lies beside the configuration. Where kopia is told to use it, it
/// goes before that file.
///
/// # Errors
/// That it cannot be asked, where nobody can be asked instead.
pub(super) fn fill(
    connection: &mut Connection,
    config: &Path,
    global: &Global,
    environment: &Environment,
) -> Result<bool, Failure> {
    let set = environment.var(USE);
    let is_used = set.is_some_and(|set| TRUE.contains(&set));
    let is_refused = set.is_some_and(|set| FALSE.contains(&set));
    let is_stored = connection.password.is_some();
    if is_refused || is_given(connection, global, environment) || is_stored && !is_used {
        return Ok(false);
    }
    ask(connection, config, environment, is_used)
}

/// Returns whether a password is given that goes before a stored one.
fn is_given(connection: &Connection, global: &Global, environment: &Environment) -> bool {
    let is_set = |name| environment.var_os(name).is_some();
    let is_rest = matches!(&connection.storage, Storage::Server(place) if place.is_rest());
    let is_option = global.password_file.is_some() || global.password_command.is_some();
    is_option || is_set("KOPIA_PASSWORD") || is_rest && is_set("KOPIA_SERVER_PASSWORD")
}

#[cfg(feature = "key-ring")]
fn ask(
    connection: &mut Connection,
    config: &Path,
    environment: &Environment,
    is_used: bool,
) -> Result<bool, Failure> {
    use std::io::IsTerminal;

    use kopia_rs::connect::key_ring::{self, Error};
    use kopia_rs::diagnosis::Class;

    use crate::terminal::output::{escape, log_line};

    let error = match key_ring::fill(connection, config, environment) {
        Ok(is_found) => return Ok(is_found),
        Err(error) => error,
    };
    // Most machines have none, and kopia uses it only if it is told to.
    let matters = is_used || matches!(error, Error::Locked | Error::Silent { .. });
    if !matters || connection.password.is_some() {
        return Ok(false);
    }
    if std::io::stdin().is_terminal() {
        log_line(format_args!("note: {}, so the password is asked for", escape(&error.to_string())));
        return Ok(false);
    }
    let unlock = match error {
        Error::Locked => "unlock the key ring (a session of its user's does), or ",
        _ => "",
    };
    Err(Failure::failed(format!("no password is given, and {error}"))
        .with_class(Class::AuthFailure)
        .hint(format!("{unlock}set KOPIA_PASSWORD, or give --password-file")))
}

#[cfg(not(feature = "key-ring"))]
fn ask(_: &mut Connection, _: &Path, _: &Environment, is_used: bool) -> Result<bool, Failure> {
    if is_used {
        crate::terminal::output::log_line("note: this build of kopia-rs asks no key ring");
    }
    Ok(false)
}

/// Returns whether the key ring has a password for a configuration; `None` if it cannot be asked.
#[cfg(feature = "key-ring")]
pub(crate) fn has(connection: &Connection, config: &Path, environment: &Environment) -> Option<bool> {
    kopia_rs::connect::key_ring::fill(&mut connection.clone(), config, environment).ok()
}

/// As above, of no key ring.
#[cfg(not(feature = "key-ring"))]
pub(crate) fn has(_: &Connection, _: &Path, _: &Environment) -> Option<bool> {
    None
}
