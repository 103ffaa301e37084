//! The texts of findings about places over a network.

use super::escape;
use crate::Audience;
use crate::around::{RootRelation, StorePlace};
use crate::remote::Backend;

/// How many repositories a sentence lists.
const LISTED: usize = 5;

pub(super) fn elsewhere(given: &str, container: &str, found: &[StorePlace], missing: bool) -> String {
    let is = if missing { format!("{given} does not exist") } else { format!("{given} holds no repository") };
    let shown = |place: &StorePlace| match &*place.root {
        "" => format!("at the top of {container}"),
        root => format!("at {}", quoted(root)),
    };
    match found {
        [] => is,
        [one] => format!("{is}, but one lies {} {}", relation(one.relation), shown(one)),
        several => {
            let places: Vec<_> = several.iter().take(LISTED).map(|place| quoted(&place.root)).collect();
            let ellipsis = if several.len() > places.len() { ", …" } else { "" };
            format!("{is}, but {} lie around it: {}{ellipsis}", several.len(), places.join(", "))
        }
    }
}

fn relation(relation: RootRelation) -> &'static str {
    match relation {
        RootRelation::MissingSlash => "behind a slash that the prefix lacks,",
        RootRelation::ExtraSlash => "where the prefix has no slash at its end,",
        RootRelation::LeadingSlash => "where the prefix differs in its first slash,",
        RootRelation::Home => "in the user's own directory,",
        RootRelation::Tail => "where the path begins further down,",
        RootRelation::Above => "above it,",
        RootRelation::Below => "below it,",
        RootRelation::Beside => "beside it,",
    }
}

/// Advises to give another prefix or path.
pub(super) fn give(backend: Backend, container: &str, found: &[StorePlace], audience: Audience) -> String {
    let Some(StorePlace { root, .. }) = found.first() else { return String::new() };
    let which = if found.len() > 1 { "the right one, such as " } else { "" };
    if audience == Audience::VolSync {
        return format!("set {which}{}", variable(backend, container, root));
    }
    format!("run the same command with {which}{}", option(backend, container, root))
}

/// Spells the option of the command that names another place of the same bucket or server, quoted for a shell.
/// `container` is that of a [`Remote`](crate::Remote).
pub fn option(backend: Backend, container: &str, root: &str) -> String {
    match backend {
        Backend::Sftp => format!("--path {}", quoted(root)),
        Backend::WebDav => format!("--url {}", quoted(&format!("{container}{root}"))),
        Backend::Rclone => format!("--remote-path {}", quoted(&format!("{container}{root}"))),
        _ => format!("--prefix {}", quoted(root)),
    }
}

/// Spells the variable that names it to a Job.
pub(super) fn variable(backend: Backend, container: &str, root: &str) -> String {
    match backend {
        // What a Job makes of a URL always ends with a slash.
        Backend::S3 if !root.is_empty() && !root.ends_with('/') => {
            format!("the prefix {} in KOPIA_STRUCTURED_REPOSITORY_CONFIG", quoted(root))
        }
        Backend::Sftp => format!("SFTP_PATH={root}"),
        Backend::WebDav => format!("WEBDAV_URL={container}{root}"),
        Backend::Rclone => format!("RCLONE_REMOTE_PATH={container}{root}"),
        Backend::S3 => format!("KOPIA_REPOSITORY=s3://{container}/{root}"),
        Backend::Gcs => format!("KOPIA_REPOSITORY=gs://{container}/{root}"),
        Backend::Azure => format!("KOPIA_REPOSITORY=azblob://{container}/{root}"),
        _ => format!("KOPIA_REPOSITORY=b2://{container}/{root}"),
    }
}

/// Quotes a text for a shell, where it needs that.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@+=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into();
    }
    format!("'{}'", escape(text).replace('\'', "'\\''"))
}

/// What there is at a place that holds no repository.
pub(super) fn nothing(
    given: &str,
    missing: bool,
    is_empty: bool,
    holds: &[String],
    why: Option<&str>,
) -> String {
    let holds = holds.join(", ");
    match (missing, why) {
        (_, Some(why)) if holds.is_empty() => {
            format!("{given} holds no repository, and cannot be looked into: {why}")
        }
        (true, _) if holds.is_empty() => format!("{given} does not exist"),
        (true, _) => format!("{given} does not exist; there is {holds}"),
        (false, _) if is_empty && holds.is_empty() => format!("{given} is empty"),
        (false, _) if is_empty => format!("{given} is empty; around it is {holds}"),
        (false, _) if holds.is_empty() => format!("{given} holds no repository"),
        (false, _) => format!("{given} holds no repository, but {holds}"),
    }
}

/// Says how far clocks are apart.
pub(super) fn clock(location: &str, seconds: i64) -> String {
    let side = if seconds > 0 { "ahead of" } else { "behind" };
    let by = match seconds.unsigned_abs() {
        seconds if seconds < 7200 => format!("{} min", seconds / 60),
        seconds if seconds < 172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    };
    format!("the clock of this machine is {by} {side} that of {location}")
}
