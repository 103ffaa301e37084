use super::*;

fn list(entries: &str) -> Result<Vec<Piece>> {
    let json = format!(r#"{{"stream":"kopia:indirect","entries":{entries}}}"#);
    let streamed = parse_stream(json.as_bytes(), MAX_PIECES).unwrap();
    let parsed = parse(json.as_bytes(), MAX_PIECES);
    assert_eq!(parsed.as_ref().ok(), streamed.as_ref().ok(), "{entries}");
    parsed
}

#[test]
fn pieces_follow_each_other() {
    let pieces = list(r#"[{"l":5,"o":"aa"},{"s":5,"l":7,"o":"Ixbb"}]"#).unwrap();
    assert_eq!((pieces[0].start, pieces[0].length), (0, 5));
    assert_eq!((pieces[1].start, pieces[1].length, pieces[1].object.indirection()), (5, 7, 1));
    assert_eq!(list("null").unwrap(), []);
}

#[test]
fn pieces_without_bytes_add_nothing() {
    let whole = list(r#"[{"l":5,"o":"aa"},{"s":5,"l":7,"o":"bb"}]"#).unwrap();
    for entries in [
        r#"[{"o":"cc"},{"l":5,"o":"aa"},{"s":5,"l":7,"o":"bb"}]"#,
        r#"[{"l":5,"o":"aa"},{"s":5,"o":"Ixcc"},{"s":5,"l":7,"o":"bb"}]"#,
        r#"[{"l":5,"o":"aa"},{"s":5,"l":7,"o":"bb"},{"s":12,"l":0,"o":"cc"},{"s":12,"o":"cc"}]"#,
        r#"[{"l":5,"o":"aa"},{"s":99,"o":"cc"},{"s":5,"l":7,"o":"bb"}]"#,
    ] {
        assert_eq!(list(entries).unwrap(), whole, "{entries}");
    }
    assert_eq!(list(r#"[{"o":"cc"},{"l":0,"o":"cc"}]"#).unwrap(), []);
}

#[test]
fn more_pieces_than_are_wanted_are_refused() {
    let json = br#"{"stream":"kopia:indirect","entries":[{"l":5,"o":"aa"},{"s":5,"o":"bb"},{"s":5,"l":7,"o":"bb"}]}"#;
    assert_eq!(parse(json, 2).unwrap().len(), 2);
    assert!(parse(json, 1).unwrap_err().to_string().contains("more pieces than are kept at once"));
}

#[test]
fn a_stream_holds_one_piece_at_a_time() {
    /// Counts what is read of it.
    struct Counted<R>(R, usize);
    impl<R: io::Read> io::Read for Counted<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buffer)?;
            self.1 += count;
            Ok(count)
        }
    }
    let endless = |start: &str, byte| {
        let mut reader = Counted(io::Read::chain(io::Cursor::new(start.to_owned()), io::repeat(byte)), 0);
        let error = parse_stream(&mut reader, 9).unwrap().unwrap_err().to_string();
        assert!(error.contains("a piece has more than 1048576 bytes"), "{start}: {error}");
        assert!(reader.1 <= LONGEST + start.len(), "{start}: {} bytes were read", reader.1);
    };
    endless(r#"{"stream":""#, b'A');
    endless(r#"{""#, b'A');
    endless(r#"{"other":""#, b'A');
    endless(r#"{"other":"#, b'[');
    endless(r#"{"entries":[{"l":5,"o":""#, b'A');
    endless(r#"{"entries":[{"l":5,"o":"aa"},{""#, b'A');
    endless(r#"{"stream":"kopia:indirect","entries":[],"other":""#, b'A');
    // Together pieces, and those that are none, may have more.
    let (space, piece) = (" ".repeat(LONGEST * 2 / 3), r#"{"l":1,"o":"aa"}"#);
    let json = format!(
        r#"{{"stream":"kopia:indirect",{space}"entries":[{piece},{space}null,{space}{{"o":"aa"}}{space}]}}"#
    );
    assert_eq!(parse_stream(json.as_bytes(), 9).unwrap().unwrap().len(), 1);
}

#[test]
fn errors_of_the_reader_are_returned_as_they_are() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    assert_eq!(parse_stream(Broken, 1).unwrap_err().to_string(), "gone");
}

#[test]
fn lies_are_refused() {
    for (entries, why) in [
        (r#"[{"s":1,"l":5,"o":"aa"}]"#, "starts at 1, not at 0"),
        (r#"[{"l":5,"o":"aa"},{"s":6,"l":1,"o":"bb"}]"#, "piece 1 (bb): starts at 6, not at 5"),
        (r#"[{"l":5,"o":"aa"},{"s":4,"l":1,"o":"bb"}]"#, "starts at 4"),
        (r#"[{"l":5,"o":"aa"},{"o":"cc"},{"s":-1,"l":1,"o":"bb"}]"#, "piece 2 (bb): starts at -1"),
        (r#"[{"l":-1,"o":"aa"}]"#, "length -1"),
        (
            r#"[{"l":9223372036854775807,"o":"aa"},{"s":9223372036854775807,"l":9223372036854775807,"o":"aa"},{"s":-2,"l":9,"o":"aa"}]"#,
            "starts at -2",
        ),
        (r#"[{"l":1}]"#, "missing field"),
        (r#"[{"l":1,"o":"!"}]"#, "object"),
    ] {
        let error = list(entries).map_err(|error| error.to_string());
        assert!(matches!(&error, Err(text) if text.contains(why) || why == "object"), "{entries}: {error:?}");
    }
    assert!(list("7").unwrap_err().to_string().contains("expected a list or null"));
    let twice =
        r#"{"stream":"kopia:indirect","entries":[{"l":5,"o":"aa"}],"entries":[{"s":5,"l":5,"o":"aa"}]}"#;
    assert!(parse(twice.as_bytes(), 2).unwrap_err().to_string().contains("duplicate field `entries`"));
    assert!(parse(b"7", 1).unwrap_err().to_string().contains("expected a list of pieces"));
    assert!(parse(br#"{"stream":"kopia:directory","entries":[]}"#, 1).is_err());
    assert!(parse(br#"{"entries":[]}"#, 1).is_err());
    assert!(parse_stream(&br#"{"stream":"kopia:indirect","entries":[]} x"#[..], 1).unwrap().is_err());
}
