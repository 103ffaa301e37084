//! Key rings: a Secret Service of the test's own, in every state that one can be in. The real one and the
//! real kopia are in the test of the command.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
#![cfg(all(feature = "key-ring", unix, not(target_os = "macos")))]

use std::os::unix::net::UnixListener;
use std::path::Path;

use kopia_connection::{Connection, Environment, stored_password};
use kopia_remote::key_ring::{self, Error};
use kopia_testkit::secret_service::{Item, SecretService, State};
use kopia_testkit::servers;

const CONFIG: &str = "/home/me/.config/kopia/repository.config";

fn item(config: &str, user: &str, password: &[u8]) -> Item {
    let service = stored_password::key_ring_name(config.as_ref());
    Item { service, user: user.into(), password: password.into() }
}

fn environment(address: &str) -> Environment {
    [("DBUS_SESSION_BUS_ADDRESS", address)].into_iter().collect()
}

fn ask(address: &str, config: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut connection = Connection::parse("/repository").unwrap();
    let found = key_ring::fill(&mut connection, Path::new(config), &environment(address))?;
    assert_eq!(found, connection.password.is_some());
    Ok(connection.password.map(|password| password.as_bytes().to_vec()))
}

#[test]
fn the_password_of_this_configuration_and_user_is_found() {
    let user = servers::user();
    let items = vec![
        item("/other/repository.config", &user, b"wrong"),
        item(CONFIG, "somebody", b"wrong"),
        item(CONFIG, &user, "pässword \n\0".as_bytes()),
        item("/home/me/bytes.config", &user, b"\xff\xfe"),
        item("/home/me/empty.config", &user, b""),
    ];
    for state in [State::Open, State::Willing] {
        let service = SecretService::start(state, items.clone());
        for (config, password) in [
            (CONFIG, Some("pässword \n\0".as_bytes())),
            ("/home/me/bytes.config", Some(b"\xff\xfe")),
            ("/home/me/empty.config", Some(b"")),
            ("/home/me/unknown.config", None),
        ] {
            assert_eq!(ask(&service.address(), config).unwrap().as_deref(), password, "{state:?} {config}");
        }
    }
}

#[test]
fn a_configuration_that_is_named_from_here_is_also_looked_for_by_its_whole_path() {
    let whole = std::path::absolute("some.config").unwrap();
    let items = vec![item(whole.to_str().unwrap(), &servers::user(), b"pw")];
    let service = SecretService::start(State::Open, items);
    assert_eq!(ask(&service.address(), "some.config").unwrap().as_deref(), Some(&b"pw"[..]));
}

#[test]
fn what_cannot_be_had_is_told_and_never_waited_for() {
    let items = vec![item(CONFIG, &servers::user(), b"hush")];
    for (state, error) in
        [(State::Locked, Error::Locked), (State::Hidden, Error::Locked), (State::Absent, Error::Absent)]
    {
        let service = SecretService::start(state, items.clone());
        assert_eq!(ask(&service.address(), CONFIG), Err(error), "{state:?}");
    }
    let mut nowhere = Connection::parse("/repository").unwrap();
    let asked = key_ring::fill(&mut nowhere, CONFIG.as_ref(), &Environment::empty());
    assert_eq!(asked, Err(Error::Absent));
    for address in ["unix:path=/nonexistent/bus", "nonsense", "unixexec:path=/bin/sh", "tcp:host=hush"] {
        let Err(Error::Failed { why }) = ask(address, CONFIG) else { panic!("{address} leads nowhere") };
        assert!(!why.is_empty());
    }
}

#[test]
fn what_does_not_answer_is_given_up() {
    let mute = SecretService::start(State::Mute, Vec::new());
    // Connections are taken by the system, and nobody says a word.
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bus");
    let _listener = UnixListener::bind(&socket).unwrap();
    let silent = format!("unix:path={}", socket.display());
    std::thread::scope(|scope| {
        for address in [mute.address(), silent] {
            scope.spawn(move || {
                assert!(matches!(ask(&address, CONFIG), Err(Error::Silent { .. })), "{address}");
            });
        }
    });
}
