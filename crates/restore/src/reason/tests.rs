use super::*;

fn system(errno: Errno) -> Reason {
    Reason::of(Operation::Move, errno.into())
}

#[test]
fn what_the_system_says_is_told_apart() {
    for (errno, word) in [
        (Errno::ACCESS, "not_permitted"),
        (Errno::PERM, "not_permitted"),
        (Errno::NOSPC, "no_space"),
        (Errno::DQUOT, "no_space"),
        (Errno::IO, "system_error"),
    ] {
        let reason = system(errno);
        let failed = reason.system_error().expect("the system failed");
        assert_eq!((reason.word(), failed.errno()), (word, Some(errno.raw_os_error())));
        assert_eq!(
            (failed.operation.word(), reason.to_string()),
            ("move", io::Error::from(errno).to_string())
        );
    }
    assert_eq!(
        Reason::from(io::Error::from(Errno::IO)).system_error().map(|it| it.operation),
        Some(Operation::Write)
    );
}

#[test]
fn names_that_look_the_same_are_told_to() {
    let taken = |looks_same| {
        let by = NameHolder { name: "é".into(), looks_same };
        Reason::NameTaken { by: Some(by) }.to_string()
    };
    let start = "the target's file system takes its name for that of \"é\"";
    assert_eq!(taken(false), format!("{start}, which is restored in its stead"));
    let form = "in another Unicode normalization form, which looks the same and is restored in its stead";
    assert_eq!(taken(true), format!("{start} {form}"));
}

#[test]
fn a_mixed_file_keeps_its_reason() {
    let mixed = Reason::Mixed { reason: system(Errno::ACCESS).into(), written: 3, size: 10 };
    assert_eq!(mixed.word(), "mixed");
    assert!(mixed.system_error().is_some() && mixed.defect().is_none());
    let mixed = Reason::Mixed { reason: Box::new(Defect::NoPieces.into()), written: 3, size: 10 };
    assert_eq!(mixed.defect().map(Defect::word), Some("no_pieces"));
    let told = "it has no pieces; the file was changed in place: 3 of its 10 bytes are the snapshot's, the others are older";
    assert_eq!(mixed.to_string(), told);
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let error = || Arc::new(io::Error::from(Errno::IO));
    let unfit = |what| Reason::Unfit { what, error: error() };
    let reasons = [
        Reason::Exists,
        Reason::NotEmpty,
        Reason::Mounted,
        Reason::OtherFileSystem,
        Reason::Replaced,
        Reason::Vanished(1),
        Reason::NotWritten,
        Reason::NameTaken { by: None },
        Reason::KeptName,
        unfit(Unfit::Name),
        unfit(Unfit::NameLength),
        unfit(Unfit::Symlink),
        unfit(Unfit::LinkLength),
        unfit(Unfit::Size),
        NotDeleted::Failed(error()).into(),
        NotDeleted::Unlisted(error()).into(),
        NotDeleted::NamesClash.into(),
        NotDeleted::IncompleteBackup.into(),
        NotDeleted::UnnamedErrors.into(),
        NotDeleted::UnreadInBackup.into(),
        NotDeleted::OnlyStub.into(),
        NotDeleted::InexactName.into(),
        Defect::ContainsItself.into(),
        Defect::TooDeep { limit: 1 }.into(),
        Defect::TooManyWaiting { limit: 1 }.into(),
        Defect::LongTarget.into(),
        Defect::LinkTarget.into(),
        Defect::NoPieces.into(),
        Defect::Length { found: 1, stated: 2 }.into(),
    ];
    let words: std::collections::HashSet<_> = reasons.iter().map(Reason::word).collect();
    let sentences: std::collections::HashSet<_> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!((words.len(), sentences.len()), (reasons.len(), reasons.len()));
    let is_snake = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(words.iter().all(is_snake), "{words:?}");
    let guide = include_str!("../../../kopia-rs/guide/restoring.md");
    let untold: Vec<_> = words.iter().filter(|word| !guide.contains(&format!("`{word}`"))).collect();
    assert!(untold.is_empty(), "the guide's table of reasons lacks {untold:?}");
}
