//! A terminal with nobody before it but the test.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Child;
use std::thread::JoinHandle;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

const QUESTION: &str = "Password of the repository: ";

pub(crate) struct Terminal {
    outside: File,
    inside: File,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&outside).expect("a terminal");
        unlockpt(&outside).expect("a terminal");
        let name = ptsname(&outside, Vec::new()).expect("a terminal");
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlags::NOCTTY.bits() as i32);
        let inside = options.open(std::ffi::OsStr::from_bytes(name.to_bytes())).expect("a terminal");
        Self { outside: outside.into(), inside }
    }

    /// The end for the command.
    pub(crate) fn inside(&self) -> File {
        self.inside.try_clone().expect("a descriptor")
    }

    /// Waits for the question, which must be all that is said before the answer.
    pub(crate) fn wait_for_question(&self, child: &mut Child) {
        let mut said = [0; QUESTION.len()];
        child.stderr.as_mut().expect("a pipe").read_exact(&mut said).expect("the command asks");
        assert_eq!(std::str::from_utf8(&said), Ok(QUESTION));
        assert!(!self.shows_typing());
    }

    /// Waits for words before the question.
    pub(crate) fn wait_for(&self, child: &mut Child, words: &str) {
        let mut said = vec![0; words.len()];
        child.stderr.as_mut().expect("a pipe").read_exact(&mut said).expect("the command says it");
        assert_eq!(std::str::from_utf8(&said), Ok(words));
    }

    /// Waits for the question, types a line, and sees that the terminal shows no more than its end.
    pub(crate) fn answer(&mut self, child: &mut Child, line: &str) {
        self.wait_for_question(child);
        self.outside.write_all(format!("{line}\n").as_bytes()).expect("the terminal takes it");
        let mut shown = [0; 2];
        self.outside.read_exact(&mut shown).expect("the terminal shows it");
        assert_eq!(&shown, b"\r\n");
    }

    /// Returns what a command has shown that wrote no more than a terminal keeps, line by line.
    pub(crate) fn shown(&mut self, lines: usize) -> Vec<String> {
        let mut shown = String::new();
        while shown.matches('\n').count() < lines {
            let mut buffer = [0; 4096];
            let count = self.outside.read(&mut buffer).expect("the terminal shows it");
            shown.push_str(std::str::from_utf8(&buffer[..count]).expect("it is UTF-8"));
        }
        shown.lines().map(str::to_owned).collect()
    }

    /// Returns what a command has shown, up to these words.
    pub(crate) fn until(&mut self, words: &str) -> String {
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains(words) {
            let mut buffer = [0; 4096];
            let count = self.outside.read(&mut buffer).expect("the terminal shows it");
            shown.extend(&buffer[..count]);
        }
        String::from_utf8(shown).expect("it is UTF-8")
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        self.outside.write_all(format!("{line}\n").as_bytes()).expect("the terminal takes it");
    }

    /// Returns how the terminal is set: what it does with what is typed and shown.
    pub(crate) fn settings(&self) -> String {
        let all = tcgetattr(&self.inside).expect("it is a terminal");
        format!("{:?} {:?} {:?}", all.input_modes, all.output_modes, all.local_modes)
    }

    /// The end for a person, to be read on a thread of its own.
    pub(crate) fn outside(&self) -> File {
        self.outside.try_clone().expect("a descriptor")
    }

    /// Types keys, as a terminal sends them.
    pub(crate) fn press(&mut self, keys: &str) {
        self.outside.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// Gives it so many columns and rows.
    pub(crate) fn resize_to(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.inside, size).expect("it is a terminal");
    }

    /// Gives it so many columns.
    pub(crate) fn resize(&self, columns: u16) {
        self.resize_to(columns, 24);
    }

    /// Reads all that is shown until those have ended who have it open; they must have been started already.
    pub(crate) fn watch(self) -> JoinHandle<String> {
        let Self { mut outside, inside } = self;
        drop(inside);
        std::thread::spawn(move || {
            let mut shown = Vec::new();
            let mut buffer = [0; 4096];
            // The end of a terminal is an error (EIO).
            while let Ok(count @ 1..) = outside.read(&mut buffer) {
                shown.extend_from_slice(&buffer[..count]);
            }
            String::from_utf8(shown).expect("it is UTF-8")
        })
    }

    /// Types Ctrl-D.
    pub(crate) fn end_input(&mut self) {
        self.outside.write_all(b"\x04").expect("the terminal takes it");
    }

    pub(crate) fn shows_typing(&self) -> bool {
        tcgetattr(&self.inside).expect("it is a terminal").local_modes.contains(LocalModes::ECHO)
    }
}
