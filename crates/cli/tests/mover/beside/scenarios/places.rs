//! What lies in the volume and the repository before.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kopia_testkit::damage::blobs;

use super::{APP, PLAIN, Scenario};
use crate::common::Pod;

fn mine(pod: &Pod) {
    fs::write(pod.volume().join("mine"), "precious").unwrap();
}

pub(super) const VOLUMES: &[Scenario] = &[
    Scenario {
        about: "what else is there is kept",
        prepare: mine,
        mover: (0, "mine=precious text=2026-01-03T00:00:00.5Z"),
        ..PLAIN
    },
    Scenario {
        about: "what else is there is deleted on request",
        prepare: mine,
        variables: &[("KOPIA_ENABLE_FILE_DELETION", "true")],
        ..PLAIN
    },
    Scenario {
        about: "nothing is deleted for a snapshot that is not there",
        prepare: mine,
        identity: "new@media:/data",
        variables: &[("KOPIA_ENABLE_FILE_DELETION", "true")],
        mover: (0, "mine=precious"),
        script: Some((0, "")),
        ..PLAIN
    },
    Scenario {
        about: "nothing is deleted for a list that cannot be read",
        prepare: |pod| {
            mine(pod);
            lose(pod, "q");
        },
        variables: &[("KOPIA_ENABLE_FILE_DELETION", "true")],
        mover: (1, "mine=precious"),
        ..PLAIN
    },
    Scenario {
        about: "lost+found stays",
        prepare: |pod| {
            fs::create_dir(pod.volume().join("lost+found")).unwrap();
            fs::write(pod.volume().join("lost+found/#1"), "found").unwrap();
        },
        variables: &[("KOPIA_ENABLE_FILE_DELETION", "true")],
        mover: (0, "lost+found/#1=found text=2026-01-03T00:00:00.5Z"),
        ..PLAIN
    },
    Scenario {
        about: "another text of the same name",
        prepare: |pod| fs::write(pod.volume().join("text"), "old").unwrap(),
        ..PLAIN
    },
    Scenario {
        about: "a link of the same name, which is not followed",
        prepare: |pod| {
            mine(pod);
            symlink("mine", pod.volume().join("text")).unwrap();
        },
        mover: (0, "mine=precious text=2026-01-03T00:00:00.5Z"),
        ..PLAIN
    },
    Scenario {
        about: "a folder of the same name",
        prepare: |pod| {
            fs::create_dir(pod.volume().join("text")).unwrap();
            fs::write(pod.volume().join("text/in"), "old").unwrap();
        },
        mover: (1, "text/in=old"),
        ..PLAIN
    },
    Scenario {
        about: "no volume",
        prepare: |pod| fs::remove_dir(pod.volume()).unwrap(),
        mover: (1, ""),
        ..PLAIN
    },
    Scenario {
        about: "a second time",
        prepare: |pod| {
            pod.job(APP).run().exits(0);
        },
        ..PLAIN
    },
];

pub(super) const REPOSITORIES: &[Scenario] = &[
    Scenario {
        about: "a wrong password",
        variables: &[("KOPIA_PASSWORD", "wrong")],
        mover: (1, ""),
        ..PLAIN
    },
    Scenario { about: "no password", variables: &[("KOPIA_PASSWORD", "")], mover: (1, ""), ..PLAIN },
    Scenario {
        about: "no repository is named",
        variables: &[("KOPIA_REPOSITORY", "")],
        mover: (1, ""),
        ..PLAIN
    },
    Scenario {
        about: "a relative path",
        variables: &[("KOPIA_REPOSITORY", "filesystem://relative")],
        mover: (1, ""),
        ..PLAIN
    },
    Scenario {
        about: "an empty folder, in which the script makes a repository",
        prepare: emptied,
        mover: (1, ""),
        script: Some((0, "")),
        ..PLAIN
    },
    Scenario {
        about: "a repository that is one level below",
        prepare: |pod| {
            fs::rename(pod.repository(), pod.path("moved")).unwrap();
            fs::create_dir(pod.repository()).unwrap();
            fs::rename(pod.path("moved"), pod.repository().join("repository")).unwrap();
        },
        mover: (1, ""),
        ..PLAIN
    },
    Scenario {
        about: "a damaged format blob",
        prepare: |pod| damage(&pod.repository(), "kopia.repository"),
        mover: (1, ""),
        ..PLAIN
    },
    Scenario {
        about: "a damaged index",
        prepare: |pod| damage(&pod.repository(), "x"),
        mover: (1, ""),
        ..PLAIN
    },
    Scenario { about: "lost manifests", prepare: |pod| lose(pod, "q"), mover: (1, ""), ..PLAIN },
    Scenario {
        about: "no .shards, without which kopia finds no blob",
        prepare: |pod| fs::remove_file(pod.repository().join(".shards")).unwrap(),
        script: Some((1, "")),
        ..PLAIN
    },
    Scenario {
        about: "files of other programs",
        prepare: |pod| {
            for name in [".DS_Store", ".nfs0001", "x.tmp"] {
                fs::write(pod.repository().join(name), "").unwrap();
            }
        },
        ..PLAIN
    },
    Scenario {
        about: "a repository whose modes forbid writing",
        prepare: |pod| read_only(&pod.repository()),
        ..PLAIN
    },
];

/// Deletes the first blob of a kind.
pub(super) fn lose(pod: &Pod, kind: &str) {
    blobs(&pod.repository(), kind)[0].delete();
}

fn emptied(pod: &Pod) {
    fs::remove_dir_all(pod.repository()).unwrap();
    fs::create_dir(pod.repository()).unwrap();
}

fn read_only(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o400)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
}

/// Breaks one bit in the middle of the first blob of a kind.
fn damage(repository: &Path, kind: &str) {
    let blob = &blobs(repository, kind)[0];
    blob.flip_bit(blob.read().len() / 2, 0);
}
