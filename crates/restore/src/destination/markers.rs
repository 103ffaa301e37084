//! What shards leave beside the unfinished directory: the lock that each holds, and the marker of each that
//! is through.
//!
//! A marker outlives a crash only if what it vouches for does: everything is on disk before the marker is
//! written, and a marker that is taken back is gone from the disk before anything is written again.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use kopia_repository::Shard;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::lockable::Lockable;
use super::staging::{self, Staging};
use super::target::Target;
use super::{FILE, Identity, look};
use crate::shard::Incomplete;
use crate::{Error, Result};

/// The lock of a shard, held while this is alive. Two processes that restored the same shard would take each
/// other's files away, as would two of different numbers of shards; Kubernetes may run two pods of one index.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "it only has to stay locked")] Lockable);

impl Lock {
    /// Takes the lock of a shard.
    ///
    /// # Errors
    /// [`Error::ShardBusy`] if another process holds it, or that of a shard of another number.
    pub(crate) fn take(target: &Target, staging: &Staging, shard: Shard) -> Result<Self> {
        let error = |source: std::io::Error| target.error("the lock of the shard cannot be taken", source);
        let busy = |shard| Error::ShardBusy { target: target.path.clone(), shard };
        let directory = target.directory.as_fd();
        let name = lock_name(staging, shard);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut tries = 0;
        let file = loop {
            let file = rustix::fs::openat(directory, &*name, flags, Mode::RUSR | Mode::WUSR);
            let file = Lockable::new(file.map_err(|errno| error(errno.into()))?);
            if is_held(&file) || tries == 100 {
                return Err(busy(shard));
            }
            tries += 1;
            // The process that finished the restore may just have removed it; a lock without a name excludes
            // none.
            let named = look(directory, &*name).map_err(error)?.map(|stat| Identity::from(&stat));
            if named == Some(Identity::of(&file).map_err(error)?) {
                break file;
            }
        };
        // Each takes its own first and then looks for others, so that of two at least one sees the other.
        for other in staging::markers_of(directory, staging.name()).map_err(error)? {
            let Some(other) = of_lock(staging, &other).filter(|other| other.of() != shard.of()) else {
                continue;
            };
            let flags = OFlags::RDWR.union(FILE);
            let opened = rustix::fs::openat(directory, lock_name(staging, other), flags, Mode::empty());
            if opened.is_ok_and(|file| is_held(&Lockable::new(file))) {
                return Err(busy(other));
            }
        }
        Ok(Self(file))
    }
}

/// Takes a lock, unless another process holds it. Some network file systems have no locks; then nothing warns
/// of one.
fn is_held(file: &Lockable) -> bool {
    file.try_lock() == Err(Errno::WOULDBLOCK)
}

fn lock_name(staging: &Staging, shard: Shard) -> String {
    format!("{}{}{}-of-{}", staging.name(), staging::LOCK, shard.number(), shard.of())
}

/// Returns the shard that a lock file belongs to.
fn of_lock(staging: &Staging, name: &str) -> Option<Shard> {
    let (number, of) = name.strip_prefix(staging.name())?.strip_prefix(staging::LOCK)?.split_once("-of-")?;
    Shard::new(number.parse().ok()?, of.parse().ok()?)
}

/// Removes the marker of a shard that starts again, before anything that it vouches for is changed.
pub(crate) fn remove_done_marker(target: &Target, staging: &Staging, shard: Shard) -> Result<()> {
    let error = |source| target.error("the marker of the shard cannot be removed", source);
    let name = name(staging, shard);
    // What it says of the target's mode must outlive it.
    if let Ok(text) = read(target, staging, &name) {
        target.set_mode_after(DoneMarkers::parse(&text).mode);
    }
    match rustix::fs::unlinkat(&target.directory, name, AtFlags::empty()) {
        // One that is not there may have been taken back by a run that was killed before this was on disk.
        Ok(()) | Err(Errno::NOENT) => target.sync_names().map_err(error),
        Err(errno) => Err(error(errno.into())),
    }
}

/// Leaves the marker of a shard that is through, once all that it wrote is on disk.
pub(crate) fn write_done_marker(
    target: &Target,
    staging: &Staging,
    shard: Shard,
    incomplete: Incomplete,
) -> Result<()> {
    target.sync()?;
    // Another shard that failed in the meantime may have closed the target again.
    target.open_up_if_closed();
    let text = DoneMarkers { incomplete, mode: target.opened_up_from() }.to_text();
    let (name, directory) = (name(staging, shard), target.directory.as_fd());
    let new = format!("{name}.new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = rustix::fs::openat(directory, &*new, flags, Mode::RUSR | Mode::WUSR)
        .map_err(std::io::Error::from)
        .and_then(|file| {
            let mut file = std::fs::File::from(file);
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            rustix::fs::renameat(directory, &*new, directory, &*name)?;
            target.sync_names()
        });
    written.map_err(|source| target.error("the marker of the shard cannot be written", source))
}

/// What markers say.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct DoneMarkers {
    pub(crate) incomplete: Incomplete,
    /// The mode that the target had before a shard let its owner write in it. The shards leave it open for
    /// each other; the finish gives it back.
    pub(crate) mode: Option<u32>,
}

impl DoneMarkers {
    /// Writes fields that end in NUL: path and reason of each incomplete file, and the mode under the path of
    /// nothing.
    fn to_text(&self) -> String {
        let mode = self.mode.map(|mode| format!("\0{mode:o}\0"));
        let incomplete = self.incomplete.iter().map(|(path, why)| format!("{path}\0{why}\0"));
        mode.into_iter().chain(incomplete).collect()
    }

    fn parse(text: &str) -> Self {
        let mut markers = Self::default();
        let mut fields = text.split('\0');
        while let (Some(path), Some(value)) = (fields.next(), fields.next()) {
            if path.is_empty() {
                markers.mode = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777);
            } else {
                markers.incomplete.insert(path.into(), value.into());
            }
        }
        markers
    }
}

/// Reads the markers of all shards.
///
/// # Errors
/// [`Error::Shards`] if one is missing.
pub(crate) fn read_done_markers(target: &Target, staging: &Staging, of: u32) -> Result<DoneMarkers> {
    let (mut all, mut missing) = (DoneMarkers::default(), Vec::new());
    for shard in shards(of) {
        match read(target, staging, &name(staging, shard)) {
            // What it stood for is gone.
            Ok(_) if !staging.is_left() => missing.push(shard.number()),
            Ok(text) => {
                let DoneMarkers { incomplete, mode } = DoneMarkers::parse(&text);
                all.incomplete.extend(incomplete);
                all.mode = all.mode.or(mode);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push(shard.number()),
            Err(error) => return Err(target.error("the marker of a shard cannot be read", error)),
        }
    }
    if missing.is_empty() {
        return Ok(all);
    }
    let markers = staging::markers_of(target.directory.as_fd(), staging.name()).unwrap_or_default();
    let others = markers.iter().filter(|marker| marker.contains(".shard-"));
    let others = others.filter_map(|marker| marker.rsplit_once("-of-")?.1.parse().ok());
    let mut others: Vec<u32> = others.filter(|other| *other != of).collect();
    others.sort_unstable();
    others.dedup();
    // A finish takes the unfinished directory away before the markers, and leaves what it was for.
    let maybe_finished = !staging.is_left() && staging::has_others(&target.directory).unwrap_or(true);
    Err(Error::Shards { missing, of, others, maybe_finished })
}

fn shards(of: u32) -> impl Iterator<Item = Shard> {
    (0..of).filter_map(move |number| Shard::new(number, of))
}

fn name(staging: &Staging, shard: Shard) -> String {
    format!("{}.shard-{}-of-{}", staging.name(), shard.number(), shard.of())
}

/// Reads a marker. Where others may write in the target, one of theirs could vouch for what no shard has
/// written.
fn read(target: &Target, staging: &Staging, name: &str) -> std::io::Result<String> {
    let file = rustix::fs::openat(&target.directory, name, FILE, Mode::empty())?;
    let (marker, directory) = (rustix::fs::fstat(&file)?, rustix::fs::fstat(staging.handle())?);
    let is_file = rustix::fs::FileType::from_raw_mode(marker.st_mode) == rustix::fs::FileType::RegularFile;
    if !is_file || marker.st_uid != directory.st_uid {
        return Err(std::io::Error::other(format!(
            "{name} belongs to another user than what the shards wrote"
        )));
    }
    let mut text = String::new();
    std::fs::File::from(file).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_say_what_was_written_into_them() {
        let incomplete = [("large", "content x is in no index"), ("d/", "no")];
        let incomplete: Incomplete =
            incomplete.iter().map(|(path, why)| (path.to_string(), why.to_string())).collect();
        for (incomplete, mode) in [
            (Incomplete::new(), None),
            (incomplete.clone(), None),
            (incomplete, Some(0o1555)),
            (Incomplete::new(), Some(0)),
            (Incomplete::new(), Some(0o7777)),
        ] {
            let markers = DoneMarkers { incomplete, mode };
            assert_eq!(DoneMarkers::parse(&markers.to_text()), markers);
        }
        // What somebody else wrote there is no mode.
        for text in ["\0rwx\0", "\x0017777\0", "\0"] {
            assert_eq!(DoneMarkers::parse(text), DoneMarkers::default(), "{text:?}");
        }
    }
}
