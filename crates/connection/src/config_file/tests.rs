use std::fs;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Configuration {
    Configuration::parse(text, "the configuration").unwrap()
}

/// As kopia 0.23.1 wrote it.
const DIRECTORY: &str = r#"{"storage":{"type":"filesystem","config":{"path":"/repository","fileMode":384,"dirMode":448,"dirShards":null}},
    "caching":{"cacheDirectory":"../../cache","maxCacheSize":5242880000,"maxMetadataCacheSize":5242880000,"maxListCacheDuration":30},
    "hostname":"laptop","username":"alice","description":"My Repository","enableActions":false,"formatBlobCacheDuration":900000000000}"#;

#[test]
fn place_and_identity() {
    let connection = parse(DIRECTORY).connection().unwrap();
    assert_eq!(connection.location(), "/repository");
    assert_eq!(
        (connection.username.as_deref(), connection.hostname.as_deref()),
        (Some("alice"), Some("laptop"))
    );
    assert_eq!(connection.description.as_deref(), Some("My Repository"));
    assert!(connection.password.is_none());
}

#[test]
fn a_server_goes_before_storage() {
    let server = r#""apiServer":{"url":"https://kopia.lan:51515","serverCertFingerprint":"48537c","localCacheKeyDerivationAlgorithm":"x"}"#;
    for text in [format!("{{{server}}}"), DIRECTORY.replacen('{', &format!("{{{server},"), 1)] {
        let connection = parse(&text).connection().unwrap();
        assert_eq!(connection.location(), "https://kopia.lan:51515");
        let Storage::Server(server) = connection.storage else { panic!("no server") };
        assert_eq!(server.trust, crate::storage::Trust::Fingerprint("48537c".into()));
    }
}

#[test]
fn limits_of_the_connection_replace_those_of_the_storage_as_a_whole() {
    let flat = r#""storage":{"type":"s3","config":{"bucket":"b","readsPerSecond":5,"concurrentReads":2}}"#;
    let limits = parse(&format!("{{{flat}}}")).limits;
    assert_eq!((limits.reads_per_second, limits.concurrent_reads), (Some(5.0), Some(2)));
    let limits = parse(&format!(r#"{{{flat},"throttlingLimits":{{"readsPerSecond":7}}}}"#)).limits;
    assert_eq!((limits.reads_per_second, limits.concurrent_reads), (Some(7.0), None));
    assert_eq!(parse(&format!(r#"{{{flat},"throttlingLimits":null}}"#)).limits.concurrent_reads, Some(2));
}

#[test]
fn fields_are_read_as_go_reads_them() {
    let text = r#"{"Storage":{"TYPE":"filesystem","Config":{"Path":"/a","path":"/b"}},"apiserver":null,"userName":"app",
        "unknown":[{}]} and what follows"#;
    let configuration = parse(text);
    assert_eq!(configuration.username.as_deref(), Some("app"));
    assert_eq!(configuration.connection().unwrap().location(), "/b");
    for text in ["{}", "null", r#"{"storage":null}"#, r#"{"hostname":null,"enableActions":true}"#] {
        assert_eq!(parse(text), Configuration::default(), "{text}");
    }
}

#[test]
fn bad_ones_are_refused_without_quoting_them() {
    for text in [
        "",
        "{",
        "[]",
        r#"{"storage":"hush"}"#,
        r#"{"storage":{"config":{"path":"/hush"}}}"#,
        r#"{"username":5}"#,
        r#"{"storage":{"type":"s3","config":{"bucket":"b","secretAccessKey":"hush"}},"apiServer":{}}"#,
        r#"{"storage":{"type":"s3","config":{"secretAccessKey":"hush"}}, hush"#,
    ] {
        let said = Configuration::parse(text, "FILE").unwrap_err().to_string();
        assert!(said.starts_with("FILE: ") && !said.contains("hush"), "{said}");
    }
    let said = Configuration::parse(r#"{"storage":{"type":"flux"}}"#, "FILE").unwrap_err().to_string();
    assert!(said.contains(r#"storage of the type "flux""#), "{said}");
}

#[test]
fn a_file_and_the_password_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("repository.config");
    assert!(matches!(read(&file), Err(Error::Read { .. })));
    fs::write(&file, "{}").unwrap();
    assert!(read(&file).unwrap_err().to_string().contains("names no storage"));
    fs::write(&file, DIRECTORY).unwrap();
    assert!(read(&file).unwrap().password.is_none());
    fs::write(stored_password::file(&file), "cHctRXhhbXBsZTE=").unwrap();
    assert_eq!(read(&file).unwrap().password.unwrap().as_bytes(), b"pw-Example1");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*", kind in "(filesystem|s3|gcs|azureBlob|b2|gdrive|sftp|webdav|rclone)", value in r#"(1|-1|1e99|null|true|"x"|\[\]|\{\})"#, name in "[a-zA-Z]{1,12}") {
        let _ = Configuration::parse(&text, "FILE");
        let _ = Configuration::parse(&format!(r#"{{"storage":{{"type":"{kind}","config":{{"{name}":{value}}}}}}}"#), "FILE");
    }
}
