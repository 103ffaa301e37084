//! Bytes into an open file: reserved, whole or with holes, kept in memory or not.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::{Options, PageCache};

/// From this size on room is reserved before writing: below it costs more than it saves (+34 % at 4 KiB).
const RESERVE: u64 = 1 << 20;

/// From this size on a write leaves no copy in memory, where the system can: for smaller ones that costs more
/// than it saves (at 4 KiB twice as much). A file of 3 GiB took 3.5 CPU seconds instead of 4.9 to 8.7, where
/// memory that a virtual machine touches for the first time is dear.
const UNCACHED: usize = 1 << 20;

/// How files are written in this restore.
pub(crate) struct Bytes {
    /// The size of blocks that stay holes if they hold nothing but zeros.
    hole: Option<usize>,
    /// Whether the system can write without keeping a copy in memory, as far as is known.
    uncached: AtomicBool,
}

impl Bytes {
    /// Looks at the options; `block` is the file system's unit of room in bytes.
    pub(crate) fn new(options: &Options, block: usize) -> Self {
        // Network file systems state the size of their transfers, which is larger than any block.
        let hole = options.sparse.then(|| block.next_power_of_two().clamp(512, 4096));
        Self { hole, uncached: AtomicBool::new(options.page_cache == PageCache::Auto) }
    }

    /// Reserves room for a file, where the file system can and has as much: the size is only what an entry
    /// says, and half a reservation would take the room from other files. Whether there is enough, writing
    /// will tell.
    ///
    /// The file gets its size by what is written alone. With the final one from the start, a power loss soon
    /// after the restore could leave zeros under the right size and time, which `Existing::Skip` and
    /// `Options::newer` would take for done.
    pub(crate) fn reserve(&self, file: impl AsFd, length: u64) {
        if length < RESERVE || self.hole.is_some() || is_in_memory(&file) {
            return;
        }
        let Ok(stat) = rustix::fs::fstatvfs(&file) else { return };
        let fits = length <= stat.f_bavail.saturating_mul(stat.f_frsize);
        if fits && rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, length).is_err() {
            let _ = rustix::fs::ftruncate(file, 0);
        }
    }

    /// Writes at an offset of a new file. Where holes are wanted, blocks of zeros are left out, and
    /// [`end`](Self::end) must say where the file ends.
    pub(crate) fn write(&self, file: impl AsFd, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(hole) = self.hole else { return self.write_all(&file, bytes, offset) };
        let mut start = offset;
        for (zero, run) in runs(bytes, offset, hole) {
            if !zero {
                self.write_all(&file, run, start)?;
            }
            start += run.len() as u64;
        }
        Ok(())
    }

    /// Writes at an offset of a file, zeros included.
    ///
    /// It may have other bytes there.
    pub(crate) fn overwrite(&self, file: impl AsFd, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all(file, bytes, offset)
    }

    /// Sets the length of a file whose end may be a hole.
    pub(crate) fn end(&self, file: impl AsFd, length: u64) -> io::Result<()> {
        match self.hole {
            Some(_) => Ok(rustix::fs::ftruncate(file, length)?),
            None => Ok(()),
        }
    }

    fn write_all(&self, file: impl AsFd, bytes: &[u8], offset: u64) -> io::Result<()> {
        in_parts(bytes, offset, |bytes, offset| self.write_some(file.as_fd(), bytes, offset))
    }

    fn write_some(
        &self,
        file: std::os::fd::BorrowedFd<'_>,
        bytes: &[u8],
        offset: u64,
    ) -> rustix::io::Result<usize> {
        #[cfg(target_os = "linux")]
        if bytes.len() >= UNCACHED && self.uncached.load(Ordering::Relaxed) {
            // `RWF_DONTCACHE` of `linux/fs.h`, Linux 6.14.
            let flags = rustix::io::ReadWriteFlags::from_bits_retain(0x80);
            match rustix::io::pwritev2(file, &[io::IoSlice::new(bytes)], offset, flags) {
                // The kernel or the file system knows no such writes, or a sandbox no such call.
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
                    self.uncached.store(false, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        rustix::io::pwrite(file, bytes, offset)
    }
}

/// Writes bytes at an offset by a call that may write fewer.
fn in_parts(
    mut bytes: &[u8],
    mut offset: u64,
    mut write: impl FnMut(&[u8], u64) -> rustix::io::Result<usize>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Returns whether a file system keeps files in memory alone. Nothing is gained there by room that lies
/// together, and to reserve it takes as long as writing the file: 0.4 s for 1.5 GB, in which all wait.
fn is_in_memory(file: impl AsFd) -> bool {
    // `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
    let magic = rustix::fs::fstatfs(file).map(|stat| stat.f_type as u64 & 0xffff_ffff);
    matches!(magic, Ok(0x0102_1994 | 0x8584_58f6))
}

/// Cuts bytes at `offset` of a file into runs of zeros and others.
///
/// Runs begin and end with blocks of the file.
pub(crate) fn runs(bytes: &[u8], offset: u64, block: usize) -> impl Iterator<Item = (bool, &[u8])> {
    let runs = runs_by(bytes.len(), offset, block, |block| is_zero(&bytes[block]));
    runs.map(|(zero, run)| (zero, &bytes[run]))
}

/// Cuts bytes at `offset` of a file into runs of blocks for which a test has the same result.
pub(crate) fn runs_by(
    length: usize,
    offset: u64,
    block: usize,
    test: impl Fn(Range<usize>) -> bool,
) -> impl Iterator<Item = (bool, Range<usize>)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let mut end = start;
        let mut result = None;
        while end < length {
            let to_boundary = block - ((offset + end as u64) % block as u64) as usize;
            let next = (end + to_boundary).min(length);
            let this = test(end..next);
            if result.is_some_and(|result| result != this) {
                break;
            }
            (result, end) = (Some(this), next);
        }
        let run = start..end;
        start = end;
        Some((result?, run))
    })
}

/// Returns whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // In pieces, so that it ends early and still compares many bytes at a time.
    bytes.chunks(64).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::process::Command;

    use kopia_testkit::facilities;
    use kopia_testkit::refuse::{Call, refusing};

    use super::*;

    /// Lengths of the runs, negative for zeros.
    fn lengths(bytes: &[u8], offset: u64) -> Vec<isize> {
        let signed =
            |(zero, run): (bool, &[u8])| if zero { -(run.len() as isize) } else { run.len() as isize };
        runs(bytes, offset, 4).map(signed).collect()
    }

    #[test]
    fn zeros_are_told_apart_block_by_block() {
        for (bytes, offset, expected) in [
            (&b""[..], 0, &[][..]),
            (b"abcd", 0, &[4]),
            (b"\0\0\0\0", 0, &[-4]),
            // A block that is not all zero is written whole.
            (b"a\0\0\0\0\0\0\0b", 0, &[4, -4, 1]),
            // The same bytes lie differently in the blocks of the file.
            (b"a\0\0\0\0\0\0\0b", 3, &[1, -4, 4]),
            (b"\0\0\0\0\0\0", 1, &[-6]),
            (b"abcdefgh\0\0\0\0", 0, &[8, -4]),
        ] {
            assert_eq!(lengths(bytes, offset), expected, "{bytes:?} at {offset}");
        }
    }

    #[test]
    fn what_a_system_writes_in_parts_is_whole() {
        let (mut file, mut calls) = (vec![9; 15], 0);
        let result = in_parts(b"0123456789", 3, |bytes, offset| {
            calls += 1;
            if calls % 2 == 0 {
                return Err(Errno::INTR);
            }
            let count = bytes.len().min(4);
            file[offset as usize..][..count].copy_from_slice(&bytes[..count]);
            Ok(count)
        });
        assert!(result.is_ok() && file == [&[9; 3][..], b"0123456789", &[9; 2]].concat());
        assert_eq!(calls, 5);
        assert_eq!(in_parts(b"x", 0, |_, _| Ok(0)).unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert_eq!(
            in_parts(b"x", 0, |_, _| Err(Errno::NOSPC)).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
    }

    #[test]
    fn what_is_reserved_has_the_size_of_what_is_written() {
        let writing = Bytes::new(&Options::default(), 4096);
        let file = tempfile::tempfile().unwrap();
        let length = || file.metadata().unwrap().len();
        writing.reserve(&file, 4 * RESERVE);
        assert_eq!(length(), 0, "nothing is there yet");
        writing.write(&file, &[7; 5000], 0).unwrap();
        assert_eq!(length(), 5000, "a restore that is killed now leaves no zeros under the final size");
        // Pieces come in any order.
        writing.write(&file, &[7; 5000], RESERVE).unwrap();
        assert_eq!(length(), RESERVE + 5000);
    }

    /// Returns how many bytes of a disk a file takes.
    fn taken(file: &fs::File) -> u64 {
        file.metadata().unwrap().blocks() * 512
    }

    /// Returns how many bytes are reserved for a new file.
    fn reserved(directory: &Path, options: &Options, length: u64) -> u64 {
        let file = tempfile::tempfile_in(directory).unwrap();
        Bytes::new(options, 4096).reserve(&file, length);
        taken(&file)
    }

    fn is_tmpfs(directory: &Path) -> bool {
        rustix::fs::statfs(directory).is_ok_and(|stat| stat.f_type as u64 & 0xffff_ffff == 0x0102_1994)
    }

    /// Names the directory for the run of the same test in a mount namespace of its own.
    const PLACE: &str = "KOPIA_RS_TEST_RESERVED";

    #[test]
    fn room_is_reserved_for_large_files_without_holes() {
        if let Some(place) = std::env::var_os(PLACE) {
            return reserve_in(Path::new(&place));
        }
        let place = tempfile::tempdir().unwrap();
        if !is_tmpfs(place.path()) {
            return reserve_in(place.path());
        }
        // An overlay leaves room to what lies below, and is no file system in memory itself.
        for name in ["lower", "upper", "work", "overlay"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let script = r#"cd "$1" && shift || exit 9
            mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay || exit 9
            exec "$@" --exact execute::bytes::tests::room_is_reserved_for_large_files_without_holes"#;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(place.path());
        command.arg(std::env::current_exe().unwrap()).env(PLACE, place.path().join("overlay"));
        facilities::once_more(&mut command, "no overlays here");
    }

    fn reserve_in(place: &Path) {
        let file = tempfile::tempfile_in(place).unwrap();
        let can = rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, RESERVE).is_ok();
        if !can || taken(&file) < RESERVE {
            return facilities::left_out("no room can be reserved where temporary files are");
        }
        let [usual, sparse] = [false, true].map(|sparse| Options { sparse, ..Options::default() });
        for (options, length, is_reserved) in [
            (&usual, RESERVE - 1, false),
            (&usual, RESERVE, true),
            (&usual, 4 * RESERVE, true),
            (&usual, 1 << 60, false),
            (&sparse, 4 * RESERVE, false),
        ] {
            let found = reserved(place, options, length);
            let is_right = if is_reserved { found >= length } else { found == 0 };
            assert!(is_right, "{found} of {length}, {options:?}");
        }
    }

    #[test]
    fn nothing_is_reserved_in_memory() {
        let memory = Path::new("/dev/shm");
        if !is_tmpfs(memory) {
            return facilities::left_out("/dev/shm is no file system in memory");
        }
        let Ok(file) = tempfile::tempfile_in(memory) else {
            return facilities::left_out("no file can be made in /dev/shm");
        };
        // What does not fit is reserved nowhere.
        let free = rustix::fs::fstatvfs(&file).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        if free < 4 * RESERVE {
            return facilities::left_out("too little is free in /dev/shm");
        }
        assert_eq!(reserved(memory, &Options::default(), 4 * RESERVE), 0);
    }

    #[test]
    fn only_large_writes_leave_no_copy_in_memory_and_none_where_copies_are_to_be_kept() {
        let file = tempfile::tempfile().unwrap();
        let write = |page_cache, length| {
            let writing = Bytes::new(&Options { page_cache, ..Options::default() }, 4096);
            writing.write(&file, &vec![1; length], 0).is_ok()
        };
        let all = [(PageCache::Auto, UNCACHED), (PageCache::Auto, UNCACHED - 1), (PageCache::Keep, UNCACHED)];
        // What asks for that fails.
        let written = refusing(&[(Call::WriteWithFlags, Some(Errno::IO))], || {
            all.map(|(page_cache, length)| write(page_cache, length))
        });
        assert!(written.is_none_or(|written| written == [false, true, true]), "{written:?}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        // Whole blocks of zeros between others.
        let mut bytes = vec![7; 30_000];
        bytes[5000..].fill(0);
        bytes[29_999] = 7;
        for (sparse, page_cache) in [
            (false, PageCache::Auto),
            (false, PageCache::Keep),
            (true, PageCache::Auto),
            (true, PageCache::Keep),
        ] {
            let options = Options { sparse, page_cache, ..Options::default() };
            let writing = Bytes::new(&options, 4096);
            assert_eq!(writing.uncached.load(Ordering::Relaxed), page_cache == PageCache::Auto);
            let file = tempfile::tempfile().unwrap();
            let large = [&bytes[..], &vec![1; 2 * UNCACHED]].concat();
            writing.write(&file, &large, 3).unwrap();
            writing.write(&file, &[0; 5000], 3 + large.len() as u64).unwrap();
            let length = 3 + large.len() as u64 + 5000;
            writing.end(&file, length).unwrap();
            let mut read = vec![9; length as usize];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut read, 0).unwrap();
            assert_eq!(file.metadata().unwrap().len(), length);
            assert!(read == [&[0; 3][..], &large, &[0; 5000]].concat(), "{options:?}");
        }
    }
}
