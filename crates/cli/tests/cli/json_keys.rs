//! The keys of `--json`: programs read them, so that none may vanish. New ones may come.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::{KopiaRs, Place};

/// Collects the paths of all keys, of whatever lies in lists as well.
fn collect(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(value, &path, keys);
                keys.insert(path);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, path, keys)),
        _ => {}
    }
}

/// Demands that a command prints these keys. Those of a dry run come in a line of JSON each.
fn demand(command: KopiaRs, expected: &str) {
    let ran = command.arg("--json").run();
    let values = serde_json::Deserializer::from_slice(&ran.stdout).into_iter::<Value>();
    let mut keys = BTreeSet::new();
    values.for_each(|value| collect(&value.unwrap(), "", &mut keys));
    let gone: Vec<_> = expected.split_whitespace().filter(|key| !keys.contains(*key)).collect();
    assert!(gone.is_empty(), "{gone:?} of {keys:?}: {}", ran.stderr);
}

fn sources(arguments: &str) -> KopiaRs {
    KopiaRs::golden("sources", arguments)
}

#[test]
fn no_key_of_a_listing_is_gone() {
    demand(
        sources("status"),
        "contents createdBy deletedContents encryption epochs errorCorrection errorCorrectionPercent formatVersion hash \
         indexBlobs indexVersion keyDerivation livingPacks location openingSeconds originalBytes packedBytes packs \
         sources sources.incomplete sources.newest sources.snapshots sources.source splitter",
    );
    demand(
        sources("snapshots"),
        "description endTime id pins rootEntry.mode rootEntry.mtime rootEntry.name rootEntry.obj rootEntry.size \
         rootEntry.summ.dirs rootEntry.summ.files rootEntry.summ.maxTime rootEntry.summ.numFailed rootEntry.summ.size \
         rootEntry.summ.symlinks rootEntry.type source.host source.path source.userName startTime stats.cachedFiles \
         stats.dirCount stats.errorCount stats.excludedDirCount stats.excludedFileCount stats.excludedTotalSize \
         stats.fileCount stats.ignoredErrorCount stats.nonCachedFiles stats.totalSize tags",
    );
    demand(sources("ls db@media:/var/lib/db -R"), "gid mode mtime obj path size type uid");
}

#[test]
fn no_key_of_what_browses_is_gone() {
    let entry = "gid mode mtime obj path size type uid";
    let snapshot = "pathInSnapshot snapshot source startTime";
    demand(sources("find *"), &format!("{entry} {snapshot} target"));
    demand(sources("gone"), &format!("{entry} {snapshot}"));
    let log =
        "changed first.snapshot first.startTime grown last.snapshot last.startTime snapshots source version";
    demand(sources("log app@media:/data/hello.txt"), &format!("{entry} {log}"));
    let sides = entry.split(' ').filter(|key| *key != "path");
    let sides: Vec<_> = sides.flat_map(|key| [format!("old.{key}"), format!("new.{key}")]).collect();
    let sums = ["added", "removed", "changed"].map(|sum| format!("{sum}.bytes {sum}.files {sum}.folders"));
    let diff = format!("change changed grown path {} {}", sides.join(" "), sums.join(" "));
    demand(sources("diff d10d c3bc"), &diff);
    demand(sources("du c3bc --unique"), "bytes files folders path shared unique");
    demand(
        sources("stats"),
        "contents different.files different.folders metadataBytes plainBytes problemCount restored.bytes restored.files \
         restored.folders snapshots sources storedBytes",
    );
    demand(
        sources("packs c3bc"),
        "bytes bytesToRead files packCount packs.blob packs.bytes packs.holds packs.ranges problemCount reads seconds",
    );
}

#[test]
fn no_key_of_a_restore_is_gone() {
    let place = Place::new();
    demand(
        sources("restore c3bc --dry-run").arg(place.path("target")),
        "action bytes deleted extrasKept folders free kept kind leastInodes leastRoom leftAsNew mountsKept path problems \
         restoresKept room written",
    );
    demand(
        sources("restore c3bc").arg(place.path("target")),
        "bytes bytesKept bytesReused deleted extrasKept files folders kept leftAsNew madeWithFailedFiles mountsKept notes.modes \
         notes.guessed notes.names notes.owners notes.specialBits notes.times object path problemCount problems restoresKept resumed \
         seconds snapshot.id snapshot.source snapshot.startTime stubCount stubs symlinks target",
    );
}

#[test]
fn no_key_of_an_export_is_gone() {
    let place = Place::new();
    demand(
        sources("export c3bc").arg(place.path("x.tar")),
        "archiveBytes bytes files folders foreignNames format madeWithFailedFiles names object path problemCount \
         problems seconds snapshot.id snapshot.source snapshot.startTime stubCount stubs symlinks target",
    );
    demand(
        sources("export c3bc --dry-run"),
        "bytes bytesToRead files folders packs problemCount problems symlinks",
    );
}

#[test]
fn no_key_of_what_was_checked_is_gone() {
    let place = Place::new();
    demand(
        sources("verify"),
        "contents.of contents.verified damage damageCount files folders lossCount losses lost packs.of packs.verified \
         plainBytes restorableAsOf seconds storedBytes.of storedBytes.verified stubCount stubs unindexedPacks unlisted",
    );
    demand(sources("verify --percent 10"), "seed");
    demand(
        sources("verify --rotate 300 --state").arg(place.path("state")),
        "rotation.completeBy rotation.damagedPacks rotation.days rotation.packs rotation.soundPacks",
    );
    demand(
        sources("doctor app@media:/data").arg("--target").arg(place.path("target")),
        "findings found.bytes found.files found.path found.snapshot found.source found.startTime identities.incomplete \
         identities.newestEnd identities.newestId identities.newestStart identities.snapshots identities.source \
         location notes opened target.freeBytes target.path",
    );
    let of_all = "findings.change findings.fact findings.kind findings.weight";
    demand(
        sources("doctor appsrc@media:/data"),
        &format!(
            "{of_all} findings.identities findings.nearest.incomplete findings.nearest.newestEnd \
             findings.nearest.newestId findings.nearest.newestStart findings.nearest.snapshots findings.nearest.source \
             findings.probable findings.wanted"
        ),
    );
    demand(sources("doctor cccc"), &format!("{of_all} findings.cause findings.changes findings.message"));
}
