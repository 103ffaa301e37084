//! What a server, or the way to it, said no with.
//!
//! Data, so that whoever advises a user can match on it. Stores wrap it in the [`io::Error`] of an
//! [`Error`](crate::Error), whose kind says what a caller may do. Texts name hosts, buckets and rights, and
//! never a secret.

use std::io;
use std::time::Duration;

/// Why a store over a network did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No name server knows the host.
    #[error("the host {host} is not known: check its name, and whether this machine has a network")]
    UnknownHost {
        /// The host.
        host: String,
    },
    /// Nobody listens there.
    #[error("{host} refuses connections: check host and port, and whether the server runs")]
    Refused {
        /// The host with its port.
        host: String,
    },
    /// No way leads there.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The host with its port.
        host: String,
        /// What the system said.
        why: String,
    },
    /// It did not answer in time.
    #[error("{host} did not answer for {} s", .after.as_secs())]
    TimedOut {
        /// The host with its port.
        host: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke, or a body ended before its end.
    #[error("the connection to {host} broke: {why}")]
    Disconnected {
        /// The host with its port.
        host: String,
        /// What the system or the protocol said.
        why: String,
    },
    /// A proxy on the way did not let through.
    #[error("the proxy {proxy} makes no connection to {host}: {why}")]
    Proxy {
        /// The proxy, without user and password.
        proxy: String,
        /// The host that was wanted.
        host: String,
        /// What the proxy said.
        why: String,
    },
    /// The server speaks no TLS.
    #[error("{host} speaks no TLS: it may want plain HTTP, or another port")]
    NoTls {
        /// The host with its port.
        host: String,
    },
    /// The server wants TLS, and plain HTTP was spoken.
    #[error("{host} speaks TLS alone, and was asked in plain HTTP")]
    WantsTls {
        /// The host with its port.
        host: String,
    },
    /// The server's certificate is not trusted.
    #[error("the certificate of {host} is not trusted: {problem}")]
    Certificate {
        /// The host with its port.
        host: String,
        /// What is wrong with it.
        problem: CertificateProblem,
        /// The SHA-256 of the certificate in hex.
        fingerprint: Option<String>,
    },
    /// There are no credentials, and the server wants some.
    #[error("{host} wants credentials, and none were found ({looked})")]
    NoCredentials {
        /// The host.
        host: String,
        /// Where was looked.
        looked: String,
    },
    /// Credentials cannot be got from where they should come from.
    #[error("no credentials from {source_of}: {why}")]
    Credentials {
        /// The source, such as a file or a service.
        source_of: String,
        /// What was wrong.
        why: String,
    },
    /// The server does not know the key, user or token.
    #[error("{host} does not know the credentials from {credentials}: {message}")]
    WrongKey {
        /// The host.
        host: String,
        /// Where the credentials came from.
        credentials: String,
        /// What the server said.
        message: String,
    },
    /// The secret that belongs to a key is wrong: the server knows the key.
    #[error("{host} knows the key from {credentials}, but the secret key is not the one that belongs to it")]
    WrongSecret {
        /// The host.
        host: String,
        /// Where the credentials came from.
        credentials: String,
    },
    /// Credentials have expired, and no newer ones are to be had.
    #[error("the credentials from {credentials} have expired: get new ones")]
    Expired {
        /// Where the credentials came from.
        credentials: String,
    },
    /// The credentials are good, and do not allow this.
    #[error("{host} does not allow {action} with the credentials from {credentials}{}", hint(.right))]
    NotPermitted {
        /// The host.
        host: String,
        /// What was to be done, such as `listing bucket b`.
        action: String,
        /// Where the credentials came from.
        credentials: String,
        /// Which right may be missing.
        right: Option<String>,
    },
    /// The clocks of this machine and the server differ too much for signatures.
    #[error("the clock of this machine is {} s {} that of {host}: set it right", .seconds.unsigned_abs(), side(*.seconds))]
    ClockSkew {
        /// The host.
        host: String,
        /// How many seconds this machine is ahead.
        seconds: i64,
    },
    /// The bucket, container or directory is not there.
    #[error("there is no {kind} {name} at {host}")]
    NoContainer {
        /// What it would be: `bucket`, `container`, `directory`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The host.
        host: String,
    },
    /// The bucket is in another region.
    #[error("bucket {bucket} is not in region {asked}{}", .region.as_ref().map(|region| format!(" but in {region}")).unwrap_or_default())]
    WrongRegion {
        /// The bucket.
        bucket: String,
        /// The region that was asked.
        asked: String,
        /// The region that it is in, if the server said so.
        region: Option<String>,
    },
    /// There are no versions to show the past from.
    #[error("{name} keeps no versions, so it cannot be shown as it was in the past")]
    NotVersioned {
        /// The bucket or container.
        name: String,
    },
    /// The bytes lie in cold storage and have to be fetched from there first.
    #[error("it lies in the storage class {class} and has to be restored from there before it can be read")]
    Cold {
        /// The storage class, as the server calls it.
        class: String,
    },
    /// The server is overloaded, or limits how much may be asked of it.
    #[error("{host} is too busy (HTTP {status})")]
    Busy {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server could not do it, or refuses it, in its own words.
    #[error("{host} answered {status}: {message}")]
    Refusal {
        /// The host.
        host: String,
        /// The status, such as `403 AccessDenied`.
        status: String,
        /// What the server said.
        message: String,
    },
    /// What was answered is not what such a server answers: something else listens there.
    #[error("{host} did not answer as {expected} does: HTTP {status}, {content_type}, {beginning:?}")]
    Nonsense {
        /// The host.
        host: String,
        /// What was expected, such as `an S3 server`.
        expected: &'static str,
        /// The HTTP status.
        status: u16,
        /// The type of the answer's body.
        content_type: String,
        /// The first characters of it.
        beginning: String,
    },
    /// It is no Kopia repository server, or something before it does not let one through.
    #[error("{host} is no Kopia repository server to read from: {why}")]
    NoKopiaServer {
        /// The host with its port.
        host: String,
        /// How that was seen.
        why: String,
    },
    /// The server says that there is no such thing.
    #[error("{host} does not have it: {message}")]
    Absent {
        /// The host.
        host: String,
        /// What the server said.
        message: String,
    },
    /// The server does not keep to the protocol, or to no version of it that is spoken here.
    #[error("{host} does not speak {protocol} as it is spoken here: {why}")]
    Protocol {
        /// The host with its port.
        host: String,
        /// The protocol, such as `SFTP`.
        protocol: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The SSH key of the server is not one that is known to be its own.
    #[error("the SSH key of {host}, {key}, {problem}")]
    HostKey {
        /// The host with its port.
        host: String,
        /// The kind of the key, and its fingerprint.
        key: String,
        /// What is wrong with it.
        problem: HostKeyProblem,
    },
    /// The server gave other bytes than were asked for.
    #[error("{host} gave another range than was asked for: {got} for {asked}")]
    WrongRange {
        /// The host.
        host: String,
        /// The range that was asked for.
        asked: String,
        /// What came.
        got: String,
    },
    /// A listing comes to no end, or comes back to where it was.
    #[error("the listing of {host} comes to no end: {why}")]
    EndlessListing {
        /// The host.
        host: String,
        /// How that was seen.
        why: String,
    },
    /// An answer is longer than such an answer may be.
    #[error("{host} answered with more than {limit} bytes")]
    TooLong {
        /// The host.
        host: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The server sends its clients elsewhere: to another host, or in a circle.
    #[error("{host} redirects to {to}, which is not followed")]
    Redirected {
        /// The host.
        host: String,
        /// Where it redirects to.
        to: String,
    },
    /// A program by which the store is reached does not do its work.
    #[error("{program} {why}")]
    Program {
        /// The program.
        program: String,
        /// What it did instead, and its last words, without secrets.
        why: String,
    },
    /// A connection says something that cannot be used.
    #[error("{what}")]
    Unusable {
        /// What is wrong with which part of it.
        what: String,
    },
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Nobody vouches for it that this machine, or the given certificate of an authority, knows.
    #[error("no known authority vouches for it; give the authority's certificate")]
    UnknownIssuer,
    /// It is not valid any more.
    #[error("it has expired")]
    Expired,
    /// It is not valid yet: perhaps the clock of this machine is wrong.
    #[error("it is not valid yet; the clock of this machine may be wrong")]
    NotValidYet,
    /// It is for another name.
    #[error("it is for another name{}", named(.names))]
    WrongName {
        /// The names that it is for, as far as they are known.
        names: Vec<String>,
    },
    /// It is not the one with the given fingerprint.
    #[error("its fingerprint is {found}, not the one that was given")]
    Fingerprint {
        /// The SHA-256 of the certificate in hex.
        found: String,
    },
    /// This machine has no certificates of authorities at all.
    #[error("this machine has no certificates of authorities; set SSL_CERT_FILE")]
    NoRoots,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// What is wrong with the SSH key of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostKeyProblem {
    /// Nothing is known of the host.
    #[error("is not known: if it is the right one, add this line to {known_hosts}: {line}")]
    Unknown {
        /// The file that names known hosts, or what else does.
        known_hosts: String,
        /// The line that makes it known.
        line: String,
    },
    /// The host is known by other keys.
    #[error(
        "is not one of those in {known_hosts} ({kinds}): the server was set up anew, or somebody else \
         answers in its place; ask who runs it before you change that file"
    )]
    Changed {
        /// The file that names known hosts, or what else does.
        known_hosts: String,
        /// The kinds of the keys that are known.
        kinds: String,
    },
    /// The key is trusted no more.
    #[error("is revoked in {known_hosts}")]
    Revoked {
        /// The file that names known hosts, or what else does.
        known_hosts: String,
    },
    /// It comes with a certificate that does not count.
    #[error("has a certificate that does not count: {why}")]
    Certificate {
        /// What is wrong with the certificate.
        why: String,
    },
}

impl Failure {
    /// Returns the failure that an error of a store wraps.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Returns the kind that makes [`ErrorKind::of`](crate::ErrorKind::of) say what a caller may do.
    pub fn io_kind(&self) -> io::ErrorKind {
        use io::ErrorKind as Io;
        match self {
            Self::UnknownHost { .. }
            | Self::NoContainer { .. }
            | Self::WrongRegion { .. }
            | Self::Absent { .. } => Io::NotFound,
            Self::Refused { .. } => Io::ConnectionRefused,
            Self::Unreachable { .. } | Self::Proxy { .. } => Io::HostUnreachable,
            Self::TimedOut { .. } => Io::TimedOut,
            Self::Disconnected { .. } => Io::ConnectionReset,
            Self::Busy { .. } | Self::Cold { .. } => Io::ResourceBusy,
            Self::NoTls { .. }
            | Self::WantsTls { .. }
            | Self::Certificate { .. }
            | Self::HostKey { .. }
            | Self::NoCredentials { .. }
            | Self::Credentials { .. }
            | Self::WrongKey { .. }
            | Self::WrongSecret { .. }
            | Self::Expired { .. }
            | Self::NotPermitted { .. }
            | Self::ClockSkew { .. } => Io::PermissionDenied,
            // Nothing is known of what lies there, so it is not said to be damaged.
            Self::Refusal { .. }
            | Self::Nonsense { .. }
            | Self::NoKopiaServer { .. }
            | Self::Protocol { .. }
            | Self::WrongRange { .. }
            | Self::EndlessListing { .. }
            | Self::TooLong { .. }
            | Self::Redirected { .. }
            | Self::Program { .. } => Io::ConnectionAborted,
            Self::NotVersioned { .. } | Self::Unusable { .. } => Io::InvalidInput,
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::new(failure.io_kind(), failure)
    }
}

fn hint(right: &Option<String>) -> String {
    right.as_ref().map(|right| format!("; the right {right} may be missing")).unwrap_or_default()
}

fn named(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

fn side(seconds: i64) -> &'static str {
    if seconds > 0 { "ahead of" } else { "behind" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    #[test]
    fn a_failure_is_found_again_in_the_error_of_a_store() {
        let failure = Failure::NotPermitted {
            host: "h".into(),
            action: "listing bucket b".into(),
            credentials: "AWS_ACCESS_KEY_ID".into(),
            right: Some("s3:ListBucket".into()),
        };
        let error = Error::List { place: "s3://b at h".into(), source: failure.clone().into() };
        assert_eq!((error.kind(), error.failure()), (ErrorKind::NotAllowed, Some(&failure)));
        let plain = Error::List { place: "p".into(), source: io::ErrorKind::TimedOut.into() };
        assert_eq!(plain.failure(), None);
        let words = "h does not allow listing bucket b with the credentials from AWS_ACCESS_KEY_ID; \
                     the right s3:ListBucket may be missing";
        assert_eq!(failure.to_string(), words);
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_wrong_is_not() {
        let host = || "h".to_string();
        for (failure, kind) in [
            (Failure::Refused { host: host() }, ErrorKind::TryAgain),
            (Failure::Busy { host: host(), status: 503 }, ErrorKind::TryAgain),
            (Failure::Cold { class: "GLACIER".into() }, ErrorKind::TryAgain),
            (Failure::UnknownHost { host: host() }, ErrorKind::NotFound),
            (Failure::ClockSkew { host: host(), seconds: -901 }, ErrorKind::NotAllowed),
            (Failure::TooLong { host: host(), limit: 1 }, ErrorKind::TryAgain),
        ] {
            assert_eq!(ErrorKind::of(&failure.into()), kind);
        }
        let skew = Failure::ClockSkew { host: host(), seconds: -901 };
        assert_eq!(skew.to_string(), "the clock of this machine is 901 s behind that of h: set it right");
        let skew = Failure::ClockSkew { host: host(), seconds: 901 };
        assert_eq!(skew.to_string(), "the clock of this machine is 901 s ahead of that of h: set it right");
    }

    #[test]
    fn names_of_a_certificate_are_told_as_far_as_they_are_known() {
        let said = |names: &[&str]| {
            CertificateProblem::WrongName { names: names.iter().map(ToString::to_string).collect() }
                .to_string()
        };
        assert_eq!(said(&[]), "it is for another name");
        assert_eq!(said(&["a", "b"]), "it is for another name: a, b");
    }
}
