//! Lists that lead to more than anybody could visit.

use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use super::*;
use crate::testing::{list, open};

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

/// Lists within so much room for pieces.
fn lists(most: usize) -> Lists {
    Lists { top: Place { most, ..Place::TOP }, ..Lists::default() }
}

#[test]
fn lists_that_have_no_room_in_others_are_not_read_for_each_of_them() {
    let mut writer = RepositoryWriter::new();
    let byte = writer.file(b"x");
    let inner = list(&mut writer, &[(1, &*byte); 11]);
    let with = |writer: &mut RepositoryWriter, first: (usize, &str), count: usize| {
        let mut pieces = vec![(1, &*byte); count];
        pieces.insert(0, first);
        list(writer, &pieces)
    };
    // One has room by itself, for 21 pieces, and none where six more wait; the other nowhere.
    let cases = [(10, true), (20, false)].map(|(count, is_sound)| {
        let outer = with(&mut writer, (11, &*inner), count);
        let all = [6, 7, 8, 4].map(|waiting| with(&mut writer, (11 + count, &*outer), waiting));
        (outer, all, is_sound)
    });
    let repository = open(writer);
    for (outer, [first, second, third, few], is_sound) in cases {
        let (mut lists, mut reads) = (lists(25), 0);
        let mut follow = |object: &str| {
            let followed = lists.follow(&repository, id(object), &mut |extent, _| {
                reads += usize::from(extent.content == id(&outer).content());
                Ok(true)
            });
            (followed.map(|followed| followed.length).map_err(|defect| defect.word()), reads)
        };
        let (followed, reads) = follow(&first);
        assert_eq!(followed, Err("corrupt_object"));
        assert_eq!(follow(&second), (Err("corrupt_object"), reads));
        assert_eq!(follow(&third), (Err("corrupt_object"), reads));
        let length = |length: u64| if is_sound { Ok(length) } else { Err("corrupt_object") };
        assert_eq!(follow(&outer), (length(21), reads));
        assert_eq!(follow(&few), (length(25), reads));
    }
}

#[test]
fn lists_that_have_each_other_and_no_room_end() {
    let mut writer = RepositoryWriter::new();
    let byte = writer.file(b"x");
    let ids = ["a", "b"].map(|letter| format!("x{}", letter.repeat(32)));
    for (own, other) in [(0, 1), (1, 0)] {
        let mut entries = vec![json!({"s": 0, "l": 10, "o": format!("I{}", ids[other])})];
        entries.extend((10..15).map(|start| json!({"s": start, "l": 1, "o": byte})));
        let json = json!({"stream": "kopia:indirect", "entries": entries}).to_string();
        writer.forge(ids[own].parse().unwrap(), json.as_bytes());
    }
    let repository = open(writer);
    for most in [7, 12] {
        let mut lists = lists(most);
        for own in &ids {
            let followed = lists.follow(&repository, id(&format!("I{own}")), &mut |_, _| Ok(true));
            assert_eq!(followed.map(|_| ()).map_err(|defect| defect.word()), Err("corrupt_object"));
        }
    }
}

#[test]
fn an_only_extent_is_known_once_its_lists_are_followed() {
    let mut writer = RepositoryWriter::new();
    let byte = writer.file(b"x");
    let one = list(&mut writer, &[(1, &*byte)]);
    let nested = list(&mut writer, &[(1, &*one)]);
    let two = list(&mut writer, &[(1, &*one), (1, &*byte)]);
    let none = list(&mut writer, &[]);
    let repository = open(writer);
    let extent = Extent { start: 0, length: Some(1), content: id(&byte).content(), compressed: false };
    let mut lists = Lists::default();
    assert_eq!(lists.made(&repository, id(&byte)), Some(Made::One(extent)));
    let made =
        [(nested, Made::One(extent)), (one, Made::One(extent)), (two, Made::Several), (none, Made::Nothing)];
    for (object, made) in made {
        lists.follow(&repository, id(&object), &mut |_, _| Ok(true)).unwrap();
        assert_eq!(lists.made(&repository, id(&object)), Some(made));
    }
    assert_eq!(lists.made(&repository, id(&format!("I{}", "0".repeat(32)))), None);
}
