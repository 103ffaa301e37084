//! What can be done about a name that stands for nothing.

use std::cmp::Reverse;

use kopia_format::snapshot::Source;
use kopia_repository::slip::{SHORTEST, SLIP, misspelt};
use kopia_repository::unindexed::Packs;
use kopia_repository::{Error, Repository, Snapshots};

use crate::advice::{Advice, hints, hints_of_list};
use crate::finding::{Finding, Hint};
use crate::identity::{distance, is_probable};
use crate::local_path::LocalPath;
use crate::open_failure::{OpenFailure, hints_of_opening};
use crate::{no_snapshot, packs};

/// Returns what can be done about a name that stands for nothing, or cannot be looked up.
///
/// An identity may be nearly right, or an index blob be lost that knew it. `command` is the command that
/// would be right, such as `restore WHAT TARGET`; its `WHAT` is replaced in examples.
pub fn hints_of_name(error: &Error, repository: &Repository, name: &str, command: &str) -> Advice {
    let is_missing =
        matches!(error, Error::NotFound { .. } | Error::Ambiguous { .. } | Error::NothingToChoose { .. });
    if !is_missing && repository.snapshots().is_err() {
        return hints_of_list(error, repository);
    }
    if let (Error::Storage(_), Some(directory)) = (error, repository.store().directory()) {
        let path = LocalPath::look(&directory);
        let store = Some(repository.store());
        return hints_of_opening(OpenFailure { store, ..OpenFailure::new(&path, error) });
    }
    let snapshots = matches!(error, Error::NotFound { .. }).then(|| repository.snapshots().ok()).flatten();
    let finding = snapshots.as_ref().and_then(|snapshots| no_snapshot::not_found(snapshots, error, name));
    let mut advice = hints(error);
    if let Some(meant) = path_meant(error, name) {
        advice.hints = vec![meant];
        return advice;
    }
    if let Some(finding @ Finding::NoSnapshot { probable: true, .. }) = finding {
        advice.hints = vec![Hint::Finding(finding.into())];
        return advice;
    }
    if let Error::Ambiguous { what, candidates } = error
        && what == "latest"
        && let Some(first) = candidates.first()
    {
        let example = command.replacen("WHAT", &name.replacen("latest", first, 1), 1);
        advice.hints = vec![Hint::LatestNeedsSource {
            sources: candidates.len(),
            example: format!("kopia-rs {example}"),
        }];
    }
    let candidates: &[String] = match error {
        Error::NotFound { candidates, .. } | Error::Ambiguous { candidates, .. } => candidates,
        _ => &[],
    };
    let deleted = snapshots.as_ref().is_some_and(|list| list.hides_deleted() && list.iter().len() == 0);
    let first = deleted.then_some(Hint::AllDeleted).into_iter();
    let first =
        first.chain(meant(name, candidates, snapshots.as_ref())).chain(hiding_packs(error, repository));
    advice.hints = first.chain(std::mem::take(&mut advice.hints)).collect();
    advice
}

/// Returns the path that was probably meant in a snapshot, if one is missing there.
fn path_meant(error: &Error, name: &str) -> Option<Hint> {
    let Error::NotFound { what, candidates } = error else { return None };
    let (missing, there) = (what.strip_prefix("path ")?, candidates.first()?);
    // As it was typed, up to the name that is wrong.
    let before = name.rfind(missing).and_then(|place| name.get(..place)).unwrap_or_default();
    Some(Hint::DidYouMean(format!("{before}{there}")))
}

/// Returns that packs may hold what is missing, as no index names them.
fn hiding_packs(error: &Error, repository: &Repository) -> Option<Hint> {
    if !matches!(error, Error::NotFound { .. } | Error::ContentNotFound { .. }) {
        return None;
    }
    let finding = packs::unindexed(repository, Packs::Metadata).ok()??;
    matches!(finding, Finding::UnindexedPacks { hiding: 1.., .. }).then(|| Hint::Finding(finding.into()))
}

/// Returns what may have been meant by a name that stands for nothing.
pub fn meant(name: &str, candidates: &[String], snapshots: Option<&Snapshots>) -> Option<Hint> {
    let is_short_id = name.len() < 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_short_id {
        return Some(Hint::ShortId);
    }
    if name.contains(char::REPLACEMENT_CHARACTER) {
        return Some(Hint::CopyName);
    }
    of_path(name, candidates, snapshots).or_else(|| alike(name, candidates))
}

/// Returns the source of which a name is probably a slip: of all of it, of its path, or of one of its parts.
fn alike(name: &str, candidates: &[String]) -> Option<Hint> {
    // Snapshots are candidates, too, each with its id before the source.
    let has_id = |candidate: &str| {
        candidate.split_once(' ').is_some_and(|(id, _)| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let named = candidates.iter().filter(|candidate| !has_id(candidate));
    let sources: Vec<Source> = named.filter_map(|candidate| candidate.parse().ok()).collect();
    if let Ok(wanted) = name.parse::<Source>() {
        let others = sources.iter().filter(|source| **source != wanted);
        let probable = others.filter(|source| is_probable(source, &wanted));
        let best = probable.min_by_key(|source| distance(source, &wanted))?;
        return Some(Hint::DidYouMean(best.to_string()));
    }
    let is_path = name.starts_with('/');
    let head = if is_path { name } else { name.split('/').next().unwrap_or_default() };
    if head.chars().count() < SHORTEST {
        return None;
    }
    let parts = |source: &Source| -> Vec<String> {
        if is_path {
            return vec![source.path.clone()];
        }
        let last = source.path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
        let both = format!("{}@{}", source.user, source.host);
        vec![source.user.clone(), source.host.clone(), last.into(), both]
    };
    // What is written right is wrong for another reason.
    if sources.iter().flat_map(parts).any(|part| part.eq_ignore_ascii_case(head)) {
        return None;
    }
    let nearest = |source: &Source| {
        let parts = parts(source).into_iter().map(|part| (misspelt(&part, head), part));
        parts.min().filter(|(wrong, part)| *wrong < SLIP && !part.is_empty())
    };
    let (least, part) = sources.iter().filter_map(nearest).min()?;
    let mut having = sources.iter().filter(|source| nearest(source) == Some((least, part.clone())));
    match (having.next(), having.next()) {
        (Some(only), None) => Some(Hint::DidYouMean(only.to_string())),
        _ => Some(Hint::DidYouMean(part)),
    }
}

/// Returns what a path stands for that has no user, and maybe no host.
fn of_path(name: &str, candidates: &[String], snapshots: Option<&Snapshots>) -> Option<Hint> {
    // A path alone, or one with a host, as kopia takes it.
    let (host, path) = if name.starts_with('/') || has_drive(name) {
        (None, name)
    } else {
        let (host, path) = name.split_once(':').filter(|(host, _)| !host.contains('@'))?;
        (Some(host), path)
    };
    fn root(source: &str) -> &str {
        source.split_once(':').map_or("", |(_, root)| root.trim_end_matches(['/', '\\']))
    }
    let is_below = |source: &&String| {
        let below = path.strip_prefix(root(source));
        below.is_some_and(|below| below.is_empty() || below.starts_with(['/', '\\']))
    };
    let longest = candidates.iter().filter(is_below).map(|source| root(source).len()).max()?;
    let mut fit: Vec<&String> =
        candidates.iter().filter(is_below).filter(|source| root(source).len() == longest).collect();
    let is_there = |source: &&String| {
        let identity = source.split_once(':').map_or("", |(identity, _)| identity);
        identity.split_once('@').is_some_and(|(_, known)| Some(known) == host)
    };
    if fit.iter().any(is_there) {
        fit.retain(is_there);
    }
    let newest = |source: &str| {
        let all = snapshots.into_iter().flat_map(Snapshots::iter);
        let of_source = all.filter(|snapshot| snapshot.source().to_string() == source);
        of_source.map(kopia_repository::Snapshot::start_time).max()
    };
    let is_one = fit.len() == 1;
    let best = fit.into_iter().min_by_key(|source| Reverse(newest(source)))?;
    let (identity, _) = best.split_once(':')?;
    let full = format!("{identity}:{path}");
    Some(if is_one { Hint::DidYouMean(full) } else { Hint::AddIdentity(full) })
}

/// Returns whether a path begins with a drive of Windows, which is no host.
fn has_drive(path: &str) -> bool {
    let bytes = path.as_bytes();
    matches!(bytes, [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic())
}
