//! Trees that are made up: as nodes in memory, as an entry of a snapshot, and on a disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use kopia_testkit::random::Random;
use kopia_testkit::writer::RepositoryWriter;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};
use serde_json::{Value, json};

/// Bytes of a piece, of which large files have several.
pub(crate) const PIECE: usize = 500;

/// Something by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) what: What,
    /// Permissions; those of links mean nothing.
    pub(crate) mode: u32,
    /// Seconds since 1970, and the same number of nanoseconds.
    pub(crate) time: u32,
    /// Owner and group; an ordinary user has no choice.
    pub(crate) owner: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    File(Vec<u8>),
    /// A file that has another name, outside.
    Linked(Vec<u8>),
    Link(String),
    Folder(BTreeMap<String, Node>),
    Pipe,
}

impl Node {
    /// Makes up a folder of the kind that snapshots have: files, links and folders.
    pub(crate) fn folder(random: &mut Random, depth: usize) -> Self {
        let count = random.within(0..7);
        let entries = (0..count).map(|_| (name(random), Self::any(random, depth + 1)));
        Self {
            what: What::Folder(entries.collect()),
            mode: one_of(random, &[0o755, 0o700, 0o500]),
            time: time(random),
            owner: owner(random),
        }
    }

    fn any(random: &mut Random, depth: usize) -> Self {
        let what = match random.within(0..10) {
            0..4 if depth < 4 => return Self::folder(random, depth),
            8 => What::Link(name(random)),
            9 => What::File(random.bytes(PIECE * 3 + 17)),
            number => What::File(vec![number as u8; random.within(0..4)]),
        };
        let modes = [0o644, 0o600, 0o400, 0o755, 0o4755, 0o664, 0o646];
        Self { what, mode: one_of(random, &modes), time: time(random), owner: owner(random) }
    }

    /// Makes up what was there before: some of it is the same, some differs, some is missing, some is more.
    pub(crate) fn before(&self, random: &mut Random) -> Self {
        let mut old = self.clone();
        match &mut old.what {
            What::Folder(entries) => {
                entries.retain(|_, _| random.within(0..8) > 0);
                for node in entries.values_mut() {
                    *node =
                        if random.within(0..8) > 0 { node.before(random) } else { Self::in_the_way(random) };
                }
                for _ in 0..random.within(0..3) {
                    entries.entry(name(random)).or_insert_with(|| Self::in_the_way(random));
                }
            }
            What::File(bytes) => match random.within(0..8) {
                0 => bytes.push(1),
                1 => drop(bytes.pop()),
                // The same size and time: only its bytes tell.
                2 | 3 if !bytes.is_empty() => {
                    let place = random.within(0..bytes.len());
                    bytes[place] ^= 1;
                }
                4 => old.what = What::Linked(bytes.clone()),
                _ => {}
            },
            What::Link(target) if random.within(0..4) == 0 => target.push('x'),
            What::Link(_) | What::Linked(_) | What::Pipe => {}
        }
        match random.within(0..8) {
            0 => old.mode ^= 0o050,
            1 => old.time = time(random),
            // Who could have opened it for writing then, and may not afterwards.
            2 => old.mode ^= 0o022,
            3 => old.owner = owner(random),
            _ => {}
        }
        old
    }

    fn in_the_way(random: &mut Random) -> Self {
        match random.within(0..4) {
            0 => Self { what: What::Pipe, mode: 0o600, time: time(random), owner: owner(random) },
            1 => Self {
                what: What::Link("../outside".into()),
                mode: 0o777,
                time: time(random),
                owner: owner(random),
            },
            _ => Self::any(random, 2),
        }
    }

    /// Lists all files below it with their bytes.
    pub(crate) fn files(&self, path: &str) -> Vec<(String, Vec<u8>)> {
        match &self.what {
            What::File(bytes) | What::Linked(bytes) => vec![(path.to_owned(), bytes.clone())],
            What::Folder(entries) => {
                let path =
                    |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                entries.iter().flat_map(|(name, node)| node.files(&path(name))).collect()
            }
            What::Link(_) | What::Pipe => Vec::new(),
        }
    }

    /// Adds it to a repository and returns its entry in a folder, by this name.
    pub(crate) fn entry(&self, writer: &mut RepositoryWriter, name: &str) -> Value {
        let (kind, size, object) = match &self.what {
            What::File(bytes) => ("f", bytes.len(), writer.file(bytes)),
            What::Link(target) => ("s", target.len(), writer.file(target.as_bytes())),
            What::Folder(entries) => {
                let entries: Vec<_> = entries.iter().map(|(name, node)| node.entry(writer, name)).collect();
                ("d", 0, writer.directory(&entries))
            }
            What::Linked(_) | What::Pipe => unreachable!("snapshots have none"),
        };
        let seconds = SystemTime::UNIX_EPOCH + Duration::from_secs(self.time.into());
        assert!(seconds < SystemTime::UNIX_EPOCH + Duration::from_secs(60), "it has two digits");
        let time = format!("1970-01-01T00:00:{:02}.{:09}Z", self.time, self.time);
        // Go has its own bit for setuid.
        let mode = self.mode & 0o777 | if self.mode & 0o4000 == 0 { 0 } else { 1 << 23 };
        json!({"name": name, "type": kind, "mode": format!("0{mode:o}"), "size": size,
            "mtime": time, "obj": object, "uid": self.owner, "gid": self.owner})
    }

    /// Makes it, with everything below; other names of files come to lie in `outside`.
    pub(crate) fn make(&self, path: &Path, outside: &Path) {
        match &self.what {
            What::File(bytes) => fs::write(path, bytes).unwrap(),
            What::Linked(bytes) => {
                let number = fs::read_dir(outside).unwrap().count();
                let other = outside.join(format!("linked{number}"));
                fs::write(&other, bytes).unwrap();
                fs::hard_link(other, path).unwrap();
            }
            What::Link(target) => symlink(target, path).unwrap(),
            What::Folder(entries) => {
                fs::create_dir(path).unwrap();
                entries.iter().for_each(|(name, node)| node.make(&path.join(name), outside));
            }
            What::Pipe => rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).unwrap(),
        }
        lchown(path, Some(self.owner), Some(self.owner)).unwrap();
        if !matches!(self.what, What::Link(_)) {
            fs::set_permissions(path, fs::Permissions::from_mode(self.mode)).unwrap();
        }
        let time = Timespec { tv_sec: self.time.into(), tv_nsec: self.time.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

fn name(random: &mut Random) -> String {
    one_of(random, &["a", "b", "c", "d", "e", "f", "lost+found", "é"]).to_owned()
}

/// Makes up an owner, most often root.
fn owner(random: &mut Random) -> u32 {
    let user = rustix::process::geteuid();
    if user.is_root() { one_of(random, &[0, 0, 0, 1, 2]) } else { user.as_raw() }
}

fn time(random: &mut Random) -> u32 {
    random.within(1..50) as u32
}

pub(crate) fn one_of<T: Copy>(random: &mut Random, all: &[T]) -> T {
    all[random.within(0..all.len())]
}
