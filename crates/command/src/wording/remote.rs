//! What advice has to know of a connection to a place over a network.

use kopia_rs::connection::Connection;
use kopia_rs::connection::Storage;
use kopia_rs::diagnosis::{Backend, Remote};

/// Describes where a connection leads; `None` for a directory of the local system.
pub(crate) fn remote(connection: &Connection) -> Option<Remote> {
    let time = |time: &Option<kopia_rs::Timestamp>| time.as_ref().map(ToString::to_string);
    let (backend, container, point_in_time, is_plain) = match &connection.storage {
        Storage::S3(s3) => (Backend::S3, s3.bucket.clone(), time(&s3.point_in_time), s3.disable_tls),
        Storage::Gcs(gcs) => (Backend::Gcs, gcs.bucket.clone(), time(&gcs.point_in_time), false),
        Storage::Azure(azure) => {
            (Backend::Azure, azure.container.clone(), time(&azure.point_in_time), azure.disable_tls)
        }
        Storage::B2(b2) => (Backend::B2, b2.bucket.clone(), None, false),
        Storage::GoogleDrive(drive) => (Backend::GoogleDrive, drive.folder_id.clone(), None, false),
        Storage::Sftp(sftp) => (Backend::Sftp, sftp.host.clone(), None, false),
        Storage::WebDav(_) => {
            // Without who asks.
            let url = connection.location();
            let host = url.split('/').take(3).collect::<Vec<_>>().join("/");
            (Backend::WebDav, host, None, url.starts_with("http://"))
        }
        Storage::Rclone(rclone) => {
            let name = rclone.remote_path.split_once(':').map_or("", |(name, _)| name);
            // One that is made up on the spot holds its keys.
            let is_shown = !name.is_empty() && !name.contains([',', '/']);
            (Backend::Rclone, if is_shown { format!("{name}:") } else { String::new() }, None, false)
        }
        Storage::Server(_) => (Backend::Server, connection.location(), None, false),
        _ => return None,
    };
    Some(Remote { location: connection.location(), backend, container, point_in_time, is_plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_place_is_taken() {
        for (url, backend, container) in [
            ("s3://b/p?secret-access-key=hush", Backend::S3, "b"),
            ("webdavs://me:hush@dav.lan:8443/a/b", Backend::WebDav, "https://dav.lan:8443"),
            ("rclone:box:a/b", Backend::Rclone, "box:"),
            ("rclone::s3,secret_access_key=hush:b", Backend::Rclone, ""),
            ("sftp://me:hush@h/p", Backend::Sftp, "h"),
            ("kopia://a@b:hush@h", Backend::Server, "https://h:51515"),
        ] {
            let remote = remote(&Connection::parse(url).unwrap()).unwrap();
            assert_eq!((remote.backend, &*remote.container), (backend, container), "{url}");
            assert!(!format!("{remote:?}").contains("hush"), "{remote:?}");
        }
        assert_eq!(remote(&Connection::parse("/srv/kopia").unwrap()), None);
        let view =
            remote(&Connection::parse("s3://b/p?point-in-time=2026-03-02T12:00:00Z&disable-tls").unwrap());
        let view = view.unwrap();
        assert_eq!((view.point_in_time.as_deref(), view.is_plain), (Some("2026-03-02T12:00:00Z"), true));
    }
}
