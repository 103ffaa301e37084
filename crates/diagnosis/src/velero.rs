//! Repositories of Velero: where they lie, and of which volumes their snapshots are.
//!
//! Velero's uploader writes one ordinary repository for each namespace that it backs up, at
//! `PREFIX/kopia/NAMESPACE/` of a bucket, with a password of its own. Authority, in Velero's source:
//! `pkg/repository/config` (places), `pkg/repository/keys/keys.go` (the password), `pkg/uploader/provider/kopia.go`,
//! `pkg/datamover` and `pkg/podvolume` (sources and tags), `pkg/persistence/object_store_layout.go` (what lies
//! beside `kopia/`).

mod search;
mod volume;

pub use search::{NamespaceRepository, Search, in_directory, in_store, is_marked};
pub use volume::{Backup, Volume, VolumeKind, volumes};

/// What opens every repository of Velero, unless somebody changed the Secret `velero-repo-credentials`.
pub const PASSWORD: &str = "static-passw0rd";

/// The directory of a bucket that holds the repositories.
const KOPIA: &str = "kopia";

/// Returns the namespace whose volumes a repository at this place would hold: that of `…/kopia/NAMESPACE`, with
/// or without a `/` at its end.
///
/// ```
/// # use kopia_diagnosis::velero::namespace_of;
/// assert_eq!(namespace_of("clusters/prod/kopia/shop/"), Some("shop"));
/// assert_eq!(namespace_of("backups/kopia"), None);
/// ```
pub fn namespace_of(place: &str) -> Option<&str> {
    let mut names = place.trim_end_matches('/').rsplit('/');
    let namespace = names.next().filter(|name| is_namespace(name))?;
    (names.next() == Some(KOPIA)).then_some(namespace)
}

/// Returns whether a name can be that of a namespace of Kubernetes: a label of DNS (RFC 1123).
fn is_namespace(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.first().copied().is_some_and(is_inner)
        && bytes.last().copied().is_some_and(is_inner)
        && bytes.iter().all(|&byte| is_inner(byte) || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_the_directory_below_kopia() {
        for (place, expected) in [
            ("kopia/shop", Some("shop")),
            ("/mnt/bucket/prefix/kopia/shop-2/", Some("shop-2")),
            ("kopia/", None),
            ("kopia", None),
            ("", None),
            ("/", None),
            ("backups/shop", None),
            ("kopia/Shop", None),
            ("kopia/-shop", None),
            ("kopia/shop/backup", None),
            ("kopia/..", None),
        ] {
            assert_eq!(namespace_of(place), expected, "{place}");
        }
    }
}
