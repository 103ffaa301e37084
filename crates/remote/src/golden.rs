//! A golden repository for tests of whole restores, and servers whose tokens expire in the middle of one.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kopia_codec::key::Password;
use kopia_repository::Repository;
use kopia_storage::BlobStore;
use kopia_testkit::golden::{self, Case};
use kopia_testkit::http_server::{Request, Response};
use kopia_testkit::tree::{Compare, Tree, compare};

/// How long after it was issued a token may be refused for the first time: one that was just got is not got
/// again.
const HELD: Duration = Duration::from_millis(300);

fn case() -> Case {
    golden::case("epochs")
}

/// Returns the blobs of the repository, by their names.
pub(crate) fn blobs() -> BTreeMap<String, Vec<u8>> {
    case().cheap_blobs()
}

/// Restores the newest snapshot of the repository, and compares the tree with what it must be.
#[track_caller]
pub(crate) fn restore(store: impl BlobStore) {
    let case = case();
    let repository = Repository::open(store, &Password::from(&*case.password)).unwrap();
    let (listed, expected) = case.pairs().pop().unwrap();
    let snapshots = repository.snapshots().unwrap();
    let root = snapshots.iter().find(|snapshot| snapshot.id() == listed.id).unwrap().root().unwrap();
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("target");
    let outcome = kopia_restore::restore(&root, &target, &kopia_restore::Options::default()).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
    let differences = compare(&expected.load(), &Tree::scan(target), &Compare::settable());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Tokens `t1`, `t2`, … The first is good for so many requests, and only while there is no other; all others are
/// good.
pub(crate) struct Tokens {
    good_for: usize,
    state: Mutex<(Vec<Instant>, usize)>,
}

impl Tokens {
    pub(crate) fn new(good_for: usize) -> Self {
        Self { good_for, state: Mutex::default() }
    }

    /// Issues the next one.
    pub(crate) fn issue(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.0.push(Instant::now());
        format!("t{}", state.0.len())
    }

    /// Returns how many were issued.
    pub(crate) fn issued(&self) -> usize {
        self.state.lock().unwrap().0.len()
    }

    /// Answers a request whose token is good, and refuses others.
    pub(crate) fn guard(
        &self,
        request: &Request,
        refusal: Response,
        answer: impl FnOnce() -> Response,
    ) -> Response {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        let (issued, requests) = (state.0.len(), state.1);
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer t"));
        let token: Option<usize> = token.and_then(|number| number.parse().ok());
        let is_good = match token {
            Some(1) => issued == 1 && requests <= self.good_for,
            Some(number) => (2..=issued).contains(&number),
            None => false,
        };
        if is_good {
            drop(state);
            return answer();
        }
        // Whoever asks with an older one is refused at once, to take the newest while that was just got.
        let newest = state.0.last().filter(|_| token == Some(issued));
        let age = newest.map_or(HELD, Instant::elapsed);
        refusal.after(HELD.saturating_sub(age))
    }
}
