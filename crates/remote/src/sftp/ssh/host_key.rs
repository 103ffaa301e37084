//! Whether the server is the one that is meant: by what `known_hosts` says.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use kopia_connection::storage::KnownHosts;
use kopia_storage::{Failure, HostKeyProblem};
use russh::client::Handler;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::is_same_kind;
use crate::sftp::key_file;
use crate::sftp::known_hosts::{KnownKeys, Verdict, line};
use crate::sftp::place::Place;

/// The longest `known_hosts` that is read, in bytes.
const MAX_LENGTH: u64 = 16 << 20;

/// What is known of the server's keys, and by which text.
pub(super) struct HostKeys {
    known: Arc<KnownKeys>,
    /// What to call the text in messages.
    text: String,
}

impl HostKeys {
    /// Reads the text that the connection names. A file that is not there knows no host.
    pub(super) fn read(place: &Place) -> Result<Self, Failure> {
        let (text, name) = match (&place.sftp.known_hosts, place.known_hosts_file()) {
            (Some(KnownHosts::Text(text)), _) => {
                (text.clone(), "the known hosts of the connection".to_owned())
            }
            (_, Some(file)) => {
                let name = file.display().to_string();
                let text = match key_file::read(&file, MAX_LENGTH) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                    Err(error) => {
                        return Err(Failure::Credentials { source_of: name, why: error.to_string() });
                    }
                    Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                };
                (text, name)
            }
            (_, None) => (String::new(), "the known hosts of the connection".to_owned()),
        };
        let known = KnownKeys::of(&text, &place.sftp.host, place.port());
        Ok(Self { known: Arc::new(known), text: name })
    }

    /// Puts the algorithms first of which keys of the host are known: the server shows a key of the first
    /// that it has.
    pub(super) fn algorithms(&self, usual: &[Algorithm]) -> Vec<Algorithm> {
        let known = self.known.algorithms();
        let is_known = |algorithm: &&Algorithm| known.iter().any(|known| is_same_kind(known, algorithm));
        let (first, rest): (Vec<_>, Vec<_>) = usual.iter().partition(is_known);
        first.into_iter().chain(rest).cloned().collect()
    }

    /// Returns which certificates are asked for: none unless an authority is known.
    pub(super) fn certificate_algorithms(&self) -> Vec<Algorithm> {
        if !self.known.has_authority() {
            return Vec::new();
        }
        let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
        let ecdsa = ["nistp256", "nistp384", "nistp521"];
        let ecdsa = ecdsa.iter().filter_map(|curve| Algorithm::new(&format!("ecdsa-sha2-{curve}")).ok());
        [Algorithm::Ed25519]
            .into_iter()
            .chain(ecdsa)
            .chain([rsa(HashAlg::Sha512), rsa(HashAlg::Sha256)])
            .collect()
    }

    /// Makes what checks a server's key.
    pub(super) fn checker(&self, place: &Place) -> Checker {
        Checker {
            known: Arc::clone(&self.known),
            text: self.text.clone(),
            host: place.sftp.host.clone(),
            port: place.port(),
            shown: place.host(),
            verdict: Arc::default(),
        }
    }
}

/// Checks a server's key, whenever keys are exchanged.
#[derive(Debug)]
pub(in crate::sftp) struct Checker {
    known: Arc<KnownKeys>,
    text: String,
    host: String,
    port: u16,
    /// Host and port, for messages.
    shown: String,
    verdict: Arc<OnceLock<Failure>>,
}

impl Checker {
    /// Returns where it is left why a key was refused.
    pub(super) fn verdict(&self) -> Arc<OnceLock<Failure>> {
        Arc::clone(&self.verdict)
    }

    fn problem(&self, verdict: Verdict, key: &PublicKey) -> Option<HostKeyProblem> {
        let known_hosts = self.text.clone();
        match verdict {
            Verdict::Known => None,
            Verdict::Unknown => {
                Some(HostKeyProblem::Unknown { known_hosts, line: line(&self.host, self.port, key) })
            }
            Verdict::Changed(kinds) => Some(HostKeyProblem::Changed { known_hosts, kinds: kinds.join(", ") }),
            Verdict::Revoked => Some(HostKeyProblem::Revoked { known_hosts }),
            Verdict::Invalid(why) => Some(HostKeyProblem::Certificate { why: why.into() }),
        }
    }
}

impl Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, server: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let key = server.public_key();
        let verdict = match server {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.key(key),
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
                self.known.certificate(certificate, &self.host, now)
            }
        };
        let Some(problem) = self.problem(verdict, &key) else { return Ok(true) };
        let name = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        // The first one counts.
        let _ = self.verdict.set(Failure::HostKey { host: self.shown.clone(), key: name, problem });
        Ok(false)
    }
}
