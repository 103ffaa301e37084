use std::os::unix::ffi::OsStrExt;

use super::*;

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
        ("FileSystem:///a%20b", "/a%20b"),
        ("filesystem:/srv", "/srv"),
        ("file:///srv", "/srv"),
        ("file:/srv", "/srv"),
        ("file://localhost/srv", "/srv"),
    ] {
        assert_eq!(Location::parse(text).unwrap(), Location::filesystem(path), "{text}");
    }
    let bytes = OsStr::from_bytes(b"/a\xff");
    assert_eq!(Location::parse(bytes).unwrap(), Location::filesystem(bytes));
}

#[test]
fn bad_urls_are_refused() {
    for text in [
        "",
        "filesystem://",
        "filesystem://srv",
        "filesystem:///srv/../etc",
        "filesystem:///..",
        "filesystem:/srv/..",
        "filesystem://localhost/srv",
        "file://server/share",
        "file://localhost",
    ] {
        assert!(matches!(text.parse::<Location>(), Err(Error::BadLocation { .. })), "{text}");
    }
}

#[test]
fn other_storage_is_named_and_cannot_be_opened() {
    for (text, name) in [
        ("s3://b/p", "S3"),
        ("S3:b", "S3"),
        ("gs://b", "Google Cloud Storage"),
        ("gcs://b", "Google Cloud Storage"),
        ("azure://c", "Azure Blob Storage"),
        ("azblob://c", "Azure Blob Storage"),
        ("azureBlob://c", "Azure Blob Storage"),
        ("gdrive://f", "Google Drive"),
        ("foo+bar://x", "foo+bar://"),
        ("sftp:u@h:/x", "SFTP"),
        ("B2:bucket", "Backblaze B2"),
        ("rclone:r:p", "rclone"),
        ("webdavs://h/p", "WebDAV"),
        ("http://h/p", "WebDAV"),
        ("https://user:hush@dav.example.org:8443/51515", "WebDAV"),
        ("https://kopia.lan:51515", "a Kopia repository server"),
        ("https://kopia.lan:51515/", "a Kopia repository server"),
        ("kopia://kopia.lan", "a Kopia repository server"),
        ("unix+https:///run/kopia.sock", "a Kopia repository server"),
    ] {
        let location = Location::parse(text).unwrap();
        assert_eq!((location.to_string().as_str(), location.directory()), (name, None), "{text}");
        for error in [location.open().map(drop), location.clone().supported().map(drop)] {
            assert!(matches!(error, Err(Error::UnsupportedBackend { name: found }) if found == name));
        }
    }
}

#[test]
fn kopias_types_of_storage_are_known() {
    for (kind, name) in [
        ("s3", "S3"),
        ("gcs", "Google Cloud Storage"),
        ("azureBlob", "Azure Blob Storage"),
        ("b2", "Backblaze B2"),
        ("gdrive", "Google Drive"),
        ("sftp", "SFTP"),
        ("webdav", "WebDAV"),
        ("rclone", "rclone"),
    ] {
        assert_eq!(Backend::of_type(kind).unwrap().to_string(), name);
    }
    assert_eq!(["filesystem", "S3", "flux"].map(Backend::of_type), [None; 3]);
}

#[test]
fn a_directory_is_opened_as_it_is_to_be_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p1.f"), b"12345").unwrap();
    let mut location = Location::filesystem(directory.path()).supported().unwrap();
    assert_eq!(location.directory(), Some(directory.path()));
    assert_eq!(location.to_string(), directory.path().display().to_string());
    if let Location::Filesystem { io, .. } = &mut location {
        *io = IoMode::Map;
    }
    let store = location.open().unwrap();
    assert_eq!(store.directory().as_deref(), Some(directory.path()));
    let mapped = FilesystemStore::open_with(directory.path(), IoMode::Map).unwrap();
    let is_mapped = |store: &dyn BlobStore| {
        store.read_range(&"p1".parse().unwrap(), 0, 5, Vec::new()).unwrap().is_mapped()
    };
    assert_eq!(is_mapped(&*store), is_mapped(&mapped));
    assert!(Location::filesystem(directory.path().join("missing")).open().is_err());
}
