//! The text of each finding: what is so, and what to change.

use std::path::Path;

use super::clauses::{
    elsewhere, identities as has, refused, remedy, replicas_fact, right_password, set_repository,
    use_replica, wrong_password,
};
use super::{count, escape, size, store, thousands, velero};
use crate::Audience;
use crate::finding::{Finding, StoreHint};

impl Finding {
    /// Returns in one sentence, on one line, what is so and what to change.
    pub fn sentence(&self, audience: Audience) -> String {
        let (fact, change) = (self.fact(), self.change(audience));
        if change.is_empty() { fact } else { format!("{fact}: {change}") }
    }

    /// Returns what is so, on one line.
    pub fn fact(&self) -> String {
        let fact = match self {
            Self::Elsewhere { given, missing, found, more } => elsewhere(given, *missing, found, *more),
            Self::Missing { given, in_volume: Some(false), .. } => {
                format!("{} does not exist, and no volume is mounted on the way to it", given.display())
            }
            Self::Missing { given, existing, .. } => {
                format!("{} does not exist; {} does", given.display(), existing.display())
            }
            Self::NotADirectory { given, what } => format!("{} is a {what}, not a folder", given.display()),
            Self::Refused(refusals) | Self::TargetRefused(refusals) => refused(refusals),
            Self::NotMounted { given, existing } if given == existing => {
                format!("{} is empty, and nothing is mounted there", given.display())
            }
            Self::NotMounted { given, existing } => {
                let (given, existing) = (given.display(), existing.display());
                format!("{given} does not exist, and nothing is mounted at {existing}, which is empty")
            }
            Self::EmptyMount { existing, source, file_system } => {
                format!("{} is empty: {source} ({file_system}) is mounted there", existing.display())
            }
            Self::Cache { given } => {
                format!("{} is kopia's cache of a repository, and no repository itself", given.display())
            }
            Self::NoRepository { given, holds } if holds.is_empty() => {
                format!("{} is empty", given.display())
            }
            Self::NoRepository { given, holds } => {
                format!("{} holds no repository, but {}", given.display(), holds.join(", "))
            }
            Self::FormatBlobMissing { given, replicas } => {
                format!(
                    "{} holds a repository without kopia.repository{}",
                    given.display(),
                    replicas_fact(replicas)
                )
            }
            Self::FormatBlobDamaged { given, why, replicas } => {
                format!(
                    "kopia.repository in {} is damaged: {why}{}",
                    given.display(),
                    replicas_fact(replicas)
                )
            }
            Self::ElsewhereInStore { given, container, found, missing, .. } => {
                store::elsewhere(given, container, found, *missing)
            }
            Self::Velero { given, namespaces, is_cut, .. } => velero::fact(given, namespaces, *is_cut),
            Self::NothingInStore { given, missing, is_empty, holds, why, .. } => {
                store::nothing(given, *missing, *is_empty, holds, why.as_deref())
            }
            Self::NotThereYet { given, time, written } => {
                let written = written.as_ref().map(|time| format!(" (kopia.repository was written {time})"));
                format!(
                    "{given} holds a repository now{}, and held none at {time}",
                    written.unwrap_or_default()
                )
            }
            Self::ServerShowsNothing { location } => format!("{location} shows this user no snapshots"),
            Self::ClockSkew { location, seconds } => store::clock(location, *seconds),
            Self::WrongPassword { variant, .. } => wrong_password(*variant).into(),
            Self::NoPassword => "no password is given, so nothing was opened".into(),
            Self::Failed { message, .. } => message.clone(),
            Self::Losses { losses } => {
                let more = match losses.len() {
                    0 | 1 => String::new(),
                    more => format!(" (and {})", count(more as u64 - 1, "more loss", "more losses")),
                };
                format!("the repository is damaged: {}{more}", losses.first().map_or("", |first| first))
            }
            Self::UnindexedPacks { .. } => self.unindexed_packs(),
            Self::MissingPacks { packs, contents, example } => {
                let packs = count(*packs as u64, "pack that indexes name is", "packs that indexes name are");
                let contents = count(*contents, "content", "contents");
                format!("{packs} not there, with {contents}, such as {example}")
            }
            Self::NoSnapshot { wanted, nearest, probable, identities } => {
                format!("there is no snapshot of {wanted}; {}", has(nearest, *probable, *identities))
            }
            Self::NoSpace { target, needed, free, certain } => {
                let (target, needed, free) = (target.display(), size(*needed), size(*free));
                let needs = if *certain { "needs" } else { "may need" };
                format!("the snapshot {needs} {needed}, and {target} has {free} free")
            }
            Self::NoFiles { target, needed, free } => {
                let (target, needed, free) = (target.display(), thousands(*needed), thousands(*free));
                format!("the snapshot needs {needed} inodes, and {target} has {free} free")
            }
            Self::LosesAttributes { target, file_system, maybe } => {
                let (keeps, takes) = if *maybe { ("may keep", "may refuse") } else { ("keeps", "refuses") };
                let target = target.display();
                format!(
                    "{target} lies in a file system ({file_system}) that {keeps} no owners, modes and \
                     special bits, and {takes} symbolic links"
                )
            }
            Self::FoldsNames { target, by_case, by_form } => {
                let (target, what) = (target.display(), folded(*by_case, *by_form));
                format!("{target} lies in a file system in which {what} are one")
            }
            Self::UnfitEntries { target, entries, more, example } => {
                let least = if *more { "at least " } else { "" };
                let (target, entries) = (target.display(), count(*entries, "entry", "entries"));
                format!("{target} cannot hold {least}{entries} of the snapshot, such as {example}")
            }
            Self::ReadOnlyTarget { target } => {
                format!("{} lies in a file system that is mounted read-only", target.display())
            }
        };
        escape(&fact).into_owned()
    }

    /// Returns what to change, on one line, or nothing.
    pub fn change(&self, audience: Audience) -> String {
        let change = match self {
            Self::Elsewhere { found, .. } => {
                found.first().map(|first| set_repository(first, found.len(), audience)).unwrap_or_default()
            }
            Self::Missing { in_volume: Some(false), .. } => audience
                .choose(
                    "mount the disk or share with the repository there, or give the folder that holds it",
                    "mount the volume with the repository there, or set KOPIA_REPOSITORY to the folder that \
                     holds it",
                )
                .into(),
            Self::Missing { .. } | Self::Cache { .. } | Self::NoRepository { .. } => audience
                .choose(
                    "give the folder that holds kopia.repository.f, or kopia.repository in a copy of a \
                     bucket",
                    "set KOPIA_REPOSITORY to the folder that holds kopia.repository.f",
                )
                .into(),
            Self::NotADirectory { .. } => "give a folder".into(),
            Self::Refused(refusals) | Self::TargetRefused(refusals) => remedy(refusals, audience),
            Self::NotMounted { existing, given } => {
                let point = if existing == Path::new("/") { given } else { existing };
                let pod = format!(
                    "mount the volume with the repository there (volumeMounts: mountPath {})",
                    point.display()
                );
                audience.choose("mount the disk or share with the repository there".into(), pod)
            }
            Self::EmptyMount { .. } => {
                "mount the volume or export that backups are written to; or no backup was made yet".into()
            }
            Self::FormatBlobMissing { replicas, .. } | Self::FormatBlobDamaged { replicas, .. } => {
                use_replica(replicas, audience).into()
            }
            Self::ElsewhereInStore { backend, container, found, .. } => {
                store::give(*backend, container, found, audience)
            }
            Self::Velero { given, backend, container, namespaces, .. } => {
                velero::change(given, *backend, container, namespaces, audience)
            }
            Self::NothingInStore { is_cut: true, .. } => {
                "there is more than was looked at: name the repository's bucket and prefix, or its path".into()
            }
            Self::NothingInStore { .. } => {
                "name the place that backups are written to; or no backup was made yet".into()
            }
            Self::NotThereYet { .. } if audience == Audience::VolSync => "give a later pointInTime".into(),
            Self::NotThereYet { .. } => "give a later time, or leave --point-in-time out".into(),
            Self::ServerShowsNothing { .. } => {
                "a user sees the snapshots of its own user@host; for more, on the server: `kopia server acl enable`, \
                 then `kopia server acl add --user USER@HOST --access READ --target type=snapshot`"
                    .into()
            }
            Self::ClockSkew { .. } => StoreHint::SetClock.text(audience),
            Self::WrongPassword { variant, source } => right_password(*variant, source.as_ref(), audience),
            Self::NoPassword => audience
                .choose(
                    "set KOPIA_PASSWORD or give --password-file",
                    "set KOPIA_PASSWORD in the \
                    repository's Secret",
                )
                .into(),
            Self::Failed { hints, .. } => hints.first().map(|hint| hint.text(audience)).unwrap_or_default(),
            Self::FoldsNames { by_case, by_form, .. } => {
                let differ = match (by_case, by_form) {
                    (_, false) => "case",
                    (false, true) => "that form",
                    (true, true) => "case or form",
                };
                format!(
                    "directories that differ only in {differ} become one there, and of files the first is \
                     restored; `restore --dry-run` names the others, and most names that the file system does \
                     not take"
                )
            }
            Self::LosesAttributes { .. } => {
                "the bytes of all files are restored; what could not be set is counted, and links that are \
                 refused are named"
                    .into()
            }
            Self::UnfitEntries { .. } => {
                "all others are restored; `restore --dry-run` names these, and a tar of `export` holds them"
                    .into()
            }
            Self::Losses { .. } => {
                let degraded = audience.option("--degraded");
                format!(
                    "put what is lost back from another copy of the repository; {degraded} reads on \
                    without it"
                )
            }
            Self::UnindexedPacks { hiding: 0, .. } => {
                "a backup that runs or was cut off, or maintenance, leaves such packs".into()
            }
            Self::UnindexedPacks { .. } => {
                let degraded = audience.option("--degraded");
                format!("an index blob may be lost; {degraded} takes in what packs say they hold")
            }
            Self::MissingPacks { .. } => {
                "put what is missing back from another copy of the repository; `kopia-rs verify` lists the \
                 files that \
                 need it"
                    .into()
            }
            Self::NoSnapshot { nearest, probable: true, .. } => {
                nearest.first().map(|first| format!("did you mean {}?", first.source)).unwrap_or_default()
            }
            Self::NoSnapshot { .. } => {
                "name one of those that there are, unless this is to be the first backup".into()
            }
            Self::NoSpace { .. } => "make room, or enlarge the volume".into(),
            Self::NoFiles { .. } => "choose a file system with more inodes".into(),
            Self::ReadOnlyTarget { .. } => {
                audience.choose("mount it for writing", "mount it for writing (readOnly: false)").into()
            }
        };
        escape(&change).into_owned()
    }

    fn unindexed_packs(&self) -> String {
        let Self::UnindexedPacks { packs, open, silent, manifests, others, example, .. } = self else {
            return String::new();
        };
        let mut text = format!("{} named by no index", count(*packs as u64, "pack is", "packs are"));
        if *open > 0 {
            text += &format!(", {} of a session that has not ended", thousands(*open as u64));
        }
        if manifests + others > 0 {
            let contents = count(manifests + others, "content", "contents");
            text += &format!(", with {contents} that are known from nowhere else");
        }
        if *manifests > 0 {
            text += &format!(", {} of snapshots or policies", thousands(*manifests));
        }
        if *silent > 0 {
            text += &format!("; {} not say what they hold", count(*silent as u64, "does", "do"));
        }
        format!("{text}, such as {example}")
    }
}

/// Returns which names are one in a file system.
fn folded(by_case: bool, by_form: bool) -> &'static str {
    match (by_case, by_form) {
        (_, false) => "upper and lower case",
        (false, true) => "the Unicode normalization forms of a name (NFC and NFD, which look the same)",
        (true, true) => "upper and lower case, and the Unicode normalization forms of a name (NFC and NFD),",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicas::Replicas;

    #[test]
    fn a_job_is_told_of_no_option_that_it_does_not_take() {
        let opens = Some(true);
        let replicas = Replicas { searched: true, found: 1, opens, packs: 1, read: 1, ..Replicas::default() };
        let why = String::new();
        for finding in [
            Finding::FormatBlobMissing { given: "/r".into(), replicas: replicas.clone() },
            Finding::FormatBlobDamaged { given: "/r".into(), why, replicas },
        ] {
            for audience in [Audience::Terminal, Audience::Pod] {
                let told = finding.change(audience);
                assert!(told.ends_with("read with --format-blob FILE"), "{told}");
            }
            let told = finding.change(Audience::VolSync);
            assert!(told.starts_with("on a desk, ") && !told.contains(" --format-blob"), "{told}");
            assert!(told.contains("put that back as kopia.repository"), "{told}");
        }
    }

    #[test]
    fn what_folds_names_is_said_for_what_it_folds() {
        let fold = |by_case, by_form| Finding::FoldsNames { target: "/t".into(), by_case, by_form };
        for (by_case, by_form, fact, change) in [
            (true, false, "in which upper and lower case are one", "differ only in case become one"),
            (
                false,
                true,
                "in which the Unicode normalization forms of a name (NFC and",
                "only in that form become",
            ),
            (
                true,
                true,
                "case, and the Unicode normalization forms of a name",
                "only in case or form become",
            ),
        ] {
            let finding = fold(by_case, by_form);
            assert!(finding.fact().contains(fact), "{}", finding.fact());
            let told = finding.change(Audience::Terminal);
            assert!(told.contains(change), "{told}");
        }
    }
}
