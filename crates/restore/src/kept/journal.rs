//! The file that says what a restore changed, written before it does.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use super::JOURNAL;
use super::record::{Header, Moment, Record};

/// The longest line: a path of 32,000 names of a byte, or of 8,000 bytes that are all escaped.
const LONGEST: u64 = 1 << 20;

/// A journal that is open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// How many bytes of whole lines it has.
    length: u64,
    /// Whether something stands at its end that could not be written whole, nor be cut off.
    broken: bool,
}

impl Journal {
    /// Makes a journal in a folder.
    pub(super) fn create(folder: BorrowedFd<'_>, header: &Header) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, JOURNAL, flags, Mode::RUSR | Mode::WUSR)?;
        let mut journal = Self { file: file.into(), length: 0, broken: false };
        journal.append(&header.line())?;
        Ok(journal)
    }

    /// Opens the journal of a folder to write more; what was not written whole is cut off.
    pub(super) fn open(folder: BorrowedFd<'_>, length: u64) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(folder, JOURNAL, flags, Mode::empty())?);
        file.set_len(length)?;
        Ok(Self { file, length, broken: false })
    }

    /// Writes a record.
    pub(super) fn record(&mut self, record: &Record) -> io::Result<()> {
        self.append(&record.line())
    }

    /// Writes whole lines, or none of them.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the journal of what is replaced cannot be written"));
        }
        rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Start(self.length))?;
        match self.file.write_all(lines.as_bytes()) {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.broken = self.file.set_len(self.length).is_err();
                Err(error)
            }
        }
    }

    /// Forces it to disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Returns what the file system's clock says.
    pub(super) fn clock(&self) -> io::Result<Moment> {
        let now = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        };
        rustix::fs::futimens(&self.file, &now)?;
        Ok(Moment::modified(&rustix::fs::fstat(&self.file)?))
    }
}

/// What a journal says.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) header: Header,
    pub(super) records: Vec<Record>,
    /// How many bytes of whole lines it has.
    pub(super) length: u64,
}

/// Reads the journal of a folder. A last line that was not written whole stands for nothing.
///
/// # Errors
/// What the system says; also if a line is none of a journal.
pub(super) fn read(folder: BorrowedFd<'_>) -> io::Result<Read> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(folder.as_fd(), JOURNAL, flags, Mode::empty())?);
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    let (mut header, mut records, mut length, mut number) = (None, Vec::new(), 0, 0_u64);
    loop {
        line.clear();
        let count = io::Read::take(&mut reader, LONGEST).read_until(b'\n', &mut line)? as u64;
        if count < LONGEST && line.pop() != Some(b'\n') {
            break;
        }
        number += 1;
        let wrong =
            || io::Error::new(io::ErrorKind::InvalidData, format!("line {number} of the journal is damaged"));
        let text = std::str::from_utf8(&line).map_err(|_| wrong())?;
        match &header {
            None => header = Some(Header::parse(text).ok_or_else(wrong)?),
            Some(_) => records.push(Record::parse(text).ok_or_else(wrong)?),
        }
        length += count;
    }
    let none = || io::Error::new(io::ErrorKind::InvalidData, "the journal is empty");
    Ok(Read { header: header.ok_or_else(none)?, records, length })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_not_written_whole_stands_for_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        assert!(read(folder.as_fd()).is_err());
        let header = Header { inode: 1, new: false, key: "kaa".into(), began: 2, path: b"/a".to_vec() };
        let mut journal = Journal::create(folder.as_fd(), &header).unwrap();
        journal.record(&Record::Done).unwrap();
        let path = place.path().join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"keep 1 644 a"].concat()).unwrap();
        let found = read(folder.as_fd()).unwrap();
        assert_eq!((found.header, &found.records[..]), (header, &[Record::Done][..]));
        assert_eq!(found.length, whole.len() as u64);
        let mut journal = Journal::open(folder.as_fd(), found.length).unwrap();
        journal.record(&Record::Undone).unwrap();
        assert_eq!(read(folder.as_fd()).unwrap().records, [Record::Done, Record::Undone]);
        fs::write(&path, [&whole[..], b"nonsense\n"].concat()).unwrap();
        assert!(read(folder.as_fd()).unwrap_err().to_string().contains("line 3"));
        fs::write(&path, &whole[..5]).unwrap();
        assert!(read(folder.as_fd()).unwrap_err().to_string().contains("empty"));
        let (one, other) = (journal.clock().unwrap(), journal.clock().unwrap());
        assert!(one <= other && one.0 > 1_600_000_000);
    }
}
