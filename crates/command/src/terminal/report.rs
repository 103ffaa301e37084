//! Problems as JSON: lines of `--report` and elements of `restore --json`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::{Attribute, Problem, Reason, SystemError, is_outside};
use kopia_rs::{BlobId, Defect};
use rustix::io::Errno;
use serde::Serialize;
use serde_json::Value;

use super::output::check_close;
use super::replace::directory;
use crate::wording::attributes;

/// One entry that is missing, doubled or incomplete.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    path: &'a str,
    /// `repository`: its bytes cannot be had; `target`: they cannot be written; `entry`: it cannot be
    /// restored anywhere; `exists`: the target has it already, and it was left alone.
    kind: &'static str,
    #[serde(flatten)]
    reason: ReasonLine<'a>,
    /// The object that has the bytes of an entry that has no place of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// What could be saved of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    salvaged: Option<SalvagedLine<'a>>,
}

/// What happened to an entry: a word for programs, a sentence for people, and what both are about.
#[derive(Debug, Serialize)]
pub(crate) struct ReasonLine<'a> {
    class: Class,
    reason: &'static str,
    message: String,
    /// The content that is damaged or missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// The blob that is damaged or missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<&'a str>,
    /// Where in the blob that begins, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// What the system was asked to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    /// Its error number.
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
}

#[derive(Debug, Serialize)]
struct SalvagedLine<'a> {
    path: &'a str,
    /// Begin and end of every range of bytes that is lost.
    lost: Vec<(u64, u64)>,
}

impl<'a> From<&'a Problem> for Line<'a> {
    fn from(problem: &'a Problem) -> Self {
        let reason = &problem.reason;
        let of_kind = match reason {
            Reason::Lost { reason, .. } => reason,
            reason => reason,
        };
        let kind = match of_kind {
            Reason::Exists => "exists",
            Reason::Defect(Defect::Unreadable(_)) => "repository",
            Reason::NotPermitted(_)
            | Reason::NoSpace(_)
            | Reason::System(_)
            | Reason::Replaced
            | Reason::NameTaken { .. }
            | Reason::ReadsDifferent
            | Reason::Unfit { .. } => "target",
            _ => "entry",
        };
        let object = match reason {
            Reason::Defect(Defect::Refused(refused)) => refused.object.map(|object| object.to_string()),
            _ => None,
        };
        let salvaged = problem.salvaged.as_ref().map(|salvaged| SalvagedLine {
            path: &salvaged.path,
            lost: salvaged.lost.iter().map(|range| (range.start, range.end)).collect(),
        });
        Self { path: &problem.path, kind, reason: reason.into(), object, salvaged }
    }
}

impl<'a> From<&'a Reason> for ReasonLine<'a> {
    fn from(reason: &'a Reason) -> Self {
        let failed = reason.system_error();
        let about = reason.defect();
        Self {
            class: Class::of_reason(reason),
            reason: reason.word(),
            message: reason.to_string(),
            content: about.and_then(Defect::content_id).map(|content| content.to_string()),
            blob: about.and_then(Defect::blob_id).map(BlobId::as_str),
            offset: about.and_then(Defect::offset),
            operation: failed.map(|failed| failed.operation.word()),
            errno: failed.and_then(SystemError::errno),
        }
    }
}

impl<'a> From<&'a Defect> for ReasonLine<'a> {
    fn from(defect: &'a Defect) -> Self {
        Self {
            class: Class::of_defect(defect),
            reason: defect.word(),
            message: defect.to_string(),
            content: defect.content_id().map(|content| content.to_string()),
            blob: defect.blob_id().map(BlobId::as_str),
            offset: defect.offset(),
            operation: None,
            errno: None,
        }
    }
}

/// An attribute of an entry that is not as in the snapshot.
#[derive(Debug, Serialize)]
pub(crate) struct AttributeLine<'a> {
    path: &'a str,
    /// Always `attribute`.
    kind: &'static str,
    class: Class,
    attribute: &'static str,
    message: &'static str,
}

impl<'a> AttributeLine<'a> {
    pub(crate) fn new(path: &'a str, attribute: Attribute) -> Self {
        let class = match attribute {
            Attribute::Owner | Attribute::SpecialBits | Attribute::Mode => Class::PermissionDenied,
            _ => Class::Unsupported,
        };
        let (attribute, message) = attributes::describe(attribute);
        Self { path, kind: "attribute", class, attribute, message }
    }
}

/// Why a report cannot be written.
#[derive(Debug)]
pub(crate) struct ReportError {
    /// A message that names the file.
    pub(crate) message: String,
    pub(crate) class: Class,
}

impl ReportError {
    /// Refuses a file that must not be written.
    fn refused(message: String) -> Self {
        Self { message, class: Class::Usage }
    }
}

/// The file that all problems go to, one a line.
pub(crate) struct Report {
    path: PathBuf,
    file: Arc<Mutex<Inner>>,
    /// What comes before the paths of lines.
    below: Option<String>,
}

struct Inner {
    file: BufWriter<File>,
    error: Option<io::Error>,
}

impl Report {
    /// Makes the file, or empties it: an old report must not be taken for this one. Nothing is ever written
    /// into a repository, so the file may not lie in its directory.
    pub(crate) fn create(path: &Path, repository: Option<&Path>) -> Result<Self, ReportError> {
        let refuse = |error| failure(path, &error);
        let parent = directory(path).canonicalize().map_err(refuse)?;
        let is_outside = repository.map_or(Ok(true), |repository| is_outside(&parent, repository));
        if !is_outside.map_err(refuse)? {
            return Err(ReportError::refused(format!(
                "the report {} would lie in the repository",
                path.display()
            )));
        }
        // A link of either kind could lead to a blob, so it is not followed and the file is emptied only when
        // it is known.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(path)
            .map_err(|error| match Errno::from_io_error(&error) {
                Some(Errno::LOOP) => ReportError::refused(format!(
                    "the report {} is a link, which is not followed: give the file itself",
                    path.display()
                )),
                _ => failure(path, &error),
            })?;
        let metadata = file.metadata().map_err(refuse)?;
        if metadata.is_file() && metadata.nlink() > 1 {
            return Err(ReportError::refused(format!(
                "the report {} has other names (hard links)",
                path.display()
            )));
        }
        if metadata.is_file() {
            file.set_len(0).map_err(refuse)?;
        }
        let inner = Inner { file: BufWriter::new(file), error: None };
        Ok(Self { path: path.into(), file: Arc::new(Mutex::new(inner)), below: None })
    }

    /// Returns the same file, for one of several restores: paths get its name before them, if it has one.
    pub(crate) fn below(&self, name: Option<&str>) -> Self {
        Self { path: self.path.clone(), file: self.file.clone(), below: name.map(Into::into) }
    }

    /// Writes a line. The first error is kept until [`Self::finish`].
    pub(crate) fn push(&self, line: &impl Serialize) {
        let mut inner = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self
            .write(&mut inner.file, line)
            .map_err(io::Error::from)
            .and_then(|()| inner.file.write_all(b"\n"));
        if let Err(error) = written {
            inner.error.get_or_insert(error);
        }
    }

    fn write(&self, file: &mut BufWriter<File>, line: &impl Serialize) -> serde_json::Result<()> {
        let Some(below) = &self.below else { return serde_json::to_writer(file, line) };
        let mut line = serde_json::to_value(line)?;
        if let Some(Value::String(path)) = line.get_mut("path") {
            *path = if path.is_empty() { below.clone() } else { format!("{below}/{path}") };
        }
        serde_json::to_writer(file, &line)
    }

    /// Writes what is not written yet; fails if a line could not be written, or did not get to its place.
    pub(crate) fn finish(self) -> Result<(), ReportError> {
        let mut inner = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = inner.file.flush().and_then(|()| {
            check_close(inner.file.get_ref())?;
            check_name(&self.path, inner.file.get_ref())
        });
        inner.error.take().map_or(flushed, Err).map_err(|error| failure(&self.path, &error))
    }
}

/// What is in a file that a report is to be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundFile {
    /// An older report.
    Report,
    /// Nothing, as in the report of a run without problems.
    Empty,
    /// Something else, or it cannot be read, or is no file.
    Other,
}

impl FoundFile {
    /// Looks at a file.
    pub(crate) fn at(path: &Path) -> Self {
        // What is no file may have no end, or wait for somebody to write to it.
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Self::Other;
        }
        File::open(path).map_or(Self::Other, Self::of)
    }

    /// Looks at the first line of a file.
    pub(crate) fn of(bytes: impl Read) -> Self {
        // A line is a path and a message about it.
        const LONGEST: u64 = 1 << 17;
        let mut first = String::new();
        match BufReader::new(bytes.take(LONGEST)).read_line(&mut first) {
            Ok(0) => return Self::Empty,
            Ok(_) => {}
            Err(_) => return Self::Other,
        }
        let line = serde_json::from_str(&first).unwrap_or(Value::Null);
        let is_line = ["kind", "class"].iter().all(|key| line.get(*key).is_some_and(Value::is_string));
        if is_line { Self::Report } else { Self::Other }
    }
}

/// Fails if a file has lost its name: who reads the report finds nothing of it then, or something else.
fn check_name(path: &Path, file: &File) -> io::Result<()> {
    let (own, named) = (file.metadata()?, path.symlink_metadata());
    let is_named = named.is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino()));
    if is_named || !own.is_file() {
        return Ok(());
    }
    Err(io::Error::other("it was removed or replaced meanwhile, and its lines are lost"))
}

fn failure(path: &Path, error: &io::Error) -> ReportError {
    let message = format!("the report {} cannot be written: {error}", path.display());
    ReportError { message, class: Class::of_io(error) }
}

#[cfg(test)]
mod tests;
