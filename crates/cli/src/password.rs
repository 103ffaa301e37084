//! Where the password comes from. Every buffer that held it is wiped, and none grows, as what it grew out of would not be.
//!
//! One copy is out of reach: the environment of a process can be seen by its user, and by root, for as long as it runs.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use kopia_rs::Password;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::args::Global;
use crate::error::Failure;
use crate::output::say;

/// The longest password in a file, in bytes; what is longer is another kind of file.
const LONGEST: usize = 1 << 16;

/// The longest line that a terminal gives, in bytes.
const LINE: usize = 4096;

/// Where the password that was used came from.
static USED: Mutex<Option<Used>> = Mutex::new(None);

/// What is known of the password that was used last, for advice about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) source: Source,
    pub(crate) is_empty: bool,
}

/// Where a password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    Environment,
    Prompt,
}

impl Source {
    /// Finds out where the password comes from, if one is given or can be asked for: what was asked for now comes first.
    fn of(global: &Global) -> Option<Self> {
        if let Some(path) = &global.password_file {
            return Some(Self::File(path.clone()));
        }
        if std::env::var_os("KOPIA_PASSWORD").is_some() {
            return Some(Self::Environment);
        }
        io::stdin().is_terminal().then_some(Self::Prompt)
    }
}

impl Used {
    /// Returns what is known of the password that was used last.
    pub(crate) fn last() -> Option<Self> {
        USED.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns whether the password has to be asked for.
pub(crate) fn is_asked_for(global: &Global) -> bool {
    Source::of(global) == Some(Source::Prompt)
}

/// How the terminal was before it stopped to show what is typed.
static TERMINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// Gets the password from the file, the environment or the terminal, in this order.
pub(crate) fn get(global: &Global) -> Result<Password, Failure> {
    get_if_any(global)?.ok_or_else(|| {
        Failure::failed("no password is given, and there is no terminal to ask for it")
            .hint("set KOPIA_PASSWORD (an empty one is a password too) or give --password-file")
    })
}

/// As [`get`], or `None` if there is no password, and no terminal to ask for it.
pub(crate) fn get_if_any(global: &Global) -> Result<Option<Password>, Failure> {
    let Some(source) = Source::of(global) else { return Ok(None) };
    let password = match &source {
        Source::File(path) => from_file(path)?,
        Source::Environment => {
            Password::new(std::env::var_os("KOPIA_PASSWORD").unwrap_or_default().into_vec())
        }
        Source::Prompt => typed()?,
    };
    let is_empty = password.as_bytes().is_empty();
    *USED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Used { source, is_empty });
    Ok(Some(password))
}

fn typed() -> Result<Password, Failure> {
    let asked = ask();
    show_typing();
    if !matches!(asked, Ok(Some(_))) {
        // The line of the question has no end.
        say("");
    }
    asked
        .map_err(|error| Failure::failed(format!("the password cannot be asked for: {error}")))?
        .ok_or_else(|| Failure::failed("no password was typed"))
}

fn from_file(path: &Path) -> Result<Password, Failure> {
    let failure = |error: io::Error| {
        Failure::failed(format!("the password file {} cannot be read: {error}", path.display()))
    };
    let mut file = File::open(path).map_err(failure)?;
    let mut bytes = Zeroizing::new(vec![0; LONGEST + 1]);
    let mut length = 0;
    loop {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failure(error)),
        }
    }
    if length > LONGEST {
        let path = path.display();
        return Err(Failure::failed(format!("the password file {path} has more than {LONGEST} bytes")));
    }
    let text = &bytes[..length];
    let end = text.strip_suffix(b"\r\n").or_else(|| text.strip_suffix(b"\n")).unwrap_or(text).len();
    Ok(taken(bytes, end))
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

/// Has the terminal show again what is typed: at the end of asking, or of the process where a signal comes before. Says
/// whether it did not.
pub(crate) fn show_typing() -> bool {
    let before = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner).take();
    before.is_some_and(|before| tcsetattr(io::stdin(), OptionalActions::Now, &before).is_ok())
}

/// Makes a password of the first bytes. It takes the whole buffer over, which is wiped to its end.
fn taken(mut bytes: Zeroizing<Vec<u8>>, length: usize) -> Password {
    bytes.truncate(length);
    Password::new(std::mem::take(&mut *bytes))
}
