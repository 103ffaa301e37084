//! `verify --rotate`: what was read when is kept in a file between runs.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kopia_rs::verify::{History, Rotated, Rotation};
use kopia_rs::{FormatBlob, Timestamp};

use crate::args;
use crate::error::Failure;
use crate::session::Session;
use crate::terminal::replace::{directory, replace};

/// How many bytes are read of a file: as many as tens of millions of packs take.
const LONGEST: u64 = 2 << 30;

/// Where the state is kept of one repository.
pub(super) struct Turn {
    file: PathBuf,
    /// The repository's name, the same for every copy of it.
    name: String,
    /// Whether the file is there and has nothing that can be used.
    is_foreign: bool,
}

impl Turn {
    /// Finds the file, and what is in it.
    pub(super) fn open(
        session: &Session,
        args: &args::Verify,
        now: Timestamp,
    ) -> Result<Option<(Self, Rotation)>, Failure> {
        let Some(days) = args.rotate else { return Ok(None) };
        if session.repository.server().is_some() {
            return Err(Failure::failed(
                "the repository is behind a server, which shows no packs to read in turn",
            ));
        }
        let store = session.repository.store();
        let name = FormatBlob::read(store)?.repository_name();
        let file = match &args.state {
            Some(file) => file.clone(),
            None => usual(&name)?,
        };
        super::may_write("the state", &file, store.directory().as_deref())?;
        let mut turn = Self { file, name, is_foreign: false };
        let history = turn.read(session)?;
        Ok(Some((turn, Rotation::new(days, now, history))))
    }

    fn read(&mut self, session: &Session) -> Result<History, Failure> {
        let shown = self.file.display().to_string();
        let bytes = match File::open(&self.file) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(LONGEST).read_to_end(&mut bytes).map(|_| bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                session.note(&format!("this is the first run; {shown} keeps what is read when"));
                return Ok(History::default());
            }
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|error| Failure::system(format!("the state {shown}"), &error))?;
        History::parse(&bytes, &self.name).or_else(|error| {
            self.is_foreign = true;
            let kept = self.spare().display().to_string();
            session.note(&format!(
                "{shown} does not say what was read when, as {error}; all begins anew, and it is kept as {kept}"
            ));
            Ok(History::default())
        })
    }

    /// Replaces the file in one step; one that was of no use is kept beside it.
    pub(super) fn keep(&self, rotated: &Rotated) -> Result<(), Failure> {
        let kept = if self.is_foreign { fs::rename(&self.file, self.spare()) } else { Ok(()) };
        let bytes = rotated.history.to_bytes(&self.name);
        kept.and_then(|()| replace(&self.file, &bytes, 0o600)).map_err(|error| {
            Failure::system(format!("the state {} cannot be written", self.file.display()), &error)
                .hint("the next run reads the same packs again")
        })
    }

    /// Returns a name beside the file that nothing has.
    fn spare(&self) -> PathBuf {
        let name = self.file.file_name().unwrap_or_default();
        let spare = |number: u32| {
            let mut name = name.to_owned();
            name.push(if number == 1 { ".old".into() } else { format!(".old-{number}") });
            directory(&self.file).join(name)
        };
        let mut numbers = 1..;
        let free = numbers.by_ref().map(spare).find(|path| path.symlink_metadata().is_err());
        free.unwrap_or_else(|| spare(1))
    }
}

/// Returns the file that a repository's state lies in by default, in a folder that is made.
fn usual(name: &str) -> Result<PathBuf, Failure> {
    let absolute = |path: PathBuf| Some(path).filter(|path| path.is_absolute());
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute);
    let home = || std::env::var_os("HOME").map(PathBuf::from).and_then(absolute);
    let Some(state) = state.or_else(|| Some(home()?.join(".local/state"))) else {
        let failure = Failure::usage("there is no home folder that could keep what was read when");
        return Err(failure.hint("give --state FILE"));
    };
    let folder = state.join("kopia-rs");
    make(&folder).map_err(|error| Failure::system(folder.display(), &error).hint("give --state FILE"))?;
    Ok(folder.join(format!("verify-{name}")))
}

fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
