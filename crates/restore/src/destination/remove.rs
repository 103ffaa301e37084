//! Removes what an interrupted restore left, and what the snapshot does not have, without following anything.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kopia_repository::choice::{Chosen, Scope};
use rustix::fs::{AtFlags, Dir, Mode, Stat};
use rustix::io::Errno;

use super::mounts::{is_boundary, is_mounted};
use super::{DIRECTORY, Identity, is_directory, look, open_to_change, staging};
use crate::kept;

/// What stays of a tree that is removed: paths that begin with the name of the tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where something is mounted, or a subvolume begins.
    pub(crate) mounts: Vec<String>,
    /// Directories that another restore is at work in, or in which one keeps what it replaced.
    pub(crate) restores: Vec<String>,
    /// How many entries are not chosen, directories with all below them.
    pub(crate) not_chosen: u64,
}

/// What stays because it is not chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spared<'a> {
    pub(crate) chosen: &'a Chosen,
    /// What is chosen in the directory that the tree lies in.
    pub(crate) scope: &'a Scope,
}

impl Spared<'_> {
    /// Returns what is chosen below an entry; nothing if it is not chosen itself.
    pub(crate) fn below(self, name: &[u8], is_directory: bool) -> Option<Scope> {
        self.chosen.take(self.scope, &String::from_utf8_lossy(name), is_directory)
    }
}

impl Kept {
    /// Returns whether all of the tree goes.
    pub(crate) fn is_nothing(&self) -> bool {
        self.mounts.is_empty() && self.restores.is_empty() && self.not_chosen == 0
    }
}

/// Removes an entry and, if it is a directory, all below it but what is mounted there; where an identity is
/// given, only the directory of that identity.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &[u8], wanted: Option<Identity>) -> io::Result<Kept> {
    walk(parent, name, wanted, Manner { removes: true, spares_restores: false }, None)
}

/// Removes what the snapshot does not have.
///
/// What is mounted there stays, what another restore is at work on or keeps, and what is not chosen.
pub(crate) fn remove_extra(
    parent: BorrowedFd<'_>,
    name: &[u8],
    spared: Option<Spared<'_>>,
) -> io::Result<Kept> {
    walk(parent, name, None, Manner { removes: true, spares_restores: true }, spared)
}

/// Decides about an entry that is no directory, by the directory that it lies in, its name there, what the
/// system says of it, and its path from the name of the tree on; returns whether it is moved away, and not to
/// be removed.
pub(crate) type MoveAway<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, &[u8], &Stat, &[u8]) -> io::Result<bool>;

/// Removes a directory that a restore made, but for what is to be spared, and moved away, in it.
pub(crate) fn remove_made(parent: BorrowedFd<'_>, name: &[u8], moves: MoveAway<'_>) -> io::Result<Kept> {
    walk_with(parent, name, None, Manner { removes: true, spares_restores: false }, (None, Some(moves)))
}

/// Finds out what [`remove_extra`] would keep.
pub(crate) fn would_keep(
    parent: BorrowedFd<'_>,
    name: &[u8],
    spared: Option<Spared<'_>>,
) -> io::Result<Kept> {
    walk(parent, name, None, Manner { removes: false, spares_restores: true }, spared)
}

/// How a tree is walked.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// Whether anything is removed at all.
    removes: bool,
    /// Whether directories with an unfinished restore in them are left alone, and those in which one keeps what it
    /// replaced.
    spares_restores: bool,
}

/// Directories are emptied one after the other, going down by name and up by `..`, so that the number of open
/// files does not grow with depth; device and inode say whether `..` is where we came from.
fn walk(
    parent: BorrowedFd<'_>,
    name: &[u8],
    wanted: Option<Identity>,
    manner: Manner,
    spared: Option<Spared<'_>>,
) -> io::Result<Kept> {
    walk_with(parent, name, wanted, manner, (spared, None))
}

fn walk_with<'a>(
    parent: BorrowedFd<'_>,
    name: &[u8],
    wanted: Option<Identity>,
    manner: Manner,
    (spared, moves): (Option<Spared<'a>>, Option<MoveAway<'a>>),
) -> io::Result<Kept> {
    let chosen = spared.map(|spared| spared.chosen);
    let mut walk = Walk { manner, chosen, path: Vec::new(), kept: Kept::default(), failed: None, moves };
    let Some(stat) = look(parent, name)? else { return Ok(walk.kept) };
    let below = spared.map_or(Some(Scope::default()), |spared| spared.below(name, is_directory(&stat)));
    let Some(below) = below else {
        walk.kept.not_chosen += 1;
        return Ok(walk.kept);
    };
    if !is_directory(&stat) {
        if wanted.is_some() {
            return Err(replaced());
        }
        walk.remove_file(parent, name)?;
        return Ok(walk.kept);
    }
    if is_boundary(parent, name, &stat, rustix::fs::fstat(parent)?.st_dev)? {
        walk.note_mount(name);
        return Ok(walk.kept);
    }
    let mut current = walk.open(parent, name)?;
    if wanted.is_some_and(|wanted| Identity::of(&current).is_ok_and(|found| found != wanted)) {
        return Err(replaced());
    }
    walk.path.push(name.to_vec());
    let mut level = walk.empty(&current, &below)?;
    let mut above: Vec<Level> = Vec::new();
    loop {
        if let Some((child, scope)) = level.directories.pop() {
            let child = child.as_bytes();
            if manner.removes && rustix::fs::unlinkat(&current, child, AtFlags::REMOVEDIR).is_ok() {
                continue;
            }
            if look(current.as_fd(), child)?.is_none() {
                continue;
            }
            if is_mounted(current.as_fd(), child)? {
                walk.note_mount(child);
                level.keeps = true;
                continue;
            }
            current = walk.open(current.as_fd(), child)?;
            walk.path.push(child.to_vec());
            let below = walk.empty(&current, &scope)?;
            above.push(std::mem::replace(&mut level, below));
            continue;
        }
        let Some(mut upper) = above.pop() else { break };
        current = go_up(current.as_fd(), upper.identity)?;
        let done = walk.path.pop().unwrap_or_default();
        if level.keeps {
            upper.keeps = true;
        } else if manner.removes
            && let Err(errno) = rustix::fs::unlinkat(&current, &*done, AtFlags::REMOVEDIR)
        {
            walk.failed.get_or_insert(errno.into());
            upper.keeps = true;
        }
        level = upper;
    }
    if let Some(error) = walk.failed {
        return Err(error);
    }
    if manner.removes && !level.keeps {
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?;
    }
    Ok(walk.kept)
}

/// Opens the directory that another one lies in.
///
/// # Errors
/// What the system says; also if it is not the directory that was gone down from.
fn go_up(from: BorrowedFd<'_>, expected: Identity) -> io::Result<OwnedFd> {
    let up = rustix::fs::openat(from, "..", DIRECTORY, Mode::empty())?;
    if Identity::of(&up)? != expected {
        return Err(io::Error::other("the directory was moved while it was removed"));
    }
    Ok(up)
}

fn replaced() -> io::Error {
    io::Error::other("something else has taken its place")
}

/// A directory that is being emptied.
struct Level {
    identity: Identity,
    /// Its directories that are still to be removed, with what is chosen in them.
    directories: Vec<(CString, Scope)>,
    /// Whether it has to stay, because something in it does.
    keeps: bool,
}

struct Walk<'a> {
    manner: Manner,
    /// What may go, if not everything.
    chosen: Option<&'a Chosen>,
    /// The names of the directories that lead to the one that is being emptied.
    path: Vec<Vec<u8>>,
    kept: Kept,
    /// Why something could not be removed: the first of all. The rest goes all the same.
    failed: Option<io::Error>,
    moves: Option<MoveAway<'a>>,
}

impl Walk<'_> {
    fn open(&self, parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
        if self.manner.removes {
            return open_to_change(parent, name);
        }
        Ok(rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?)
    }

    /// Removes all files of a directory that are chosen, and lists such directories.
    fn empty(&mut self, directory: &OwnedFd, scope: &Scope) -> io::Result<Level> {
        let identity = Identity::of(directory)?;
        let mut level = Level { identity, directories: Vec::new(), keeps: false };
        // Before anything goes: whatever lies beside an unfinished restore may be what that has just put
        // there.
        if self.manner.spares_restores && staging::is_in_use(directory.as_fd())? {
            self.kept.restores.push(self.path_of(None));
            level.keeps = true;
            return Ok(level);
        }
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = look(directory.as_fd(), name)?;
            let spared = self.chosen.map(|chosen| Spared { chosen, scope });
            let is_directory = stat.as_ref().is_some_and(is_directory);
            let below = spared.map_or(Some(Scope::default()), |it| it.below(name.to_bytes(), is_directory));
            match stat {
                Some(_) if below.is_none() => {
                    self.kept.not_chosen += 1;
                    level.keeps = true;
                }
                // A subvolume is no mount, and an empty one could be removed like a directory.
                Some(stat) if is_directory && stat.st_dev != identity.device => {
                    self.note_mount(name.to_bytes());
                    level.keeps = true;
                }
                Some(_)
                    if is_directory
                        && self.manner.spares_restores
                        && name.to_bytes().starts_with(kept::PREFIX.as_bytes()) =>
                {
                    self.kept.restores.push(self.path_of(Some(name.to_bytes())));
                    level.keeps = true;
                }
                Some(_) if is_directory => {
                    level.directories.push((name.to_owned(), below.unwrap_or_default()));
                }
                Some(stat) if self.is_moved_away(directory.as_fd(), name.to_bytes(), &stat)? => {}
                Some(_) => match self.remove_file(directory.as_fd(), name.to_bytes()) {
                    Ok(stays) => level.keeps |= stays,
                    Err(error) => {
                        self.failed.get_or_insert(error);
                        level.keeps = true;
                    }
                },
                None => {}
            }
        }
        Ok(level)
    }

    fn is_moved_away(&mut self, parent: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> io::Result<bool> {
        let Some(moves) = &mut self.moves else { return Ok(false) };
        let names: Vec<_> = self.path.iter().map(|name| &name[..]).chain([name]).collect();
        moves(parent, name, stat, &names.join(&b'/'))
    }

    /// Removes a file; returns whether it stays because something is mounted on it.
    fn remove_file(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<bool> {
        if !self.manner.removes {
            let mounted = is_mounted(parent, name)?;
            if mounted {
                self.note_mount(name);
            }
            return Ok(mounted);
        }
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(false),
            // CIFS says so of files that are open elsewhere, too.
            Err(Errno::BUSY) if is_mounted(parent, name).unwrap_or(true) => {
                self.note_mount(name);
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn note_mount(&mut self, name: &[u8]) {
        let path = self.path_of(Some(name));
        self.kept.mounts.push(path);
    }

    fn path_of(&self, name: Option<&[u8]>) -> String {
        let names: Vec<_> = self.path.iter().map(|name| &name[..]).chain(name).collect();
        String::from_utf8_lossy(&names.join(&b'/')).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use kopia_testkit::refuse::{Call, refusing};
    use kopia_testkit::tmpfs;

    use super::*;

    fn open(path: &Path) -> fs::File {
        fs::File::open(path).unwrap()
    }

    #[test]
    fn what_is_busy_is_taken_for_a_mount_only_if_it_is_one() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("tree")).unwrap();
        fs::write(place.path().join("tree/open elsewhere"), b"x").unwrap();
        let parent = open(place.path());
        let remove = || remove_tree(parent.as_fd(), b"tree", None).map_err(|error| error.raw_os_error());
        let removed = refusing(&[(Call::Unlink, Some(Errno::BUSY))], remove);
        let busy = Some(Errno::BUSY.raw_os_error());
        assert!(removed.is_none_or(|removed| removed.is_err_and(|error| error == busy)));
    }

    #[test]
    fn what_cannot_be_removed_keeps_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        for name in ["tree/a/b", "tree/c", "tree/d"] {
            fs::create_dir_all(place.path().join(name)).unwrap();
        }
        for name in ["tree/a/b/file", "tree/c/file", "tree/d/file", "tree/file"] {
            fs::write(place.path().join(name), b"x").unwrap();
        }
        // Whatever order they are listed in: one stays, and nothing but what it lies in.
        let stays = place.path().join("tree/a/b/file");
        let parent = open(place.path());
        let moves: MoveAway<'_> = &mut |_, _, _, path| {
            if path == b"tree/a/b/file" {
                fs::remove_file(&stays)?;
                fs::create_dir(&stays)?;
            }
            Ok(false)
        };
        assert!(remove_made(parent.as_fd(), b"tree", moves).is_err(), "a file is a directory by now");
        assert!(stays.is_dir());
        for gone in ["tree/c", "tree/d", "tree/file"] {
            assert!(!place.path().join(gone).exists(), "{gone}");
        }
    }

    #[test]
    fn everything_below_goes_and_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), b"x").unwrap();
        let tree = dir.path().join("tree");
        for path in ["a/b/c", "a/d", "e"] {
            fs::create_dir_all(tree.join(path)).unwrap();
            fs::write(tree.join(path).join("file"), b"x").unwrap();
            symlink(&outside, tree.join(path).join("link")).unwrap();
        }
        for (path, mode) in [("a/d", 0o000), ("a", 0o555)] {
            fs::set_permissions(tree.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        let parent = open(dir.path());
        remove_tree(parent.as_fd(), b"tree", None).unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
        remove_tree(parent.as_fd(), b"tree", None).unwrap();
        symlink(&outside, &tree).unwrap();
        remove_tree(parent.as_fd(), b"tree", None).unwrap();
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn only_the_directory_that_is_meant_goes() {
        let dir = tempfile::tempdir().unwrap();
        let parent = open(dir.path());
        fs::create_dir_all(dir.path().join("tree/inner")).unwrap();
        fs::create_dir(dir.path().join("meant")).unwrap();
        let meant = Identity::of(open(&dir.path().join("meant"))).unwrap();
        assert!(remove_tree(parent.as_fd(), b"tree", Some(meant)).is_err());
        assert!(dir.path().join("tree/inner").is_dir());
        fs::write(dir.path().join("file"), b"x").unwrap();
        assert!(remove_tree(parent.as_fd(), b"file", Some(meant)).is_err());
        assert!(dir.path().join("file").is_file());
        remove_tree(parent.as_fd(), b"meant", Some(meant)).unwrap();
        assert!(!dir.path().join("meant").exists());
    }

    #[test]
    fn the_way_up_leads_where_the_way_down_began() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::create_dir(dir.path().join("other")).unwrap();
        let (a, b) = (open(&dir.path().join("a")), open(&dir.path().join("a/b")));
        let expected = Identity::of(&a).unwrap();
        assert_eq!(Identity::of(go_up(b.as_fd(), expected).unwrap()).unwrap(), expected);
        // Somebody moves it elsewhere, where nothing is ours to remove.
        fs::rename(dir.path().join("a/b"), dir.path().join("other/b")).unwrap();
        assert!(go_up(b.as_fd(), expected).is_err());
    }

    #[test]
    fn looking_changes_no_mode() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tree/inner")).unwrap();
        for path in ["tree/inner", "tree"] {
            fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(0o555)).unwrap();
        }
        assert!(would_keep(open(dir.path()).as_fd(), b"tree", None).unwrap().is_nothing());
        for path in ["tree", "tree/inner"] {
            assert_eq!(fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o7777, 0o555);
        }
        remove_tree(open(dir.path()).as_fd(), b"tree", None).unwrap();
    }

    #[test]
    fn whatever_stays_keeps_the_tree() {
        let path = || vec!["tree/x".to_owned()];
        for kept in [
            Kept { mounts: path(), ..Kept::default() },
            Kept { restores: path(), ..Kept::default() },
            Kept { not_chosen: 1, ..Kept::default() },
        ] {
            assert!(!kept.is_nothing(), "{kept:?}");
        }
        assert!(Kept::default().is_nothing());
    }

    #[test]
    fn files_that_something_is_mounted_on_stay_with_their_directories() {
        let Some(mount) = tmpfs::mounted() else {
            let place = tempfile::tempdir().unwrap();
            let test =
                "destination::remove::tests::files_that_something_is_mounted_on_stay_with_their_directories";
            return tmpfs::rerun(test, place.path());
        };
        fs::create_dir_all(mount.join("tree/full")).unwrap();
        fs::write(mount.join("outside"), b"precious").unwrap();
        for name in ["a", "b", "c", "d"] {
            fs::write(mount.join("tree/full").join(name), b"").unwrap();
        }
        for name in ["b", "c"] {
            let (from, to) = (mount.join("outside"), mount.join("tree/full").join(name));
            let bound = std::process::Command::new("mount").arg("--bind").arg(from).arg(to).status();
            assert!(bound.unwrap().success());
        }
        let parent = open(&mount);
        for (find, rest) in [(would_keep as Remove, 4), (remove_extra, 2)] {
            let mut kept = find(parent.as_fd(), b"tree", None).unwrap();
            kept.mounts.sort_unstable();
            assert_eq!(kept.mounts, ["tree/full/b", "tree/full/c"]);
            assert_eq!(fs::read_dir(mount.join("tree/full")).unwrap().count(), rest);
        }
        assert_eq!(fs::read(mount.join("outside")).unwrap(), b"precious");
    }

    type Remove = fn(BorrowedFd<'_>, &[u8], Option<Spared<'_>>) -> io::Result<Kept>;

    #[test]
    fn what_a_restore_keeps_stays() {
        let dir = tempfile::tempdir().unwrap();
        let parent = open(dir.path());
        for path in ["tree/a/.kopia-rs-undo-cfg/kept", "tree/a/other", "tree/b"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
            fs::write(dir.path().join(path).join("file"), b"x").unwrap();
        }
        let expected = Kept { restores: vec!["tree/a/.kopia-rs-undo-cfg".into()], ..Kept::default() };
        assert_eq!(would_keep(parent.as_fd(), b"tree", None).unwrap(), expected);
        assert_eq!(remove_extra(parent.as_fd(), b"tree", None).unwrap(), expected);
        assert!(dir.path().join("tree/a/.kopia-rs-undo-cfg/kept/file").exists());
        assert!(!dir.path().join("tree/a/other").exists() && !dir.path().join("tree/b").exists());
        // Of an unfinished folder nothing is spared.
        assert!(remove_tree(parent.as_fd(), b"tree", None).unwrap().is_nothing());
        assert!(!dir.path().join("tree").exists());
    }

    #[test]
    fn what_another_restore_is_at_work_on_stays() {
        let dir = tempfile::tempdir().unwrap();
        let parent = open(dir.path());
        let make = |path: &str| {
            fs::create_dir_all(dir.path().join(path)).unwrap();
            fs::write(dir.path().join(path).join("file"), b"x").unwrap();
        };
        // One that runs, the shards of one, and two that were killed.
        let running = "tree/a/.kopia-rs-restore-k01";
        for path in ["tree/a/deep", running, "tree/b/.kopia-rs-restore-k02", "tree/c/.kopia-rs-restore-k03"] {
            make(path);
        }
        fs::write(dir.path().join("tree/b/.kopia-rs-restore-k02.shard-1-of-2"), b"").unwrap();
        fs::write(dir.path().join("tree/c/.kopia-rs-restore-k04.shard-1-of-2"), b"").unwrap();
        let lock = open(&dir.path().join(running));
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        let sorted = |mut kept: Kept| {
            kept.restores.sort_unstable();
            kept
        };
        let restores = vec!["tree/a".into(), "tree/b".into()];
        let expected = Kept { restores, ..Kept::default() };
        assert_eq!(sorted(would_keep(parent.as_fd(), b"tree", None).unwrap()), expected);
        assert!(
            dir.path().join("tree/c/.kopia-rs-restore-k03/file").exists(),
            "nothing is removed by looking"
        );
        assert_eq!(sorted(remove_extra(parent.as_fd(), b"tree", None).unwrap()), expected);
        for path in
            ["tree/a/deep/file", "tree/a/.kopia-rs-restore-k01/file", "tree/b/.kopia-rs-restore-k02/file"]
        {
            assert!(dir.path().join(path).exists(), "{path}");
        }
        assert!(!dir.path().join("tree/c").exists());
        // It came to its end.
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).unwrap();
        fs::remove_file(dir.path().join("tree/b/.kopia-rs-restore-k02.shard-1-of-2")).unwrap();
        assert!(remove_extra(parent.as_fd(), b"tree", None).unwrap().is_nothing());
        assert!(!dir.path().join("tree").exists());
    }
}
