//! An identity as a ReplicationDestination of VolSync names it.
//!
//! VolSync makes a user's name from the name of a ReplicationSource and a host's name from its namespace,
//! with `/data` for a path.

use std::fmt;

use kopia_rs::Source;

/// The path that VolSync's movers see.
const VOLSYNC_PATH: &str = "/data";

/// The fields that name an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceIdentity {
    /// `sourceIdentity`, from which VolSync makes these names again.
    Names { name: String, namespace: String, path: Option<String> },
    /// `username` and `hostname`, because VolSync would make other names of these.
    Explicit { username: String, hostname: String, path: Option<String> },
}

impl SourceIdentity {
    /// Returns how VolSync is told to restore this source.
    pub(crate) fn of(source: &Source) -> Self {
        let path = Some(source.path.clone()).filter(|path| path != VOLSYNC_PATH);
        let (user, host) = (source.user.clone(), source.host.clone());
        if is_kept(&user, "_-", 50) && is_kept(&host, ".-", 253) {
            Self::Names { name: user, namespace: host, path }
        } else {
            Self::Explicit { username: user, hostname: host, path }
        }
    }
}

/// Returns whether VolSync leaves a name as it is: it drops other characters, trims these, and cuts what is
/// longer.
fn is_kept(name: &str, inner: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || inner.contains(c))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

impl fmt::Display for SourceIdentity {
    /// As YAML on one line, to be put into `spec.kopia` of a ReplicationDestination.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names { name, namespace, path } => {
                write!(
                    f,
                    "sourceIdentity: {{sourceName: {}, sourceNamespace: {}",
                    yaml(name),
                    yaml(namespace)
                )?;
                path.iter().try_for_each(|path| write!(f, ", sourcePathOverride: {}", yaml(path)))?;
                f.write_str("}")
            }
            Self::Explicit { username, hostname, path } => {
                write!(f, "username: {}, hostname: {}", yaml(username), yaml(hostname))?;
                // The destination has no field for it beside these two.
                path.iter().try_for_each(|path| write!(f, ", KOPIA_SOURCE_PATH_OVERRIDE={path}"))
            }
        }
    }
}

/// Quotes what YAML would not take for a text.
fn yaml(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./@".contains(c))
        && !matches!(
            &*text.to_ascii_lowercase(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain { text.into() } else { format!("'{}'", text.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_write_into_the_destination() {
        for (of, expected) in [
            ("app-src@default:/data", "sourceIdentity: {sourceName: app-src, sourceNamespace: default}"),
            (
                "app@media:/srv/x",
                "sourceIdentity: {sourceName: app, sourceNamespace: media, sourcePathOverride: /srv/x}",
            ),
            ("no@1:/data", "sourceIdentity: {sourceName: 'no', sourceNamespace: '1'}"),
            // VolSync drops dots of names and replaces underscores of hosts.
            ("my.app@media:/data", "username: 'my.app', hostname: media"),
            ("app@my_host:/x", "username: app, hostname: my_host, KOPIA_SOURCE_PATH_OVERRIDE=/x"),
            ("it's me@h:/data", "username: 'it''s me', hostname: h"),
        ] {
            let expected = expected.replace("'my.app'", "my.app");
            assert_eq!(SourceIdentity::of(&of.parse().unwrap()).to_string(), expected);
        }
    }
}
