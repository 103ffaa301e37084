//! Signs a user in: by password, by key, or by an agent's keys.
//!
//! As for kopia, a password goes before a key. An agent, which kopia does not know, is asked where there is
//! neither, and where the server refuses the key. A server that wants several proofs gets them one after the
//! other.

use std::sync::Arc;

use kopia_connection::Secret;
use kopia_storage::Failure;
use russh::client::{AuthResult, KeyboardInteractiveAuthResponse as Round, Prompt};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use tokio::time::timeout;

use super::agent::{self, Asked};
use super::key::Key;
use super::{Connection, fault};
use crate::sftp::fault::{Fault, shortened};
use crate::sftp::place::Place;

/// How often a server may ask for more in one dialogue.
const MOST_ROUNDS: usize = 8;

/// Signs in.
pub(super) async fn sign_in(
    connection: &mut Connection,
    place: &Place,
    key: Option<&Key>,
) -> Result<(), Fault> {
    let mut attempt = Attempt::new(connection, place);
    if let Some(password) = &place.sftp.password {
        if attempt.password(password).await? || attempt.dialogue(password).await? {
            return Ok(());
        }
        // A key only counts as the second of two proofs.
        if !attempt.is_halfway {
            return Err(attempt.refused());
        }
    }
    if let Some(key) = key
        && attempt.key(key).await?
    {
        return Ok(());
    }
    match agent::sign_in(&mut attempt).await? {
        Asked::SignedIn => Ok(()),
        Asked::Refused => Err(attempt.refused()),
        Asked::NoAgent(_) if !attempt.tried.is_empty() => Err(attempt.refused()),
        Asked::NoAgent(why) => Err(Fault::Final(Failure::NoCredentials {
            host: place.host(),
            looked: format!("the connection has neither password nor key, and {why}"),
        })),
    }
}

/// What was tried on one connection, and how it went.
pub(super) struct Attempt<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) place: &'a Place,
    /// The names of what was refused.
    pub(super) tried: Vec<String>,
    /// What the server takes; nothing before it has said so.
    takes: Option<MethodSet>,
    /// Whether a proof was good, and the server wants another one.
    is_halfway: bool,
}

impl<'a> Attempt<'a> {
    fn new(connection: &'a mut Connection, place: &'a Place) -> Self {
        Self { connection, place, tried: Vec::new(), takes: None, is_halfway: false }
    }

    pub(super) fn user(&self) -> String {
        self.place.sftp.username.clone()
    }

    /// Returns whether a kind of proof is of use.
    pub(super) fn takes(&self, method: MethodKind) -> bool {
        !self.connection.is_closed() && self.takes.as_ref().is_none_or(|takes| takes.contains(&method))
    }

    /// Notes how a proof went; returns whether the user is signed in.
    pub(super) fn note(&mut self, name: &str, result: AuthResult) -> bool {
        match result {
            AuthResult::Success => return true,
            AuthResult::Failure { remaining_methods, partial_success } => {
                self.failed(name, remaining_methods, partial_success);
            }
        }
        false
    }

    fn failed(&mut self, name: &str, remaining: MethodSet, is_halfway: bool) {
        self.is_halfway |= is_halfway;
        let ending = if is_halfway { " (good, but not enough)" } else { "" };
        self.tried.push(format!("{name}{ending}"));
        self.takes = Some(remaining);
    }

    /// Makes the fault of a user whom the server does not let in.
    fn refused(&self) -> Fault {
        let takes: Vec<&str> = self.takes.iter().flat_map(|takes| takes.iter().map(Into::into)).collect();
        let message = match &*takes {
            // It closed the connection.
            [] => "it takes no more tries".to_owned(),
            takes => format!("user {:?} may sign in by {}", self.user(), takes.join(", ")),
        };
        let credentials = match self.tried.join(", ") {
            // Nothing that it takes is there.
            tried if tried.is_empty() => "the connection".into(),
            tried => tried,
        };
        Fault::Final(Failure::WrongKey { host: self.place.host(), credentials, message })
    }

    async fn password(&mut self, password: &Secret) -> Result<bool, Fault> {
        let user = self.user();
        let asked = self.connection.authenticate_password(user, password.reveal());
        let result = within(self.place, asked).await?;
        Ok(self.note("the password", result))
    }

    /// Gives the password in answer to questions, as servers with PAM want it.
    async fn dialogue(&mut self, password: &Secret) -> Result<bool, Fault> {
        if !self.takes(MethodKind::KeyboardInteractive) {
            return Ok(false);
        }
        let user = self.user();
        let asked = self.connection.authenticate_keyboard_interactive_start(user, None);
        let mut round = within(self.place, asked).await?;
        let mut is_given = false;
        for _ in 0..MOST_ROUNDS {
            let prompts = match round {
                Round::Success => return Ok(true),
                Round::Failure { remaining_methods, partial_success } => {
                    self.failed("the password, in a dialogue", remaining_methods, partial_success);
                    return Ok(false);
                }
                Round::InfoRequest { prompts, .. } => prompts,
            };
            let responses = self.responses(&prompts, password, &mut is_given)?;
            let asked = self.connection.authenticate_keyboard_interactive_respond(responses);
            round = within(self.place, asked).await?;
        }
        Err(Fault::protocol(&self.place.host(), "it asks on and on before it lets in"))
    }

    fn responses(
        &self,
        prompts: &[Prompt],
        password: &Secret,
        is_given: &mut bool,
    ) -> Result<Vec<String>, Fault> {
        let answer = |prompt: &Prompt| {
            // Only the first hidden one can be for the password.
            if prompt.echo || std::mem::replace(is_given, true) {
                let why = format!(
                    "the server asks {:?}, which only a person can answer",
                    shortened(&prompt.prompt)
                );
                return Err(Fault::Final(Failure::Credentials { source_of: "the password".into(), why }));
            }
            Ok(password.reveal().to_owned())
        };
        prompts.iter().map(answer).collect()
    }

    async fn key(&mut self, key: &Key) -> Result<bool, Fault> {
        if !self.takes(MethodKind::PublicKey) {
            return Ok(false);
        }
        for hash in self.hashes(&key.key.algorithm()).await {
            let proof = PrivateKeyWithHashAlg::new(Arc::clone(&key.key), hash);
            let user = self.user();
            let asked = self.connection.authenticate_publickey(user, proof);
            let result = within(self.place, asked).await?;
            if self.note(&key.name, result) {
                return Ok(true);
            }
            if self.is_halfway || !self.takes(MethodKind::PublicKey) {
                break;
            }
        }
        self.tried.dedup();
        Ok(false)
    }

    /// Returns how to sign with a key of an algorithm: RSA has newer ways, and an old one for old servers.
    pub(super) async fn hashes(&self, algorithm: &Algorithm) -> Vec<Option<HashAlg>> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return vec![None];
        }
        match self.connection.best_supported_rsa_hash().await {
            Ok(Some(hash)) => vec![hash],
            _ => vec![Some(HashAlg::Sha512), None],
        }
    }
}

/// Waits for an answer of the server, but not for ever.
async fn within<T>(place: &Place, work: impl Future<Output = Result<T, russh::Error>>) -> Result<T, Fault> {
    let patience = place.patience.silence;
    match timeout(patience, work).await {
        Ok(done) => done.map_err(|error| fault(&place.host(), error)),
        Err(_) => Err(Fault::Lost(Failure::TimedOut { host: place.host(), after: patience })),
    }
}
