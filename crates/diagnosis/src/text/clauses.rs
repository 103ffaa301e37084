//! What sentences are made of: a word or a clause for each thing that was found.

use std::fmt;
use std::path::Path;

use kopia_format::Timestamp;

use super::{count, thousands};
use crate::Audience;
use crate::access::{Refusals, Remedy, SecurityContext};
use crate::identity::Identity;
use crate::neighbours::{Neighbour, Relation};
use crate::password::{PasswordSource, Variant};
use crate::replicas::Replicas;

/// How many repositories a sentence lists.
const LISTED: usize = 5;

pub(super) fn elsewhere(given: &Path, missing: bool, found: &[Neighbour], more: usize) -> String {
    let given = given.display();
    let is = if missing { format!("{given} does not exist") } else { format!("{given} holds no repository") };
    let where_ = |neighbour: &Neighbour| match neighbour.relation {
        Relation::Below => "below it",
        Relation::Above => "above it",
        Relation::Beside => "elsewhere",
    };
    match found {
        [] => is,
        [one] => format!("{is}, but one lies {}, at {}", where_(one), one.path.display()),
        several => {
            let paths: Vec<_> =
                several.iter().take(LISTED).map(|one| one.path.display().to_string()).collect();
            let number = several.len() + more;
            let ellipsis = if number > paths.len() { ", …" } else { "" };
            let number = thousands(number as u64);
            format!("{is}, but {number} lie near it: {}{ellipsis}", paths.join(", "))
        }
    }
}

pub(super) fn set_repository(first: &Neighbour, number: usize, audience: Audience) -> String {
    let which = if number > 1 { "the right one, such as " } else { "" };
    match first.path.to_str() {
        Some(_) if audience == Audience::Terminal => {
            format!("give {which}--repository {}", first.path.display())
        }
        Some(path) if number == 1 => format!("set KOPIA_REPOSITORY=filesystem://{path}"),
        Some(path) => format!("set KOPIA_REPOSITORY to {which}filesystem://{path}"),
        // A URL is text.
        None => format!("give {which}--repository {}", first.path.display()),
    }
}

pub(super) fn refused(refusals: &Refusals) -> String {
    let Refusals { path, uid, gid, mode, refused, looked_at, ids, .. } = refusals;
    let groups: Vec<_> = ids.gids.iter().map(ToString::to_string).collect();
    let (s, groups) = (if groups.len() == 1 { "" } else { "s" }, groups.join(", "));
    let more = match refused {
        1 => String::new(),
        _ => format!("; {} of {} looked at refuse", thousands(*refused as u64), thousands(*looked_at as u64)),
    };
    format!(
        "{} refuses user {} with group{s} {groups}: its owner is {uid}:{gid}, its mode {mode:04o}{more}",
        path.display(),
        ids.uid
    )
}

pub(super) fn remedy(refusals: &Refusals, audience: Audience) -> String {
    match &refusals.remedy {
        Remedy::RunAs(context) => {
            let pod = match context.run_as_user {
                // Kubelet does that, whoever the process is.
                None if context.fs_group.is_some() => format!("set the securityContext: {context}"),
                _ => format!("{} (securityContext: {context})", person(context)),
            };
            audience.choose(person(context), pod)
        }
        Remedy::Chown { uid, gid } => {
            format!(
                "no user may read all of it; on the file server, run chown -R {uid}:{gid} on the repository"
            )
        }
        Remedy::Elsewhere => {
            "the mode would allow it, so look at access lists, SELinux, or root_squash of the file server"
                .into()
        }
    }
}

/// Words a security context for a person without pods.
fn person(context: &SecurityContext) -> String {
    match (context.run_as_user, &context.supplemental_groups[..]) {
        (Some(0), _) => "run as root".into(),
        (Some(uid), _) => format!("run as user {uid}"),
        (None, [first, ..]) => format!("run in group {first}"),
        (None, []) if context.fs_group.is_some() => {
            "no user but root may read all of it; run as root, or give it one owner with chown -R".into()
        }
        (None, []) => "run as its owner".into(),
    }
}

impl fmt::Display for SecurityContext {
    /// As YAML on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |name: &str, value: Option<u32>| value.map(|value| format!("{name}: {value}"));
        let mut fields: Vec<String> = [
            field("runAsUser", self.run_as_user),
            field("runAsGroup", self.run_as_group),
            field("fsGroup", self.fs_group),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !self.supplemental_groups.is_empty() {
            fields.push(format!("supplementalGroups: {:?}", self.supplemental_groups));
        }
        write!(f, "{{{}}}", fields.join(", "))
    }
}

impl Replicas {
    /// Returns why there is none to take, as a sentence.
    pub fn why_none(&self) -> String {
        let (read, packs) = (count(self.read as u64, "pack", "packs"), thousands(self.packs as u64));
        match self.found {
            0 => format!("no replica of the format blob is in the {read} read (of {packs})"),
            found => format!("the password opens none of the {found} replicas of the format blob"),
        }
    }
}

pub(super) fn replicas_fact(replicas: &Replicas) -> String {
    match (replicas.searched, replicas.found, replicas.opens) {
        (false, ..) => String::new(),
        (true, 0, _) => format!("; none of {} packs read has a replica", thousands(replicas.read as u64)),
        (true, _, Some(false)) => "; packs have replicas of it, but the password opens none of them".into(),
        (true, ..) => format!("; pack {} has a replica of it", replicas.pack.as_deref().unwrap_or_default()),
    }
}

pub(super) fn use_replica(replicas: &Replicas, audience: Audience) -> &'static str {
    match (replicas.searched, replicas.found, replicas.opens) {
        (true, 0, _) => "put kopia.repository.f back from another copy of the repository",
        (true, _, Some(false)) => "give the password that the repository had when those packs were written",
        // A Job takes no format blob of its own: the repository has to have it.
        (true, ..) if audience == Audience::VolSync => {
            "on a desk, kopia-rs doctor --save-format-blob FILE saves it: put that back as kopia.repository, in a \
             folder as kopia.repository.f"
        }
        (true, ..) => "save it with doctor --save-format-blob FILE, and read with --format-blob FILE",
        (false, ..) => "put it back from another copy, or let kopia-rs doctor look for a replica in packs",
    }
}

pub(super) fn wrong_password(variant: Option<Variant>) -> &'static str {
    match variant {
        None => "the password does not open the repository",
        Some(Variant::WithoutLineBreak) => {
            "the password opens the repository without its trailing line break"
        }
        Some(Variant::WithoutBlanks) => "the password opens the repository without the blanks around it",
        Some(Variant::WithoutQuotes) => "the password opens the repository without the quotes around it",
        Some(Variant::WithLineBreak) => "the password opens the repository with a line break after it",
        Some(Variant::FromBase64) => "the password opens the repository once it is decoded from base64",
        Some(Variant::WithoutMark) => {
            "the password opens the repository without the byte order mark (BOM) before it"
        }
        Some(Variant::FromUtf16) => "the password opens the repository once it is converted from UTF-16",
    }
}

/// Advises about a wrong password by where it came from; where that is not known, it is the variable.
pub(super) fn right_password(
    variant: Option<Variant>,
    source: Option<&PasswordSource>,
    audience: Audience,
) -> String {
    let from = match source {
        Some(PasswordSource::File(path) | PasswordSource::Stored(path)) => path.display().to_string(),
        Some(PasswordSource::Command) => "what the password command prints".into(),
        Some(PasswordSource::KeyRing) => "the key ring".into(),
        Some(PasswordSource::Connection) => "the token or URL".into(),
        Some(PasswordSource::Prompt) => "what is typed".into(),
        Some(PasswordSource::ServerEnvironment) => "KOPIA_SERVER_PASSWORD".into(),
        Some(PasswordSource::Environment) | None => "KOPIA_PASSWORD".into(),
    };
    let Some(variant) = variant else {
        return match source {
            Some(PasswordSource::File(_)) => {
                format!("put the password that the backups are made with into {from}")
            }
            Some(PasswordSource::Command) => {
                "give a command with --password-command that prints the password that the backups are made with".into()
            }
            Some(PasswordSource::Prompt) => "type the password that the backups are made with".into(),
            Some(PasswordSource::KeyRing) => {
                "set KOPIA_PASSWORD to the password that the backups are made with; it goes before the one in the \
                 key ring"
                    .into()
            }
            Some(PasswordSource::Stored(_) | PasswordSource::Connection) => {
                "set KOPIA_PASSWORD to the password that the backups are made with; it goes before a stored one".into()
            }
            Some(PasswordSource::Environment | PasswordSource::ServerEnvironment) | None => audience
                .choose(
                    "set KOPIA_PASSWORD to the password that the backups are made with",
                    "set KOPIA_PASSWORD in the repository's Secret to the password that the backups are \
                     made with",
                )
                .into(),
        };
    };
    match variant {
        Variant::WithoutLineBreak => format!("take the line break out of {from} (printf, or echo -n)"),
        Variant::WithoutBlanks => format!("take the blanks out of {from}"),
        Variant::WithoutQuotes => format!("take the quotes out of {from}"),
        Variant::WithLineBreak => {
            format!("add the line break that the backups are made with to {from}")
        }
        Variant::FromBase64 => audience.choose(
            format!("decode {from} from base64"),
            "encode it once, not twice (stringData of a Secret takes it as it is)".into(),
        ),
        Variant::WithoutMark => format!("save {from} as UTF-8 without a byte order mark"),
        Variant::FromUtf16 => format!("save {from} as UTF-8; it is UTF-16, as some editors on Windows write"),
    }
}

/// Says whose the password of a server's user has to be, by where it came from; where that is not known, it is
/// the variable.
pub(super) fn users_password(source: Option<&PasswordSource>) -> String {
    let from = match source {
        Some(PasswordSource::File(path)) => format!("the password in {}", path.display()),
        Some(PasswordSource::Stored(path)) => {
            format!("the password that kopia stored in {}", path.display())
        }
        Some(PasswordSource::Command) => "what the password command prints".into(),
        Some(PasswordSource::KeyRing) => "the password in the key ring".into(),
        Some(PasswordSource::Connection) => "the password of the token or URL".into(),
        Some(PasswordSource::Prompt) => "what is typed".into(),
        Some(PasswordSource::ServerEnvironment) => "KOPIA_SERVER_PASSWORD".into(),
        Some(PasswordSource::Environment) | None => "KOPIA_PASSWORD".into(),
    };
    let stored = matches!(
        source,
        Some(PasswordSource::Stored(_) | PasswordSource::KeyRing | PasswordSource::Connection)
    );
    let over = if stored { "; KOPIA_PASSWORD goes before it" } else { "" };
    format!("{from} must be the user's, not the repository's{over}")
}

/// Returns which identities have snapshots, of so many: the nearest one alone if it is probably meant.
pub fn identities(nearest: &[Identity], probable: bool, identities: usize) -> String {
    let Some(first) = nearest.first() else { return "the repository has none at all".into() };
    let others = match (probable, identities) {
        (_, 1) => String::new(),
        (true, more) => format!(" and {} more", thousands(more as u64 - 1)),
        (false, all) => {
            return format!(
                "the repository has {} others, such as {}",
                thousands(all as u64),
                first.describe()
            );
        }
    };
    format!("the repository has {}{others}", first.describe())
}

impl Identity {
    /// Returns it as text, with how many snapshots it has and when the newest began.
    pub fn describe(&self) -> String {
        let one = if self.incomplete { "unfinished snapshot" } else { "snapshot" };
        let snapshots = count(self.snapshots as u64, one, &format!("{one}s"));
        format!("{} ({snapshots}, newest {})", self.source, to_second(self.newest_start))
    }
}

fn to_second(time: Timestamp) -> String {
    Timestamp::new(time.seconds(), 0).unwrap_or(time).to_string()
}
