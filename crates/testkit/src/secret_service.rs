//! A key ring of the tests' own: the Secret Service of a desktop, and the bus that leads to it, behind one
//! socket.

use std::collections::HashMap;
use std::future::poll_fn;
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use futures_core::Stream;
use tempfile::TempDir;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, Message, ObjectPath, OwnedObjectPath, OwnedVariant, Variant};

/// What a bus is called, which it has to be.
const ID: &str = "0123456789abcdef0123456789abcdef";

const ITEMS: &str = "/org/freedesktop/secrets/collection/login/";
const SESSION: &str = "/org/freedesktop/secrets/session/s1";
const PROMPT: &str = "/org/freedesktop/secrets/prompt/p1";

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It gives what it has.
    Open,
    /// It is unlocked by the first who asks, without a question.
    Willing,
    /// It lists what it has, and wants its owner to unlock it.
    Locked,
    /// As [`Self::Locked`], and it does not even list what it has.
    Hidden,
    /// It never answers.
    Mute,
    /// There is a bus, and no key ring on it.
    Absent,
}

/// A stored password.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is called.
    pub service: String,
    /// Whose it is.
    pub user: String,
    /// The password itself.
    pub password: Vec<u8>,
}

/// A key ring that answers for as long as this is there.
#[derive(Debug)]
pub struct SecretService {
    directory: TempDir,
}

impl SecretService {
    /// Starts one with these passwords.
    ///
    /// # Panics
    /// If there can be no socket.
    pub fn start(state: State, items: Vec<Item>) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let listener = UnixListener::bind(directory.path().join("bus")).expect("a socket");
        let items = Arc::new(items);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), items) = (stream, items.clone()) else { return };
                // Whoever asked is told by the end of the connection that something went wrong.
                thread::spawn(move || zbus::block_on(serve(stream, state, &items)));
            }
        });
        Self { directory }
    }

    /// Returns where it is, for `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.directory.path().join("bus").display())
    }
}

async fn serve(stream: UnixStream, state: State, items: &[Item]) -> zbus::Result<()> {
    let mut messages = Builder::unix_stream(stream).server(ID).p2p().build_message_stream().await?;
    let bus = Connection::from(&messages);
    while let Some(message) = poll_fn(|context| Pin::new(&mut messages).poll_next(context)).await {
        let message = message?;
        if message.message_type() == Type::MethodCall {
            answer(&bus, &message, state, items).await?;
        }
    }
    Ok(())
}

async fn answer(bus: &Connection, message: &Message, state: State, items: &[Item]) -> zbus::Result<()> {
    let header = message.header();
    let member = header.member().map(|member| member.to_string()).unwrap_or_default();
    if member == "Hello" {
        return bus.reply(&header, &":1.7").await;
    }
    match state {
        State::Mute => return Ok(()),
        State::Absent => {
            let name = "org.freedesktop.DBus.Error.ServiceUnknown";
            return bus.reply_error(&header, name, &"no such service").await;
        }
        _ => {}
    }
    let path = |text: &str| OwnedObjectPath::try_from(text);
    match &*member {
        "SearchItems" => {
            let body = message.body();
            let sought: HashMap<&str, &str> = body.deserialize()?;
            let is_meant = |item: &Item| {
                sought.get("service") == Some(&&*item.service) && sought.get("username") == Some(&&*item.user)
            };
            let numbers = (0..items.len()).filter(|&number| is_meant(&items[number]));
            let found: Vec<_> =
                numbers.map(|number| path(&format!("{ITEMS}{number}"))).collect::<Result<_, _>>()?;
            let none = Vec::new();
            let lists: (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) = match state {
                State::Open => (found, none),
                State::Hidden => (none.clone(), none),
                _ => (none, found),
            };
            bus.reply(&header, &lists).await
        }
        "Unlock" => {
            let body = message.body();
            let wanted: Vec<ObjectPath<'_>> = body.deserialize()?;
            let answer: (Vec<OwnedObjectPath>, OwnedObjectPath) = match state {
                State::Locked | State::Hidden => (Vec::new(), path(PROMPT)?),
                _ => (wanted.into_iter().map(Into::into).collect(), path("/")?),
            };
            bus.reply(&header, &answer).await
        }
        "OpenSession" => {
            let nothing = OwnedVariant::try_from(Variant::from(""))?;
            bus.reply(&header, &(nothing, path(SESSION)?)).await
        }
        "GetSecret" => {
            let named = header.path().map(|path| path.to_string()).unwrap_or_default();
            let number = named.strip_prefix(ITEMS).and_then(|number| number.parse::<usize>().ok());
            let Some(item) = number.and_then(|number| items.get(number)) else {
                let name = "org.freedesktop.Secret.Error.NoSuchObject";
                return bus.reply_error(&header, name, &"no such item").await;
            };
            let secret = (path(SESSION)?, Vec::<u8>::new(), &item.password, "text/plain; charset=utf8");
            bus.reply(&header, &(secret,)).await
        }
        _ => {
            let name = "org.freedesktop.DBus.Error.UnknownMethod";
            bus.reply_error(&header, name, &"no such method").await
        }
    }
}
