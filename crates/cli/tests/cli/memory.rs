//! What the memory of a running command holds: no password, and no key but the one that hashing needs.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kopia_testkit::damage::{RepositoryCopy, copy_repository};
use kopia_testkit::{golden, memory, secrets};

use crate::common::Place;
use crate::terminal::Terminal;

/// Long enough that it is found by no chance.
const PASSWORD: &str = "Rosinenbrötchen und 3 Kännchen";

/// Where the command has the password from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    File,
    Environment,
    Terminal,
}

/// The command stands still, with the repository open: nobody reads what it writes.
struct Running {
    child: Child,
    _output: io::PipeReader,
    _terminal: Option<Terminal>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn neither_password_nor_keys_stay() {
    for (case, file, from) in [
        ("sources", "c3bc/text.log", From::File),
        ("sources", "c3bc/text.log", From::Environment),
        ("sources", "c3bc/text.log", From::Terminal),
        ("kdf-pbkdf2", "latest/text.log", From::File),
    ] {
        let copy = copy_repository(&golden::case(case));
        secrets::change_password(&copy.path(), "golden", PASSWORD);
        let secrets = secrets::of(&copy.path(), PASSWORD);
        let place = Place::new();
        let running = start(&copy, file, &place, from);
        let Some(mut found) = memory::found(&running.child, &secrets) else {
            kopia_testkit::facilities::left_out("the memory of another process cannot be read here");
            return;
        };
        // Both are needed as long as the repository is open: the keys of contents are made with one, in a
        // form that need not show it, and their ids with the other, whose being found shows that this looks
        // at the right bytes.
        found.retain(|name| *name != "content secret");
        assert_eq!(found, ["hash secret"], "{case}, password from {from:?}");

        let process = Path::new("/proc").join(running.child.id().to_string());
        let arguments = fs::read(process.join("cmdline")).unwrap();
        assert_eq!(secrets::found(&secrets, &arguments), [""; 0]);
        let limits = fs::read_to_string(process.join("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let limit = core.split_whitespace().nth(4).unwrap();
        assert!(["0", "1"].contains(&limit), "a crash would write the memory down: {core}");
    }
}

/// Has the command write a file into a pipe that holds a page, and waits for the first byte: then it has
/// opened the repository, and has far more to write.
fn start(copy: &RepositoryCopy, file: &str, place: &Place, from: From) -> Running {
    let (mut output, pipe) = io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&pipe, 4096).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
    command.args(["cat", file, "--repository"]).arg(copy.path()).stdout(pipe);
    command.env_clear().stdin(Stdio::null()).stderr(Stdio::piped());
    let mut terminal = None;
    match from {
        From::File => {
            let file = place.path("file");
            fs::write(&file, format!("{PASSWORD}\n")).unwrap();
            command.arg("--password-file").arg(file);
        }
        From::Environment => _ = command.env("KOPIA_PASSWORD", PASSWORD),
        From::Terminal => {
            let opened = Terminal::open();
            command.stdin(opened.inside());
            terminal = Some(opened);
        }
    }
    let mut child = command.spawn().unwrap();
    // It has an end of the pipe, too.
    drop(command);
    if let Some(terminal) = &mut terminal {
        terminal.answer(&mut child, PASSWORD);
    }
    if output.read_exact(&mut [0]).is_err() {
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        panic!("nothing was written: {said}");
    }
    Running { child, _output: output, _terminal: terminal }
}
