//! Other places of the same bucket, server or machine.

use kopia_rs::connection::{Connection, Storage};

/// Returns where a connection leads within its bucket or server: the prefix of keys, or the path of a directory.
pub(super) fn root(connection: &Connection) -> String {
    match &connection.storage {
        Storage::Filesystem(place) => place.path.to_string_lossy().into_owned(),
        Storage::S3(place) => place.prefix.clone(),
        Storage::Gcs(place) => place.prefix.clone(),
        Storage::Azure(place) => place.prefix.clone(),
        Storage::B2(place) => place.prefix.clone(),
        Storage::Sftp(place) => place.path.clone(),
        Storage::WebDav(place) => parts(&place.url).1.into(),
        Storage::Rclone(place) => remote(&place.remote_path).1.into(),
        _ => String::new(),
    }
}

/// Returns the connection of another place in the same bucket or server, with the same credentials.
#[cfg(any(feature = "velero", test))]
pub(super) fn at(connection: &Connection, root: &str) -> Connection {
    let mut moved = connection.clone();
    match &mut moved.storage {
        Storage::Filesystem(place) => place.path = root.into(),
        Storage::S3(place) => place.prefix = root.into(),
        Storage::Gcs(place) => place.prefix = root.into(),
        Storage::Azure(place) => place.prefix = root.into(),
        Storage::B2(place) => place.prefix = root.into(),
        Storage::Sftp(place) => place.path = root.into(),
        Storage::WebDav(place) => place.url = format!("{}{root}", parts(&place.url).0),
        Storage::Rclone(place) => place.remote_path = format!("{}{root}", remote(&place.remote_path).0),
        _ => {}
    }
    moved
}

/// Splits a URL before its path.
fn parts(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[host..].find('/').map_or(url.len(), |slash| host + slash);
    url.split_at(path)
}

/// Splits what rclone takes behind the name of the remote.
fn remote(path: &str) -> (&str, &str) {
    path.split_at(path.rfind(':').map_or(0, |colon| colon + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_place_differs_in_nothing_else() {
        for (url, root_there, expected) in [
            ("s3://b/p/", "p/", "s3://b/p/kopia/shop/"),
            ("s3://b", "", "s3://b/p/kopia/shop/"),
            ("gs://b/x", "x", "gs://b/p/kopia/shop/"),
            ("azblob://c/p/?storage-account=a", "p/", "azblob://c/p/kopia/shop/ at a.blob.core.windows.net"),
            ("/srv/copy", "/srv/copy", "p/kopia/shop/"),
            ("rclone:box:a", "a", "rclone:box:p/kopia/shop/"),
        ] {
            let connection = Connection::parse(url).unwrap();
            assert_eq!(root(&connection), root_there, "{url}");
            let moved = at(&connection, "p/kopia/shop/");
            assert_eq!(moved.location(), expected, "{url}");
            assert_eq!(root(&at(&moved, root_there)), root_there);
        }
        let dav = Connection::parse("webdavs://dav.lan:8443/a/b/").unwrap();
        assert_eq!(root(&dav), "/a/b/");
        assert_eq!(root(&at(&dav, "/a/kopia/shop/")), "/a/kopia/shop/");
    }
}
