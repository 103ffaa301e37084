//! The file that says what a restore changed, written before it does.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags};

use super::JOURNAL;
use super::record::{Found, Header, Moment, Record};

/// The longest line, in bytes; of a path it has up to three for each byte.
const LONGEST: u64 = if cfg!(test) { 1 << 10 } else { 1 << 20 };

/// How many bytes are read at once from the end on.
const BLOCK: u64 = if cfg!(test) { 16 } else { 1 << 16 };

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
    /// Makes a journal in a folder, with what the target was like: who is killed leaves both, or neither.
    pub(super) fn create(folder: BorrowedFd<'_>, header: &Header, target: Option<Found>) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, JOURNAL, flags, Mode::RUSR | Mode::WUSR)?;
        let mut journal = Self { file: file.into(), length: 0, broken: false };
        let target = target.map(|found| Record::Directory { found, path: Vec::new() }.line());
        journal.append(&[header.line(), target.unwrap_or_default()].concat())?;
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
        // One that could not be read again would be the end of all others.
        if lines.split_inclusive('\n').any(|line| line.len() as u64 > LONGEST) {
            let why = "its path is too long for the journal of what is replaced";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
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

    /// Leaves nothing of it but its first line, and this record: that takes no room, where none is left.
    pub(super) fn replace(&mut self, start: u64, record: &Record) -> io::Result<()> {
        self.file.set_len(start)?;
        (self.length, self.broken) = (start, false);
        self.record(record)
    }

    /// Forces it to disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Returns what the file system's clock says.
    ///
    /// A write sets the time on every file system; setting times is what some refuse, or take and do nothing.
    pub(super) fn clock(&self) -> io::Result<Moment> {
        // The end of its last line, which is there already: this takes no room, and changes nothing if killed.
        self.file.write_all_at(b"\n", self.length.saturating_sub(1))?;
        Ok(Moment::modified(&rustix::fs::fstat(&self.file)?))
    }
}

/// What a journal says as a whole. It may be long, so its lines are not kept in memory.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) header: Header,
    /// How many bytes the first line has.
    pub(super) start: u64,
    /// How many records there are, and how many of them are of something that is moved to its place.
    pub(super) records: u64,
    pub(super) put: u64,
    /// The number that the next gets that is kept.
    pub(super) next: u64,
    /// What the target itself was like.
    pub(super) root: Option<Found>,
    /// The inode of the directory that an undo has made for the target, which was gone.
    pub(super) made: Option<u64>,
    /// Whether the restore has come to its end, and what was done about it.
    pub(super) done: bool,
    pub(super) undoing: bool,
    pub(super) undone: bool,
    pub(super) forgotten: bool,
    /// How many bytes of whole lines it has.
    pub(super) length: u64,
}

impl Read {
    fn new(header: Header, start: u64) -> Self {
        let (done, undoing, undone, forgotten) = (false, false, false, false);
        Self {
            header,
            start,
            records: 0,
            put: 0,
            next: 0,
            root: None,
            made: None,
            done,
            undoing,
            undone,
            forgotten,
            length: start,
        }
    }

    fn add(&mut self, record: &Record) {
        self.records += 1;
        match record {
            Record::Put(_) => self.put += 1,
            Record::Keep { number, .. } => self.next = self.next.max(number.saturating_add(1)),
            Record::Directory { found, path } if path.is_empty() => self.root = self.root.or(Some(*found)),
            Record::Directory { .. } | Record::Attributes { .. } => {}
            Record::Done => self.done = true,
            Record::Target { inode } => self.made = Some(*inode),
            Record::Undoing => self.undoing = true,
            Record::Undone => self.undone = true,
            Record::Forgotten => self.forgotten = true,
        }
    }
}

/// Opens the journal of a folder for reading.
fn open(folder: BorrowedFd<'_>) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, JOURNAL, flags, Mode::empty())?.into())
}

/// Reads the journal of a folder. A last line that was not written whole stands for nothing.
///
/// # Errors
/// What the system says; also if a line is none of a journal.
pub(super) fn read(folder: BorrowedFd<'_>) -> io::Result<Read> {
    let (mut reader, mut line) = (BufReader::new(open(folder)?), Vec::new());
    let (mut read, mut number) = (None::<Read>, 0_u64);
    loop {
        line.clear();
        let count = io::Read::take(&mut reader, LONGEST).read_until(b'\n', &mut line)? as u64;
        let is_whole = line.last() == Some(&b'\n');
        if is_whole {
            line.pop();
        } else if count < LONGEST {
            break;
        }
        number += 1;
        let wrong =
            || io::Error::new(io::ErrorKind::InvalidData, format!("line {number} of the journal is damaged"));
        let text = std::str::from_utf8(&line).ok().filter(|_| is_whole).ok_or_else(wrong)?;
        match &mut read {
            None => read = Some(Read::new(Header::parse(text).ok_or_else(wrong)?, count)),
            Some(read) => {
                read.add(&Record::parse(text).ok_or_else(wrong)?);
                read.length += count;
            }
        }
    }
    read.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the journal is empty"))
}

/// The records of a journal, from the last to the first.
#[derive(Debug)]
pub(super) struct Backwards {
    file: File,
    start: u64,
    /// Where what was read begins.
    position: u64,
    /// What was read and not returned yet.
    bytes: Vec<u8>,
}

impl Backwards {
    /// Opens the journal of a folder, of which `read` is known.
    pub(super) fn open(folder: BorrowedFd<'_>, read: &Read) -> io::Result<Self> {
        Ok(Self { file: open(folder)?, start: read.start, position: read.length, bytes: Vec::new() })
    }

    /// Returns the record before the one that was returned last.
    ///
    /// # Errors
    /// What the system says; also if a line is none of a journal.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let lines = self.bytes.strip_suffix(b"\n").unwrap_or_default();
            let first = lines.iter().rposition(|byte| *byte == b'\n').map(|newline| newline + 1);
            if let Some(first) = first.or((self.position == self.start && !lines.is_empty()).then_some(0)) {
                let text = std::str::from_utf8(&lines[first..]).ok();
                let record = text.and_then(Record::parse).ok_or_else(damaged)?;
                self.bytes.truncate(first);
                return Ok(Some(record));
            }
            if self.position == self.start {
                return if self.bytes.is_empty() { Ok(None) } else { Err(damaged()) };
            }
            if self.bytes.len() as u64 > LONGEST {
                return Err(damaged());
            }
            let count = BLOCK.min(self.position - self.start);
            self.position -= count;
            let mut block = vec![0; count as usize];
            self.file.read_exact_at(&mut block, self.position)?;
            block.append(&mut self.bytes);
            self.bytes = block;
        }
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the journal is damaged")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::SystemTime;

    use kopia_testkit::refuse::{Call, refusing};
    use rustix::io::Errno;

    use super::*;

    fn all(folder: &File, read: &Read) -> Vec<Record> {
        let mut backwards = Backwards::open(folder.as_fd(), read).unwrap();
        std::iter::from_fn(|| backwards.next().unwrap()).collect()
    }

    #[test]
    fn records_come_from_the_last_to_the_first() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        let header = Header { inode: 1, new: false, key: "kaa".into(), began: 2, path: b"/a".to_vec() };
        let mut journal = Journal::create(folder.as_fd(), &header, None).unwrap();
        assert_eq!(all(&folder, &read(folder.as_fd()).unwrap()), []);
        let records: Vec<_> = (0..60)
            .map(|number| Record::Keep { number, mode: 0o644, path: vec![b'a'; 1 + number as usize] })
            .collect();
        records.iter().for_each(|record| journal.record(record).unwrap());
        let found = read(folder.as_fd()).unwrap();
        assert_eq!((found.records, found.next), (60, 60));
        assert!(all(&folder, &found).into_iter().eq(records.into_iter().rev()));
    }

    #[test]
    fn a_line_that_is_too_long_is_never_written_and_no_end() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        let header = Header { inode: 1, new: false, key: "kaa".into(), began: 2, path: b"/a".to_vec() };
        let mut journal = Journal::create(folder.as_fd(), &header, None).unwrap();
        let keep = |length: u64| Record::Keep {
            number: 1,
            mode: 0o644,
            path: vec![b'a'; length as usize - "keep 1 644 \n".len()],
        };
        journal.record(&Record::Undone).unwrap();
        let error = journal.append(&[Record::Done.line(), keep(LONGEST + 1).line()].concat()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        journal.record(&keep(LONGEST)).unwrap();
        let found = read(folder.as_fd()).unwrap();
        assert_eq!(all(&folder, &found), [keep(LONGEST), Record::Undone]);
        let path = place.path().join(JOURNAL);
        let whole = fs::read_to_string(&path).unwrap();
        assert_eq!(found.length, whole.len() as u64);
        // Nor is a part of one a line, even if the rest could be one.
        let ends_in_done = keep(LONGEST + 1).line().replace('\n', "done\n");
        for line in [keep(LONGEST + 1).line(), keep(3 * LONGEST).line(), ends_in_done] {
            fs::write(&path, [&*whole, &line].concat()).unwrap();
            assert!(read(folder.as_fd()).unwrap_err().to_string().contains("line 4"), "{line}");
        }
    }

    #[test]
    fn a_journal_begins_with_what_the_target_was_like() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        let header = Header { inode: 1, new: false, key: "kaa".into(), began: 2, path: b"/a".to_vec() };
        let target = Found { mode: 0o750, uid: 1, gid: 2, modified: Moment(3, 4) };
        Journal::create(folder.as_fd(), &header, Some(target)).unwrap();
        assert_eq!(read(folder.as_fd()).unwrap().root, Some(target));
        // What a directory in the target was like is no such thing.
        fs::remove_file(place.path().join(JOURNAL)).unwrap();
        let mut journal = Journal::create(folder.as_fd(), &header, None).unwrap();
        journal.record(&Record::Directory { found: target, path: b"a".to_vec() }).unwrap();
        assert_eq!(read(folder.as_fd()).unwrap().root, None);
    }

    #[test]
    fn a_journal_is_for_its_owner_alone_and_no_symlink() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        let header = Header { inode: 1, new: false, key: "kaa".into(), began: 2, path: b"/a".to_vec() };
        Journal::create(folder.as_fd(), &header, None).unwrap();
        let (path, elsewhere) = (place.path().join(JOURNAL), place.path().join("elsewhere"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(read(folder.as_fd()).is_err());
        assert!(Journal::open(folder.as_fd(), 0).is_err());
        assert!(Journal::create(folder.as_fd(), &header, None).is_err());
        assert!(fs::metadata(&elsewhere).unwrap().len() > 0);
    }

    #[test]
    fn what_was_not_written_whole_stands_for_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        assert!(read(folder.as_fd()).is_err());
        let header = Header { inode: 1, new: false, key: "kaa".into(), began: 2, path: b"/a".to_vec() };
        let mut journal = Journal::create(folder.as_fd(), &header, None).unwrap();
        journal.record(&Record::Done).unwrap();
        let path = place.path().join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"keep 1 644 a"].concat()).unwrap();
        let found = read(folder.as_fd()).unwrap();
        assert_eq!((&found.header, all(&folder, &found)), (&header, vec![Record::Done]));
        assert_eq!(found.length, whole.len() as u64);
        let mut journal = Journal::open(folder.as_fd(), found.length).unwrap();
        journal.record(&Record::Undone).unwrap();
        let found = read(folder.as_fd()).unwrap();
        assert_eq!(all(&folder, &found), [Record::Undone, Record::Done]);
        assert!(found.done && found.undone && !found.forgotten && found.records == 2);
        journal.replace(found.start, &Record::Forgotten).unwrap();
        let found = read(folder.as_fd()).unwrap();
        assert!(found.forgotten && !found.done && found.records == 1);
        fs::write(&path, [&whole[..], b"nonsense\n"].concat()).unwrap();
        assert!(read(folder.as_fd()).unwrap_err().to_string().contains("line 3"));
        fs::write(&path, &whole[..5]).unwrap();
        assert!(read(folder.as_fd()).unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn the_clock_needs_no_right_to_set_times_and_changes_no_line() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        let header = Header { inode: 1, new: false, key: "kaa".into(), began: 2, path: b"/a".to_vec() };
        let mut journal = Journal::create(folder.as_fd(), &header, None).unwrap();
        journal.record(&Record::Done).unwrap();
        let path = place.path().join(JOURNAL);
        let before = fs::read(&path).unwrap();
        for answer in [Some(Errno::PERM), None] {
            // As if it had been written long ago.
            File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            let clock = refusing(&[(Call::Utimes, answer)], || journal.clock().unwrap());
            assert!(clock.is_none_or(|clock| clock.0 > 1_600_000_000), "{answer:?}: {clock:?}");
            let (one, other) = (journal.clock().unwrap(), journal.clock().unwrap());
            assert!(one <= other && one.0 > 1_600_000_000, "{one:?} {other:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
