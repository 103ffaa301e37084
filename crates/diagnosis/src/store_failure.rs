//! What can be done about what a server, or the way to it, said no with.

use kopia_storage::failure::CertificateProblem;
use kopia_storage::{ErrorKind, Failure, HostKeyProblem};

use crate::finding::{Hint, StoreHint};
use crate::password::PasswordSource;
use crate::remote::{Backend, Remote};

/// Returns what can be done, the most helpful first. Nothing is asked. `source` is where the password of a
/// server's user came from, if that is known.
pub(crate) fn hints(
    failure: &Failure,
    kind: ErrorKind,
    remote: &Remote,
    source: Option<&PasswordSource>,
) -> Vec<Hint> {
    if matches!(failure, Failure::Cold { .. }) {
        return vec![Hint::FetchFromArchive];
    }
    let backend = remote.backend;
    let mut hints: Vec<StoreHint> = match failure {
        Failure::UnknownHost { host } => at_amazon(backend, host).into_iter().collect(),
        Failure::Proxy { host, .. } => vec![StoreHint::PassProxy { host: name_of(host) }],
        Failure::NoTls { .. } => vec![StoreHint::SpeakPlain(backend)],
        Failure::WantsTls { .. } => vec![StoreHint::SpeakTls(backend)],
        Failure::Disconnected { .. } if remote.is_plain => vec![StoreHint::PerhapsTls(backend)],
        // It answers, and breaks off because of what it says.
        Failure::Disconnected { why, .. } if why.starts_with("not as HTTP is") => {
            vec![StoreHint::CheckEndpoint(backend)]
        }
        Failure::Certificate { problem, fingerprint, .. } => {
            certificate(problem, fingerprint.as_ref(), backend)
        }
        Failure::NoCredentials { .. } | Failure::Credentials { .. } => {
            vec![StoreHint::GiveCredentials { backend, source: source.cloned() }]
        }
        Failure::WrongKey { host, .. } => {
            let other = StoreHint::OtherCredentials { backend, source: source.cloned() };
            [other].into_iter().chain(at_amazon(backend, host)).collect()
        }
        Failure::WrongSecret { .. } => vec![StoreHint::RightSecret(backend)],
        Failure::Expired { .. } => vec![StoreHint::RenewCredentials(backend)],
        Failure::NotPermitted { host, .. } => {
            [StoreHint::GrantRights(backend)].into_iter().chain(at_amazon(backend, host)).collect()
        }
        Failure::ClockSkew { .. } => vec![StoreHint::SetClock],
        Failure::NoContainer { host, kind: "bucket", .. } => at_amazon(backend, host).into_iter().collect(),
        Failure::WrongRegion { region, .. } => vec![StoreHint::NameRegion(region.clone())],
        Failure::NotVersioned { .. } => vec![StoreHint::WithoutView],
        Failure::Nonsense { .. } | Failure::Protocol { .. } | Failure::Redirected { .. } => {
            vec![StoreHint::CheckEndpoint(backend)]
        }
        Failure::NoKopiaServer { .. } => vec![StoreHint::KopiaServer],
        Failure::HostKey { problem: HostKeyProblem::Unknown { .. }, .. } => vec![StoreHint::KnownHost],
        Failure::HostKey { problem: HostKeyProblem::Changed { .. }, .. } => vec![StoreHint::NewHostKey],
        // In the words of ssh, which says no more of it at the end.
        Failure::Refusal { message, .. } if message.contains("Host key verification failed") => {
            vec![StoreHint::ConnectByHand]
        }
        Failure::Program { program, why } if why.contains("not installed") => {
            vec![StoreHint::InstallProgram { program: program.clone() }]
        }
        _ => Vec::new(),
    };
    let is_lasting = matches!(
        failure,
        Failure::Program { .. }
            | Failure::EndlessListing { .. }
            | Failure::TooLong { .. }
            | Failure::WrongRange { .. }
            | Failure::Cold { .. }
    );
    if kind == ErrorKind::TryAgain && hints.is_empty() && !is_lasting {
        hints.push(StoreHint::AwaitServer);
    }
    hints.into_iter().map(Hint::Store).collect()
}

fn certificate(problem: &CertificateProblem, found: Option<&String>, backend: Backend) -> Vec<StoreHint> {
    let by_fingerprint = || {
        let fingerprint = found?.clone();
        let has_option = matches!(backend, Backend::WebDav | Backend::Server);
        has_option.then_some(StoreHint::TrustCertificate { backend, fingerprint })
    };
    let first = match problem {
        CertificateProblem::UnknownIssuer => StoreHint::TrustAuthority(backend),
        CertificateProblem::WrongName { .. } => StoreHint::NameAsCertificate(backend),
        CertificateProblem::NotValidYet => StoreHint::SetClock,
        CertificateProblem::NoRoots => StoreHint::GiveRoots,
        _ => return by_fingerprint().into_iter().collect(),
    };
    // The fingerprint is all that is looked at, whatever else is wrong.
    by_fingerprint().into_iter().chain([first]).collect()
}

/// Returns that another server may be meant, if Amazon's is asked.
fn at_amazon(backend: Backend, host: &str) -> Option<StoreHint> {
    let is_amazon = name_of(host).ends_with("amazonaws.com");
    (backend == Backend::S3 && is_amazon).then_some(StoreHint::NameEndpoint(backend))
}

/// Returns a host without its port.
fn name_of(host: &str) -> String {
    host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']).into()
}
