//! Findings and hints as the commands show them: at a terminal, or in a pod.

use kopia_rs::diagnosis::{Audience, Finding, Hint};

use super::source_identity::SourceIdentity;

/// Why `--verify-hashes` is refused where no content can be compared with its hash, and what to change.
pub(crate) const NO_HASH_KEY: (&str, &str) = (
    "--verify-hashes can compare nothing: by its REST API a Kopia server keeps the key of the hashes to itself",
    "leave it out, or read by kopia://USER@HOST@SERVER:PORT, which takes a server with TLS",
);

/// Returns who reads what a command says: kubelet sets this variable in every container.
pub(crate) fn audience() -> Audience {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() { Audience::Pod } else { Audience::Terminal }
}

/// Returns in one sentence what is so and what to change.
pub(crate) fn sentence(finding: &Finding) -> String {
    let (fact, change) = (finding.fact(), change(finding));
    if change.is_empty() { fact } else { format!("{fact}: {change}") }
}

/// Returns what to change, or nothing. In a pod that is also what VolSync calls the identity that is probably
/// meant.
pub(crate) fn change(finding: &Finding) -> String {
    let change = finding.change(audience());
    match finding {
        Finding::NoSnapshot { nearest, probable: true, .. } if audience() == Audience::Pod => {
            let set = nearest.first().map(|first| SourceIdentity::of(&first.source));
            set.map_or(change.clone(), |set| format!("{change} (with VolSync: set {set})"))
        }
        _ => change,
    }
}

/// Returns what can be done about an error.
pub(crate) fn hint(hint: &Hint) -> String {
    match hint {
        Hint::Finding(finding) => sentence(finding),
        hint => hint.text(audience()),
    }
}
