//! What a terminal shows, as far as `browse` uses it.

use std::io::Read;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::KopiaRs;
use crate::terminal::Terminal;

/// How long it is waited for something to be shown: for machines with much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program at a terminal, and what that shows.
pub(super) struct Session {
    pub(super) terminal: Terminal,
    child: Child,
    /// How the terminal was before.
    settings: String,
    bytes: Receiver<Vec<u8>>,
    /// All that was written.
    written: Vec<u8>,
    size: (usize, usize),
}

impl Session {
    /// Starts it at a terminal of so many columns and rows.
    pub(super) fn start(command: KopiaRs, columns: u16, rows: u16) -> Self {
        let terminal = Terminal::open();
        terminal.resize_to(columns, rows);
        let settings = terminal.settings();
        let child = command.on(&terminal);
        let mut outside = terminal.outside();
        let (send, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = outside.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let size = (columns.into(), rows.into());
        Self { terminal, child, settings, bytes, written: Vec::new(), size }
    }

    /// Takes what was written meanwhile.
    pub(super) fn take(&mut self) {
        self.written.extend(self.bytes.try_iter().flatten());
    }

    /// Returns the lines of the screen.
    pub(super) fn lines(&self) -> Vec<String> {
        lines(&String::from_utf8_lossy(&self.written), self.size)
    }

    /// Returns all that was written so far.
    pub(super) fn written(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Waits until the screen shows all of these.
    #[track_caller]
    pub(super) fn wait_for(&mut self, texts: &[&str]) {
        let start = Instant::now();
        loop {
            let screen = self.lines().join("\n");
            if texts.iter().all(|text| screen.contains(text)) {
                return;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.written.extend(bytes),
                Err(_) => panic!("{texts:?} do not come:\n{screen}"),
            }
        }
    }

    /// Presses keys, and waits until the screen shows all of these.
    #[track_caller]
    pub(super) fn press(&mut self, keys: &str, texts: &[&str]) {
        self.terminal.press(keys);
        self.wait_for(texts);
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Gives the terminal another size, and says so, as one does that is the process's own.
    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        self.terminal.resize_to(columns, rows);
        self.size = (columns.into(), rows.into());
        self.signal(Signal::WINCH);
    }

    /// Waits for the end, sees that the terminal is as it was, and returns exit status and all that was written.
    #[track_caller]
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("it ends");
        assert_eq!(self.terminal.settings(), self.settings);
        // Once nobody can write to it any more, its reader ends with the last of it.
        drop(self.terminal);
        while let Ok(bytes) = self.bytes.recv_timeout(PATIENCE) {
            self.written.extend(bytes);
        }
        let written = String::from_utf8_lossy(&self.written).into_owned();
        let at = |text: &str| written.rfind(text);
        assert!(at("\u{1b}[?1049l") > at("\u{1b}[?1049h"), "it is on the other screen: {written:?}");
        assert!(at("\u{1b}[?25h") > at("\u{1b}[?25l"), "the cursor is hidden: {written:?}");
        (status.code(), written)
    }
}

/// Returns what stands on a screen once all of this was written to it.
fn lines(written: &str, (columns, rows): (usize, usize)) -> Vec<String> {
    let empty = || vec![vec![' '; columns]; rows];
    let (mut screen, mut x, mut y) = (empty(), 0, 0);
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\r' => x = 0,
            '\n' if y + 1 < rows => y += 1,
            '\n' => screen.rotate_left(1),
            '\u{1b}' => {
                let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
                let (numbers, letter) = (rest.get(1..end).unwrap_or_default(), rest.get(end..=end));
                let mut numbers = numbers.split(';').map(|number| number.parse().unwrap_or(1_usize));
                match letter {
                    Some("H") => {
                        y = numbers.next().unwrap_or(1).saturating_sub(1).min(rows.saturating_sub(1));
                        x = numbers.next().unwrap_or(1).saturating_sub(1);
                    }
                    Some("J") => screen = empty(),
                    _ => {}
                }
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            c if x < columns => {
                screen[y][x] = c;
                x += 1;
            }
            _ => {}
        }
    }
    screen.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect()
}
