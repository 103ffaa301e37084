//! The terminal: taken over, and given back as it was, whatever ends the process.

use std::io::{self, IsTerminal, Stdout, Write, stdin, stdout};
use std::sync::{Mutex, MutexGuard, Once, TryLockError};
use std::time::Duration;
use std::{panic, thread};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::ResetColor;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui_core::backend::Backend;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};
use ratatui_crossterm::CrosstermBackend;
use rustix::termios::tcgetwinsize;

use crate::{Error, Result};

/// Whether the terminal is taken over; held while something is written to it.
static IS_TAKEN: Mutex<bool> = Mutex::new(false);

/// How long it is waited for whoever is writing: longer than that takes, unless the terminal takes nothing.
const PATIENCE: Duration = Duration::from_millis(100);

/// Returns why nothing can be browsed here, if that is so.
///
/// # Errors
/// [`Error::NoTerminal`], [`Error::Dumb`].
pub fn check(term: Option<&str>) -> Result<()> {
    let none = |stream| Err(Error::NoTerminal { stream });
    match term {
        _ if !stdin().is_terminal() => none("standard input"),
        _ if !stdout().is_terminal() => none("standard output"),
        Some(name @ "dumb") => Err(Error::Dumb { name: name.to_owned() }),
        _ => Ok(()),
    }
}

/// Gives the terminal back if it is taken over, from whatever thread; returns whether it was. Nothing is drawn
/// until [`Browser::run`](crate::Browser::run) takes it over again.
pub fn give_back() -> bool {
    match lock() {
        Some(mut is_taken) => std::mem::take(&mut *is_taken) && leave().is_ok(),
        // Whoever holds it hangs, or is a thread that panics while it draws.
        None => leave().is_ok(),
    }
}

/// Waits for who writes, but not for ever.
fn lock() -> Option<MutexGuard<'static, bool>> {
    const TRIES: u32 = 20;
    for _ in 0..TRIES {
        match IS_TAKEN.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => thread::sleep(PATIENCE / TRIES),
        }
    }
    None
}

fn leave() -> io::Result<()> {
    let mut out = stdout();
    // What has no other screen, such as the console of Linux, would keep what was drawn.
    queue!(out, ResetColor, Clear(ClearType::All), MoveTo(0, 0), LeaveAlternateScreen, Show)?;
    let flushed = out.flush();
    disable_raw_mode()?;
    flushed
}

/// Returns columns and rows of the terminal; one that does not say, such as a serial line, has 80 and 24.
fn size() -> (u16, u16) {
    let size = tcgetwinsize(stdout()).map_or((0, 0), |size| (size.ws_col, size.ws_row));
    if size.0 == 0 || size.1 == 0 { (80, 24) } else { size }
}

/// The terminal, taken over until this is dropped.
pub(crate) struct Screen {
    backend: CrosstermBackend<Stdout>,
    /// What the terminal shows.
    shown: Buffer,
}

impl Screen {
    pub(crate) fn take_over() -> Result<Self> {
        static HOOKED: Once = Once::new();
        HOOKED.call_once(|| {
            let before = panic::take_hook();
            // What is said of a panic would be lost on the other screen.
            panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        if let Some(mut is_taken) = lock() {
            *is_taken = true;
        }
        let screen = Self { backend: CrosstermBackend::new(stdout()), shown: Buffer::empty(Rect::ZERO) };
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Draws what differs from what is shown, unless the terminal was given back meanwhile. What draws returns
    /// where something is typed, if it is.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Buffer) -> Option<Position>) -> Result<()> {
        let Some(is_taken) = lock() else { return Ok(()) };
        if !*is_taken {
            return Ok(());
        }
        let (columns, rows) = size();
        let area = Rect::new(0, 0, columns, rows);
        if area != self.shown.area {
            self.shown = Buffer::empty(area);
            queue!(stdout(), ResetColor, Clear(ClearType::All))?;
        }
        let mut next = Buffer::empty(area);
        let cursor = draw(&mut next);
        self.backend.draw(self.shown.diff(&next).into_iter())?;
        match cursor {
            Some(place) => queue!(stdout(), MoveTo(place.x, place.y), Show)?,
            None => queue!(stdout(), Hide)?,
        }
        stdout().flush()?;
        self.shown = next;
        Ok(())
    }

    /// Has everything drawn again, whatever the terminal shows.
    pub(crate) fn forget(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    use std::process::{Command, Stdio};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    #[test]
    #[ignore = "is for a process of its own, at a terminal: the test below makes both"]
    fn panics_while_it_draws() {
        let mut screen = Screen::take_over().expect("a terminal");
        let _ = screen.draw(|_| panic!("a mistake"));
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_says_anything() {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&outside).expect("a terminal");
        unlockpt(&outside).expect("a terminal");
        let name = ptsname(&outside, Vec::new()).expect("a terminal");
        let name = std::ffi::OsStr::from_bytes(name.to_bytes());
        let inside = OpenOptions::new().read(true).write(true).open(name).expect("a terminal");
        let stream = || Stdio::from(inside.try_clone().expect("a descriptor"));
        let mut child = Command::new(std::env::current_exe().expect("a test has a program"));
        child.args(["screen::tests::panics_while_it_draws", "--exact", "--ignored", "--nocapture"]);
        let status = child.stdin(stream()).stdout(stream()).stderr(stream()).status().expect("it starts");
        assert!(!status.success());
        let modes = tcgetattr(&inside).expect("a terminal").local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG), "{modes:?}");
        // Once nobody can write to it any more, reading ends with an error behind the last of it.
        drop((child, inside));
        let mut said = Vec::new();
        let _ = File::from(outside).read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).into_owned();
        let place = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text:?} is not in {said:?}"));
        assert!(place("\u{1b}[?1049h") < place("\u{1b}[?1049l"));
        assert!(place("\u{1b}[?1049l") < place("a mistake"));
        assert!(place("\u{1b}[?25h") < place("a mistake"));
    }
}
