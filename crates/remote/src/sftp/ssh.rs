//! Our own SSH client: reaches the server, checks its key, signs in, and starts its SFTP subsystem.
//!
//! It reads neither `~/.ssh/config` nor asks anything on a terminal. What it cannot do (jump hosts, hardware
//! tokens without an agent) the `ssh` program can: see [`external`](super::external).

mod agent;
mod host_key;
mod key;
mod sign_in;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kopia_storage::Failure;
use russh::client::{self, Handle, Msg};
use russh::keys::Algorithm;
use russh::{Channel, ChannelMsg, Preferred, cipher};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::fault::{Fault, shortened};
use super::place::Place;
use host_key::{Checker, HostKeys};
use key::Key;

/// How many bytes the server may send ahead: what a line of 1 Gbit/s holds at 250 ms.
const WINDOW: u32 = 32 << 20;
/// After how long without a word a sign of life is asked for, so that routers on the way keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The shortest time that one of several addresses of a host gets.
const SHORTEST_CONNECT: Duration = Duration::from_secs(3);

/// A connection that is signed in.
pub(super) type Connection = Handle<Checker>;

/// What lies in files and is needed to sign in.
pub(super) struct Papers {
    hosts: HostKeys,
    key: Option<Key>,
}

impl Papers {
    /// Reads them. It may take a while: a passphrase is made slow to try.
    pub(super) fn read(place: &Place) -> Result<Self, Failure> {
        Ok(Self { hosts: HostKeys::read(place)?, key: Key::read(place)? })
    }
}

/// Connects with the server and starts its SFTP subsystem.
pub(super) async fn connect(place: &Place, papers: &Papers) -> Result<(Channel<Msg>, Connection), Fault> {
    let stream = reach(place).await?;
    let patience = place.patience.silence;
    let host = place.host();
    let silent = |_| Fault::Lost(Failure::TimedOut { host: host.clone(), after: patience });
    let checker = papers.hosts.checker(place);
    let verdict = checker.verdict();
    let config = Arc::new(config(&papers.hosts));
    let greeted = timeout(patience, client::connect_stream(config, stream, checker)).await.map_err(silent)?;
    let mut connection = greeted.map_err(|error| match verdict.get() {
        Some(failure) => Fault::Final(failure.clone()),
        None => fault(&host, error),
    })?;
    sign_in::sign_in(&mut connection, place, papers.key.as_ref()).await?;
    let channel = timeout(patience, subsystem(&connection, &host)).await.map_err(silent)??;
    Ok((channel, connection))
}

fn config(hosts: &HostKeys) -> client::Config {
    let preferred = Preferred {
        key: Cow::Owned(hosts.algorithms(&Preferred::DEFAULT.key)),
        host_key_certificates: Cow::Owned(hosts.certificate_algorithms()),
        // With the instructions that processors have for it, twice as fast as the usual first one.
        cipher: Cow::Borrowed(&[
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_CTR,
            cipher::AES_192_CTR,
            cipher::AES_128_CTR,
        ]),
        ..Preferred::DEFAULT
    };
    client::Config {
        window_size: WINDOW,
        keepalive_interval: Some(KEEP_ALIVE),
        nodelay: true,
        preferred,
        ..client::Config::default()
    }
}

/// Makes a connection to one of the host's addresses.
async fn reach(place: &Place) -> Result<TcpStream, Fault> {
    let host = || place.host();
    let patience = place.patience.connect;
    let timed_out = || Fault::Lost(Failure::TimedOut { host: host(), after: patience });
    let found = timeout(patience, lookup_host((&*place.sftp.host, place.port()))).await;
    let addresses: Vec<SocketAddr> = match found.map_err(|_| timed_out())? {
        Ok(addresses) => addresses.collect(),
        // The system has no other word for it than its text.
        Err(error) if error.to_string().contains("Temporary failure") => {
            return Err(Fault::Lost(Failure::Unreachable { host: host(), why: error.to_string() }));
        }
        Err(_) => return Err(Fault::Final(Failure::UnknownHost { host: place.sftp.host.clone() })),
    };
    let each = (patience / addresses.len().max(1) as u32).max(SHORTEST_CONNECT.min(patience));
    let mut last = Fault::Final(Failure::UnknownHost { host: place.sftp.host.clone() });
    for address in addresses {
        last = match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // It is only slower without.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Fault::Lost(Failure::Refused { host: host() })
            }
            Ok(Err(error)) => Fault::Lost(Failure::Unreachable { host: host(), why: error.to_string() }),
            Err(_) => timed_out(),
        };
    }
    Err(last)
}

async fn subsystem(connection: &Connection, host: &str) -> Result<Channel<Msg>, Fault> {
    let failed = |error| fault(host, error);
    let mut channel = connection.channel_open_session().await.map_err(failed)?;
    channel.request_subsystem(true, "sftp").await.map_err(failed)?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return Ok(channel),
            Some(ChannelMsg::Failure) => {
                let message = "the subsystem sftp is not set up there".into();
                return Err(Fault::Final(Failure::Refusal {
                    host: host.into(),
                    status: "no".into(),
                    message,
                }));
            }
            // Such as how much may be sent.
            Some(_) => {}
            None => return Err(Fault::broken(host, "the server ended it before SFTP began")),
        }
    }
}

/// Turns an error of the SSH client into ours.
fn fault(host: &str, error: russh::Error) -> Fault {
    use russh::Error as Ssh;
    match error {
        Ssh::NoCommonAlgo { kind, theirs, .. } => {
            let why = format!("it and we have no {kind:?} algorithm in common; it has {}", theirs.join(", "));
            Fault::Final(Failure::Protocol { host: host.into(), protocol: "SSH", why: shortened(&why) })
        }
        Ssh::Version => Fault::Final(Failure::Protocol {
            host: host.into(),
            protocol: "SSH",
            why: "something else may listen there".into(),
        }),
        Ssh::WrongServerSig => Fault::Final(Failure::Protocol {
            host: host.into(),
            protocol: "SSH",
            why: "the server does not have the key that it shows".into(),
        }),
        error => Fault::broken(host, shortened(&error.to_string())),
    }
}

/// Returns whether keys of two algorithms are of one kind: RSA has several ways to sign.
fn is_same_kind(one: &Algorithm, other: &Algorithm) -> bool {
    matches!((one, other), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || one == other
}

#[cfg(test)]
mod tests;
