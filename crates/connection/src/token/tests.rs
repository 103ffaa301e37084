use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

/// As kopia 0.23.1 made it, of a directory and the password `pw`.
const TOKEN: &str = "eyJ2ZXJzaW9uIjoiMSIsInN0b3JhZ2UiOnsidHlwZSI6ImZpbGVzeXN0ZW0iLCJjb25maWciOnsicGF0aCI6Ii9iIiwiZmlsZU1vZGUiOjM4NCwi\
    ZGlyTW9kZSI6NDQ4LCJkaXJTaGFyZHMiOm51bGx9fSwicGFzc3dvcmQiOiJwdyJ9";

#[test]
fn what_terminals_and_programs_do_to_a_token_is_undone() {
    let json = URL_SAFE_NO_PAD.decode(TOKEN).unwrap();
    let (start, end) = TOKEN.split_at(70);
    for token in [
        TOKEN.to_owned(),
        format!("{TOKEN}\n"),
        format!("  {start}\r\n{end}  "),
        format!("{TOKEN}=="),
        format!(
            "Epoch Manager: enabled\n\n$ kopia repository connect from-config --token {TOKEN}\n\nNOTICE: x"
        ),
        format!("kopia repository connect from-config --token={TOKEN}"),
        STANDARD.encode(&json),
    ] {
        let connection = parse(&token).unwrap();
        assert_eq!(connection.location(), "/b");
        assert_eq!(connection.password.unwrap().as_bytes(), b"pw");
        assert_eq!((connection.username, connection.hostname), (None, None));
    }
}

#[test]
fn tokens_are_written_as_kopia_writes_them() {
    let storage = "{\n  \"type\": \"filesystem\",\n  \"config\": {\n    \"path\": \"/b\",\n    \"fileMode\": 384,\n    \
        \"dirMode\": 448,\n    \"dirShards\": null\n  }\n}";
    assert_eq!(*text(storage, Some(&"pw".into())), TOKEN);
    let json = |storage: &str, password: &str| {
        let token = text(storage, Some(&password.into()));
        String::from_utf8(URL_SAFE_NO_PAD.decode(&**token).unwrap()).unwrap()
    };
    let (spaced, close) = (r#"{"a": "x \" : {", "b": "\\" }"#, r#"{"a":"x \" : {","b":"\\"}"#);
    assert_eq!(json(spaced, ""), format!(r#"{{"version":"1","storage":{close}}}"#));
    let odd = r#"{"version":"1","storage":{},"password":"a\u003cb\u0026\" c"}"#;
    assert_eq!(json("{}", "a<b&\" c"), odd);
}

#[test]
fn a_token_may_have_no_password() {
    for password in ["", r#","password":"""#, r#","password":null"#] {
        let json = format!(
            r#"{{"version":"1","storage":{{"type":"s3","config":{{"bucket":"b","readsPerSecond":2}}}}{password}}}"#
        );
        let connection = parse(&URL_SAFE_NO_PAD.encode(json)).unwrap();
        assert!(connection.password.is_none());
        assert_eq!(connection.limits.reads_per_second, Some(2.0));
    }
}

#[test]
fn bad_ones_are_refused_without_quoting_them() {
    for (json, why) in [
        ("hush", "expected an object"),
        ("{}", "version \"\""),
        (r#"{"version":"2","storage":{"password":"hush"}}"#, "version \"2\""),
        (r#"{"version":1}"#, "\"version\""),
        (r#"{"version":"1"}"#, "names no storage"),
        (r#"{"version":"1","storage":{"type":"s3","config":{"secretAccessKey":"hush"}}}"#, "bucket"),
        (r#"{"version":"1","storage":{"type":"flux"}}"#, "flux"),
    ] {
        let said = parse(&URL_SAFE_NO_PAD.encode(json)).unwrap_err().to_string();
        assert!(said.contains(why) && !said.contains("hush"), "{said}");
    }
    for bad in ["", " \n", "hush!", "h", "é", &"A".repeat(file::LONGEST + 1)] {
        let said = parse(bad).unwrap_err().to_string();
        assert!(said.starts_with("this is no token of kopia") && !said.contains("hush"), "{said}");
    }
    assert!(parse(&TOKEN[..40]).is_err(), "half a token");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text);
        let _ = parse(&URL_SAFE_NO_PAD.encode(bytes));
    }

    #[test]
    fn passwords_arrive_as_they_are(password in ".+") {
        let json = serde_json::json!({"version": "1", "storage": {"type": "filesystem", "config": {"path": "/b"}}, "password": password});
        let connection = parse(&URL_SAFE_NO_PAD.encode(json.to_string())).unwrap();
        let read = connection.password.unwrap();
        prop_assert_eq!(read.as_bytes(), password.as_bytes());
    }
}
