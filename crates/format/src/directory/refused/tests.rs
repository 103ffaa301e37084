use std::ops::ControlFlow;

use super::*;
use crate::directory;

/// Reads a directory with one entry, which is refused.
fn refuse(entry: &serde_json::Value) -> Refused {
    let json = serde_json::json!({"stream": "kopia:directory", "entries": [entry]}).to_string();
    let mut refused = None;
    let _ = directory::read(json.as_bytes(), |entry| {
        refused = entry.err();
        ControlFlow::Continue(())
    })
    .unwrap();
    refused.unwrap_or_else(|| panic!("not refused: {entry}"))
}

#[test]
fn every_defect_of_an_entry_has_a_kind_a_word_and_a_sentence() {
    let long = "a".repeat(4097);
    let strange = "é".repeat(300);
    let shown = "é".repeat(256);
    for (field, value, kind, word, sentence) in [
        ("name", "", Refusal::NoName, "name_empty", "has no name"),
        ("name", "/./", Refusal::NoName, "name_empty", "has no name"),
        ("name", ".", Refusal::Dot, "name_dot", "would leave its folder"),
        ("name", "..", Refusal::DotDot, "name_dot_dot", "would leave its folder"),
        ("name", "a/../b", Refusal::DotDot, "name_dot_dot", "would leave its folder"),
        ("name", "a\0", Refusal::Nul, "name_nul", "has NUL in its name"),
        (
            "name",
            &long,
            Refusal::NameTooLong { limit: 4096 },
            "name_too_long",
            "has a name of more than 4096 bytes",
        ),
        (
            "type",
            &strange,
            Refusal::UnknownType { found: shown.as_str().into() },
            "unknown_type",
            &format!("has the unknown type {shown:?}"),
        ),
        (
            "mode",
            &strange,
            Refusal::Mode { found: shown.as_str().into() },
            "bad_mode",
            &format!("has the mode {shown:?}"),
        ),
        ("obj", "", Refusal::NoObject, "no_object", "has no object"),
    ] {
        let mut entry = serde_json::json!({"name": "a", "type": "f", "obj": "bb"});
        entry[field] = value.into();
        let refused = refuse(&entry);
        assert_eq!(refused.why, kind, "{entry}");
        assert_eq!((refused.why.word(), &*refused.why.to_string()), (word, sentence), "{entry}");
    }
    let size = refuse(&serde_json::json!({"name": "a", "type": "f", "obj": "bb", "size": -1}));
    assert_eq!((size.why.word(), &*size.to_string()), ("bad_size", BAD_SIZE));
    let object = refuse(&serde_json::json!({"name": "a", "type": "f", "obj": "no id"}));
    assert_eq!((object.why.word(), object.object), ("bad_object", None));
    assert!(matches!(&object.why, Refusal::Object(error) if error.to_string() == object.reason()));
    let time = refuse(&serde_json::json!({"name": "a", "type": "f", "obj": "bb", "mtime": "yesterday"}));
    assert!(matches!(&time.why, Refusal::Time(error) if error.to_string() == time.why.to_string()));
    assert_eq!(time.why.word(), "bad_time");
}

const BAD_SIZE: &str = "entry \"a\": has the size -1; its bytes are in object bb";

#[test]
fn a_refused_name_is_cut_after_256_characters() {
    let name = format!("{}/..", "é".repeat(300));
    let refused = refuse(&serde_json::json!({"name": name, "type": "f", "obj": "bb"}));
    assert_eq!(refused.name, "é".repeat(256));
    assert_eq!(refused.why, Refusal::DotDot);
    assert!(refused.is_cut());
    let of_length = |length| refuse(&serde_json::json!({"name": "é".repeat(length), "type": "?"}));
    // One of 256 characters may be the beginning of another.
    assert_eq!([255, 256, 257].map(|length| of_length(length).is_cut()), [false, true, true]);
    // What only the whole directory shows has its whole name.
    let whole = Refused { name: "é".repeat(257), why: Refusal::Doubled, object: None };
    assert!(!whole.is_cut());
}

#[test]
fn what_only_the_whole_directory_shows_has_words_and_sentences_too() {
    for (refusal, word, sentence) in [
        (Refusal::NoRoot, "no_root", "the snapshot has no root"),
        (
            Refusal::Doubled,
            "doubled",
            "another entry of the folder has this name; only one of them is restored",
        ),
        (
            Refusal::NotADirectory { through: "a".into() },
            "name_through_file",
            "its name leads through \"a\", which is no folder",
        ),
        (Refusal::TooManyPaths { limit: 7 }, "too_many_paths", "its folder has more than 7 names with `/`"),
        (
            Refusal::TooManyComponents { limit: 8 },
            "too_many_components",
            "its folder has names that lead into more than 8 folders",
        ),
        (
            Refusal::TooManyDirectories { limit: 9 },
            "too_many_directories",
            "its folder has more than 9 folders",
        ),
        (
            Refusal::TooManyNames { limit: 9 },
            "too_many_names",
            "the names of its folder take more than 9 bytes where upper and lower case are one",
        ),
        (
            Refusal::LongDirectories { limit: 9 },
            "too_many_directories",
            "its folder has folders whose names have more than 9 bytes",
        ),
    ] {
        assert_eq!((refusal.word(), &*refusal.to_string()), (word, sentence));
    }
}
