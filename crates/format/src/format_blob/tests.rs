use super::*;

const OUTSIDE: &str = r#"{"tool":"t","buildVersion":"v0.23.1","uniqueID":"OMu7zQ==","keyAlgo":"scrypt-65536-8-1","encryption":"AES256_GCM","encryptedBlockFormat":"rQM="}"#;

#[test]
fn outside() {
    let blob = Envelope::parse(OUTSIDE.as_bytes()).unwrap();
    assert_eq!((&*blob.build_version, &*blob.key_algorithm), ("v0.23.1", "scrypt-65536-8-1"));
    assert_eq!((blob.unique_id, blob.sealed_format), (vec![0x38, 0xcb, 0xbb, 0xcd], vec![0xad, 0x03]));
    let other = OUTSIDE.replace("AES256_GCM", "NONE");
    assert!(Envelope::parse(other.as_bytes()).unwrap_err().to_string().contains("NONE"));
    for length in 0..OUTSIDE.len() {
        assert!(Envelope::parse(&OUTSIDE.as_bytes()[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn inside_of_today_and_of_old() {
    let today = r#"{"format":{"hash":"BLAKE2B-256-128","encryption":"AES256-GCM-HMAC-SHA256","ecc":"","secret":"AAE=","masterKey":"Ag==","version":3,"maxPackSize":21000000,"indexVersion":2,"epochParameters":{"Enabled":true,"MinEpochDuration":1},"splitter":"DYNAMIC","upgradeLock":null,"requiredFeatures":[{"feature":"x","ifNotUnderstood":{"warn":true,"message":"m"}}],"enablePasswordChange":true}}"#;
    let format = RepositoryFormat::parse(today.as_bytes()).unwrap();
    assert_eq!(
        (format.version, format.index_version, format.epochs, format.max_pack_size),
        (3, 2, true, 21_000_000)
    );
    assert_eq!((&format.secret[..], &format.master_key[..]), (&[0, 1][..], &[2][..]));
    assert!(format.required_features[0].if_not_understood.warn);

    let old = r#"{"format":{"version":1,"hash":"h","encryption":"e","secret":"AA==","masterKey":"AA==","maxPackSize":0,"splitter":"s"}}"#;
    let format = RepositoryFormat::parse(old.as_bytes()).unwrap();
    assert_eq!(
        (format.version, format.index_version, format.epochs, format.max_pack_size),
        (1, 1, false, 20 << 20)
    );
    assert!(!format.password_change && format.upgrade_lock.is_none());
}

#[test]
fn an_upgrade_lock_counts_once_it_has_an_owner() {
    let lock = |owner: &str| {
        let format = format!(r#"{{"format":{{"version":1,"upgradeLock":{{"ownerID":"{owner}"}}}}}}"#);
        RepositoryFormat::parse(format.as_bytes()).unwrap().upgrade_lock
    };
    assert_eq!(lock("app@media").unwrap().owner_id, "app@media");
    assert_eq!(lock(""), None);
}

#[test]
fn errors_name_what_was_expected() {
    for (broken, expected) in [
        (OUTSIDE.replace("\"OMu7zQ==\"", "7"), "expected base64 at line 1"),
        (OUTSIDE.replace("OMu7zQ==", "OMu7zQ"), "no base64 at line 1"),
    ] {
        let error = Envelope::parse(broken.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let format = r#"{"format":{"version":1,"hash":"h","secret":"c2VjcmV0","masterKey":"a2V5"}}"#;
    let shown = format!("{:?}", RepositoryFormat::parse(format.as_bytes()).unwrap());
    assert!(!shown.contains("115") && !shown.contains("secret"), "{shown}");
    for broken in [
        format.replace("c2VjcmV0", "hunter2!"),
        format.replace("\"c2VjcmV0\"", "[\"hunter2\"]"),
        format.replace('1', "\"hunter2\""),
    ] {
        let error = RepositoryFormat::parse(broken.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn keys_can_be_forgotten() {
    let format = r#"{"format":{"version":1,"hash":"h","secret":"c2VjcmV0","masterKey":"a2V5"}}"#;
    let mut format = RepositoryFormat::parse(format.as_bytes()).unwrap();
    assert_eq!((&format.secret[..], &format.master_key[..]), (&b"secret"[..], &b"key"[..]));
    format.forget_keys();
    assert!(format.secret.is_empty() && format.master_key.is_empty());
}

#[test]
fn unknown_versions_are_refused() {
    for version in [0, 4, 99] {
        let format = format!(r#"{{"format":{{"version":{version},"hash":"h"}}}}"#);
        assert!(
            RepositoryFormat::parse(format.as_bytes()).unwrap_err().to_string().contains("format version")
        );
    }
}
