//! Signs in with the keys that an agent holds, such as `ssh-agent`. The keys themselves never leave it.

use std::time::Duration;

use russh::MethodKind;
use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::sign_in::Attempt;
use crate::sftp::fault::{Fault, shortened};

/// The variable that names the agent's socket.
const SOCKET: &str = "SSH_AUTH_SOCK";
/// How many of its keys are tried: servers close the connection after six.
const MOST_KEYS: usize = 5;
/// How long the agent may take to sign: it may ask a person first, or a token wants to be touched.
const PATIENCE: Duration = Duration::from_secs(60);

/// How asking an agent went.
pub(super) enum Asked {
    SignedIn,
    /// The server takes none of its keys.
    Refused,
    /// There is none that helps, and why.
    NoAgent(String),
}

/// Signs in with the keys of the agent that the environment names.
pub(super) async fn sign_in(attempt: &mut Attempt<'_>) -> Result<Asked, Fault> {
    let Some(socket) = attempt.place.environment.var_os(SOCKET).map(ToOwned::to_owned) else {
        return Ok(Asked::NoAgent(format!("{SOCKET} names no agent")));
    };
    if !attempt.takes(MethodKind::PublicKey) {
        return Ok(Asked::NoAgent("the server takes no keys".into()));
    }
    let found = async {
        let mut agent = AgentClient::connect(UnixStream::connect(&socket).await?);
        // Keys may be bound to hosts. An agent that does not know of that refuses, and has no such keys.
        if let Some(binding) = attempt.connection.agent_session_binding() {
            let _ = agent.bind_session(binding, false).await;
        }
        let identities = agent.request_identities().await?;
        Ok::<_, russh::keys::Error>((agent, identities))
    };
    let (mut agent, identities) = match timeout(PATIENCE, found).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            let why = shortened(&error.to_string());
            return Ok(Asked::NoAgent(format!("the agent of {SOCKET} gives no keys ({why})")));
        }
        Err(_) => return Ok(Asked::NoAgent(format!("the agent of {SOCKET} does not answer"))),
    };
    if identities.is_empty() {
        return Ok(Asked::NoAgent(format!("the agent of {SOCKET} holds no key")));
    }
    for identity in identities.iter().take(MOST_KEYS) {
        if !attempt.takes(MethodKind::PublicKey) {
            break;
        }
        match timeout(PATIENCE, with(attempt, &mut agent, identity)).await {
            Ok(true) => return Ok(Asked::SignedIn),
            Ok(false) => {}
            // The session waits for a signature, and can do nothing else.
            Err(_) => return Err(Fault::broken(&attempt.place.host(), "the agent took too long to sign")),
        }
    }
    Ok(Asked::Refused)
}

/// Signs in with one key; returns whether the server takes it.
async fn with(
    attempt: &mut Attempt<'_>,
    agent: &mut AgentClient<UnixStream>,
    identity: &AgentIdentity,
) -> bool {
    let (algorithm, comment) = match identity {
        AgentIdentity::PublicKey { key, comment } => (key.algorithm(), comment),
        AgentIdentity::Certificate { certificate, comment } => (certificate.algorithm(), comment),
    };
    let name = format!("the agent's key {:?}", shortened(comment));
    for hash in attempt.hashes(&algorithm).await {
        let user = attempt.user();
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                attempt.connection.authenticate_publickey_with(user, key.clone(), hash, agent).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                attempt.connection.authenticate_certificate_with(user, certificate.clone(), hash, agent).await
            }
        };
        match result {
            Ok(AuthResult::Success) => return true,
            Ok(result) => drop(attempt.note(&name, result)),
            // The agent would not sign, such as for a person who said no.
            Err(error) => attempt.tried.push(format!("{name} ({})", shortened(&error.to_string()))),
        }
        if !attempt.takes(MethodKind::PublicKey) {
            break;
        }
    }
    attempt.tried.dedup();
    false
}
