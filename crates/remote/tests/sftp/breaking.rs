//! Lines that break, fall silent or are slow, by our own client and by the program `ssh`.

use kopia_testkit::servers::program;
use kopia_testkit::tcp_proxy::{Fault, TcpProxy};

use super::*;

/// What was told while a server was waited for.
type Notes = Arc<Mutex<Vec<String>>>;

/// A way to connect with a directory of a server, at some port.
type Way = fn(&Sshd, &Path, u16) -> Sftp;

/// Returns both, as far as they are installed.
fn ways() -> Vec<(&'static str, Way)> {
    let mut ways: Vec<(&str, Way)> = vec![("our own client", sshd::place_at)];
    if program("ssh").is_some() {
        ways.push(("ssh", |sshd, directory, port| through_ssh_at(sshd, directory, "user", port)));
    }
    ways
}

/// Returns options by which a silence is short.
fn impatient() -> (Options, Notes) {
    let (mut options, notes) = (options(), Notes::default());
    options.patience.silence = Duration::from_secs(2);
    let taken = Arc::clone(&notes);
    options.notice =
        Arc::new(move |note: &str| taken.lock().expect("no test panics with it").push(note.to_owned()));
    (options, notes)
}

fn pack() -> (BlobId, Vec<u8>) {
    let bytes = (0..20_000_000usize).map(|at| (at * 31 + at / 251) as u8).collect();
    (id("p4e311fa000288c4db0b21c580277169b-s5539d401c55174a7147"), bytes)
}

#[test]
fn a_connection_that_breaks_or_falls_silent_is_made_again() {
    let Some(sshd) = Sshd::start() else { return };
    let (id, bytes) = pack();
    for (name, way) in ways() {
        let directory = small();
        put(directory.path(), &[(id.clone(), bytes.clone())]);
        let proxy = TcpProxy::start(sshd.port());
        let (options, notes) = impatient();
        let store = open_with(&way(&sshd, directory.path(), proxy.port()), &options).unwrap();
        // Four connections come to nothing in the middle of the pack.
        proxy.fail(&[
            Fault::Cut(3_000_000),
            Fault::Stall(5_000_000),
            Fault::Cut(9_000_000),
            Fault::Stall(2_000_000),
        ]);
        assert!(store.read(&id).unwrap() == bytes, "{name}");
        let notes = notes.lock().unwrap().clone();
        assert!(notes.iter().any(|note| note.contains("2nd try")), "{name}: {notes:?}");
        assert!(notes.iter().any(|note| note.contains("did not answer for 2 s")), "{name}: {notes:?}");
        // A file that was replaced while it was open is read anew.
        assert_eq!(&*store.read_range(&id, 0, 4, Vec::new()).unwrap(), &bytes[..4], "{name}");
        put(directory.path(), &[(id.clone(), b"short".to_vec())]);
        let short = store.read_range(&id, 0, 6, Vec::new());
        assert!(matches!(short, Err(Error::Short { length: 5, .. })), "{name}: {short:?}");
    }
}

#[test]
fn a_restore_goes_on_though_connections_break_and_are_slow() {
    let Some(sshd) = Sshd::start() else { return };
    let (case, blobs) = support::golden();
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &blobs);
    for (name, way) in ways() {
        let proxy = TcpProxy::slow(sshd.port(), Duration::from_millis(10));
        let (options, notes) = impatient();
        let store = open_with(&way(&sshd, directory.path(), proxy.port()), &options).unwrap();
        proxy.fail(&[
            Fault::Cut(500),
            // A second connection ends while it greets, a third while it signs in.
            Fault::Cut(100),
            Fault::Cut(2_000),
            Fault::Stall(20_000),
            Fault::Cut(12_000),
            Fault::Stall(10),
        ]);
        faults::restore(name, &case, store);
        assert!(notes.lock().unwrap().iter().any(|note| note.contains("try")), "{name}");
    }
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_is_told() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let Some(sshd) = Sshd::start() else { return };
    let directory = small();
    for (name, way) in ways() {
        let started = Instant::now();
        let why = failure(&way(&sshd, directory.path(), port), &impatient().0);
        assert!(matches!(why, Failure::TimedOut { .. }), "{name}: {why}");
        assert!(started.elapsed() < Duration::from_secs(30), "{name}: {:?}", started.elapsed());
    }
}

#[test]
fn a_server_that_falls_silent_for_good_is_told() {
    let Some(sshd) = Sshd::start() else { return };
    let (id, bytes) = pack();
    let directory = small();
    put(directory.path(), &[(id.clone(), bytes)]);
    for (name, way) in ways() {
        let proxy = TcpProxy::start(sshd.port());
        let (mut options, _) = impatient();
        options.patience.total = Duration::from_secs(5);
        let store = open_with(&way(&sshd, directory.path(), proxy.port()), &options).unwrap();
        proxy.fail(&[Fault::Stall(1_000_000)]);
        proxy.fail(&[Fault::Stall(0); 100]);
        let started = Instant::now();
        let error = store.read(&id).unwrap_err();
        assert!(matches!(error.failure(), Some(Failure::TimedOut { .. })), "{name}: {error:?}");
        assert!(started.elapsed() < Duration::from_secs(60), "{name}: {:?}", started.elapsed());
    }
}
