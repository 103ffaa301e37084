use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;

use super::*;
use crate::storage::Kind;

fn parse(text: &str) -> Connection {
    Connection::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn directories() {
    for (text, path) in [
        ("/srv/kopia", "/srv/kopia"),
        ("../kopia", "../kopia"),
        ("a:b", "a:b"),
        ("./s3://x", "./s3://x"),
        ("./sftp:u@h:/x", "./sftp:u@h:/x"),
        ("C:/x", "C:/x"),
        ("file:x", "file:x"),
        ("kopia:x", "kopia:x"),
        ("1s3://x", "1s3://x"),
        ("a b://x", "a b://x"),
        ("filesystem:///srv/kopia", "/srv/kopia"),
        ("filesystem:///", "/"),
        ("FileSystem:///a%20b?c", "/a%20b?c"),
        ("filesystem:/srv", "/srv"),
        ("file:///srv", "/srv"),
        ("file:/srv", "/srv"),
        ("file://localhost/srv", "/srv"),
    ] {
        assert_eq!(parse(text).storage.directory(), Some(Path::new(path)), "{text}");
        assert_eq!(parse(text).location(), path);
    }
    let bytes = OsStr::from_bytes(b"/a\xff");
    assert_eq!(Connection::parse(bytes).unwrap().storage.directory(), Some(Path::new(bytes)));
}

#[test]
fn prefixes_are_taken_byte_for_byte() {
    for (text, bucket, prefix) in [
        ("s3://b", "b", ""),
        ("s3://b/", "b", ""),
        ("s3://b/kopia", "b", "kopia"),
        ("s3://b/kopia/", "b", "kopia/"),
        ("s3://b//kopia//", "b", "/kopia//"),
        ("s3://b/a%20b/../@:c", "b", "a%20b/../@:c"),
        ("S3://b/p?prefix=x%3Fy/&region=r", "b", "x?y/"),
    ] {
        let Storage::S3(s3) = parse(text).storage else { panic!("{text} is no S3") };
        assert_eq!((s3.bucket.as_str(), s3.prefix.as_str()), (bucket, prefix), "{text}");
    }
}

#[test]
fn every_kind_of_storage() {
    for (text, kind, location) in [
        ("s3://b/p?endpoint=h:9000&disable-tls", Kind::S3, "s3://b/p at h:9000"),
        ("gs://b/p/", Kind::Gcs, "gs://b/p/"),
        ("gcs://b", Kind::Gcs, "gs://b"),
        ("azure://c?storage-account=a", Kind::Azure, "azblob://c at a.blob.core.windows.net"),
        ("azureBlob://c/p?storage-account=a", Kind::Azure, "azblob://c/p at a.blob.core.windows.net"),
        ("b2://bucket/p?key-id=i", Kind::B2, "b2://bucket/p"),
        ("gdrive://f", Kind::GoogleDrive, "gdrive://f"),
        ("sftp://me@h:2222/p/q", Kind::Sftp, "sftp://h:2222/p/q"),
        ("sftp://h/~/q", Kind::Sftp, "sftp://h/~/q"),
        ("sftp:u@h:/x", Kind::Sftp, "sftp://h/x"),
        ("sftp:u@h:x", Kind::Sftp, "sftp://h/~/x"),
        ("rclone:r:p/q", Kind::Rclone, "rclone:r:p/q"),
        ("rclone://r:p", Kind::Rclone, "rclone:r:p"),
        ("rclone::s3,secret_access_key=hush:b", Kind::Rclone, "rclone:…"),
        ("webdavs://h/p", Kind::WebDav, "https://h/p"),
        ("webdav://h:80/p%20q", Kind::WebDav, "http://h:80/p%20q"),
        ("http://h/p", Kind::WebDav, "http://h/p"),
        ("https://user:hush@dav.lan:8443/51515", Kind::WebDav, "https://dav.lan:8443/51515"),
        ("https://kopia.lan:51515", Kind::Server, "https://kopia.lan:51515"),
        ("https://kopia.lan:51515/", Kind::Server, "https://kopia.lan:51515"),
        ("kopia://kopia.lan", Kind::Server, "https://kopia.lan:51515"),
        ("kopias://me@pc@[::1]", Kind::Server, "https://[::1]:51515"),
        ("kopia://[::1]:443", Kind::Server, "https://[::1]:443"),
        ("http://kopia:pw@kopia.lan:51515/", Kind::Server, "http://kopia.lan:51515"),
        ("kopia+http://kopia.lan:80", Kind::Server, "kopia+http://kopia.lan:80"),
        ("kopia+https://ui@[::1]/repo", Kind::Server, "kopia+https://[::1]:51515"),
        ("unix+https:///run/kopia.sock", Kind::Server, "unix+https:///run/kopia.sock"),
    ] {
        let connection = parse(text);
        assert_eq!((connection.storage.kind(), connection.location().as_str()), (kind, location), "{text}");
    }
}

#[test]
fn who_asks() {
    let Storage::Sftp(sftp) = parse("sftp://me%40work:p%2Fw@[fe80::1]:22/p").storage else {
        panic!("no SFTP")
    };
    assert_eq!((sftp.username.as_str(), sftp.password), ("me@work", Some("p/w".into())));
    assert_eq!((sftp.host.as_str(), sftp.port), ("fe80::1", Some(22)));
    let Storage::WebDav(webdav) = parse("https://me:p@ss@h/p").storage else { panic!("no WebDAV") };
    assert_eq!((webdav.username.as_deref(), webdav.password), (Some("me"), Some("p@ss".into())));
    assert_eq!(webdav.url, "https://h/p");

    let server = parse("kopia://alice@laptop:hush@kopia.lan:443?server-cert-fingerprint=48537C");
    let who = (server.username.as_deref(), server.hostname.as_deref());
    assert_eq!(who, (Some("alice"), Some("laptop")));
    assert_eq!(server.password.unwrap().as_bytes(), b"hush");
    let plain = parse("kopia://alice@kopia.lan");
    assert_eq!((plain.username.as_deref(), plain.hostname), (Some("alice"), None));
}

#[test]
fn bad_ones_are_refused() {
    for (text, why) in [
        ("", "empty"),
        ("filesystem://", "does not begin with `/`"),
        ("filesystem://srv", "does not begin with `/`"),
        ("filesystem:///srv/../etc", "`..`"),
        ("filesystem:///..", "`..`"),
        ("filesystem:/srv/..", "`..`"),
        ("filesystem://localhost/srv", "does not begin with `/`"),
        ("file://server/share", "does not begin with `/`"),
        ("file://localhost", "does not begin with `/`"),
        ("s3:b/p", "write s3://"),
        ("s3://", "no bucket"),
        ("s3:///p", "no bucket"),
        ("s3://id:hush@b/p", "do not belong"),
        ("sftp://h", "no directory"),
        ("sftp:h", "write sftp:user@host:/path"),
        ("sftp://h:hush/p", "port"),
        ("sftp://me:hush@h:99999/p", "port"),
        ("sftp://u:hush%ff@h/p", "UTF-8"),
        ("https:///p", "no host"),
        ("kopia://", "no server"),
        ("rclone:r", "write rclone:remote:path"),
        ("foo+bar://u:hush@x", "foo+bar:// is no storage"),
        ("s3://b?endpiont=x", "endpiont"),
        ("sftp://u:hush@h/p?region=hush", "region"),
    ] {
        let said = Connection::parse(text).unwrap_err().to_string();
        assert!(said.contains(why), "{text}: {said}");
        assert!(!said.contains("hush") || text.starts_with("sftp://h:hush"), "{said}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*", scheme in "(s3|gs|azblob|b2|gdrive|sftp|webdavs?|https?|rclone|kopia|unix\\+https)") {
        for text in [text.clone(), format!("{scheme}:{text}"), format!("{scheme}://{text}")] {
            let _ = Connection::parse(text).map(|connection| connection.location());
        }
    }

    #[test]
    fn passwords_are_never_shown(
        scheme in "(s3|gs|azblob|b2|sftp|webdavs?|https?|kopia|foo)",
        user in "[a-z]{0,5}",
        path in "[a-z/@:%]{0,12}",
    ) {
        let text = format!("{scheme}://{user}:HUSH@host/{path}?nonsense=HUSH");
        let said = Connection::parse(&text).map_or_else(|error| error.to_string(), |connection| connection.location());
        prop_assert!(!said.contains("HUSH"), "{said}");
    }

    #[test]
    fn paths_are_taken_as_they_stand(path in "/[^\\x00]*") {
        let connection = Connection::parse(&path).unwrap();
        prop_assert_eq!(connection.storage.directory(), Some(Path::new(&path)));
    }
}
