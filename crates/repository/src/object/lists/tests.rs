//! Lists that lead to more than anybody could visit.

use kopia_codec::key::Password;
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

use super::*;

/// Adds a list of pieces, each by its length and its object, and returns the object that it makes.
fn list(writer: &mut RepositoryWriter, pieces: &[(usize, &str)]) -> String {
    let mut start = 0;
    let mut entries = Vec::new();
    for (length, object) in pieces {
        entries.push(json!({"s": start, "l": length, "o": object}));
        start += length;
    }
    let json = json!({"stream": "kopia:indirect", "entries": entries}).to_string();
    format!("I{}", writer.content(Some('x'), json.as_bytes()))
}

fn open(writer: RepositoryWriter) -> Repository {
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

fn id(object: &str) -> ObjectId {
    object.parse().unwrap()
}

/// All levels are in memory at once: those that are too many together are not even read.
#[test]
fn levels_have_the_room_that_those_above_leave() {
    let mut writer = RepositoryWriter::new();
    let (lowest, byte) = (writer.file(b"lowest"), writer.file(b"x"));
    let mut object = lowest.clone();
    for level in 0..3 {
        let mut pieces = vec![(1, &*byte); 10];
        pieces.insert(0, (6 + level * 10, &*object));
        object = list(&mut writer, &pieces);
    }
    let repository = open(writer);
    let follow = |most, list_bytes| {
        let (mut seen, place) = (false, Place { most, list_bytes, ..Place::TOP });
        let mut look_at = |extent: &Extent, _: bool| {
            seen |= extent.content == id(&lowest).content();
            Ok(true)
        };
        let followed = Lists::default().follow_at(&repository, id(&object), place, false, &mut look_at);
        (followed.ok().map(|followed| (followed.pieces as usize, followed.list_bytes)), seen)
    };
    let (Some((pieces, list_bytes)), true) = follow(MAX_PIECES, MAX_LIST_BYTES) else {
        panic!("it is not followed")
    };
    assert_eq!(pieces, 31);
    assert_eq!(follow(pieces, list_bytes), (Some((pieces, list_bytes)), true));
    assert_eq!(follow(pieces - 1, list_bytes), (None, false));
    assert_eq!(follow(pieces, list_bytes - 1), (None, false));
}
