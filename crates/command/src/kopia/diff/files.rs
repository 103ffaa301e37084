//! Files that a program compares: it finds them in a folder that only this user may read.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use kopia_rs::{Entry, ObjectReader};

use crate::kopia::call::{Call, info};
use crate::kopia::objects::Stop;
use crate::kopia::trouble::Trouble;
use crate::terminal::output::log_last;
use crate::terminal::signals::Interrupt;

/// What compares where nothing else is asked for.
const DEFAULT: &str = "diff -u";

/// A program, and the folder where it finds files.
pub(super) struct Files {
    folder: tempfile::TempDir,
    words: Vec<String>,
    interrupt: Arc<Interrupt>,
    /// Locked while something is made in the folder, and while a signal has it removed.
    making: Arc<Mutex<()>>,
}

impl Files {
    /// Makes the folder; nothing where no program is named.
    pub(super) fn of(call: &Call) -> Result<Option<Self>, Trouble> {
        let words = call.line.text("diff-command").unwrap_or_else(|| DEFAULT.into());
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        if words[0].is_empty() {
            return Ok(None);
        }
        // A signal must not leave plain files behind.
        call.interrupt.will_ask();
        let folder = tempfile::Builder::new().prefix("kopia").tempdir();
        let folder = folder.map_err(|error| {
            Trouble::failed(format!("error creating comparer: error creating temp directory: {error}"))
        })?;
        let files = Self { folder, words, interrupt: call.interrupt.clone(), making: Arc::default() };
        files.remove_at_a_signal();
        Ok(Some(files))
    }

    /// Has the folder removed also where a signal ends the process at once: a program may be running that nobody waits
    /// for then, or a file be long.
    fn remove_at_a_signal(&self) {
        let (folder, making) = (self.folder.path().to_owned(), self.making.clone());
        self.interrupt.say_at_the_end(move |signal, _| {
            let _making = making.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = fs::remove_dir_all(&folder);
            log_last(super::stopped(signal));
        });
    }

    /// Fails once a signal came.
    fn go_on(&self) -> Result<(), Trouble> {
        self.interrupt.signal().map_or(Ok(()), |signal| Err(Trouble::failed(super::stopped(signal))))
    }

    /// Has it compare two files, one of which may be missing. Whether it can be run makes no difference, as with kopia.
    pub(super) fn compare(
        &self,
        old: Option<&Entry>,
        new: Option<&Entry>,
        path: &str,
    ) -> Result<(), Trouble> {
        let (old_name, new_name) = (self.write("old", old, path)?, self.write("new", new, path)?);
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).args([&old_name, &new_name]);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let Ok(stdout) = std::io::stdout().as_fd().try_clone_to_owned() {
            command.stderr(stdout);
        }
        if let Err(error) = command.status() {
            info(format_args!("{} cannot be run: {error}", self.words[0]));
        }
        for name in [old_name, new_name].iter().filter(|name| name.is_relative()) {
            let _ = fs::remove_file(self.folder.path().join(name));
        }
        Ok(())
    }

    /// Writes a file, and returns its name in the folder.
    fn write(&self, side: &str, file: Option<&Entry>, path: &str) -> Result<PathBuf, Trouble> {
        let Some(file) = file else { return Ok("/dev/null".into()) };
        let doing = if side == "old" { "error downloading old file" } else { "error downloading new file" };
        let below = Path::new(path).components().filter(|part| *part != Component::CurDir);
        let name = Path::new(side).join(below.clone().collect::<PathBuf>());
        if below.clone().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(Trouble::failed(format!("{doing}: {path:?} is no place for a file")));
        }
        let failed = |error: io::Error| Trouble::failed(format!("{doing}: {error}"));
        let whole = self.folder.path().join(&name);
        let directory = whole.parent().unwrap_or(self.folder.path());
        let making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.go_on()?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let mut to =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&whole).map_err(failed)?;
        drop(making);
        let reader = ObjectReader::open(file.repository(), file.object());
        let reader = reader.map_err(|error| Trouble::reading(&error, doing))?;
        let copied = reader.copy_range(0..reader.length(), |bytes| match self.interrupt.signal() {
            Some(_) => Err(Stop::Output(io::ErrorKind::Interrupted.into())),
            None => to.write_all(bytes).map_err(Stop::Output),
        });
        self.go_on()?;
        match copied {
            Ok(()) => Ok(name),
            Err(Stop::Output(error)) => Err(failed(error)),
            Err(Stop::Repository(error)) => Err(Trouble::reading(&error, doing)),
        }
    }
}
