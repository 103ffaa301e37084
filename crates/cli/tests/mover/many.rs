//! Many applications restore from one repository at the same time, while backups go on.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use kopia_testkit::writer::{RepositoryWriter, write_in};

use crate::common::{Pod, names, snapshot_of};

/// How many restore at once.
const APPLICATIONS: usize = 8;

/// How many files each has.
const FILES: usize = 300;

fn source(application: usize) -> String {
    format!("app-{application}@media:/data")
}

/// The repository after so many backups beyond the first one of each application. Earlier states are
/// beginnings of later ones: as with kopia, packs are only ever added.
fn blobs(backups: usize) -> Vec<(String, Vec<u8>)> {
    let mut writer = RepositoryWriter::new().pack_size(1);
    for number in 0..APPLICATIONS + backups {
        let (application, round) = (number % APPLICATIONS, number / APPLICATIONS);
        let files = if round == 0 { FILES } else { 1 };
        let texts: Vec<_> =
            (0..files).map(|n| (format!("f{n:03}"), format!("{application} {round} {n}"))).collect();
        let texts: Vec<_> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
        let time = format!("2026-01-{:02}T00:00:{application:02}Z", 1 + round);
        snapshot_of(&mut writer, &source(application), &time, &texts, serde_json::json!({}));
    }
    writer.finish()
}

/// Adds what is new, as kopia does: packs, then the index, each under its name only when it is whole.
fn add(repository: &Path, blobs: Vec<(String, Vec<u8>)>) {
    for (name, bytes) in blobs {
        let path = repository.join(format!("{name}.f"));
        if !path.exists() {
            let new = repository.join(format!("{name}.f.tmp.0123"));
            fs::write(&new, bytes).unwrap();
            fs::rename(&new, path).unwrap();
        }
    }
}

#[test]
fn eight_identities_at_once_while_backups_go_on() {
    let pods: Vec<_> = (0..APPLICATIONS).map(|_| Pod::new()).collect();
    let repository = pods[0].repository();
    write_in(&repository, blobs(0)).unwrap();
    let first: Vec<String> =
        (0..APPLICATIONS).map(|number| format!("2026-01-01T00:00:{number:02}Z")).collect();

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Backups of every application but the first four, whose newest snapshot therefore stays what it is.
        scope.spawn(|| {
            let mut backups = 0;
            // One at least, also where the Jobs are done before this thread gets any time.
            while backups == 0 || !done.load(Ordering::Relaxed) && backups < 40 {
                backups += 1;
                add(&repository, blobs(backups));
            }
        });
        let jobs: Vec<_> = pods
            .iter()
            .enumerate()
            .map(|(number, pod)| {
                pod.job(&source(number)).repository(&repository).env("KOPIA_RESTORE_AS_OF", &first[number])
            })
            .collect();
        let children: Vec<_> = jobs.iter().map(|job| job.spawn()).collect();
        for ((number, job), child) in jobs.iter().enumerate().zip(children) {
            job.ended(child).exits(0).says(&[&source(number)]);
        }
        done.store(true, Ordering::Relaxed);
    });
    for (number, pod) in pods.iter().enumerate() {
        let mut restored = names(&pod.volume());
        restored.retain(|name| name.starts_with('f'));
        assert_eq!(restored.len(), FILES);
        for n in [0, FILES / 2, FILES - 1] {
            let text = fs::read_to_string(pod.volume().join(format!("f{n:03}"))).unwrap();
            assert_eq!(text, format!("{number} 0 {n}"), "each gets its own");
        }
    }
    // The backups that were made meanwhile are there for the next one.
    let ran = pods[0].job(&source(0)).repository(&repository).run().exits(0);
    assert!(ran.last().contains("from 2026-01-0"), "{}", ran.last());
}
