//! Restoring only what the snapshot has newer.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use kopia_repository::{Entry, Shard};
use kopia_restore::{Action, Error, Existing, Observer, Options, Portion, Reason};
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::writer::RepositoryWriter;
use rustix::io::Errno;

use crate::common::{Place, file, folder, link, mode, set_mode};

/// When all entries of the snapshot were modified: seconds and nanoseconds.
const THEN: (u64, u32) = (1_577_934_245, 6);

fn newer(existing: Existing) -> Options {
    let mut options = Options::default();
    (options.newer, options.existing) = (true, existing);
    options
}

fn set_time(path: &Path, later: i64) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(THEN.0, THEN.1.wrapping_add_signed(later as i32));
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn write(path: &Path, later: i64) {
    fs::write(path, "here").unwrap();
    set_time(path, later);
}

fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let (text, large) = (writer.file(b"text"), writer.file(&[7; 20_000]));
    let names = ["earlier", "later", "missing", "same"];
    let mut entries = names.map(|name| file(name, &text, 4)).to_vec();
    entries.insert(1, file("large", &large, 20_000));
    entries.insert(3, link("link", &text));
    entries.push(folder("sub", &writer.directory(&[file("inner", &text, 4)])));
    let data = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", data);
    place.finish("repo", writer)
}

#[test]
fn what_is_as_new_or_newer_stays() {
    for existing in [Existing::Verify, Existing::Skip, Existing::Overwrite] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        fs::create_dir_all(target.join("sub")).unwrap();
        for (name, later) in [("earlier", -1), ("later", 1), ("same", 0), ("large", 1), ("sub/inner", -1)] {
            write(&target.join(name), later);
        }
        symlink("elsewhere", target.join("link")).unwrap();
        set_mode(target.join("sub"), 0o711);
        set_time(&target.join("sub"), 1);

        let mut actions = Vec::new();
        let preview = kopia_restore::preview(&root, &target, &newer(existing), |change| {
            actions.push((change.path.clone(), change.action));
        });
        let preview = preview.unwrap();
        assert_eq!((preview.left_as_new, preview.written, preview.kept), (4, 3, 0), "{actions:?}");
        assert!(actions.contains(&("large".into(), Action::Leave)), "{actions:?}");

        let outcome = kopia_restore::restore(&root, &target, &newer(existing)).unwrap();
        assert_eq!((outcome.left_as_new, outcome.files, outcome.symlinks, outcome.kept), (4, 3, 0, 0));
        let read = |name: &str| fs::read_to_string(target.join(name)).unwrap();
        let now = ["earlier", "later", "same", "large", "sub/inner", "missing"].map(read);
        assert_eq!(now, ["text", "here", "here", "here", "text", "text"]);
        assert_eq!(fs::read_link(target.join("link")).unwrap(), Path::new("elsewhere"));
        let sub = fs::metadata(target.join("sub")).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::new(THEN.0, THEN.1 + 1);
        assert_eq!((sub.permissions().mode() & 0o7777, sub.modified().unwrap()), (0o711, time));
        // TARGET itself was newer, too, and is new by what was written in it.
        assert!(fs::metadata(&target).unwrap().modified().unwrap() > time);
    }
}

#[test]
fn folders_that_are_older_get_the_snapshots_attributes() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir_all(target.join("sub")).unwrap();
    set_mode(target.join("sub"), 0o711);
    for name in ["sub", ""] {
        set_time(&target.join(name), -1);
    }
    kopia_restore::restore(&root, &target, &newer(Existing::Verify)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(THEN.0, THEN.1);
    for name in ["sub", ""] {
        let found = fs::metadata(target.join(name)).unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.modified().unwrap()), (0o755, time), "{name}");
    }
}

#[test]
fn a_newer_file_in_the_place_of_a_folder_is_a_problem() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    write(&target.join("sub"), 0);
    let mut options = newer(Existing::Verify);
    options.delete_extra = true;
    write(&target.join("extra"), 0);
    let preview = kopia_restore::preview(&root, &target, &options, |_| {}).unwrap();
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    for problems in [&preview.problems, &outcome.problems] {
        assert!(
            matches!(&problems[..], [one] if one.path == "sub" && matches!(one.reason, Reason::NotNewer))
        );
    }
    assert_eq!((fs::read(target.join("sub")).unwrap(), outcome.extras_kept), (b"here".to_vec(), 1));
    assert_eq!(
        (preview.problem_count, outcome.problem_count),
        (outcome.problem_count, preview.problem_count)
    );
    write(&target.join("sub"), -1);
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!((outcome.problem_count, fs::read(target.join("sub/inner")).unwrap()), (0, b"text".to_vec()));
    assert!(!target.join("extra").exists());
}

/// Of a file that stays now, an interrupted restore may have left the snapshot's.
#[test]
fn what_an_interrupted_restore_left_of_a_file_that_stays_is_not_put_in_its_place() {
    let place = Place::new();
    let (root, whole, target) = (root(&place), place.path("whole"), place.path("target"));
    kopia_restore::restore(&root, &whole, &Options::default()).unwrap();
    fs::create_dir(&target).unwrap();
    write(&target.join("later"), 1);
    let staging = target.join(format!(".kopia-rs-restore-{}", root.object()));
    fs::rename(&whole, &staging).unwrap();
    set_mode(&staging, 0o700);
    let outcome = kopia_restore::restore(&root, &target, &newer(Existing::Verify)).unwrap();
    assert!(outcome.resumed && outcome.left_as_new == 1 && outcome.problem_count == 0, "{outcome:?}");
    assert_eq!(fs::read(target.join("later")).unwrap(), b"here");
    assert!(!staging.exists());
}

/// Saves a file of the target while the restore writes.
struct Saving(PathBuf);

impl Observer for Saving {
    fn bytes(&self, _: u64) {
        fs::write(&self.0, "saved").unwrap();
    }
}

#[test]
fn what_is_saved_during_the_restore_stays() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    write(&target.join("earlier"), -1);
    let saving = Saving(target.join("earlier"));
    let outcome = kopia_restore::restore_observed(&root, &target, &newer(Existing::Verify), &saving).unwrap();
    let problems = &outcome.problems;
    assert!(
        matches!(&problems[..], [one] if one.path == "earlier" && matches!(one.reason, Reason::NotNewer)),
        "{problems:?}"
    );
    let read = |name: &str| fs::read_to_string(target.join(name)).unwrap();
    assert_eq!(["earlier", "missing"].map(read), ["saved", "text"]);
    // Then it is as any other that is newer.
    let outcome = kopia_restore::restore(&root, &target, &newer(Existing::Verify)).unwrap();
    assert_eq!((outcome.problem_count, read("earlier")), (0, "saved".into()));
}

#[test]
fn a_file_that_is_half_changed_in_place_would_be_the_newest() {
    let place = Place::new();
    let root = root(&place);
    let mut options = newer(Existing::Verify);
    options.in_place = true;
    let refused = kopia_restore::restore(&root, place.path("target"), &options);
    assert!(matches!(refused, Err(Error::NewerInPlace)) && !place.path("target").exists());
}

/// Stops as soon as something is written: by then all is planned.
#[derive(Default)]
struct Stopping(AtomicBool);

impl Observer for Stopping {
    fn stop(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn entry(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As [`Stopping`], and keeps what the notes of the unfinished folder are until then: a kill would leave them.
struct Killed {
    stopping: Stopping,
    notes: PathBuf,
    noted: Mutex<Vec<u8>>,
}

impl Killed {
    fn new(target: &Path, root: &Entry) -> Self {
        let name = format!(".kopia-rs-restore-{}", root.object());
        let notes = target.join(&name).join(&name);
        Self { stopping: Stopping::default(), notes, noted: Mutex::default() }
    }

    fn put_notes_back(&self) {
        fs::write(&self.notes, &*self.noted.lock().unwrap()).unwrap();
    }
}

impl Observer for Killed {
    fn stop(&self) -> bool {
        self.stopping.stop()
    }

    fn entry(&self) {
        *self.noted.lock().unwrap() = fs::read(&self.notes).unwrap();
        self.stopping.entry();
    }
}

/// Lets an ordinary user look into a closed folder, and delete it.
fn open(path: &Path) {
    set_mode(path, 0o700);
}

#[test]
fn folders_that_a_killed_restore_changed_do_not_pass_for_newer_ones() {
    // What the folder was when the first run began, if it was there, and what it gets at last.
    for (found, expected) in [(None, (0o755, 0)), (Some(-1), (0o755, 0)), (Some(1), (0o711, 1))] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        let sub = target.join("sub");
        if let Some(later) = found {
            fs::create_dir_all(&sub).unwrap();
            set_mode(&sub, 0o711);
            set_time(&sub, later);
            set_time(&target, -1);
        }
        let options = newer(Existing::Verify);
        let stopped = kopia_restore::restore_observed(&root, &target, &options, &Stopping::default());
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
        // As if it had been killed when entries had their names, and folders not yet their attributes.
        let staged = target.join(format!(".kopia-rs-restore-{}", root.object())).join("sub");
        let _ = fs::remove_dir_all(staged);
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join("inner"), "text").unwrap();
        if found.is_none() {
            set_mode(&sub, 0o700);
        }
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
        let time = |later: u32| SystemTime::UNIX_EPOCH + Duration::new(THEN.0, THEN.1 + later);
        let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!((mode(&sub), modified(&sub)), (expected.0, time(expected.1)), "{found:?}");
        assert_eq!((mode(&target), modified(&target)), (0o755, time(0)), "{found:?}");
    }
}

/// In such a target, all that is made has setgid until it gets its own mode.
#[test]
fn a_folder_that_a_killed_restore_moved_in_a_setgid_target_does_not_pass_for_a_newer_one() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    chown(&target, None, Some(rustix::process::getegid().as_raw())).unwrap();
    set_mode(&target, 0o2711);
    set_time(&target, -1);
    // It ends when all is staged and nothing has its name yet.
    let full = [(Call::Rename, Some(Errno::NOSPC))];
    let options = newer(Existing::Verify);
    let Some(ended) = refusing(&full, || kopia_restore::restore(&root, &target, &options)) else { return };
    assert!(matches!(ended, Err(Error::NoRoom { .. })), "{ended:?}");
    // As if it had been killed when the folder had its name, but not yet its attributes.
    let (staging, sub) = (format!(".kopia-rs-restore-{}", root.object()), target.join("sub"));
    fs::rename(target.join(staging).join("sub"), &sub).unwrap();
    assert_eq!(mode(&sub), 0o2700);
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
    let then = SystemTime::UNIX_EPOCH + Duration::new(THEN.0, THEN.1);
    for folder in [&sub, &target] {
        let modified = fs::metadata(folder).unwrap().modified().unwrap();
        assert_eq!((mode(folder), modified), (0o755, then), "{}", folder.display());
    }
}

#[test]
fn folders_that_a_plain_restore_changed_do_not_pass_for_newer_ones() {
    for exists in [false, true] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        let sub = target.join("sub");
        if exists {
            fs::create_dir_all(&sub).unwrap();
            set_mode(&sub, 0o711);
            set_time(&sub, -1);
            set_time(&target, -1);
        }
        // It ends when all is staged and nothing has its name yet.
        let full = [(Call::Rename, Some(Errno::NOSPC))];
        let Some(ended) = refusing(&full, || kopia_restore::restore(&root, &target, &Options::default()))
        else {
            return;
        };
        assert!(matches!(ended, Err(Error::NoRoom { .. })), "{ended:?}");
        // As if it had been killed when entries had their names, and folders not yet their attributes.
        let staged = target.join(format!(".kopia-rs-restore-{}", root.object())).join("sub");
        if exists {
            fs::rename(staged.join("inner"), sub.join("inner")).unwrap();
            set_mode(&sub, 0o711);
            File::open(&sub).unwrap().set_modified(SystemTime::now()).unwrap();
        } else {
            fs::rename(staged, &sub).unwrap();
            assert_eq!(mode(&sub), 0o700);
        }
        let outcome = kopia_restore::restore(&root, &target, &newer(Existing::Verify)).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
        let then = SystemTime::UNIX_EPOCH + Duration::new(THEN.0, THEN.1);
        for folder in [&sub, &target] {
            let modified = fs::metadata(folder).unwrap().modified().unwrap();
            assert_eq!((mode(folder), modified), (0o755, then), "{exists}: {}", folder.display());
        }
    }
}

/// Making the unfinished folder changes the target, long before anything gets its name.
#[test]
fn a_target_that_a_plain_restore_began_in_does_not_pass_for_a_newer_one() {
    let time =
        |later: i64| SystemTime::UNIX_EPOCH + Duration::new(THEN.0, THEN.1.wrapping_add_signed(later as i32));
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    // Where times can be set, and where they cannot.
    for refused in [false, true] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        fs::create_dir(&target).unwrap();
        set_mode(&target, 0o711);
        set_time(&target, -1);
        let options = Options::default();
        let begin = || kopia_restore::restore_observed(&root, &target, &options, &Stopping::default());
        let refusals = Vec::from_iter(refused.then_some((Call::Utimes, Some(Errno::PERM))));
        let Some(stopped) = refusing(&refusals, begin) else { return };
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
        assert_eq!(modified(&target) == time(-1), !refused);
        let outcome = kopia_restore::restore(&root, &target, &newer(Existing::Verify)).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
        assert_eq!((mode(&target), modified(&target)), (0o755, time(0)), "{refused}");
    }
}

#[test]
fn a_target_that_shards_wrote_in_does_not_pass_for_a_newer_one() {
    // By themselves, and where they take up what a restore of the whole has left.
    for was_begun in [false, true] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        fs::create_dir(&target).unwrap();
        set_mode(&target, 0o711);
        set_time(&target, -1);
        let mut options = Options::default();
        if was_begun {
            let stopped = kopia_restore::restore_observed(&root, &target, &options, &Stopping::default());
            assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
        }
        for index in 0..2 {
            options.portion = Portion::Shard(Shard::new(index, 2).unwrap());
            kopia_restore::restore(&root, &target, &options).unwrap();
        }
        let mut options = newer(Existing::Verify);
        options.portion = Portion::Finish(2);
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
        let time = SystemTime::UNIX_EPOCH + Duration::new(THEN.0, THEN.1);
        let modified = fs::metadata(&target).unwrap().modified().unwrap();
        assert_eq!((mode(&target), modified), (0o755, time), "{was_begun}");
    }
}

#[test]
fn folders_that_were_opened_up_are_closed_again_however_the_restore_ends() {
    // One that cannot be looked into, and one that is opened up only when a file in it is compared.
    for closed in [0o010, 0o555] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        let sub = target.join("sub");
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join("inner"), "text").unwrap();
        set_mode(&sub, closed);
        let mut options = Options::default();
        options.skip_permissions = true;
        let killed = Killed::new(&target, &root);
        let stop = || kopia_restore::restore_observed(&root, &target, &options, &killed);
        assert!(matches!(stop(), Err(Error::Stopped { .. })));
        assert_eq!(mode(&sub), closed, "it was told to stop");
        // As if it had been killed instead.
        set_mode(&sub, closed | 0o700);
        killed.put_notes_back();
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
        assert_eq!(mode(&sub), closed);
        set_mode(&sub, 0o700);
        assert_eq!(fs::read(sub.join("inner")).unwrap(), b"text");
    }
}

#[test]
fn folders_that_were_opened_up_are_closed_again_where_nothing_can_be_moved_for_a_moment() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let text = writer.file(b"text");
        let closed = writer.directory(&[file("inner", &text, 4)]);
        folder("data", &writer.directory(&["a", "m", "z"].map(|name| folder(name, &closed))))
    });
    for delete_extra in [false, true] {
        let target = place.path(if delete_extra { "mirrored" } else { "target" });
        // Whichever is filled first: those that cannot be looked into are opened up long before.
        let folders = [("a", 0o010), ("m", 0o500), ("z", 0o010)].map(|(name, mode)| {
            let path = target.join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("inner"), "here").unwrap();
            set_mode(&path, mode);
            (path, mode)
        });
        let mut options = Options::default();
        (options.skip_permissions, options.delete_extra) = (true, delete_extra);
        let refused = [(Call::Rename, Some(Errno::TIMEDOUT))];
        let Some(ended) = refusing(&refused, || kopia_restore::restore(&root, &target, &options)) else {
            return folders.iter().for_each(|(path, _)| open(path));
        };
        assert!(matches!(ended, Err(Error::Target { what: "cannot be written any more", .. })), "{ended:?}");
        for (path, expected) in &folders {
            assert_eq!(mode(path), *expected, "{}", path.display());
        }
        // What is staged has stayed.
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", outcome.problems);
        for (path, expected) in &folders {
            assert_eq!(mode(path), *expected, "{}", path.display());
            open(path);
            assert_eq!(fs::read(path.join("inner")).unwrap(), b"text");
        }
    }
}

/// That a run takes the mode from the snapshot says nothing of the next one.
#[test]
fn folders_that_a_plain_restore_opened_up_are_closed_again_by_one_that_leaves_them() {
    for closed in [0o010, 0o555] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        let sub = target.join("sub");
        fs::create_dir_all(&sub).unwrap();
        write(&sub.join("inner"), 0);
        set_time(&sub, 0);
        set_mode(&sub, closed);
        let killed = Killed::new(&target, &root);
        let stopped = kopia_restore::restore_observed(&root, &target, &Options::default(), &killed);
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
        // As if it had been killed instead.
        set_mode(&sub, closed | 0o700);
        killed.put_notes_back();
        let outcome = kopia_restore::restore(&root, &target, &newer(Existing::Verify)).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
        assert_eq!(mode(&sub), closed);
        set_mode(&sub, 0o700);
    }
}

#[test]
fn a_target_that_was_opened_up_is_closed_again_by_the_run_after_one_that_was_killed() {
    if rustix::process::geteuid().is_root() {
        return kopia_testkit::facilities::left_to_others("root writes everywhere as it is");
    }
    let mut keeps_mode = Options::default();
    keeps_mode.skip_permissions = true;
    let mut keeps_all = Options::default();
    keeps_all.root_attributes = false;
    // That the first run takes the mode from the snapshot says nothing of the next one.
    for (first, then) in [
        (&keeps_mode, &keeps_mode),
        (&Options::default(), &keeps_mode),
        (&Options::default(), &keeps_all),
        (&Options::default(), &newer(Existing::Verify)),
    ] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        fs::create_dir(&target).unwrap();
        set_time(&target, 0);
        set_mode(&target, 0o555);
        let killed = Killed::new(&target, &root);
        let stopped = kopia_restore::restore_observed(&root, &target, first, &killed);
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
        assert_eq!(mode(&target), 0o555);
        // As if it had been killed instead.
        set_mode(&target, 0o755);
        killed.put_notes_back();
        kopia_restore::restore(&root, &target, then).unwrap();
        assert_eq!(mode(&target), 0o555, "{first:?} {then:?}");
        set_mode(&target, 0o755);
    }
}

/// Whoever may not write in the target opens it up once the restore was stopped, and puts something in it.
#[test]
fn a_target_that_was_closed_again_stays_as_somebody_opens_it_up_since() {
    if rustix::process::geteuid().is_root() {
        return kopia_testkit::facilities::left_to_others("root writes everywhere as it is");
    }
    let (mut keeps_mode, mut keeps_all) = (Options::default(), Options::default());
    (keeps_mode.skip_permissions, keeps_all.root_attributes) = (true, false);
    for then in [&keeps_mode, &keeps_all, &newer(Existing::Verify)] {
        let place = Place::new();
        let target = place.path("target");
        fs::create_dir(&target).unwrap();
        set_time(&target, -1);
        assert_stays_as_opened_up(&root(&place), &target, &target, then);
    }
}

/// As the one before, of a folder in the target.
#[test]
fn a_folder_that_was_closed_again_stays_as_somebody_opens_it_up_since() {
    let mut keeps_mode = Options::default();
    keeps_mode.skip_permissions = true;
    for then in [&keeps_mode, &newer(Existing::Verify)] {
        let place = Place::new();
        let target = place.path("target");
        let sub = target.join("sub");
        fs::create_dir_all(&sub).unwrap();
        write(&sub.join("inner"), 0);
        set_time(&sub, 0);
        assert_stays_as_opened_up(&root(&place), &target, &sub, then);
    }
}

/// Stops a restore while `folder` is closed, opens it up, and goes on.
fn assert_stays_as_opened_up(root: &Entry, target: &Path, folder: &Path, then: &Options) {
    set_mode(folder, 0o511);
    let stopped = kopia_restore::restore_observed(root, target, &Options::default(), &Stopping::default());
    assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    assert_eq!(mode(folder), 0o511);
    set_mode(folder, 0o711);
    fs::write(folder.join("mine"), "mine").unwrap();
    let outcome = kopia_restore::restore(root, target, then).unwrap();
    assert!(outcome.resumed && outcome.problem_count == 0, "{:?}", outcome.problems);
    assert_eq!(mode(folder), 0o711, "{then:?}");
}

#[test]
fn a_folder_does_not_get_the_mode_of_the_file_that_it_replaces() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    let sub = target.join("sub");
    fs::create_dir(&target).unwrap();
    fs::write(&sub, "a file").unwrap();
    set_mode(&sub, 0o644);
    let mut options = Options::default();
    options.skip_permissions = true;
    let stopped = kopia_restore::restore_observed(&root, &target, &options, &Stopping::default());
    assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    // As if it had been killed when the folder had its name, but not yet its attributes.
    let _ = fs::remove_dir_all(target.join(format!(".kopia-rs-restore-{}", root.object())).join("sub"));
    fs::remove_file(&sub).unwrap();
    fs::create_dir(&sub).unwrap();
    set_mode(&sub, 0o700);
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
    assert_eq!((mode(&sub), fs::read(sub.join("inner")).unwrap()), (0o700, b"text".to_vec()));
}
