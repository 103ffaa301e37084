//! One restore by several processes, each of which writes a part.
//!
//! All write into the same unfinished folder of a target that they share. What each writes is decided by where entries and
//! pieces lie in their directory, counted in bytes from a place that its path gives, so nobody has to speak to anybody, and a
//! directory that one of them cannot read changes nothing about the others. A shard that is through leaves a mark beside the
//! folder, with the files that it could not write whole and the directories that it could not read; whoever finishes the
//! restore demands all marks, restores what these name, sets attributes and moves everything to its place.
//!
//! A mark outlives a crash only if what it vouches for does: everything is on disk before the mark is written, and a mark
//! that is taken back is gone from the disk before anything is written again.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use kopia_repository::Entry;
use kopia_repository::verify::Shard;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::destination::staging::{self, Staging};
use crate::destination::target::Target;
use crate::destination::{Identity, look};
use crate::{Error, Result};

/// Which part of a restore is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// What falls to one of several processes. Nothing gets its final name, nor does the target's own content matter.
    Shard(Shard),
    /// What is left to do when so many shards are through: attributes, names, and what is to be deleted.
    Finish(u32),
}

/// What an entry counts for besides its bytes: making a file costs about as much as writing so many.
const ENTRY: u64 = 4096;

/// How many bytes in a row fall to one shard at most, so that each reads packs in long pieces; and at least.
const LONGEST: u64 = 8 << 20;
const SHORTEST: u64 = 4096;

/// How many times a shard has its turn, if the snapshot is not so large that it has more.
const TURNS: u64 = 16;

/// Decides what falls to a shard.
#[derive(Debug)]
pub(crate) struct Share {
    shard: Shard,
    /// How many bytes in a row fall to one.
    unit: u64,
    /// Bytes of the directory that were walked, entries included, and those that it began with.
    position: u64,
}

impl Share {
    pub(crate) fn new(shard: Shard, root: &Entry) -> Self {
        let bytes = root.summary().and_then(|summary| u64::try_from(summary.size).ok());
        let turns = TURNS * u64::from(shard.of());
        let unit = bytes.map_or(LONGEST, |bytes| (bytes / turns).clamp(SHORTEST, LONGEST));
        Self { shard, unit, position: 0 }
    }

    /// Begins with a directory. Where that is depends on its path alone: what another shard could or could not read of other
    /// directories must not matter, nor may the first entries of all directories fall to the same shard.
    pub(crate) fn begin(&mut self, directory: &str) {
        self.position = spread(directory) % self.unit.saturating_mul(self.shard.of().into());
    }

    /// Goes on to the next entry and returns where it begins.
    pub(crate) fn next(&mut self, size: u64) -> u64 {
        let start = self.position;
        self.position = start.saturating_add(ENTRY).saturating_add(size);
        start
    }

    /// Says whether what begins somewhere falls to this shard.
    pub(crate) fn has(&self, position: u64) -> bool {
        (position / self.unit) % u64::from(self.shard.of()) == u64::from(self.shard.number())
    }
}

/// Returns a number that depends on a path, the same on every machine and in every build: FNV-1a, and the end of MurmurHash3,
/// as the first alone hardly tells paths apart that differ at their end.
fn spread(path: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Files that a shard could not write whole and, with `/` at their end, directories that it could not read to their end, each
/// with the reason.
pub(crate) type Torn = HashMap<String, String>;

/// The lock of a shard, held while this is alive. Two processes that restored the same shard would take each other's files
/// away, as would two of different numbers of shards; Kubernetes may run two pods of one index.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "it only has to stay open")] OwnedFd);

impl Lock {
    /// Takes the lock of a shard.
    ///
    /// # Errors
    /// [`Error::ShardBusy`] if another process holds it, or that of a shard of another number.
    pub(crate) fn take(target: &Target, staging: &Staging, shard: Shard) -> Result<Self> {
        let error = |source: std::io::Error| target.error("the lock of the shard cannot be taken", source);
        let busy = |shard| Error::ShardBusy { target: target.path.clone(), shard };
        let folder = target.folder.as_fd();
        let name = lock_name(staging, shard);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut tries = 0;
        let file = loop {
            let file = rustix::fs::openat(folder, &*name, flags, Mode::RUSR | Mode::WUSR);
            let file = file.map_err(|errno| error(errno.into()))?;
            if is_held(&file) || tries == 100 {
                return Err(busy(shard));
            }
            tries += 1;
            // Whoever finished the restore may just have removed it; a lock without a name keeps nobody out.
            let named = look(folder, &*name).map_err(error)?.map(|stat| Identity::from(&stat));
            if named == Some(Identity::of(&file).map_err(error)?) {
                break file;
            }
        };
        // Each takes its own first and then looks for others, so that of two at least one sees the other.
        for other in staging::marks_of(folder, staging.name()).map_err(error)? {
            let Some(other) = of_lock(staging, &other).filter(|other| other.of() != shard.of()) else {
                continue;
            };
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(folder, lock_name(staging, other), flags, Mode::empty());
            if opened.is_ok_and(|file| is_held(&file)) {
                return Err(busy(other));
            }
        }
        Ok(Self(file))
    }
}

/// Takes a lock, unless another process holds it. Some network file systems have no locks; then nothing warns of one.
fn is_held(file: &OwnedFd) -> bool {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
}

fn lock_name(staging: &Staging, shard: Shard) -> String {
    format!("{}{}{}-of-{}", staging.name(), staging::LOCK, shard.number(), shard.of())
}

/// Returns the shard that a lock file belongs to.
fn of_lock(staging: &Staging, name: &str) -> Option<Shard> {
    let (number, of) = name.strip_prefix(staging.name())?.strip_prefix(staging::LOCK)?.split_once("-of-")?;
    Shard::new(number.parse().ok()?, of.parse().ok()?)
}

/// Takes back the mark of a shard that begins anew, before anything that it vouches for is changed.
pub(crate) fn unmark(target: &Target, staging: &Staging, shard: Shard) -> Result<()> {
    let error = |source| target.error("the mark of the shard cannot be removed", source);
    match rustix::fs::unlinkat(&target.folder, name(staging, shard), AtFlags::empty()) {
        // One that is not there may have been taken back by a run that was killed before this was on disk.
        Ok(()) | Err(Errno::NOENT) => target.sync_names().map_err(error),
        Err(errno) => Err(error(errno.into())),
    }
}

/// Leaves the mark of a shard that is through, once all that it wrote is on disk.
pub(crate) fn mark(target: &Target, staging: &Staging, shard: Shard, torn: &Torn) -> Result<()> {
    target.sync()?;
    let mut text = Vec::new();
    for (path, why) in torn {
        text.extend([path.as_bytes(), b"\0", why.as_bytes(), b"\0"].concat());
    }
    let (name, folder) = (name(staging, shard), target.folder.as_fd());
    let new = format!("{name}.new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = rustix::fs::openat(folder, &*new, flags, Mode::RUSR | Mode::WUSR)
        .map_err(std::io::Error::from)
        .and_then(|file| {
            let mut file = std::fs::File::from(file);
            file.write_all(&text)?;
            file.sync_all()?;
            rustix::fs::renameat(folder, &*new, folder, &*name)?;
            target.sync_names()
        });
    written.map_err(|source| target.error("the mark of the shard cannot be written", source))
}

/// Reads the marks of all shards.
///
/// # Errors
/// [`Error::Shards`] if one is missing.
pub(crate) fn marks(target: &Target, staging: &Staging, of: u32) -> Result<Torn> {
    let (mut torn, mut missing) = (Torn::new(), Vec::new());
    for shard in shards(of) {
        match read(target, staging, &name(staging, shard)) {
            // What it stood for is gone.
            Ok(_) if !staging.is_left() => missing.push(shard.number()),
            Ok(text) => {
                let mut fields = text.split('\0').map(ToString::to_string);
                while let (Some(path), Some(why)) = (fields.next(), fields.next()) {
                    torn.insert(path, why);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push(shard.number()),
            Err(error) => return Err(target.error("the mark of a shard cannot be read", error)),
        }
    }
    if missing.is_empty() {
        return Ok(torn);
    }
    let marks = staging::marks_of(target.folder.as_fd(), staging.name()).unwrap_or_default();
    let others = marks.iter().filter(|mark| mark.contains(".shard-"));
    let others = others.filter_map(|mark| mark.rsplit_once("-of-")?.1.parse().ok());
    let mut others: Vec<u32> = others.filter(|other| *other != of).collect();
    others.sort_unstable();
    others.dedup();
    Err(Error::Shards { missing, of, others })
}

fn shards(of: u32) -> impl Iterator<Item = Shard> {
    (0..of).filter_map(move |number| Shard::new(number, of))
}

fn name(staging: &Staging, shard: Shard) -> String {
    format!("{}.shard-{}-of-{}", staging.name(), shard.number(), shard.of())
}

/// Reads a mark. Where others may write in the target, one of theirs could vouch for what no shard has written.
fn read(target: &Target, staging: &Staging, name: &str) -> std::io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&target.folder, name, flags, Mode::empty())?;
    let (mark, folder) = (rustix::fs::fstat(&file)?, rustix::fs::fstat(staging.handle())?);
    let is_file = rustix::fs::FileType::from_raw_mode(mark.st_mode) == rustix::fs::FileType::RegularFile;
    if !is_file || mark.st_uid != folder.st_uid {
        return Err(std::io::Error::other(format!(
            "{name} belongs to another user than what the shards wrote"
        )));
    }
    let mut text = String::new();
    std::fs::File::from(file).read_to_string(&mut text)?;
    Ok(text)
}

/// Opens a file that several shards write, or makes it.
pub(crate) fn open(folder: impl AsFd, name: &str) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    let stat = rustix::fs::fstat(&file)?;
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::RegularFile if stat.st_nlink == 1 => Ok(file),
        _ => Err(Errno::EXIST.into()),
    }
}

/// Says whether a range of a file may hold something: a shard that begins finds holes, which need not be read.
pub(crate) fn may_hold(file: impl AsFd, start: u64, length: u64) -> bool {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(start)) {
        Ok(data) => data < start.saturating_add(length),
        Err(Errno::NXIO) => false,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_falls_to_one_shard() {
        let share = |number| Share { shard: Shard::new(number, 3).unwrap(), unit: 100, position: 0 };
        let mut shares = [share(0), share(1), share(2)];
        for at in [0, 99, 100, 250, 299, 300, 12_345, u64::MAX] {
            assert_eq!(shares.iter().filter(|share| share.has(at)).count(), 1, "{at}");
        }
        assert_eq!((shares[0].next(10), shares[0].next(u64::MAX)), (0, ENTRY + 10));
        assert_eq!(shares[0].next(1), u64::MAX);
    }

    #[test]
    fn a_directory_begins_where_its_path_says() {
        let share = |number| Share { shard: Shard::new(number, 4).unwrap(), unit: 1 << 20, position: 0 };
        let begins = |number: u32, walked: u64, path: &str| {
            let mut share = share(number);
            share.next(walked);
            share.begin(path);
            share.next(0)
        };
        assert_eq!((spread(""), spread("a")), (0xefd0_1f60_ba99_2926, 0x82a2_a958_a9be_ce5b));
        let mut counts = [0; 4];
        for number in 0..400 {
            let path = format!("a/d{number}");
            let begin = begins(0, 0, &path);
            assert_eq!(begins(3, 12_345_678, &path), begin);
            counts[(0..4).find(|number| share(*number).has(begin)).unwrap() as usize] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }
}
