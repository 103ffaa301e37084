//! What tests of all stores need: a repository to put there, and whether it reads right.

use kopia_codec::key::Password;
use kopia_format::BlobId;
use kopia_repository::Repository;
use kopia_repository::verify::Options;
use kopia_storage::BlobStore;
use kopia_testkit::golden::{self, Case};
#[allow(unused_imports, reason = "only tests against real servers use it")]
pub(crate) use kopia_testkit::servers::send;

/// A golden repository, and its blobs as a flat store has them.
pub(crate) fn golden() -> (Case, Vec<(BlobId, Vec<u8>)>) {
    let case = golden::case("epochs");
    let blobs = case.cheap_blobs();
    let blobs = blobs.into_iter().map(|(name, bytes)| (name.parse().expect("a blob's name"), bytes));
    let blobs = blobs.collect();
    (case, blobs)
}

/// Checks that a golden repository has its snapshots, and that every file in it reads right.
///
/// # Panics
/// If not.
pub(crate) fn check_golden(case: &Case, store: impl BlobStore) {
    let repository = Repository::open(store, &Password::from(&*case.password)).expect("the repository opens");
    let snapshots = repository.snapshots().expect("snapshots are listed");
    let ids: Vec<_> = snapshots.iter().map(|snapshot| snapshot.id().to_string()).collect();
    let listed: Vec<_> = case.listed.iter().map(|listed| listed.id.clone()).collect();
    assert_eq!(ids, listed);
    let report = repository.verify(&Options::default(), &()).expect("the repository is verified");
    assert!(report.is_sound(), "{report:?}");
    assert!(report.contents.of > 0 && report.contents.verified == report.contents.of, "{report:?}");
}
