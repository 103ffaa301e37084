//! Reads the password from a file, a command, the environment or the terminal. Every buffer that held it is
//! wiped, and none grows, as what it grew out of would not be.
//!
//! One copy is out of reach: the environment of a process can be seen by its user, and by root, for as long
//! as it runs.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use kopia_rs::connection::Environment;
use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::storage::Failure;
use kopia_rs::{Error, Password};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::terminal::output::log_line;

/// The longest password in a file, in bytes; what is longer is another kind of file.
const LONGEST: usize = 1 << 16;

/// The longest line that a terminal gives, in bytes.
const LINE: usize = 4096;

/// The password of the web pages of `kopia server`, as it is told it itself.
const SERVER_PASSWORD: &str = "KOPIA_SERVER_PASSWORD";

/// Why there is no password.
#[derive(Debug)]
pub(crate) enum NoPassword {
    /// None is given, and there is no terminal to ask for it.
    NotGiven,
    /// It cannot be read, or was not typed.
    Unreadable(String),
}

/// What the options say of where the password is; one of them at most.
#[derive(Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    pub(crate) file: Option<&'a Path>,
    /// What prints it, as the shell reads it.
    pub(crate) command: Option<&'a OsStr>,
}

/// Returns where the password comes from, if one is given or can be asked for: a file or a command goes before
/// the environment, and that before what the connection has. An empty variable, by which kopia means none, goes
/// before the question alone.
pub(crate) fn source(given: Given<'_>, stored: Option<&PasswordSource>) -> Option<PasswordSource> {
    if let Some(path) = given.file {
        return Some(PasswordSource::File(path.into()));
    }
    if given.command.is_some() {
        return Some(PasswordSource::Command);
    }
    let variable = std::env::var_os("KOPIA_PASSWORD");
    if variable.as_ref().is_some_and(|password| !password.is_empty() || stored.is_none()) {
        return Some(PasswordSource::Environment);
    }
    stored.cloned().or_else(|| io::stdin().is_terminal().then_some(PasswordSource::Prompt))
}

/// Returns where the password of a server's user comes from, of which [`source`] found out where another's does.
/// As a server is told that of its web pages by a variable of its own, nobody is asked for what is there.
pub(crate) fn source_of_user(
    source: Option<PasswordSource>,
    environment: &Environment,
    is_rest: bool,
) -> Option<PasswordSource> {
    let is_set = is_rest && environment.var(SERVER_PASSWORD).is_some();
    match source {
        None | Some(PasswordSource::Prompt) if is_set => Some(PasswordSource::ServerEnvironment),
        source => source,
    }
}

/// How the terminal was before it stopped showing what is typed.
static TERMINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// Returns whether a person may have to do something for it, who is not to be asked for nothing.
pub(crate) fn is_asked_for(source: Option<&PasswordSource>) -> bool {
    matches!(source, Some(PasswordSource::Prompt | PasswordSource::Command))
}

/// Returns whether there is one without asking at a terminal.
pub(crate) fn is_given(source: Option<&PasswordSource>) -> bool {
    !matches!(source, None | Some(PasswordSource::Prompt))
}

/// Reads the password from where it comes, which [`source`] found out; `stored` is that of the connection.
pub(crate) fn read(
    source: Option<&PasswordSource>,
    given: Given<'_>,
    stored: Option<&Password>,
) -> Result<Password, NoPassword> {
    match source.ok_or(NoPassword::NotGiven)? {
        PasswordSource::Command => from_command(given.command.ok_or(NoPassword::NotGiven)?),
        PasswordSource::File(path) => from_file(path),
        PasswordSource::Environment => {
            Ok(Password::new(std::env::var_os("KOPIA_PASSWORD").unwrap_or_default().into_vec()))
        }
        PasswordSource::ServerEnvironment => {
            Ok(Password::new(std::env::var_os(SERVER_PASSWORD).unwrap_or_default().into_vec()))
        }
        PasswordSource::Stored(_) | PasswordSource::KeyRing | PasswordSource::Connection => {
            stored.cloned().ok_or(NoPassword::NotGiven)
        }
        PasswordSource::Prompt => typed(),
    }
}

/// Opens something with a password as it is given and, where kopia would take white space from its ends,
/// without that.
pub(crate) fn open_with<R>(
    source: Option<&PasswordSource>,
    password: &Password,
    open: impl Fn(&Password) -> kopia_rs::Result<R>,
) -> kopia_rs::Result<R> {
    let error = match open(password) {
        Err(error) if is_refused(&error) => error,
        result => return result,
    };
    let is_trimmed = matches!(source, Some(PasswordSource::Environment | PasswordSource::Connection));
    match password.trimmed().filter(|_| is_trimmed).map(|trimmed| open(&trimmed)) {
        Some(Err(second)) if is_refused(&second) => Err(error),
        Some(result) => result,
        None => Err(error),
    }
}

/// Returns whether a password was not believed, or cannot be one of a server's user.
fn is_refused(error: &Error) -> bool {
    let failure = || match error {
        Error::Storage(error) => error.failure(),
        _ => None,
    };
    matches!(error, Error::WrongPassword { .. })
        || matches!(failure(), Some(Failure::WrongKey { .. } | Failure::Unusable { .. }))
}

fn typed() -> Result<Password, NoPassword> {
    let asked = ask();
    show_typing();
    if !matches!(asked, Ok(Some(_))) {
        // The line of the question has no end.
        log_line("");
    }
    asked
        .map_err(|error| NoPassword::Unreadable(format!("the password cannot be asked for: {error}")))?
        .ok_or_else(|| NoPassword::Unreadable("no password was typed".into()))
}

fn from_file(path: &Path) -> Result<Password, NoPassword> {
    let failure = |error: io::Error| {
        NoPassword::Unreadable(format!("the password file {} cannot be read: {error}", path.display()))
    };
    let file = File::open(path).map_err(failure)?;
    without_last_break(file).map_err(failure)?.ok_or_else(|| {
        let path = path.display();
        NoPassword::Unreadable(format!("the password file {path} has more than {LONGEST} bytes"))
    })
}

/// Takes what a command prints. It may ask for something on the terminal itself, and is not shown in errors:
/// there are people who write passwords into commands.
fn from_command(command: &OsStr) -> Result<Password, NoPassword> {
    let failure = |error: &dyn fmt::Display| {
        NoPassword::Unreadable(format!("the password command cannot be run: {error}"))
    };
    let mut shell = Command::new("/bin/sh");
    let mut child =
        shell.arg("-c").arg(command).stdout(Stdio::piped()).spawn().map_err(|error| failure(&error))?;
    let printed = child.stdout.take().map_or(Ok(None), without_last_break);
    // What still prints now finds nobody who reads.
    let status = child.wait().map_err(|error| failure(&error))?;
    let password = printed.map_err(|error| failure(&error))?.ok_or_else(|| {
        NoPassword::Unreadable(format!("the password command prints more than {LONGEST} bytes"))
    })?;
    if !status.success() {
        return Err(NoPassword::Unreadable(format!("the password command failed: {status}")));
    }
    Ok(password)
}

/// Reads to the end, without one line break there; nothing is returned if it is too long for a password.
fn without_last_break(mut from: impl Read) -> io::Result<Option<Password>> {
    let mut bytes = Zeroizing::new(vec![0; LONGEST + 1]);
    let mut length = 0;
    loop {
        match from.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if length > LONGEST {
        return Ok(None);
    }
    let text = &bytes[..length];
    let end = text.strip_suffix(b"\r\n").or_else(|| text.strip_suffix(b"\n")).unwrap_or(text).len();
    Ok(Some(taken(bytes, end)))
}

/// Asks on the terminal, which standard input is. Nothing is returned where the input ends instead.
fn ask() -> io::Result<Option<Password>> {
    // Not to be read through: it would keep a copy in its buffer.
    let terminal = io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ICANON | LocalModes::ECHONL);
    {
        // Held, so that a signal comes before both steps or after both.
        let mut kept = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        *kept = Some(before);
    }
    io::stderr().write_all(b"Password of the repository: ")?;
    let mut line = Zeroizing::new(vec![0; LINE]);
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&terminal, &mut line[..]))?;
    if length == 0 {
        return Ok(None);
    }
    let end = line[..length].strip_suffix(b"\n").map_or(length, <[u8]>::len);
    Ok(Some(taken(line, end)))
}

/// Makes the terminal show again what is typed, at the end of asking or, after a signal, of the process;
/// returns whether it did not show it.
pub(crate) fn show_typing() -> bool {
    let before = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner).take();
    before.is_some_and(|before| tcsetattr(io::stdin(), OptionalActions::Now, &before).is_ok())
}

/// Makes a password of the first bytes. It takes the whole buffer over, which is wiped to its end.
fn taken(mut bytes: Zeroizing<Vec<u8>>, length: usize) -> Password {
    bytes.truncate(length);
    Password::new(std::mem::take(&mut *bytes))
}
