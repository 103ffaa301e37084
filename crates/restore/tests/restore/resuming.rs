//! What interrupted restores leave, taken up by the next.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, SystemTime};

use kopia_repository::{Entry, Shard};
use kopia_restore::{Error, Existing, Observer, Options, Outcome, Portion};
use kopia_testkit::refuse::{Call, from_now_on, refusing};
use kopia_testkit::writer::RepositoryWriter;
use rustix::io::Errno;
use serde_json::Value;

use crate::common::{Place, assert_same, file, folder, link, names, problems, set_mode};

fn large() -> Vec<u8> {
    (0..10_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

/// `d/inner/small`, `d/l` → "hello", `empty`, `large` in ten pieces.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let (hello, bytes, empty) = (writer.file(b"hello"), writer.file(&large()), writer.file(b""));
    let inner = writer.directory(&[file("small", &hello, 5)]);
    let d = writer.directory(&[folder("inner", &inner), link("l", &hello)]);
    let entries = [folder("d", &d), file("empty", &empty, 0), file("large", &bytes, 40_000)];
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

/// Where a restore of the root keeps what is unfinished.
fn staging(place: &Place, root: &Entry) -> PathBuf {
    place.path("target").join(format!(".kopia-rs-restore-{}", root.object()))
}

fn assert_as_fresh(place: &Place, root: &Entry) {
    kopia_restore::restore(root, place.path("fresh"), &Options::default()).unwrap();
    assert_same(&place.path("fresh"), &place.path("target"));
}

#[test]
fn what_is_right_is_taken_up_and_the_rest_is_not() {
    let place = Place::new();
    let root = root(&place);
    let left = staging(&place, &root);
    fs::create_dir_all(left.join("d/inner")).unwrap();
    fs::write(left.join("d/inner/small"), b"hello").unwrap();
    symlink("other", left.join("d/l")).unwrap();
    fs::write(left.join("empty"), b"not empty").unwrap();
    // Half of it was written when the restore was killed, one piece wrongly.
    let mut bytes = large();
    bytes[20_000..].fill(0);
    bytes[5000] ^= 1;
    fs::write(left.join("large"), &bytes).unwrap();
    // Modes that only a finished folder and file have.
    set_mode(left.join("large"), 0o400);
    set_mode(left.join("d/inner"), 0o500);
    // What no restore of this root leaves.
    fs::write(left.join("stranger"), b"x").unwrap();
    fs::create_dir_all(left.join("d/strange/folder")).unwrap();
    fs::write(left.join(".probe-0"), b"").unwrap();
    let inode = fs::metadata(left.join("large")).unwrap().ino();

    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.files, outcome.problem_count), (3, 0), "{:?}", problems(&outcome));
    // The small file and four of ten pieces.
    assert_eq!(outcome.bytes_kept, 5 + 16_000);
    assert_eq!(fs::metadata(place.path("target/large")).unwrap().ino(), inode);
    assert_as_fresh(&place, &root);
}

#[test]
fn things_of_another_kind_do_not_hold_up_anything() {
    let place = Place::new();
    let root = root(&place);
    let left = staging(&place, &root);
    fs::create_dir_all(left.join("large/full")).unwrap();
    fs::create_dir_all(left.join("empty")).unwrap();
    fs::create_dir_all(left.join("d/l/full")).unwrap();
    fs::write(place.path("outside"), b"precious").unwrap();
    symlink(place.path("outside"), left.join("d/inner")).unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("outside")).unwrap(), b"precious");
    assert_as_fresh(&place, &root);
}

#[test]
fn links_and_files_with_other_names_are_not_taken_up() {
    let place = Place::new();
    let root = root(&place);
    let left = staging(&place, &root);
    fs::create_dir_all(&left).unwrap();
    fs::write(place.path("outside"), [0; 40_000]).unwrap();
    fs::hard_link(place.path("outside"), left.join("large")).unwrap();
    symlink(place.path("outside"), left.join("empty")).unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("outside")).unwrap(), [0; 40_000]);
    assert_as_fresh(&place, &root);
}

#[test]
fn what_was_moved_already_is_kept() {
    let place = Place::new();
    let root = root(&place);
    place.restore(&root, "target");
    // As if it had been killed between two renames.
    let left = staging(&place, &root);
    fs::create_dir(&left).unwrap();
    fs::rename(place.path("target/large"), left.join("large")).unwrap();
    fs::create_dir(left.join("d")).unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.files, outcome.kept, outcome.problem_count), (1, 3, 0), "{:?}", problems(&outcome));
    assert_as_fresh(&place, &root);
}

#[test]
fn a_file_that_cannot_be_finished_is_not_moved_half_written() {
    let place = Place::new();
    let root = root(&place);
    let left = staging(&place, &root);
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("large"), [7; 40_000]).unwrap();
    for pack in kopia_testkit::damage::blobs(&place.path("repo"), "p") {
        pack.delete();
    }
    let outcome = place.restore(&root, "target");
    assert!(problems(&outcome).iter().any(|problem| problem.starts_with("large: ")));
    assert_eq!(names(&place.path("target")), ["d", "empty"]);
    assert_eq!(names(&place.path("target/d")), ["inner"]);
}

/// Stops after some entries.
struct Stopping {
    entries: AtomicU64,
    after: u64,
}

impl Observer for Stopping {
    fn stop(&self) -> bool {
        self.entries.load(Ordering::Relaxed) >= self.after
    }

    fn entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_restore_that_is_stopped_again_and_again_comes_to_its_end() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let folders: Vec<_> = (0..40_u8)
        .map(|number| {
            let files: Vec<_> = (0..10_u8)
                .map(|inner| {
                    let bytes = writer.file(&[number, inner]);
                    file(&format!("f{inner}"), &bytes, 2)
                })
                .collect();
            folder(&format!("d{number}"), &writer.directory(&files))
        })
        .collect();
    let root = folder("data", &writer.directory(&folders));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let mut stops = 0;
    for after in (20..).step_by(40) {
        let observer = Stopping { entries: AtomicU64::new(0), after };
        let target = place.path("target");
        match kopia_restore::restore_observed(&root, &target, &Options::default(), &observer) {
            Err(Error::Stopped { unfinished }) => {
                stops += 1;
                assert_eq!(unfinished, staging(&place, &root));
                assert_eq!(names(&target).len(), 1, "nothing else is visible");
            }
            outcome => {
                assert_eq!(outcome.unwrap().problem_count, 0);
                break;
            }
        }
    }
    assert!(stops > 3, "{stops}");
    assert_as_fresh(&place, &root);
}

#[test]
fn fail_fast_ends_with_the_first_problem_and_leaves_what_was_done() {
    let place = Place::new();
    let root = root(&place);
    let pack = &kopia_testkit::damage::blobs(&place.path("repo"), "p")[0];
    let whole = pack.read();
    pack.flip_bit(40, 0);
    let mut options = Options::default();
    options.fail_fast = true;
    let error = kopia_restore::restore(&root, place.path("target"), &options).unwrap_err();
    let Error::Problem { problem, unfinished } = error else { panic!("{error}") };
    assert!(["d/l", "d/inner/small"].contains(&&*problem.path), "{problem}");
    assert!(unfinished.is_dir());
    pack.write(&whole);
    kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_as_fresh(&place, &root);
}

#[test]
fn half_a_file_in_place_is_put_right() {
    let place = Place::new();
    let root = root(&place);
    place.restore(&root, "target");
    let path = place.path("target/large");
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0; 30_000], 5000).unwrap();
    let mut options = Options::default();
    options.in_place = true;
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!((outcome.files, outcome.problem_count), (1, 0));
    assert_as_fresh(&place, &root);
}

/// Tells the run of the same test that it lacks capabilities.
const FEW_CAPABILITIES: &str = "KOPIA_RS_TEST_FEW_CAPABILITIES";

/// Runs a test once more with these capabilities alone, where this is root; returns whether it is that run.
pub(crate) fn with_capabilities(few: &str, test: &str) -> bool {
    if std::env::var_os(FEW_CAPABILITIES).is_some() {
        return true;
    }
    let why_not = "only root can drop capabilities, with setpriv";
    if !rustix::process::geteuid().is_root() {
        kopia_testkit::facilities::left_out(why_not);
        return false;
    }
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", &format!("--bounding-set={few}")]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env(FEW_CAPABILITIES, "1");
    kopia_testkit::facilities::once_more(&mut command, why_not);
    false
}

#[test]
fn a_staged_folder_that_was_given_away_is_taken_back() {
    let test = "resuming::a_staged_folder_that_was_given_away_is_taken_back";
    if !with_capabilities("-all,+chown", test) {
        return;
    }
    let place = Place::new();
    let root = root(&place);
    // One that this process may not look into, and one in which it may not write.
    for (mode, has_file) in [(0o750, true), (0o755, false)] {
        let left = staging(&place, &root);
        fs::create_dir_all(left.join("d/inner")).unwrap();
        if has_file {
            fs::write(left.join("d/inner/small"), b"hello").unwrap();
        }
        set_mode(left.join("d/inner"), mode);
        lchown(left.join("d/inner"), Some(1000), Some(1000)).unwrap();
        let outcome = place.restore(&root, "target");
        assert!(outcome.resumed && outcome.problem_count == 0, "{mode:o}: {:?}", problems(&outcome));
        assert_as_fresh(&place, &root);
        fs::remove_dir_all(place.path("target")).unwrap();
        fs::remove_dir_all(place.path("fresh")).unwrap();
    }
}

/// Groups that no test is in.
const GROUP: u32 = 4243;
const OTHER: u32 = 4244;

fn owned(mut entry: Value, (uid, gid): (u32, u32)) -> Value {
    (entry["uid"], entry["gid"]) = (uid.into(), gid.into());
    entry
}

/// Gives a folder owner, group and mode. Setting its mode would drop setgid from one of another group.
fn give(path: &Path, (uid, gid): (u32, u32), mode: u32) {
    chown(path, Some(0), Some(rustix::process::getegid().as_raw())).unwrap();
    set_mode(path, mode);
    chown(path, Some(uid), Some(gid)).unwrap();
}

/// Files and links get the group that they get anywhere here, however often the restore is killed, and so does the
/// folder itself all that it has in the snapshot.
#[test]
fn a_staged_folder_that_was_finished_is_as_in_a_fresh_restore() {
    if !rustix::process::geteuid().is_root() {
        return kopia_testkit::facilities::left_out("only root can give folders any group");
    }
    let own = rustix::process::getegid().as_raw();
    for (gid, above) in [(own, 0o755), (own, 0o2755), (OTHER, 0o2755)] {
        let place = Place::new();
        let root = place.root("repo", |writer| {
            let (text, to) = (writer.file(b"text"), writer.file(b"nowhere"));
            let entries = [file("kept", &text, 4), link("link", &to), file("new", &to, 7)];
            let d = writer.directory(&entries.map(|entry| owned(entry, (0, gid))));
            let mut d = owned(folder("d", &d), (1000, GROUP));
            d["mode"] = "020000755".into();
            folder("data", &writer.directory(&[d]))
        });
        for name in ["fresh", "target"] {
            fs::create_dir(place.path(name)).unwrap();
            give(&place.path(name), (0, gid), above);
        }
        let fresh = place.restore(&root, "fresh");

        // As if it had been killed when it had finished `d` but for what it could not read.
        let left = staging(&place, &root);
        fs::DirBuilder::new().mode(0o700).create(&left).unwrap();
        let d = left.join("d");
        fs::create_dir(&d).unwrap();
        fs::write(d.join("kept"), "text").unwrap();
        chown(d.join("kept"), Some(0), Some(gid)).unwrap();
        give(&d, (1000, GROUP), 0o2755);
        let mut options = Options::default();
        options.parallel = NonZeroUsize::new(1);
        let observer = Stopping { entries: AtomicU64::new(0), after: 1 };
        let stopped = kopia_restore::restore_observed(&root, place.path("target"), &options, &observer);
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
        // And once more.
        give(&d, (1000, GROUP), 0o2755);
        let outcome = place.restore(&root, "target");

        assert!(outcome.resumed, "{gid} {above:o}");
        let told = (outcome.problem_count, outcome.notes);
        assert_eq!(told, (0, fresh.notes), "{gid} {above:o}: {:?}", problems(&outcome));
        let found = |target: &str| {
            ["d", "d/kept", "d/link", "d/new"].map(|name| {
                let found = place.path(target).join(name).symlink_metadata().unwrap();
                (name, found.uid(), found.gid(), found.mode() & 0o7777)
            })
        };
        assert_eq!(found("target"), found("fresh"), "{gid} {above:o}");
        assert!(found("target")[1..].iter().all(|(_, _, group, _)| *group == gid), "{:?}", found("target"));
    }
    // Without FSETID, a mode drops setgid; without FOWNER, others' folders take none.
    for few in ["-fsetid", "-all,+chown,+dac_override"] {
        with_capabilities(few, "resuming::a_staged_folder_that_was_finished_is_as_in_a_fresh_restore");
    }
}

/// What goes on can do less than what was killed.
#[test]
fn what_is_made_in_a_staged_folder_that_keeps_its_group_is_looked_at() {
    if !rustix::process::geteuid().is_root() {
        return kopia_testkit::facilities::left_out("only root can give folders any group");
    }
    let place = Place::new();
    let own = (0, rustix::process::getegid().as_raw());
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let (bytes, text) = (writer.file(&large()), writer.file(b"text"));
    let entries =
        [file("a", &text, 4), file("b", &text, 4), file("large", &bytes, 40_000), link("link", &text)];
    let d = writer.directory(&entries.map(|entry| owned(entry, own)));
    let beside = owned(file("beside", &text, 4), own);
    let data = folder("data", &writer.directory(&[beside, owned(folder("d", &d), own)]));
    writer.snapshot("app@host:/data", owned(data, own));
    let root = place.finish("repo", writer);
    fs::create_dir(place.path("target")).unwrap();
    give(&place.path("target"), own, 0o755);
    let left = staging(&place, &root);
    fs::DirBuilder::new().mode(0o700).create(&left).unwrap();
    fs::create_dir(left.join("d")).unwrap();
    give(&left.join("d"), (0, GROUP), 0o2755);
    // One worker, so that what holds in one folder is seen before the other is reached.
    let mut options = Options::default();
    options.parallel = NonZeroUsize::new(1);
    let refused = [Call::Chmod, Call::Chown].map(|call| (call, Some(Errno::PERM)));
    let run = || kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    let Some(outcome) = refusing(&refused, run) else { return };
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    let group = |name: &str| place.path("target").join(name).symlink_metadata().unwrap().gid();
    let names = ["d", "d/a", "d/b", "d/large", "d/link"];
    assert_eq!(names.map(group), [GROUP; 5]);
    assert_eq!((outcome.notes.owners, group("beside")), (5, own.1));
}

#[test]
fn a_staged_folder_that_cannot_be_opened_is_its_own_problem() {
    let test = "resuming::a_staged_folder_that_cannot_be_opened_is_its_own_problem";
    if rustix::process::geteuid().is_root() && !with_capabilities("-all", test) {
        return;
    }
    let place = Place::new();
    let root = root(&place);
    let d = staging(&place, &root).join("d");
    fs::create_dir_all(d.join("inner")).unwrap();
    fs::write(d.join("inner/small"), b"wrong").unwrap();
    let set = |mode| set_mode(&d, mode);
    set(0o000);
    let refused = [Call::Chmod, Call::Chown].map(|call| (call, Some(Errno::PERM)));
    let ended =
        refusing(&refused, || kopia_restore::restore(&root, place.path("target"), &Options::default()));
    // It cannot be removed either.
    let Some(ended) = ended else { return set(0o700) };
    assert!(
        matches!(ended, Err(Error::Target { what: "the unfinished folder cannot be removed", .. })),
        "{ended:?}"
    );
    assert_eq!(fs::read(place.path("target/large")).unwrap(), large());
    assert!(!place.path("target/d").exists(), "what was not compared is in no place");
    set(0o700);
    assert_eq!(place.restore(&root, "target").problem_count, 0);
    assert_as_fresh(&place, &root);
}

/// Refuses a kind of calls in the thread that plans, once it has listed the first folder.
struct Refusing {
    planner: ThreadId,
    asked: AtomicU64,
    call: Call,
}

impl Observer for Refusing {
    fn stop(&self) -> bool {
        // It asks before it looks at a folder, and before each entry.
        if thread::current().id() == self.planner && self.asked.fetch_add(1, Ordering::Relaxed) == 1 {
            from_now_on(&[(self.call, Some(Errno::TIMEDOUT))]);
        }
        false
    }
}

/// Restores to the target as where the connection to a share is lost for a moment; `None` where that cannot be played.
fn restore_refusing(place: &Place, root: &Entry, call: Call) -> Option<Result<Outcome, Error>> {
    refusing(&[(call, Some(Errno::TIMEDOUT))], || ())?;
    refusing(&[], || {
        let observer = Refusing { planner: thread::current().id(), asked: AtomicU64::new(0), call };
        kopia_restore::restore_observed(root, place.path("target"), &Options::default(), &observer)
    })
}

#[test]
fn a_staged_folder_that_cannot_be_looked_at_for_a_moment_is_not_lost() {
    let place = Place::new();
    let root = root(&place);
    let left = staging(&place, &root);
    fs::create_dir_all(left.join("d/inner")).unwrap();
    fs::write(left.join("d/inner/small"), b"hello").unwrap();
    fs::write(left.join("large"), large()).unwrap();
    let Some(ended) = restore_refusing(&place, &root, Call::List) else { return };
    let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
    assert_eq!((path, *what, unfinished.as_ref()), (&left.join("d"), "cannot be looked at", Some(&left)));
    assert!(left.join("large").exists() && left.join("d/inner/small").exists(), "all that is staged stays");
    let outcome = place.restore(&root, "target");
    assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
    assert_eq!(outcome.bytes_kept, 5 + 40_000);
    assert_as_fresh(&place, &root);
}

/// As the one before, of who writes in it: it is listed, and cannot be opened a moment later.
#[test]
fn a_staged_folder_that_cannot_be_written_in_for_a_moment_gets_nowhere_uncompared() {
    let place = Place::new();
    let root = root(&place);
    let (left, target) = (staging(&place, &root), place.path("target"));
    // One that is moved as a whole, and one from which entries are moved into the target's.
    for is_there in [false, true] {
        fs::create_dir_all(left.join("d/inner")).unwrap();
        fs::write(left.join("d/inner/small"), b"wrong").unwrap();
        fs::write(left.join("large"), large()).unwrap();
        if is_there {
            fs::create_dir(target.join("d")).unwrap();
        }
        let run = || kopia_restore::restore(&root, &target, &Options::default());
        let Some(ended) = refusing(&[(Call::MakeDirectory, Some(Errno::TIMEDOUT))], run) else { return };
        let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
        assert_eq!((path, *what, unfinished.as_ref()), (&left.join("d"), "cannot be looked at", Some(&left)));
        assert!(left.join("large").exists(), "all that is staged stays");
        assert_eq!(fs::read(left.join("d/inner/small")).unwrap(), b"wrong");
        assert!(!target.join("d/inner").exists() && target.join("d").exists() == is_there);
        let outcome = place.restore(&root, "target");
        assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
        assert_as_fresh(&place, &root);
        fs::remove_dir_all(&target).unwrap();
        fs::remove_dir_all(place.path("fresh")).unwrap();
    }
}

/// As the one before, of one that was open and is so no more. Nobody keeps the innermost but one open here, and the
/// second in it is reached by the path of all that it lies in.
#[test]
fn a_staged_folder_that_cannot_be_opened_again_for_a_moment_gets_nowhere_uncompared() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let hello = writer.file(b"hello");
        let last = writer.directory(&[file("small", &hello, 5)]);
        let inner = writer.directory(&[folder("one", &last), folder("two", &last)]);
        let d = writer.directory(&[folder("inner", &inner)]);
        folder("data", &writer.directory(&[folder("d", &d)]))
    });
    let (left, target) = (staging(&place, &root), place.path("target"));
    let inner = left.join("d/inner");
    for name in ["one", "two"] {
        fs::create_dir_all(inner.join(name)).unwrap();
        fs::write(inner.join(name).join("small"), b"wrong").unwrap();
    }
    let mut options = Options::default();
    options.parallel = NonZeroUsize::new(1);
    let run = || kopia_restore::restore(&root, &target, &options);
    let Some(ended) = refusing(&[(Call::OpenBeneath, Some(Errno::TIMEDOUT))], run) else { return };
    let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
    let expected = (&inner.join("two"), "cannot be looked at", Some(&left));
    assert_eq!((path, *what, unfinished.as_ref()), expected);
    assert_eq!(fs::read(inner.join("two/small")).unwrap(), b"wrong");
    assert!(!target.join("d").exists());
    let outcome = place.restore(&root, "target");
    assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
    assert_as_fresh(&place, &root);
}

/// Refuses a kind of calls in the only thread that works, as soon as it asks whether to go on.
struct RefusingWorker {
    planner: ThreadId,
    refuses: AtomicBool,
    refused: (Call, Option<Errno>),
}

impl Observer for RefusingWorker {
    fn stop(&self) -> bool {
        if thread::current().id() != self.planner && !self.refuses.swap(true, Ordering::Relaxed) {
            from_now_on(&[self.refused]);
        }
        false
    }
}

/// Restores to a target as [`restore_refusing`] does, where only who works is refused something.
pub(crate) fn restore_with_worker_refusing(
    target: &Path,
    root: &Entry,
    (call, errno): (Call, Errno),
    mut options: Options,
) -> Option<Result<Outcome, Error>> {
    let refused = (call, Some(errno));
    refusing(&[refused], || ())?;
    refusing(&[], || {
        options.parallel = NonZeroUsize::new(1);
        let planner = thread::current().id();
        let observer = RefusingWorker { planner, refuses: AtomicBool::new(false), refused };
        kopia_restore::restore_observed(root, target, &options, &observer)
    })
}

/// What is wrong, and what is left of no entry: both would get to their place with the folder that they lie in.
#[test]
fn what_cannot_be_removed_from_a_staged_folder_for_a_moment_gets_nowhere() {
    let place = Place::new();
    let root = root(&place);
    let (left, target) = (staging(&place, &root), place.path("target"));
    // The second is said of what is open elsewhere.
    for (errno, (name, bytes)) in [Errno::TIMEDOUT, Errno::BUSY]
        .into_iter()
        .flat_map(|errno| [("small", b"wrong"), ("stranger", b"other")].map(|staged| (errno, staged)))
    {
        let staged = stage_beside_large(&left, name, bytes);
        let refused = (Call::Unlink, errno);
        let Some(ended) = restore_with_worker_refusing(&target, &root, refused, Options::default()) else {
            return;
        };
        let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
        assert_eq!((path, *what, unfinished.as_ref()), (&staged, "cannot be removed", Some(&left)));
        assert_eq!(fs::read(&staged).unwrap(), bytes);
        assert_all_stayed_and_goes_on(&place, &root);
    }
}

/// Stages a file in `d/inner` as an interrupted restore leaves it, beside the large one that is right; returns its path.
fn stage_beside_large(left: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let staged = left.join("d/inner").join(name);
    fs::create_dir_all(left.join("d/inner")).unwrap();
    fs::write(&staged, bytes).unwrap();
    fs::write(left.join("large"), large()).unwrap();
    staged
}

/// Checks that nothing staged got to its place, and that the next run restores all; takes away what it made.
fn assert_all_stayed_and_goes_on(place: &Place, root: &Entry) {
    let (left, target) = (staging(place, root), place.path("target"));
    assert!(left.join("large").exists() && !target.join("d").exists(), "all that is staged stays");
    let outcome = place.restore(root, "target");
    assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
    assert_as_fresh(place, root);
    fs::remove_dir_all(&target).unwrap();
    fs::remove_dir_all(place.path("fresh")).unwrap();
}

/// As the one before, where nothing more is taken away either as the disk is full: Btrfs needs room to do that.
#[test]
fn what_a_full_disk_does_not_take_from_a_staged_folder_waits_for_room() {
    let place = Place::new();
    let root = root(&place);
    let (left, target) = (staging(&place, &root), place.path("target"));
    for (name, bytes) in [("small", b"wrong"), ("stranger", b"other")] {
        let staged = stage_beside_large(&left, name, bytes);
        let refused = (Call::Unlink, Errno::NOSPC);
        let Some(ended) = restore_with_worker_refusing(&target, &root, refused, Options::default()) else {
            return;
        };
        assert!(matches!(&ended, Err(Error::NoRoom { unfinished, .. }) if *unfinished == left), "{ended:?}");
        assert_eq!(fs::read(&staged).unwrap(), bytes);
        assert_all_stayed_and_goes_on(&place, &root);
    }
}

/// Where entries are moved one by one, it need not be waited for. It must not replace what is right.
#[test]
fn what_is_open_elsewhere_stays_behind_in_a_staged_folder() {
    let place = Place::new();
    let root = root(&place);
    let (left, target) = (staging(&place, &root), place.path("target"));
    [&left, &target].iter().for_each(|path| fs::create_dir_all(path.join("d/inner")).unwrap());
    for name in ["small", "stranger", ".nfs0123"] {
        fs::write(left.join("d/inner").join(name), b"wrong").unwrap();
    }
    let own = target.join("d/inner/small");
    fs::write(&own, b"hello").unwrap();
    set_mode(&own, 0o644);
    let then = SystemTime::UNIX_EPOCH + Duration::new(1_577_934_245, 6);
    fs::File::options().write(true).open(&own).unwrap().set_modified(then).unwrap();
    let mut options = Options::default();
    options.existing = Existing::Skip;
    let refused = (Call::Unlink, Errno::BUSY);
    let Some(ended) = restore_with_worker_refusing(&target, &root, refused, options) else { return };
    let outcome = ended.unwrap();
    assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
    assert_as_fresh(&place, &root);
}

#[test]
fn what_is_open_elsewhere_in_the_place_of_a_staged_folder_gets_nowhere() {
    let place = Place::new();
    let root = root(&place);
    let (left, target) = (staging(&place, &root), place.path("target"));
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("d"), b"wrong").unwrap();
    let refused = (Call::Unlink, Errno::BUSY);
    let Some(ended) = restore_with_worker_refusing(&target, &root, refused, Options::default()) else {
        return;
    };
    let outcome = ended.unwrap();
    assert!(matches!(&problems(&outcome)[..], [one] if one.starts_with("d: ")), "{:?}", problems(&outcome));
    assert_eq!(names(&target), ["empty", "large"]);
    assert_eq!(place.restore(&root, "target").problem_count, 0);
    assert_as_fresh(&place, &root);
}

#[test]
fn a_large_staged_file_that_cannot_be_opened_for_a_moment_is_not_lost() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let bytes = writer.file(&large());
    let root = folder("data", &writer.directory(&[file("large", &bytes, 40_000)]));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let (left, target) = (staging(&place, &root), place.path("target"));
    let staged = left.join("large");
    for errno in [Errno::TIMEDOUT, Errno::BUSY] {
        fs::create_dir_all(&left).unwrap();
        fs::write(&staged, large()).unwrap();
        let refused = (Call::Open, errno);
        let Some(ended) = restore_with_worker_refusing(&target, &root, refused, Options::default()) else {
            return;
        };
        let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
        assert_eq!((path, *what, unfinished.as_ref()), (&staged, "cannot be looked at", Some(&left)));
        assert_eq!(fs::read(&staged).unwrap(), large());
        let outcome = place.restore(&root, "target");
        assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
        assert_eq!(outcome.bytes_kept, 40_000);
        assert_as_fresh(&place, &root);
        fs::remove_dir_all(&target).unwrap();
        fs::remove_dir_all(place.path("fresh")).unwrap();
    }
}

#[test]
fn what_is_staged_is_not_lost_where_the_target_cannot_be_looked_at_for_a_moment() {
    let place = Place::new();
    let root = root(&place);
    let (left, target) = (staging(&place, &root), place.path("target"));
    // Of what nothing is staged yet, that is its own problem.
    for (name, kept) in [("large", 40_000), ("d", 5)] {
        fs::create_dir_all(left.join("d/inner")).unwrap();
        fs::write(left.join("d/inner/small"), b"hello").unwrap();
        if name == "large" {
            fs::remove_dir_all(left.join("d")).unwrap();
            fs::write(left.join("large"), large()).unwrap();
        }
        let Some(ended) = restore_refusing(&place, &root, Call::Look) else { return };
        let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
        let expected = (&target.join(name), "cannot be looked at", Some(&left));
        assert_eq!((path, *what, unfinished.as_ref()), expected);
        let outcome = place.restore(&root, "target");
        assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
        assert_eq!(outcome.bytes_kept, kept, "{name}");
        assert_as_fresh(&place, &root);
        fs::remove_dir_all(&target).unwrap();
        fs::remove_dir_all(place.path("fresh")).unwrap();
    }
}

#[test]
fn what_is_staged_is_not_lost_where_the_folder_that_it_goes_to_cannot_be_opened_for_a_moment() {
    let place = Place::new();
    let root = root(&place);
    let (left, target) = (staging(&place, &root), place.path("target"));
    fs::create_dir_all(left.join("d/inner")).unwrap();
    fs::write(left.join("d/inner/small"), b"hello").unwrap();
    fs::create_dir_all(target.join("d/inner")).unwrap();
    let run = || kopia_restore::restore(&root, &target, &Options::default());
    let Some(ended) = refusing(&[(Call::OpenBeneath, Some(Errno::TIMEDOUT))], run) else { return };
    let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
    let expected = (&target.join("d/inner"), "cannot be looked at", Some(&left));
    assert_eq!((path, *what, unfinished.as_ref()), expected);
    let outcome = place.restore(&root, "target");
    assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
    assert_eq!(outcome.bytes_kept, 5);
    assert_as_fresh(&place, &root);
}

/// Then all of it has been read.
#[test]
fn what_is_staged_is_not_lost_where_it_cannot_be_moved_to_its_place_for_a_moment() {
    let place = Place::new();
    let root = root(&place);
    let (left, target) = (staging(&place, &root), place.path("target"));
    // What is moved first: all in the root, and what goes into the innermost folder that the target has.
    for filled in ["", "d/inner"] {
        fs::create_dir_all(target.join(filled)).unwrap();
        let run = || kopia_restore::restore(&root, &target, &Options::default());
        let Some(ended) = refusing(&[(Call::Rename, Some(Errno::TIMEDOUT))], run) else { return };
        let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
        let expected = (&target.join(filled), "cannot be written any more", Some(&left));
        assert_eq!((path, *what, unfinished.as_ref()), expected);
        assert!(
            left.join("large").exists() && left.join("d/inner/small").exists(),
            "all that is staged stays"
        );
        let outcome = place.restore(&root, "target");
        assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
        assert_eq!(outcome.bytes_kept, 5 + 40_000, "{filled}");
        assert_as_fresh(&place, &root);
        fs::remove_dir_all(&target).unwrap();
        fs::remove_dir_all(place.path("fresh")).unwrap();
    }
}

/// What is staged beside it, be it in the folder that both lie in, may be all but the last of many hours.
#[test]
fn a_folder_in_a_staged_one_that_cannot_be_opened_costs_nothing_that_is_staged() {
    let test = "resuming::a_folder_in_a_staged_one_that_cannot_be_opened_costs_nothing_that_is_staged";
    if rustix::process::geteuid().is_root() && !with_capabilities("-all", test) {
        return;
    }
    let place = Place::new();
    let root = root(&place);
    let left = staging(&place, &root);
    let inner = left.join("d/inner");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("small"), b"wrong").unwrap();
    symlink("hello", left.join("d/l")).unwrap();
    fs::write(left.join("large"), large()).unwrap();
    set_mode(&inner, 0o000);
    let refused = [Call::Chmod, Call::Chown].map(|call| (call, Some(Errno::PERM)));
    let ended =
        refusing(&refused, || kopia_restore::restore(&root, place.path("target"), &Options::default()));
    let Some(ended) = ended else { return set_mode(&inner, 0o700) };
    let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
    assert_eq!((path, *what, unfinished.as_ref()), (&inner, "cannot be looked at", Some(&left)));
    assert!(left.join("large").exists() && left.join("d/l").is_symlink(), "all that is staged stays");
    set_mode(&inner, 0o700);
    let outcome = place.restore(&root, "target");
    assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", problems(&outcome));
    assert_as_fresh(&place, &root);

    // What shards wrote would be lost, so nothing is finished, and what is in the way is named.
    let target = place.path("sharded");
    let mut options = Options::default();
    options.portion = Portion::Shard(Shard::new(0, 1).unwrap());
    kopia_restore::restore(&root, &target, &options).unwrap();
    options.portion = Portion::Finish(1);
    let inner = target.join(format!(".kopia-rs-restore-{}", root.object())).join("d/inner");
    set_mode(&inner, 0o000);
    let ended = refusing(&refused, || kopia_restore::restore(&root, &target, &options));
    let Some(Err(Error::Target { path, what, .. })) = &ended else { panic!("{ended:?}") };
    assert_eq!((path, *what), (&inner, "cannot be looked at"));
    set_mode(&inner, 0o700);
    assert_eq!(kopia_restore::restore(&root, &target, &options).unwrap().problem_count, 0);
    assert_same(&place.path("fresh"), &target);
}
