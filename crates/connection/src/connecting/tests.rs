use serde_json::Value;

use super::*;
use crate::config_file::Configuration;
use crate::storage::{Kind, Storage};

const KINDS: [&str; 11] =
    ["filesystem", "s3", "azure", "gcs", "b2", "sftp", "webdav", "rclone", "gdrive", "from-config", "server"];

fn given(options: &[(&str, &str)]) -> Given {
    options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn written(kind: &str, options: &[(&str, &str)]) -> String {
    let place = Place::new(kind, given(options)).unwrap();
    configuration(&place, &Caching::default(), &Client::default()).to_string()
}

#[test]
fn a_directory_is_written_as_kopia_writes_it() {
    let place = Place::new("filesystem", given(&[("path", "/backups/kopia")])).unwrap();
    let mut caching = Caching::default();
    (caching.directory, caching.contents, caching.metadata) = ("cache".into(), 5_242_880_000, 5_242_880_000);
    caching.lists = 30;
    let mut client = Client::default();
    (client.hostname, client.username) = ("vm".into(), "root".into());
    // As kopia 0.23.1 writes it, but for the line breaks inside of `storage`.
    let kopia = r#"{
  "storage": {"type":"filesystem","config":{"path":"/backups/kopia","fileMode":384,"dirMode":448,"dirShards":null}},
  "caching": {
    "cacheDirectory": "cache",
    "maxCacheSize": 5242880000,
    "maxMetadataCacheSize": 5242880000,
    "maxListCacheDuration": 30
  },
  "hostname": "vm",
  "username": "root",
  "description": "Repository in Filesystem: /backups/kopia",
  "enableActions": false,
  "formatBlobCacheDuration": 900000000000
}"#;
    assert_eq!(*configuration(&place, &caching, &client), *kopia);
}

#[test]
fn every_kind_is_read_again_and_every_option_is_known_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "{}").unwrap();
    let file = file.to_str().unwrap();
    for kind in KINDS.into_iter().filter(|kind| *kind != "from-config") {
        let value = |flag: &Flag| match flag.name {
            "path" => "/srv",
            "credentials-file" | "keyfile" | "known-hosts" | "root-ca-pem-path" | "embed-rclone-config" => {
                file
            }
            "root-ca-pem-base64" => "QQ==",
            "point-in-time" => "2026-01-02T03:04:05Z",
            "rclone-startup-timeout" => "1m30s",
            "file-mode" | "dir-mode" | "owner-uid" | "owner-gid" | "port" | "list-parallelism" => "7",
            "max-download-speed" | "max-upload-speed" => "1.5",
            _ if flag.is_switch => "true",
            _ => "text",
        };
        let all: Given =
            flags(kind).unwrap().iter().map(|flag| (flag.name.into(), value(flag).into())).collect();
        let place = Place::new(kind, all).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let text = configuration(&place, &Caching::default(), &Client::default());
        let read =
            Configuration::parse(&text, kind).unwrap_or_else(|error| panic!("{kind}: {error}: {}", *text));
        let storage = read.storage.unwrap();
        assert_eq!(storage.kind(), if kind == "server" { Kind::Server } else { storage.kind() });
        if kind != "server" {
            assert_eq!(read.limits.download_bytes_per_second, Some(1.5), "{kind}");
        }
        let odd = Place::new(
            kind,
            given(&[("path", "/srv"), ("sftp-password", "x"), ("known-hosts", "y"), ("odd", "1")]),
        );
        assert!(matches!(odd, Err(Error::Option { .. })), "{kind}");
    }
    assert!(flags("nix").is_none());
}

#[test]
fn keys_that_are_empty_leave_the_choice_to_what_is_around() {
    let text = written("s3", &[("bucket", "b"), ("access-key", ""), ("secret-access-key", "")]);
    let read = Configuration::parse(&text, "s3").unwrap().storage.unwrap();
    let Storage::S3(s3) = read else { panic!("{text}") };
    assert_eq!((s3.access_key, s3.secret_key, &*s3.endpoint.unwrap()), (None, None, "s3.amazonaws.com"));
}

#[test]
fn a_token_and_another_configuration_give_their_storage_as_it_stands() {
    use base64::Engine;
    let storage = r#"{"type":"filesystem","config":{"path":"/b","odd":[1,2]}}"#;
    let token = format!(r#"{{"version":"1","storage":{storage},"password":"hush"}}"#);
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
    let place = Place::new("from-config", given(&[("token", &token)])).unwrap();
    assert_eq!((&**place.json, place.password().unwrap().reveal()), (storage, "hush"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kopia.config");
    std::fs::write(&file, format!(r#"{{"storage":{storage}}}"#)).unwrap();
    let place = Place::new("from-config", given(&[("file", file.to_str().unwrap())])).unwrap();
    assert_eq!(&**place.json, storage);
    std::fs::write(&file, r#"{"apiServer":{"url":"https://x"}}"#).unwrap();
    let server = Place::new("from-config", given(&[("file", file.to_str().unwrap())])).unwrap_err();
    assert!(server.to_string().contains("not supported"), "{server}");
    assert!(Place::new("from-config", Vec::new()).is_err());
}

#[test]
fn a_field_is_changed_and_all_others_stay_as_they_are() {
    let text = r#"{"storage":{"type":"b2","config":{"bucket":"b","key":"hush","odd":1.50}},"Hostname":"a","z":[ 1]}"#;
    let mut edit = Edit::parse(text, "x").unwrap();
    edit.set("hostname", "b");
    edit.set("username", "u");
    let mut limits = serde_json::Map::new();
    set_limit(&mut limits, Limit::ALL[0], Some(10.0));
    set_limit(&mut limits, Limit::ALL[2], Some(2.5));
    edit.set("throttlingLimits", &limits);
    let changed = edit.text();
    assert!(
        changed.contains(r#"{"type":"b2","config":{"bucket":"b","key":"hush","odd":1.50}}"#),
        "{}",
        *changed
    );
    let read: Value = serde_json::from_str(&changed).unwrap();
    assert_eq!((read["Hostname"].as_str(), read["username"].as_str()), (Some("b"), Some("u")));
    assert_eq!(
        read["throttlingLimits"].to_string(),
        r#"{"maxDownloadSpeedBytesPerSecond":10,"readsPerSecond":2.5}"#
    );
    set_limit(&mut limits, Limit::ALL[0], None);
    assert_eq!(limits.len(), 1);
    assert!(!edit.place().to_string().contains("hush"));
    assert!(Edit::parse("[hush]", "x").err().unwrap().to_string().starts_with("x: "));
    assert_eq!(
        Limit::ALL.map(|limit| (limit.is_bytes, limit.is_whole)).iter().filter(|pair| pair.0).count(),
        2
    );
}

#[test]
fn a_place_is_shown_in_its_order_without_secrets() {
    let text = r#"{"storage": {"type": "s3", "config": {"prefix": "p/", "bucket": "b", "accessKeyID": "AK",
        "secretAccessKey": "hush", "inner": {"z": 1, "a": [2]}}}}"#;
    let edit = Edit::parse(text, "a test").unwrap();
    let place = edit.place();
    let config =
        r#"{"prefix":"p/","bucket":"b","accessKeyID":"AK","secretAccessKey":"****","inner":{"z":1,"a":[2]}}"#;
    assert_eq!(place.get(), format!(r#"{{"type":"s3","config":{config}}}"#));
    assert_eq!(Edit::parse("{}", "a test").unwrap().place().get(), "null");
}
