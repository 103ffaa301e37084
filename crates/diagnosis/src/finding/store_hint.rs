//! What can be done about a store over a network, as values.

use crate::password::PasswordSource;
use crate::remote::Backend;

/// One thing that can be done about a store over a network. Its wording depends on who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreHint {
    /// Have `doctor` look around for the repository.
    LookAround(Backend),
    /// Try again once the server answers.
    AwaitServer,
    /// Name the server, which is not the one that is asked where none is named.
    NameEndpoint(Backend),
    /// Check host and port: something else listens there.
    CheckEndpoint(Backend),
    /// Speak without TLS.
    SpeakPlain(Backend),
    /// Speak TLS.
    SpeakTls(Backend),
    /// Perhaps the server wants TLS.
    PerhapsTls(Backend),
    /// Trust the authority that vouches for the server's certificate.
    TrustAuthority(Backend),
    /// Trust the certificate with this fingerprint, if it is the right one.
    TrustCertificate {
        /// What is spoken.
        backend: Backend,
        /// The SHA-256 of the certificate in hex.
        fingerprint: String,
    },
    /// Name the server as its certificate does.
    NameAsCertificate(Backend),
    /// Give the certificates of authorities.
    GiveRoots,
    /// Go past the proxy.
    PassProxy {
        /// The host to go to directly.
        host: String,
    },
    /// Give credentials.
    GiveCredentials {
        /// What is spoken.
        backend: Backend,
        /// Where the password of a Kopia repository server's user came from, if that is known.
        source: Option<PasswordSource>,
    },
    /// Give other credentials: these are not known there.
    OtherCredentials {
        /// What is spoken.
        backend: Backend,
        /// Where the password of a Kopia repository server's user came from, if that is known.
        source: Option<PasswordSource>,
    },
    /// Give the secret that belongs to the key.
    RightSecret(Backend),
    /// Get credentials that have not expired.
    RenewCredentials(Backend),
    /// Have rights given to the credentials.
    GrantRights(Backend),
    /// Reading is allowed and listing is not, and both are needed.
    ReadsButDoesNotList(Backend),
    /// Set the clock.
    SetClock,
    /// Give the region.
    NameRegion(Option<String>),
    /// Leave the instant out that the store is to be shown at.
    WithoutView,
    /// Name the bucket or container that is there.
    NameContainer(Backend),
    /// These buckets, containers or remotes are there.
    OtherContainers {
        /// What is spoken.
        backend: Backend,
        /// The first of them.
        names: Vec<String>,
        /// Whether there are more.
        more: bool,
    },
    /// Make the server's key known.
    KnownHost,
    /// Make the server's new key known, if it was changed on purpose.
    NewHostKey,
    /// Have `ssh` get to know the server.
    ConnectByHand,
    /// Have the program installed.
    InstallProgram {
        /// The program.
        program: String,
    },
    /// Have the server run by what reads from it: TLS and HTTP/2 all the way.
    KopiaServer,
}
