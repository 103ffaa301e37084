//! Jobs with the repositories that were made after public bug reports.

use kopia_testkit::faults;
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::tree::{Entry, Tree};
use rustix::io::Errno;

use crate::common::{Job, Pod, names};

const APP: &str = "app@media:/data";

/// A Job with one of these repositories.
fn job(pod: &Pod, name: &str) -> Job {
    pod.job(APP).repository(&faults::repository(name)).env("KOPIA_PASSWORD", faults::PASSWORD)
}

#[test]
fn files_of_exactly_n_parts_are_right() {
    let pod = Pod::new();
    job(&pod, "pieces-empty").run().exits(0);
    assert_eq!(faults::hashes_of(&pod.volume()), faults::hashes("pieces-empty"));
}

/// Bytes are what counts: a share that takes no attributes is as good a volume as any other.
#[test]
fn a_volume_that_refuses_attributes_gets_all_bytes() {
    let all = [Call::Chmod, Call::Chown, Call::Utimes];
    // With an error, and without one.
    for answer in [Some(Errno::PERM), None] {
        let refused = all.map(|call| (call, answer));
        let (pod, strict) = (Pod::new(), Pod::new());
        let ended = refusing(&refused, || {
            let job = job(&strict, "target-refuses").additional(&["--no-ignore-permission-errors"]);
            (self::job(&pod, "target-refuses").run(), job.run())
        });
        let Some((lenient, exact)) = ended else { return };
        lenient
            .exits(0)
            .says(&["could not be given the right time", "lost setuid, setgid or sticky bits"])
            .ends_with(&["Snapshot restore completed successfully: "]);
        exact.exits(1).ends_with(&["ERROR: unable to restore ", "exactly: not as in the snapshot: "]);
        let expected = shown(&faults::tree("target-refuses"));
        for pod in [pod, strict] {
            assert_eq!(shown(&Tree::scan(pod.volume())), expected, "{answer:?}");
        }
    }
}

/// What is there, whatever its attributes.
fn shown(tree: &Tree) -> Vec<String> {
    let one =
        |entry: &Entry| format!("{} {:?} {:?} {:?}", entry.path, entry.kind, entry.sha256, entry.target);
    tree.entries().iter().map(one).collect()
}

#[test]
fn stubs_are_told_with_the_objects_of_their_originals() {
    let pod = Pod::new();
    job(&pod, "stubs").run().exits(0).says(&[
        "WARN: 1 entry is a stub that `kopia snapshot fix` put there",
        "another snapshot may have it:\n",
        ".INVALID.k2, for k2 (object ",
    ]);
    assert!(names(&pod.volume()).iter().any(|name| name.ends_with(".INVALID.k2")));
}
