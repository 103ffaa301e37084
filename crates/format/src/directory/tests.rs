use super::*;

const JSON: &str = r#"{"stream":"kopia:directory","entries":[
    {"name":"sub","type":"d","mode":"060000755","mtime":"2026-01-01T00:00:00Z","obj":"kaa","summ":{"size":5,"files":1,"symlinks":0,"dirs":1,"maxTime":"2026-01-01T00:00:00Z","numFailed":1,"errors":[{"path":"x","error":"no"}]}},
    {"name":"a\u0026b","type":"f","mode":"0640","size":5,"mtime":"1969-12-31T23:59:59.5Z","uid":7,"gid":8,"obj":"bb"},
    null,
    {"name":"link","type":"s","mode":"0777","obj":"cc"},
    {"name":"..","type":"f","obj":"bb"},
    {"name":"a/../b","type":"f","obj":"bb"},
    {"name":"","type":"f","obj":"bb"},
    {"name":"nul\u0000","type":"f","obj":"bb"},
    {"name":"fifo","type":"p","obj":"bb"},
    {"name":"lost","type":"f"},
    {"name":"minus","type":"f","size":-1,"obj":"bb"},
    {"name":"late","type":"f","mtime":"yesterday","obj":"bb"},
    {"name":"\ufffd","type":"f","obj":"Ixbb","new":{"x":[1]}}],
    "summary":{"size":5,"files":1,"symlinks":1,"dirs":2,"maxTime":"2026-01-01T00:00:00Z","numFailed":0}}"#;

const MORE: ControlFlow<()> = ControlFlow::Continue(());

fn all(json: &str) -> (Vec<Result<Entry<'static>, Refused>>, Result<Option<Summary>>) {
    let mut entries = Vec::new();
    let read = read(json.as_bytes(), |entry| {
        entries.push(entry.map(Entry::into_owned));
        MORE
    });
    (entries, read.map(|read| read.continue_value().unwrap()))
}

#[test]
fn entries_are_checked_one_by_one() {
    let (entries, summary) = all(JSON);
    assert_eq!(summary.unwrap().unwrap().dirs, 2);
    let good: Vec<_> = entries.iter().flatten().collect();
    assert_eq!(good.iter().map(|e| &*e.name).collect::<Vec<_>>(), ["sub", "a&b", "link", "\u{fffd}"]);
    assert_eq!((good[0].kind, good[0].mode), (EntryKind::Directory, 0o6755));
    assert_eq!(good[0].summary.as_ref().unwrap().errors[0].path, "x");
    assert_eq!(
        (good[1].kind, good[1].mode, good[1].size, good[1].uid, good[1].gid),
        (EntryKind::File, 0o640, 5, 7, 8)
    );
    assert_eq!((good[1].modified.seconds(), good[1].modified.nanoseconds()), (-1, 500_000_000));
    assert_eq!((good[2].kind, good[2].modified), (EntryKind::Symlink, crate::Timestamp::default()));
    let refused: Vec<_> = entries.iter().filter_map(|e| e.as_ref().err()).map(ToString::to_string).collect();
    assert_eq!(refused.len(), 8, "{refused:?}");
    assert!(refused[0].contains("leave its folder") && refused[4].contains("unknown type \"p\""));
}

#[test]
fn a_plain_name_is_borrowed_from_the_directory() {
    let mut borrowed = Vec::new();
    let _ = read(JSON.as_bytes(), |entry| {
        borrowed.extend(entry.ok().map(|entry| matches!(entry.name, Cow::Borrowed(_))));
        MORE
    })
    .unwrap();
    assert_eq!(borrowed, [true, false, true, false], "only escapes take memory");
}

#[test]
fn names_may_lead_into_directories_and_never_out() {
    let read = |name: &str, object: &str| {
        let entry = serde_json::json!({"name": name, "type": "f", "obj": object});
        let json = serde_json::json!({"stream": "kopia:directory", "entries": [entry]});
        all(&json.to_string()).0.remove(0)
    };
    for (name, expected) in [
        ("/dev/nvme1n1", "dev/nvme1n1"),
        ("var/lib/db.tar", "var/lib/db.tar"),
        ("//a//b/./c/", "a/b/c"),
        ("./a", "a"),
        ("a/", "a"),
        ("...", "..."),
        ("a/..b/c..", "a/..b/c.."),
        (&"a".repeat(4096), &"a".repeat(4096)),
    ] {
        assert_eq!(read(name, "bb").unwrap().name, expected, "{name}");
    }
    for name in
        ["/", "./.", "", ".", "..", "../up", "a/..", "/../a", "a/../../b", "a/b\0", &"a/".repeat(2049)]
    {
        let refused = read(name, "Ixbb").unwrap_err();
        assert_eq!(refused.object, Some("Ixbb".parse().unwrap()), "{name}");
        assert!(refused.to_string().ends_with("; its bytes are in object Ixbb"), "{refused}");
    }
    assert_eq!(read("..", "no id").unwrap_err().object, None);
    assert!(read("..", "kbb").unwrap_err().reason().ends_with("; what is in it is in object kbb"));
}

#[test]
fn a_stream_gives_the_same() {
    let mut entries = Vec::new();
    let read = read_stream(JSON.as_bytes(), |entry| {
        entries.push(entry.map(Entry::into_owned));
        MORE
    })
    .unwrap();
    let summary = read.map(|read| read.continue_value().unwrap());
    assert_eq!((entries, summary), all(JSON));

    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    assert_eq!(read_stream(Broken, |_| MORE).unwrap_err().to_string(), "gone");
}

#[test]
fn each_entry_of_a_stream_has_a_limit_and_all_together_have_none() {
    let read = |lengths: &[usize]| {
        let entry =
            |length: &usize| format!(r#"{{"name":"a","type":"f","obj":"bb","x":"{}"}}"#, "x".repeat(*length));
        let entries: Vec<_> = lengths.iter().map(entry).collect();
        let document = format!(r#"{{"stream":"kopia:directory","entries":[{}]}}"#, entries.join(","));
        let mut count = 0;
        let read = read_stream(document.as_bytes(), |_| {
            count += 1;
            MORE
        })
        .unwrap();
        (count, read.map(|_| ()).map_err(|error| error.to_string()))
    };
    assert_eq!(read(&[LONGEST / 2; 5]), (5, Ok(())));
    let (count, refused) = read(&[LONGEST / 2, LONGEST / 2, LONGEST + 1, 1]);
    assert_eq!(count, 2, "entries before it are handed out");
    assert!(refused.unwrap_err().ends_with("an entry has more than 4194304 bytes"));
}

#[test]
fn empty_and_malformed() {
    assert!(all(r#"{"stream":"kopia:directory","entries":null,"summary":null}"#).1.unwrap().is_none());
    assert!(all(r#"{"stream":"kopia:directory"}"#).0.is_empty());
    for bad in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"stream":"kopia:indirect","entries":[]}"#,
        "{\"stream\":\"kopia:directory\",",
        &format!("{JSON}x"),
    ] {
        assert!(all(bad).1.is_err(), "{bad}");
        // What is wrong with the bytes is not the reader's error.
        assert!(read_stream(bad.as_bytes(), |_| MORE).unwrap().is_err(), "{bad}");
    }
    assert!(
        read(b"{\"stream\":\"\xff\"}", |_| MORE).unwrap_err().to_string().contains("no UTF-8 at offset 11")
    );
}

#[test]
fn ten_errors_of_a_summary_are_kept() {
    let errors: Vec<_> = (0..12).map(|number| serde_json::json!({"path": number.to_string()})).collect();
    let json =
        serde_json::json!({"stream": "kopia:directory", "summary": {"errors": errors, "numFailed": 12}});
    let summary = all(&json.to_string()).1.unwrap().unwrap();
    let paths: Vec<_> = summary.errors.iter().map(|error| &*error.path).collect();
    assert_eq!(paths, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(summary.failed, 12, "the rest of the summary is read, too");
}

#[test]
fn errors_name_what_was_expected() {
    for (bad, expected) in [
        ("7", "expected a directory at line 1"),
        (r#"{"stream":"kopia:directory","entries":7}"#, "expected a list of entries or null at line 1"),
    ] {
        let error = all(bad).1.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = |field: &str| {
        all(&format!(
            r#"{{"stream":"kopia:directory","{field}":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        ))
        .1
    };
    // Fields that nobody reads are skipped without recursion; those that are read have a depth limit.
    assert!(deep("x").is_ok());
    assert!(deep("entries").is_err() && deep("summary").is_err());
}

#[test]
fn a_visitor_stops_where_it_wants() {
    // What comes after it is not even looked at.
    let cut = JSON.split_once("null,").unwrap().0;
    for last in 0..2 {
        for text in [JSON, cut] {
            let (mut seen, mut streamed) = (0, 0);
            let stop_at = |seen: &mut usize| {
                *seen += 1;
                if *seen > last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            assert_eq!(read(text.as_bytes(), |_| stop_at(&mut seen)), Ok(ControlFlow::Break(())));
            let read = read_stream(text.as_bytes(), |_| stop_at(&mut streamed)).unwrap();
            assert_eq!((read, seen, streamed), (Ok(ControlFlow::Break(())), last + 1, last + 1));
        }
    }
}
