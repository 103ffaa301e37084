//! What a caller may choose. The defaults are what is safe.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use kopia_format::ObjectId;
use kopia_repository::choice::Chosen;
use kopia_repository::owners::Owners;

use crate::Portion;

/// How a restore is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many threads decode and write; by default as many as the cores that this process may use.
    pub parallel: Option<NonZeroUsize>,
    /// How many threads write what others have decoded.
    ///
    /// By default none on a local disk, where those who decode write for themselves; where the target makes
    /// them wait, as network file systems do, as many as make it faster, 128 at most. Each may take six open
    /// files, so where few may be open there are fewer.
    pub writers: Option<NonZeroUsize>,
    /// Whether the target directory itself gets owner, mode and times of the snapshot's root.
    pub root_attributes: bool,
    /// Whether entries keep the owner that they get here, the running user.
    pub skip_owners: bool,
    /// Whose entries become, where owners are restored. By default they belong to whom they belonged when
    /// they were backed up.
    pub owners: Owners,
    /// Whether entries keep the mode that they get here: nobody but their owner may read them.
    pub skip_permissions: bool,
    /// Whether entries keep the time at which they were written here.
    pub skip_times: bool,
    /// How many directories may be nested: 10,000 by default.
    pub max_depth: usize,
    /// Whether every content's hash is compared with its id. Off by default, as in kopia: the encryption
    /// authenticates every content already. Where nothing
    /// [can be compared](kopia_repository::Contents::can_compare), nothing is.
    pub verify_hashes: bool,
    /// What is forced to disk before the restore ends.
    pub sync: Durability,
    /// Whether blocks of zeros are left out of files, as holes that take no room. Off by default: files get
    /// the room that they need, so that the disk cannot be full later.
    pub sparse: bool,
    /// What stays of the written bytes in the system's memory.
    pub page_cache: PageCache,
    /// How many bytes may be read ahead of the workers, or wait for them.
    ///
    /// 64 MiB by default. Only where the store's reads take long is anything read ahead. One read may have
    /// more by itself.
    pub read_ahead: u64,
    /// What happens to files and links that the target has already.
    pub existing: Existing,
    /// Whether only what the snapshot has newer is replaced, by modification time, to the nanosecond.
    ///
    /// A file or link of the target that is as new as the snapshot's, or newer, stays as it is, unread. A
    /// directory of the target that is as new or newer keeps its owner, mode and time; what lies in it is
    /// compared one by one. A file or link in the place of a directory that is not newer stays too, and that is
    /// a problem, as all below that directory is not restored.
    pub newer: bool,
    /// Whether what is replaced or deleted is kept, until it is put back or forgotten.
    ///
    /// It is moved into a folder beside the target, or in it where that cannot be, which
    /// [`Outcome::kept_in`](crate::Outcome::kept_in) names: [`KeptFolder`](crate::KeptFolder). So nothing is
    /// freed that is replaced, and there must be room for both. An extra directory of which something has to
    /// stay, stays whole. A file with the right bytes that gets another owner, or lets more write in it, is
    /// replaced as well: who may write in it meanwhile would write what is put back. Not with
    /// [`Self::in_place`], [`Self::salvage`] or parts ([`Self::portion`]).
    pub keep_replaced: bool,
    /// Whether large files of the target are changed where they differ, instead of being replaced whole. That
    /// takes no room beside them. Pieces that differ are decoded twice: nothing is written before all of them
    /// can be had, so damage in the repository leaves the file as it was. But a restore that is killed then
    /// leaves such a file with old pieces beside new ones, until the next restore has come to its end. Files
    /// with several names (hard links), or that another user may have open for writing, are replaced all the
    /// same. Not with [`Self::newer`].
    pub in_place: bool,
    /// Whether what the target has and the snapshot has not is deleted, once everything is written. Never on
    /// another file system: what is mounted in the target stays, and
    /// [`Outcome::mounts_kept`](crate::Outcome::mounts_kept) names it.
    pub delete_extra: bool,
    /// Whether the directory `lost+found` of the target is no extra: file systems make it for themselves.
    pub keep_lost_found: bool,
    /// Whether the first problem ends the restore.
    pub fail_fast: bool,
    /// Whether a file that has lost pieces is written all the same.
    ///
    /// It is called `NAME.partial`, with zeros in place of these.
    ///
    /// If that name is taken or too long, the file is called `.kopia-rs-partial-` and eight hexadecimal
    /// digits.
    pub salvage: bool,
    /// Whether only a part is restored, beside other processes that restore the others.
    pub portion: Portion,
    /// What is restored of a directory; everything by default. What is not chosen is no extra: with
    /// [`Self::delete_extra`], whatever the target has by names that are not chosen stays, also within
    /// directories that are deleted.
    ///
    /// It must have been made among the entry that is restored. An interrupted restore is taken up only by one
    /// with the same patterns, and all shards need the same.
    pub chosen: Option<Chosen>,
    /// Roots that other restores put into the same target, before this one or after it. What is unfinished of
    /// them is left to those, also while they are at work; of other roots it is removed.
    pub beside: Arc<HashSet<ObjectId>>,
}

/// What happens to a file or link that the target has already. Directories are filled whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Existing {
    /// It is read, and kept if all its bytes are the snapshot's, compared by hash.
    ///
    /// If it had another owner, or let others write, somebody else may have it open for writing: then it is
    /// replaced. A file that is not kept is replaced whole; pieces of it that are right need not be read from
    /// the repository.
    #[default]
    Verify,
    /// A file is kept unread if its size and modification time are right.
    ///
    /// The time is compared to the nanosecond.
    ///
    /// After a crash of the system, files of an earlier restore may have both and not all of their bytes, unless it
    /// was one with [`Options::sync`]: then [`Self::Verify`] is what helps.
    ///
    /// Otherwise as [`Self::Verify`].
    Skip,
    /// It is replaced.
    Overwrite,
    /// It is left alone, and that is a problem.
    Error,
}

/// What is forced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing, as `cp`, `tar` and kopia do: the system writes when it likes. Only a large file that the target
    /// has is forced there before it gets another time, if it is changed in place or kept: some of its bytes
    /// might be older ones after a power cut.
    #[default]
    None,
    /// The target's file system, once, after everything is written and before anything gets its final name.
    /// From Linux 5.8 on the error of any file comes out then.
    Filesystem,
    /// Every file when it is finished; then as [`Self::Filesystem`].
    Files,
}

/// What stays of written bytes in the system's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PageCache {
    /// What is written in pieces of less than a megabyte; of larger pieces nothing, where Linux (from 6.14
    /// on) and the file system can do that. Their pages are used again and again, which costs less than new
    /// ones and pushes nothing else out of memory.
    #[default]
    Auto,
    /// Everything, for programs that read it at once.
    Keep,
}

impl Existing {
    /// All values by their names, as command lines and configurations spell them.
    pub const NAMES: [(&str, Self); 4] = [
        ("verify", Self::Verify),
        ("skip", Self::Skip),
        ("overwrite", Self::Overwrite),
        ("error", Self::Error),
    ];
}

impl Durability {
    /// All values by their names, as command lines and configurations spell them.
    pub const NAMES: [(&str, Self); 3] =
        [("none", Self::None), ("filesystem", Self::Filesystem), ("files", Self::Files)];
}

impl PageCache {
    /// All values by their names, as command lines and configurations spell them.
    pub const NAMES: [(&str, Self); 2] = [("auto", Self::Auto), ("keep", Self::Keep)];
}

impl FromStr for Existing {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        by_name(&Self::NAMES, name)
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        by_name(&Self::NAMES, name)
    }
}

impl FromStr for PageCache {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        by_name(&Self::NAMES, name)
    }
}

/// Finds a value by its name, or says which names there are.
fn by_name<T: Copy>(names: &[(&str, T)], name: &str) -> Result<T, String> {
    let found = names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let known: Vec<_> = names.iter().map(|(known, _)| *known).collect();
        format!("{name:?} is none of {}", known.join(", "))
    })
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parallel: None,
            writers: None,
            root_attributes: true,
            skip_owners: false,
            owners: Owners::default(),
            skip_permissions: false,
            skip_times: false,
            max_depth: 10_000,
            verify_hashes: false,
            sync: Durability::None,
            sparse: false,
            page_cache: PageCache::Auto,
            read_ahead: 64 << 20,
            existing: Existing::Verify,
            newer: false,
            keep_replaced: false,
            in_place: false,
            delete_extra: false,
            keep_lost_found: false,
            fail_fast: false,
            salvage: false,
            portion: Portion::Whole,
            chosen: None,
            beside: Arc::default(),
        }
    }
}

impl Options {
    /// Returns whether other processes write into the same unfinished directory at the same time.
    pub(crate) fn is_shard(&self) -> bool {
        matches!(self.portion, Portion::Shard(_))
    }

    /// Returns whether everything is written and only has to get to its place.
    pub(crate) fn is_finish(&self) -> bool {
        matches!(self.portion, Portion::Finish(_))
    }

    /// Returns the number of threads that decode and write.
    pub(crate) fn workers(&self) -> usize {
        // The standard library knows affinity and cgroup quotas.
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.parallel.map_or_else(cores, NonZeroUsize::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_work_as_are_asked_for_and_else_as_there_are_cores() {
        let three = Options { parallel: NonZeroUsize::new(3), ..Options::default() };
        assert_eq!(three.workers(), 3);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        assert_eq!(Options::default().workers(), cores);
    }

    #[test]
    fn values_have_names() {
        for (name, value) in Existing::NAMES {
            assert_eq!(name.parse(), Ok(value));
        }
        assert_eq!("filesystem".parse(), Ok(Durability::Filesystem));
        assert_eq!("keep".parse(), Ok(PageCache::Keep));
        assert_eq!("Keep".parse::<PageCache>(), Err("\"Keep\" is none of auto, keep".into()));
    }
}
