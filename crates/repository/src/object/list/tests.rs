//! Lists that a few bytes of a repository make as long as anybody wants.

use kopia_testkit::writer::RepositoryWriter;

use super::*;
use crate::testing::{list, open};

/// Walks an object with so many bytes of lists left; returns how many extents it has and how many bytes are left
/// then, or how many there were when it was refused.
fn walk(repository: &Repository, object: &str, list_bytes: u64) -> Result<(usize, u64), usize> {
    let mut extents = Extents::new(repository, object.parse().unwrap());
    extents.place.list_bytes = list_bytes;
    let mut count = 0;
    while let Some(extent) = extents.next() {
        if let Err(error) = extent {
            assert_eq!(error.word(), "corrupt_object");
            assert!(error.to_string().contains("its lists have more than 536870912 bytes"), "{error}");
            assert!(extents.next().is_none(), "nothing comes after an error");
            return Err(count);
        }
        count += 1;
    }
    Ok((count, extents.place.list_bytes))
}

#[test]
fn a_list_without_end_is_refused() {
    let mut writer = RepositoryWriter::new();
    let hello = writer.file(b"hello");
    let begin = r#"{"stream":"kopia:indirect","entries":["#;
    let end = format!(r#"{{"l":5,"o":"{hello}"}}]}}"#);
    let nulls = "null,".repeat(2000);
    let [begin_id, nulls_id, end_id] =
        [begin, &nulls, &end].map(|part| writer.content(Some('x'), part.as_bytes()).to_string());
    let mut pieces = vec![(nulls.len(), &*nulls_id); 100];
    pieces.insert(0, (begin.len(), &*begin_id));
    pieces.push((end.len(), &*end_id));
    // The list of the file is itself one of pieces.
    let file = format!("I{}", list(&mut writer, &pieces));
    let repository = open(writer);
    let (count, left) = walk(&repository, &file, MAX_LIST_BYTES).unwrap();
    let read = MAX_LIST_BYTES - left;
    assert_eq!(count, 1);
    assert!((1_000_000..1_020_000).contains(&read), "{read} bytes, those of the list of its pieces, too");
    assert_eq!(walk(&repository, &file, read), Ok((1, 0)));
    assert_eq!(walk(&repository, &file, read - 1), Err(0));
}

#[test]
fn lists_that_multiply_come_to_an_end() {
    let mut writer = RepositoryWriter::new();
    let mut object = writer.file(b"x");
    for level in 0..9 {
        object = list(&mut writer, &[(10_usize.pow(level), &*object); 10]);
    }
    let repository = open(writer);
    let read = walk(&repository, &object, 1 << 20);
    // Of a thousand million.
    assert!(read.is_err_and(|count| count > 1000 && count < 1 << 20), "{read:?}");
}
