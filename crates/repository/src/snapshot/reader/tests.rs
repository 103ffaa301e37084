//! What lists of manifests may take.

use std::sync::Arc;
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_storage::MemoryStore;
use kopia_storage::testing::DelayedStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter, gzip};
use serde_json::json;

use super::*;
use crate::Snapshots;
use crate::testing::open;

/// A repository of one list for each of some texts that its states end with; each has 100 states.
fn repository(texts: &[&str]) -> Repository {
    let mut writer = RepositoryWriter::new();
    for (list, text) in texts.iter().enumerate() {
        let state =
            |number| format!(r#"{{"id":"{list}x{number}","modified":"2026-01-01T00:00:00Z",{text}}}"#);
        let states = (0..100).map(state).collect::<Vec<_>>().join(",");
        writer.content(Some('m'), &gzip(format!(r#"{{"entries":[{states}]}}"#).as_bytes()));
    }
    open(writer)
}

/// How many of some lists are read by a reader within so much memory, and why the others are not.
fn read(repository: &Repository, all: bool, most: usize) -> (usize, Vec<String>) {
    let indexes = repository.indexes().unwrap().snapshot();
    let mut reader = ManifestReader { most, all, ..ManifestReader::new(repository) };
    let mut lists = reader.read(&indexes.table.manifests().live);
    // One has nothing that would be kept; the writer ends with another.
    lists.retain(|list| !list.as_ref().is_ok_and(Vec::is_empty));
    let (read, refused): (Vec<_>, Vec<_>) = lists.into_iter().partition(Result::is_ok);
    let taken: usize = read.iter().flatten().map(Vec::len).sum();
    assert_eq!(taken, 100 * read.len());
    // A list that is refused makes room for the next one.
    assert_eq!(reader.kept.load(Ordering::Relaxed) > 0, taken > 0);
    (read.len(), refused.into_iter().map(|refused| refused.unwrap_err().to_string()).collect())
}

#[test]
fn states_are_counted_with_all_that_they_take() {
    let snapshot = r#""labels":{"type":"snapshot"},"data":{}"#;
    let policy = r#""labels":{"type":"policy"},"data":{}"#;
    let deleted = r#""deleted":true"#;
    for (text, all, least) in [(snapshot, false, 600), (policy, true, 600), (deleted, false, 100)] {
        let repository = repository(&[text; 3]);
        assert_eq!(read(&repository, all, MOST), (3, Vec::new()), "{text}");
        // 60 bytes of JSON are no measure.
        let most = 100 * least;
        let (count, refused) = read(&repository, all, most);
        assert_eq!((count, refused.len()), (0, 3), "{text}");
        let why =
            format!("unsupported list of manifests: manifests take more than {most} bytes of memory in all");
        assert!(refused.iter().all(|refused| refused.contains(&why)), "{refused:?}");
    }
    assert_eq!(read(&repository(&[policy]), false, 0), (0, Vec::new()), "what is not kept takes nothing");
}

#[test]
fn a_manifest_that_is_too_large_costs_nothing_but_itself() {
    let tags = |count: usize| (0..count).map(|tag| format!(r#""tag:{tag}":"","#)).collect::<String>();
    let state = |id: &str, minute: u8, rest: &str| {
        format!(r#"{{"id":"{id}","modified":"2026-01-01T00:{minute:02}:00Z",{rest}}}"#)
    };
    let tagged = |count, kind: &str| format!(r#""labels":{{{}"type":"{kind}"}},"data":{{}}"#, tags(count));
    let (few, most, more) = (tagged(0, "snapshot"), tagged(9_999, "snapshot"), tagged(10_000, "snapshot"));
    let long =
        format!(r#""labels":{{"type":"snapshot"}},"data":{{"description":"{}"}}"#, "A".repeat(1 << 20));
    let written = |with_policy: bool| {
        let mut states = vec![
            state("few", 0, &few),
            state("long", 0, &long),
            state("more", 0, &more),
            state("most", 0, &most),
            // The last state of each counts, whatever its size.
            state("was few", 0, &few),
            state("was few", 1, &more),
            state("was more", 0, &more),
            state("was more", 1, &few),
            state("gone", 0, &more),
            state("gone", 1, &format!(r#""deleted":true,{more}"#)),
        ];
        if with_policy {
            states = vec![states.swap_remove(0), state("policy", 0, &tagged(10_000, "policy"))];
        }
        let mut writer = RepositoryWriter::new();
        writer.content(Some('m'), &gzip(format!(r#"{{"entries":[{}]}}"#, states.join(",")).as_bytes()));
        writer
            .finish()
            .into_iter()
            .map(|(name, bytes)| (name.parse().unwrap(), bytes))
            .collect::<MemoryStore>()
    };
    let ids = |snapshots: &Snapshots| -> Vec<String> {
        snapshots.iter().map(|snapshot| snapshot.id().to_owned()).collect()
    };
    let password = Password::from(PASSWORD);
    let snapshots = Repository::open_degraded(written(false), &password).unwrap().snapshots().unwrap();
    assert_eq!(ids(&snapshots), ["few", "most", "was more"]);
    let lost: Vec<_> = snapshots.lost().iter().map(ToString::to_string).collect();
    let count = "unsupported number of labels: more than 10000";
    let length = "unsupported length: 1048610 bytes, more than 1048576";
    let expected = [("long", length), ("more", count), ("was few", count)];
    assert_eq!(lost, expected.map(|(id, why)| format!("manifest {id}: {why}")));
    // It is no damage.
    let repository = Repository::open(written(false), &password).unwrap();
    assert_eq!(repository.snapshots().unwrap_err().word(), "unsupported");
    let repository = Repository::open(written(true), &password).unwrap();
    assert_eq!(ids(&repository.snapshots().unwrap()), ["few"]);
    assert_eq!(repository.manifests().unwrap_err().to_string(), format!("manifest policy: {count}"));
}

#[test]
fn tags_and_pins_are_counted_as_what_they_become() {
    let texts = |text: &dyn Fn(usize) -> String| (0..1000).map(text).collect::<Vec<_>>().join(",");
    let (tags, pins) = (texts(&|number| format!(r#""{number}":"c""#)), texts(&|_| r#""a""#.into()));
    let data = format!(r#"{{"tags":{{{tags}}},"pins":[{pins}]}}"#);
    assert!(data.len() < 16_000);
    let manifest = |number: usize| {
        let labels = [("type".to_owned(), "snapshot".to_owned())].into();
        let id = ManifestId::new(&number.to_string()).unwrap();
        Manifest::new(id, labels, Timestamp::default(), data.as_bytes()).unwrap()
    };
    let repository = repository(&[]);
    let parse = |most| {
        let [live, deleted] = [0..5, 5..10].map(|numbers| numbers.map(manifest).collect());
        let (mut ids, mut refused) = (Vec::new(), Vec::new());
        for snapshot in repository.parse_within(most, live, deleted) {
            match snapshot {
                Ok(snapshot) => ids.push(snapshot.id().to_owned()),
                Err(error) => refused.push(error.to_string()),
            }
        }
        (ids, refused)
    };
    assert_eq!(parse(MOST).0.len(), 10);
    // There would be room for all of them as they are written.
    let (ids, refused) = parse(1 << 20);
    assert!((2..=6).contains(&ids.len()), "{ids:?}");
    assert_eq!(refused.len(), 10 - ids.len());
    let why = "unsupported list of manifests: manifests take more than 1048576 bytes of memory in all";
    assert!(refused.iter().all(|refused| refused.starts_with("manifest ") && refused.ends_with(why)));
    // There is room for one, once no others wait.
    assert_eq!(parse(180_000).0, ["9"]);
}

#[test]
fn a_list_is_kept_as_it_stands() {
    let text = json!({"labels": {"type": "snapshot", "path": "/"}, "data": {"x": [1]}}).to_string();
    let repository = repository(&[&text[1..text.len() - 1]]);
    let manifests = repository.manifests().unwrap();
    assert_eq!(manifests.len(), 100);
    for manifest in manifests {
        assert_eq!((manifest.labels.len(), manifest.deleted), (2, false));
        assert_eq!(manifest.data.unwrap().get(), r#"{"x":[1]}"#);
    }
}

/// Lists that compaction left: each has the states of the one before it, and one more. Ends each of them with
/// something.
fn compacted(lists: usize, end: impl Fn(usize) -> &'static str) -> Repository {
    let state = |id: &dyn std::fmt::Display| {
        format!(
            r#"{{"id":"{id}","modified":"2026-01-01T00:00:00Z","labels":{{"type":"snapshot"}},"data":{{}}}}"#
        )
    };
    let mut writer = RepositoryWriter::new();
    for list in 0..lists {
        let states = (0..100 + list).map(|number| state(&number)).collect::<Vec<_>>().join(",");
        writer.content(Some('m'), &gzip(format!(r#"{{"entries":[{states}{}"#, end(list)).as_bytes()));
    }
    open(writer)
}

#[test]
fn a_state_that_many_lists_have_is_kept_and_counted_once() {
    let repository = compacted(20, |_| "]}");
    let indexes = repository.indexes().unwrap().snapshot();
    let lists = &indexes.table.manifests().live;
    let mut reader = ManifestReader::new(&repository);
    let read = |reader: &mut ManifestReader<'_>| {
        let read = reader.read(lists).into_iter().map(|list| list.unwrap().len()).sum::<usize>();
        (read, reader.kept.load(Ordering::Relaxed))
    };
    let (count, kept) = read(&mut reader);
    assert_eq!(count, 119);
    let one = compacted(1, |_| "]}");
    let indexes_of_one = one.indexes().unwrap().snapshot();
    let mut of_one = ManifestReader::new(&one);
    assert_eq!(of_one.read(&indexes_of_one.table.manifests().live).iter().flatten().flatten().count(), 100);
    assert!(kept < 2 * of_one.kept.load(Ordering::Relaxed), "{kept}");
    assert_eq!(read(&mut reader), (0, kept), "as the lists that a compaction left are read after others");
}

#[test]
fn a_list_that_is_cut_off_takes_no_state_from_others() {
    let repository = compacted(8, |list| if list % 2 == 0 { "" } else { "]}" });
    let indexes = repository.indexes().unwrap().snapshot();
    let read = ManifestReader::new(&repository).read(&indexes.table.manifests().live);
    assert_eq!(read.iter().filter(|list| list.is_err()).count(), 4);
    assert_eq!(read.iter().flatten().flatten().count(), 107);
}

#[test]
fn lists_are_in_memory_together_as_far_as_there_is_room() {
    let half = AT_ONCE / 2;
    for (lengths, expected) in [
        (&[half, half, 1][..], 2),
        (&[half, half + 1, 1], 1),
        (&[AT_ONCE + 1, 1], 1),
        (&[0, 1, 2, 3], 4),
        (&[1, u64::MAX, 1], 1),
    ] {
        assert_eq!(at_once(lengths.iter().copied()), expected, "{lengths:?}");
    }
}

#[test]
fn lists_that_lie_side_by_side_are_read_at_once_where_each_read_takes_long() {
    let mut writer = RepositoryWriter::new();
    for number in 0..8 {
        let state = format!(r#"{{"id":"{number}","modified":"2026-01-01T00:00:00Z","deleted":true}}"#);
        writer.content(Some('m'), &gzip(format!(r#"{{"entries":[{state}]}}"#).as_bytes()));
    }
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = Arc::new(DelayedStore::new(blobs.collect::<MemoryStore>(), Duration::ZERO));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    store.take();
    assert!(repository.snapshots().unwrap().hides_deleted());
    assert_eq!(store.take().requests, 1);
}

#[test]
fn a_list_may_have_just_as_many_bytes_as_are_said() {
    let mut writer = RepositoryWriter::new();
    let ids = [1, 2].map(|number| ContentId::new(Some('m'), &[number; 16]).unwrap());
    for (id, length) in ids.iter().zip([LONGEST_LIST, LONGEST_LIST + 1]) {
        writer.forge_gzip(*id, &vec![0; length as usize]);
    }
    let repository = open(writer);
    let read = |id: &ContentId| ManifestReader::new(&repository).read_packed(id);
    assert_eq!(read(&ids[0]).unwrap().len() as u64, LONGEST_LIST);
    assert!(read(&ids[1]).unwrap_err().to_string().contains(&too_long(LONGEST_LIST + 1)));
}

/// The table that keys are in is half full at least.
#[test]
fn a_key_is_counted_with_its_id_and_a_free_place() {
    for length in [1, 32] {
        let id = "a".repeat(length);
        let list =
            format!(r#"{{"entries":[{{"id":"{id}","modified":"2026-01-01T00:00:00Z","deleted":true}}]}}"#);
        let mut memory = 0;
        let read = manifest::read(list.as_bytes(), |state| {
            memory = memory_of_key(&state);
            Ok(())
        });
        read.unwrap();
        let least = 2 * size_of::<Key>() + length;
        assert!((least..least + 32).contains(&memory), "{length}: {memory}");
    }
}

#[test]
fn what_becomes_no_snapshot_is_counted_as_none() {
    let memory = |rest: &str| {
        let mut memory = 0;
        let list = format!(r#"{{"entries":[{{"id":"a","modified":"2026-01-01T00:00:00Z"{rest}}}]}}"#);
        let read = manifest::read(list.as_bytes(), |state| {
            memory = memory_of(&state) - state.memory();
            Ok(())
        });
        read.unwrap();
        memory
    };
    let parsed = size_of::<Snapshot>() + size_of::<SnapshotManifest>();
    assert_eq!(memory(r#","labels":{"type":"snapshot"},"data":{}"#), parsed);
    assert_eq!(memory(r#","labels":{"type":"snapshot"},"deleted":true"#), 0);
    assert_eq!(memory(r#","labels":{"type":"policy"},"data":{}"#), 0);
}
