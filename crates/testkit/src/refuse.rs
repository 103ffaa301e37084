//! Simulates file systems that refuse system calls, or accept them and do nothing.
//!
//! seccomp filters do it, for one thread and everything it starts, programs included.

use std::collections::BTreeMap;
use std::panic::resume_unwind;

use libc::c_long;
use rustix::io::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// A kind of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Changes a mode.
    Chmod,
    /// Changes a mode to one with setuid, setgid or sticky bits.
    ChmodSpecial,
    /// Changes an owner or group.
    Chown,
    /// Sets times.
    Utimes,
    /// Closes a file, which then stays open.
    Close,
    /// Forces one file to disk.
    Fsync,
    /// Forces a file system to disk.
    Syncfs,
    /// Gives an entry another name.
    Rename,
    /// Gives an entry another name under conditions, such as that nothing has it.
    RenameIf,
    /// Gives an entry another name, whatever has it.
    RenameOver,
    /// Removes an entry.
    Unlink,
    /// Opens a file.
    Open,
    /// Opens something below a directory by a path of several names.
    OpenBeneath,
    /// Looks at an entry of a directory without following links.
    Look,
    /// Looks at an entry by the call that knows its mount as well.
    Statx,
    /// Lists a directory.
    List,
    /// Opens a file to make it with another mode than 0600.
    CreateWithMode,
    /// Makes a directory.
    MakeDirectory,
    /// Makes a directory with setuid, setgid or sticky bits.
    MakeSpecialDirectory,
    /// Writes to a file with flags for this write alone, as for one of which no copy is to stay in memory.
    WriteWithFlags,
}

/// The numbers that a kind of calls has, each with the argument that is the mode, or the flags.
fn numbers(call: Call) -> Vec<(c_long, u8)> {
    // Later architectures have no calls by path alone.
    #[cfg(target_arch = "x86_64")]
    let (chmod, chown, utimes) = (
        [(libc::SYS_chmod, 1)],
        [(libc::SYS_chown, 0), (libc::SYS_lchown, 0)],
        [(libc::SYS_utime, 0), (libc::SYS_utimes, 0), (libc::SYS_futimesat, 0)],
    );
    #[cfg(not(target_arch = "x86_64"))]
    let (chmod, chown, utimes) = ([], [], []);
    let mut all: Vec<(c_long, u8)> = Vec::new();
    match call {
        Call::Chmod | Call::ChmodSpecial => {
            all.extend([(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (libc::SYS_fchmodat2, 2)]);
            all.extend::<[(c_long, u8); _]>(chmod);
        }
        Call::Chown => {
            all.extend([(libc::SYS_fchown, 0), (libc::SYS_fchownat, 0)]);
            all.extend::<[(c_long, u8); _]>(chown);
        }
        Call::Utimes => {
            all.push((libc::SYS_utimensat, 0));
            all.extend::<[(c_long, u8); _]>(utimes);
        }
        Call::Close => all.push((libc::SYS_close, 0)),
        Call::Fsync => all.extend([(libc::SYS_fsync, 0), (libc::SYS_fdatasync, 0)]),
        Call::Syncfs => all.push((libc::SYS_syncfs, 0)),
        Call::Rename => all.extend([Call::RenameIf, Call::RenameOver].into_iter().flat_map(numbers)),
        Call::RenameIf => all.push((libc::SYS_renameat2, 4)),
        Call::RenameOver => {
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            all.push((libc::SYS_renameat, 0));
            #[cfg(target_arch = "x86_64")]
            all.push((libc::SYS_rename, 0));
            // Later ones have no other call, and make it without flags.
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            all.push((libc::SYS_renameat2, 4));
        }
        Call::Unlink => {
            all.push((libc::SYS_unlinkat, 0));
            #[cfg(target_arch = "x86_64")]
            all.extend([(libc::SYS_unlink, 0), (libc::SYS_rmdir, 0)]);
        }
        Call::Open => all.push((libc::SYS_openat, 0)),
        Call::OpenBeneath => all.push((libc::SYS_openat2, 0)),
        Call::Look => all.push((libc::SYS_newfstatat, 3)),
        Call::Statx => all.push((libc::SYS_statx, 0)),
        Call::List => all.push((libc::SYS_getdents64, 0)),
        Call::CreateWithMode => all.push((libc::SYS_openat, 3)),
        Call::MakeDirectory | Call::MakeSpecialDirectory => {
            all.push((libc::SYS_mkdirat, 2));
            #[cfg(target_arch = "x86_64")]
            all.push((libc::SYS_mkdir, 1));
        }
        Call::WriteWithFlags => all.push((libc::SYS_pwritev2, 0)),
    }
    all
}

/// The flags of `renameat2`: that nothing has the new name, that both are exchanged, and that a whiteout stays.
const CONDITIONS: [u64; 3] = [1, 2, 4];

/// Under which conditions a call is refused; none is always.
fn rules(call: Call, mode: u8) -> Vec<SeccompRule> {
    let masked = |argument, mask, value| {
        let operator = SeccompCmpOp::MaskedEq(mask);
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).expect("an argument")
    };
    let bits = |bits: &[u64], more: &[SeccompCondition]| {
        let rule = |bit: &u64| [vec![masked(mode, *bit, *bit)], more.to_vec()].concat();
        bits.iter().map(|bit| SeccompRule::new(rule(bit)).expect("conditions")).collect()
    };
    match call {
        Call::ChmodSpecial | Call::MakeSpecialDirectory => bits(&[0o4000, 0o2000, 0o1000], &[]),
        Call::RenameIf => bits(&CONDITIONS, &[]),
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        Call::RenameOver => {
            let conditions: u64 = CONDITIONS.iter().sum();
            vec![SeccompRule::new(vec![masked(mode, conditions, 0)]).expect("conditions")]
        }
        // Every mode with more than the owner's rights, of files that must not be there.
        Call::CreateWithMode => {
            let create = (libc::O_CREAT | libc::O_EXCL) as u64;
            let create = masked(2, create, create);
            bits(&[0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001], &[create])
        }
        Call::Look => {
            let nofollow = libc::AT_SYMLINK_NOFOLLOW as u64;
            vec![SeccompRule::new(vec![masked(mode, nofollow, nofollow)]).expect("conditions")]
        }
        _ => Vec::new(),
    }
}

/// Runs something in a thread of its own in which calls fail with an error, or do nothing and succeed if
/// there is none; `None` where the system has no seccomp filters.
pub fn refusing<T: Send>(refused: &[(Call, Option<Errno>)], run: impl FnOnce() -> T + Send) -> Option<T> {
    let work = || from_now_on(refused).then(run);
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// As [`refusing`], in this thread and all that it starts from now on; false where the system has no seccomp
/// filters. Nothing ends it: for threads that [`refusing`] has started.
pub fn from_now_on(refused: &[(Call, Option<Errno>)]) -> bool {
    for &(call, error) in refused {
        if let Err(error) = refuse(call, error) {
            crate::facilities::left_out(format_args!("no seccomp filters here: {error}"));
            return false;
        }
    }
    true
}

fn refuse(call: Call, error: Option<Errno>) -> Result<(), Box<dyn std::error::Error>> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> =
        numbers(call).into_iter().map(|(number, mode)| (number, rules(call, mode))).collect();
    let action = SeccompAction::Errno(error.map_or(0, |errno| errno.raw_os_error() as u32));
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions, Permissions};
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};

    use rustix::fs::{CWD, RenameFlags};

    use super::*;

    #[test]
    fn calls_are_refused_or_do_nothing_in_one_thread_only() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, b"").unwrap();
        let set = |mode| fs::set_permissions(&path, Permissions::from_mode(mode));
        let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;
        set(0o600).unwrap();
        let Some(error) = refusing(&[(Call::Chmod, Some(Errno::PERM))], || set(0o644).unwrap_err()) else {
            return;
        };
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        refusing(&[(Call::Chmod, None)], || set(0o644).unwrap()).unwrap();
        assert_eq!(mode(), 0o600);
        refusing(&[(Call::ChmodSpecial, Some(Errno::PERM))], || {
            set(0o4755).unwrap_err();
            set(0o1755).unwrap_err();
            set(0o755).unwrap();
        })
        .unwrap();
        assert_eq!(mode(), 0o755);
        refusing(&[(Call::CreateWithMode, Some(Errno::INVAL))], || {
            let make = |name: &str, mode| {
                OpenOptions::new().write(true).create_new(true).mode(mode).open(place.path().join(name))
            };
            make("a", 0o644).unwrap_err();
            make("a", 0o600).unwrap();
        })
        .unwrap();
        set(0o600).unwrap();
        let made = |name: &str, mode| {
            let path = place.path().join(name);
            fs::DirBuilder::new().mode(mode).create(&path).map(|()| path.exists()).ok()
        };
        assert_eq!(refusing(&[(Call::MakeDirectory, None)], || made("c", 0o700)).unwrap(), Some(false));
        refusing(&[(Call::MakeSpecialDirectory, Some(Errno::INVAL))], || {
            assert_eq!((made("d", 0o1700), made("d", 0o700)), (None, Some(true)));
        })
        .unwrap();
    }

    #[test]
    fn calls_that_rename_are_refused_together_or_by_what_they_ask() {
        let place = tempfile::tempdir().unwrap();
        if !crate::facilities::renames_if_free(place.path()) {
            return;
        }
        let [one, two] = ["one", "two"].map(|name| place.path().join(name));
        fs::write(&one, b"").unwrap();
        for (call, by_condition, anyhow) in
            [(Call::RenameIf, false, true), (Call::RenameOver, true, false), (Call::Rename, false, false)]
        {
            let ran = refusing(&[(call, Some(Errno::PERM))], || {
                let flags = RenameFlags::NOREPLACE;
                let new = rustix::fs::renameat_with(CWD, &one, CWD, &two, flags);
                assert_eq!(new, if by_condition { Ok(()) } else { Err(Errno::PERM) }, "{call:?}");
                let (from, to) = if by_condition { (&two, &one) } else { (&one, &two) };
                let over = rustix::fs::renameat(CWD, from, CWD, to);
                assert_eq!(over, if anyhow { Ok(()) } else { Err(Errno::PERM) }, "{call:?}");
            });
            if ran.is_none() {
                return;
            }
            // Whatever it is called by now.
            let _ = fs::rename(&two, &one);
        }
    }
}
