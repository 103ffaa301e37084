//! Signing in where a server wants passwords: sshd of this machine knows none that a test may.

use std::net::SocketAddr;

use kopia_connection::Environment;
use kopia_connection::storage::{KnownHosts, Sftp, SshKey};
use russh::keys::{PrivateKey, decode_secret_key};
use russh::server::{self, Auth, Msg, Response, Session, VerifiedPublicKey};
use russh::{ChannelId, MethodKind, MethodSet};
use tokio::net::TcpListener;

use super::*;
use crate::patience::Patience;
use crate::runtime::Runtime;

const KEY: &str = include_str!("key/plain");
const PASSWORD: &str = "correct horse";

/// What a server wants.
#[derive(Debug, Clone, Copy)]
enum Door {
    /// A password.
    Password,
    /// A password, as the answer to a question.
    Question,
    /// A password, and then a code that only a person knows.
    Code,
    /// A key, and then a password.
    KeyAndPassword,
    /// A password, and has no SFTP.
    NoSftp,
}

/// One connection of the server.
struct Guard(Door);

impl Guard {
    fn methods(&self) -> MethodSet {
        match self.0 {
            Door::Password | Door::NoSftp => [MethodKind::Password][..].into(),
            Door::Question | Door::Code => [MethodKind::KeyboardInteractive][..].into(),
            Door::KeyAndPassword => [MethodKind::PublicKey, MethodKind::Password][..].into(),
        }
    }

    fn reject(&self, partial_success: bool) -> Auth {
        Auth::Reject { proceed_with_methods: Some(self.methods()), partial_success }
    }

    fn question(prompt: &'static str, echo: bool) -> Auth {
        Auth::Partial {
            name: "".into(),
            instructions: "".into(),
            prompts: vec![(prompt.into(), echo)].into(),
        }
    }
}

impl server::Handler for Guard {
    type Error = russh::Error;

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, russh::Error> {
        let is_right = password == PASSWORD;
        Ok(match self.0 {
            Door::Password | Door::NoSftp if is_right => Auth::Accept,
            // Either proof may come first.
            Door::KeyAndPassword if is_right => self.reject(true),
            _ => self.reject(false),
        })
    }

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(if let Door::KeyAndPassword = self.0 { Auth::Accept } else { self.reject(false) })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let Some(mut response) = response else { return Ok(Self::question("Password: ", false)) };
        let is_right = response.next().is_some_and(|bytes| bytes == PASSWORD.as_bytes());
        Ok(match self.0 {
            Door::Question if is_right => Auth::Accept,
            Door::Code if is_right => Self::question("Verification code: ", true),
            _ => self.reject(false),
        })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match (self.0, name) {
            (Door::NoSftp, _) => session.channel_failure(channel),
            (_, "sftp") => session.channel_success(channel),
            _ => session.channel_failure(channel),
        }
    }
}

fn key() -> PrivateKey {
    decode_secret_key(KEY, None).unwrap()
}

/// Starts a server with such a door; it ends with the runtime.
async fn serve(door: Door) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(server::Config {
        keys: vec![key()],
        auth_rejection_time: Duration::ZERO,
        methods: Guard(door).methods(),
        ..server::Config::default()
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let running = server::run_stream(Arc::clone(&config), stream, Guard(door)).await;
            tokio::spawn(async move {
                drop(running?.await);
                Ok::<_, russh::Error>(())
            });
        }
    });
    address
}

/// Connects with a server that has such a door.
fn enter(door: Door, change: impl FnOnce(&mut Sftp)) -> Result<(), Fault> {
    let runtime = Runtime::start("test").unwrap();
    let address = runtime.wait(serve(door)).unwrap();
    let mut sftp = Sftp::default();
    sftp.host = address.ip().to_string();
    sftp.port = Some(address.port());
    sftp.username = "me".into();
    let line = crate::sftp::known_hosts::line(&sftp.host, address.port(), key().public_key());
    sftp.known_hosts = Some(KnownHosts::Text(line));
    change(&mut sftp);
    let place = Place::new(&sftp, &Environment::empty(), &Patience::default()).unwrap();
    let papers = Papers::read(&place).unwrap();
    runtime.wait(async move { connect(&place, &papers).await.map(drop) }).unwrap()
}

fn with_password(door: Door, password: &str) -> Result<(), Fault> {
    enter(door, |sftp| sftp.password = Some(password.into()))
}

fn refused(entered: Result<(), Fault>) -> String {
    match entered {
        Err(Fault::Final(failure @ Failure::WrongKey { .. })) => failure.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_opens_both_as_such_and_as_an_answer() {
    with_password(Door::Password, PASSWORD).unwrap();
    with_password(Door::Question, PASSWORD).unwrap();
    for door in [Door::Password, Door::Question] {
        let why = refused(with_password(door, "wrong horse"));
        assert!(why.contains("the password") && !why.contains("horse"), "{why}");
    }
}

#[test]
fn a_password_is_no_answer_to_another_question() {
    let why = match with_password(Door::Code, PASSWORD) {
        Err(Fault::Final(Failure::Credentials { why, .. })) => why,
        other => panic!("{other:?}"),
    };
    assert!(why.contains("Verification code"), "{why}");
}

#[test]
fn a_password_goes_before_a_key_and_a_server_may_want_both() {
    let both = |sftp: &mut Sftp| {
        sftp.password = Some(PASSWORD.into());
        sftp.key = Some(SshKey::Text(KEY.into()));
    };
    enter(Door::Password, both).unwrap();
    enter(Door::KeyAndPassword, both).unwrap();
    let why = refused(with_password(Door::KeyAndPassword, PASSWORD));
    assert!(why.contains("good, but not enough"), "{why}");
}

#[test]
fn a_key_is_of_no_use_where_passwords_are_wanted() {
    let why = refused(enter(Door::Password, |sftp| sftp.key = Some(SshKey::Text(KEY.into()))));
    assert!(why.contains("may sign in by password"), "{why}");
    let nothing = enter(Door::Password, |_| {});
    assert!(matches!(nothing, Err(Fault::Final(Failure::NoCredentials { .. }))), "{nothing:?}");
}

#[test]
fn a_server_without_sftp_is_told() {
    let entered = with_password(Door::NoSftp, PASSWORD);
    assert!(
        matches!(&entered, Err(Fault::Final(Failure::Refusal { message, .. })) if message.contains("subsystem sftp")),
        "{entered:?}"
    );
}
