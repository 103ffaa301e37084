//! One sentence about a finding: what is so, and what to change.

use std::path::Path;

use kopia_rs::{Source, Timestamp};

use super::Finding;
use super::access::{Refusals, Remedy, SecurityContext};
use super::format_blob::Replicas;
use super::identity::{Identity, SourceIdentity};
use super::neighbours::{Layout, Neighbour, Relation};
use super::password::Variant;
use crate::output::{count, escape, size, thousands};

/// How many bytes the mover's last line may have. The controller keeps the last 1,024 of all lines.
#[allow(dead_code, reason = "it is for the mover")]
pub(crate) const LAST_LINE: usize = 250;

/// How many repositories a sentence lists.
const LISTED: usize = 5;

/// What is cut off is shown by this.
const ELLIPSIS: &str = "…";

impl Finding {
    /// Says in one sentence, on one line, what is so and what to change.
    pub(crate) fn sentence(&self) -> String {
        join(&self.fact(), &self.change(), usize::MAX)
    }

    #[allow(dead_code, reason = "it is for the mover")]
    /// Says the same in at most so many bytes. What to change gives way last.
    pub(crate) fn brief(&self, most: usize) -> String {
        join(&self.fact(), &self.change(), most)
    }

    #[allow(dead_code, reason = "it is for the mover")]
    /// Says the same as the mover's last line, in at most [`LAST_LINE`] bytes: the controller's filter keeps it.
    pub(crate) fn last_line(&self) -> String {
        match self {
            Self::NoSnapshot { wanted, nearest, probable, identities } => {
                no_snapshot_line(wanted, nearest, *probable, *identities)
            }
            Self::NoSpace { .. }
            | Self::NoFiles { .. }
            | Self::ReadOnlyTarget { .. }
            | Self::TargetRefused(_) => prefixed("ERROR: unable to restore: ", self),
            _ => prefixed("ERROR: unable to open the repository: ", self),
        }
    }

    /// Says what is so.
    pub(crate) fn fact(&self) -> String {
        let fact = match self {
            Self::Elsewhere { given, missing, found, more } => elsewhere(given, *missing, found, *more),
            Self::Missing { given, in_volume: Some(false), .. } => {
                format!("{} does not exist, and no volume is mounted on the way to it", given.display())
            }
            Self::Missing { given, existing, .. } => {
                format!("{} does not exist; {} does", given.display(), existing.display())
            }
            Self::NotAFolder { given, what } => format!("{} is a {what}, not a folder", given.display()),
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
            Self::WrongPassword { variant } => wrong_password(*variant).into(),
            Self::NoPassword => "no password is given, so nothing was opened".into(),
            Self::Failed { message, .. } => message.clone(),
            Self::Losses { losses } => {
                let more = match losses.len() {
                    0 | 1 => String::new(),
                    more => format!(" (and {} more losses)", thousands(more as u64 - 1)),
                };
                format!("the repository is damaged: {}{more}", losses.first().map_or("", |first| first))
            }
            Self::UnindexedPacks { .. } => self.unindexed_packs(),
            Self::NoSnapshot { wanted, nearest, probable, identities } => {
                format!("there is no snapshot of {wanted}; {}", has(nearest, *probable, *identities))
            }
            Self::NoSpace { target, needed, free } => {
                let (target, needed, free) = (target.display(), size(*needed), size(*free));
                format!("the snapshot needs {needed}, and {target} has {free} free")
            }
            Self::NoFiles { target, needed, free } => {
                let (target, needed, free) = (target.display(), thousands(*needed), thousands(*free));
                format!("the snapshot needs {needed} inodes, and {target} has {free} free")
            }
            Self::ReadOnlyTarget { target } => {
                format!("{} lies in a file system that is mounted read-only", target.display())
            }
        };
        escape(&fact).into_owned()
    }

    /// Says what to change, or nothing.
    pub(crate) fn change(&self) -> String {
        let change = match self {
            Self::Elsewhere { found, .. } => {
                found.first().map(|first| set_repository(first, found.len())).unwrap_or_default()
            }
            Self::Missing { in_volume: Some(false), .. } => {
                "mount the volume with the repository there, or set KOPIA_REPOSITORY to the folder that holds it".into()
            }
            Self::Missing { .. } => "set KOPIA_REPOSITORY to the folder that holds kopia.repository.f".into(),
            Self::NotAFolder { .. } => "give a folder".into(),
            Self::Refused(refusals) | Self::TargetRefused(refusals) => remedy(refusals),
            Self::NotMounted { existing, given } => {
                let point = if existing == Path::new("/") { given } else { existing };
                format!(
                    "mount the volume with the repository there (volumeMounts: mountPath {})",
                    point.display()
                )
            }
            Self::EmptyMount { .. } => {
                "mount the volume or export that backups are written to; or no backup was made yet".into()
            }
            Self::NoRepository { .. } => {
                "set KOPIA_REPOSITORY to the folder that holds kopia.repository.f".into()
            }
            Self::FormatBlobMissing { replicas, .. } | Self::FormatBlobDamaged { replicas, .. } => {
                use_replica(replicas).into()
            }
            Self::WrongPassword { variant } => right_password(*variant).into(),
            Self::NoPassword => "set KOPIA_PASSWORD or give --password-file".into(),
            Self::Failed { changes, .. } => changes.first().cloned().unwrap_or_default(),
            Self::Losses { .. } => "put what is lost back from another copy of the repository".into(),
            Self::UnindexedPacks { hiding: 0, .. } => {
                "a backup that runs or was cut off, or maintenance, leaves such packs".into()
            }
            Self::UnindexedPacks { .. } => {
                "an index blob may be lost; --degraded takes in what packs say they hold".into()
            }
            Self::NoSnapshot { nearest, probable: true, .. } => {
                nearest.first().map_or_else(String::new, |first| {
                    format!("name that one; with VolSync, set {}", SourceIdentity::of(&first.source))
                })
            }
            Self::NoSnapshot { .. } => {
                "name one of those that there are, unless this is to be the first backup".into()
            }
            Self::NoSpace { .. } => "make room, or enlarge the volume".into(),
            Self::NoFiles { .. } => "choose a file system with more inodes".into(),
            Self::ReadOnlyTarget { .. } => "mount it for writing (readOnly: false)".into(),
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

/// Joins fact and change, shortened to fit.
fn join(fact: &str, change: &str, most: usize) -> String {
    if change.is_empty() {
        return cut(fact, most);
    }
    let whole = format!("{fact}: {change}");
    if whole.len() <= most {
        return whole;
    }
    // Below this, a fact says nothing any more.
    const LEAST: usize = 20;
    match most.checked_sub(change.len() + 2) {
        Some(room) if room >= LEAST => format!("{}: {change}", cut(fact, room)),
        _ => cut(change, most),
    }
}

/// Cuts a text to so many bytes, at a character.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.into();
    }
    let mut end = most.saturating_sub(ELLIPSIS.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if most < ELLIPSIS.len() { String::new() } else { format!("{}{ELLIPSIS}", &text[..end]) }
}

fn prefixed(prefix: &str, finding: &Finding) -> String {
    format!("{prefix}{}", finding.brief(LAST_LINE - prefix.len()))
}

fn elsewhere(given: &Path, missing: bool, found: &[Neighbour], more: usize) -> String {
    let given = given.display();
    let is = if missing { format!("{given} does not exist") } else { format!("{given} holds no repository") };
    let where_ = |neighbour: &Neighbour| match neighbour.relation {
        Relation::Below => "below it",
        Relation::Above => "above it",
        Relation::Beside => "elsewhere",
    };
    match found {
        [] => is,
        [one] => match one.layout {
            Layout::Folder => format!("{is}, but one lies {}, at {}", where_(one), one.path.display()),
            Layout::ObjectStore => {
                format!("{is}, but {} holds the blobs of an object store, without .f", one.path.display())
            }
        },
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

fn set_repository(first: &Neighbour, number: usize) -> String {
    if first.layout == Layout::ObjectStore {
        return "add .f to the name of every file, or copy it with `kopia repository sync-to filesystem`"
            .into();
    }
    let which = if number > 1 { "the right one, such as " } else { "" };
    match first.path.to_str() {
        Some(path) if number == 1 => format!("set KOPIA_REPOSITORY=filesystem://{path}"),
        Some(path) => format!("set KOPIA_REPOSITORY to {which}filesystem://{path}"),
        // A URL is text.
        None => format!("give {which}--repository {}", first.path.display()),
    }
}

fn refused(refusals: &Refusals) -> String {
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

fn remedy(refusals: &Refusals) -> String {
    match &refusals.remedy {
        Remedy::RunAs(context) => format!("{} (securityContext: {context})", person(context)),
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

/// Says to a person without pods what a context means.
fn person(context: &SecurityContext) -> String {
    match (context.run_as_user, &context.supplemental_groups[..]) {
        (Some(uid), _) => format!("run as user {uid}"),
        (None, [first, ..]) => format!("run in group {first}"),
        (None, []) => "run as its owner".into(),
    }
}

impl std::fmt::Display for SecurityContext {
    /// As YAML on one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

fn replicas_fact(replicas: &Replicas) -> String {
    match (replicas.searched, replicas.found, replicas.opens) {
        (false, ..) => String::new(),
        (true, 0, _) => format!("; none of {} packs read has a replica", thousands(replicas.read as u64)),
        (true, _, Some(false)) => "; packs have replicas of it, but the password opens none of them".into(),
        (true, ..) => format!("; pack {} has a replica of it", replicas.pack.as_deref().unwrap_or_default()),
    }
}

fn use_replica(replicas: &Replicas) -> &'static str {
    match (replicas.searched, replicas.found, replicas.opens) {
        (true, 0, _) => "put kopia.repository.f back from another copy of the repository",
        (true, _, Some(false)) => "give the password that the repository had when those packs were written",
        (true, ..) => "save it with doctor --save-format-blob FILE, and read with --format-blob FILE",
        (false, ..) => "put it back from another copy, or let kopia-rs doctor look for a replica in packs",
    }
}

fn wrong_password(variant: Option<Variant>) -> &'static str {
    match variant {
        None => "the password does not open the repository",
        Some(Variant::WithoutLineBreak) => {
            "the password opens the repository without its trailing line break"
        }
        Some(Variant::WithoutBlanks) => "the password opens the repository without the blanks around it",
        Some(Variant::WithoutQuotes) => "the password opens the repository without the quotes around it",
        Some(Variant::WithLineBreak) => "the password opens the repository with a line break after it",
        Some(Variant::FromBase64) => "the password opens the repository once it is decoded from base64",
    }
}

fn right_password(variant: Option<Variant>) -> &'static str {
    match variant {
        None => "set KOPIA_PASSWORD to the password that the backups are made with",
        Some(Variant::WithoutLineBreak) => "take the line break out of KOPIA_PASSWORD (printf, or echo -n)",
        Some(Variant::WithoutBlanks) => "take the blanks out of KOPIA_PASSWORD",
        Some(Variant::WithoutQuotes) => "take the quotes out of KOPIA_PASSWORD",
        Some(Variant::WithLineBreak) => "add the line break that the backups are made with to KOPIA_PASSWORD",
        Some(Variant::FromBase64) => "encode it once, not twice (stringData of a Secret takes it as it is)",
    }
}

/// Says which identities have snapshots.
fn has(nearest: &[Identity], probable: bool, identities: usize) -> String {
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
    /// Says how many snapshots it has, and of when.
    pub(crate) fn describe(&self) -> String {
        let one = if self.incomplete { "unfinished snapshot" } else { "snapshot" };
        let snapshots = count(self.snapshots as u64, one, &format!("{one}s"));
        format!("{} ({snapshots}, newest {})", self.source, to_second(self.newest_start))
    }
}

fn to_second(time: Timestamp) -> String {
    Timestamp::new(time.seconds(), 0).unwrap_or(time).to_string()
}

/// The words of the script, which say that nothing was restored, and what to change. Long names give way first.
fn no_snapshot_line(wanted: &Source, nearest: &[Identity], probable: bool, identities: usize) -> String {
    let fact = format!("No eligible snapshots found for {wanted}; {}", has(nearest, probable, identities));
    let set = nearest
        .first()
        .filter(|_| probable)
        .map(|first| format!("set {}", SourceIdentity::of(&first.source)));
    let set = set.unwrap_or_default();
    let short = || match (probable, nearest.first()) {
        (true, Some(first)) => {
            format!("No eligible snapshots found for {wanted}; the repository has {}", first.source)
        }
        _ => fact.clone(),
    };
    let whole = escape(&if set.is_empty() { fact.clone() } else { format!("{fact}: {set}") }).into_owned();
    if whole.len() <= LAST_LINE {
        return whole;
    }
    let (short, set) = (escape(&short()).into_owned(), escape(&set).into_owned());
    // The first words must stay: the controller looks for them.
    const LEAST: usize = 50;
    match LAST_LINE.checked_sub(set.len() + 2) {
        Some(room) if room >= LEAST && !set.is_empty() => format!("{}: {set}", cut(&short, room)),
        _ => cut(&short, LAST_LINE),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::diagnosis::ids::Ids;

    fn neighbour(path: &str, relation: Relation) -> Neighbour {
        Neighbour { path: path.into(), relation, layout: Layout::Folder }
    }

    fn elsewhere(given: &str, found: &[(&str, Relation)]) -> Finding {
        let found = found.iter().map(|(path, relation)| neighbour(path, *relation)).collect();
        Finding::Elsewhere { given: given.into(), missing: false, found, more: 0 }
    }

    fn no_snapshot(wanted: &str, nearest: &[&str], probable: bool) -> Finding {
        let identity = |source: &&str| Identity {
            source: source.parse().unwrap(),
            snapshots: 24,
            incomplete: false,
            newest_id: String::new(),
            newest_start: "2026-03-01T10:20:30.123456789Z".parse().unwrap(),
            newest_end: Timestamp::default(),
        };
        let wanted = wanted.parse().unwrap();
        let nearest: Vec<_> = nearest.iter().map(identity).collect();
        let identities = nearest.len();
        Finding::NoSnapshot { wanted, nearest, probable, identities }
    }

    fn refused(path: PathBuf) -> Finding {
        let context =
            SecurityContext { run_as_user: Some(1000), run_as_group: Some(1000), ..Default::default() };
        Finding::Refused(Refusals {
            path,
            is_folder: true,
            uid: 1000,
            gid: 1000,
            mode: 0o700,
            refused: 1943,
            looked_at: 3409,
            ids: Ids { uid: 999, gids: vec![999, 2000] },
            remedy: Remedy::RunAs(context),
        })
    }

    #[test]
    fn the_case_that_this_was_made_for() {
        let below = elsewhere("/repository", &[("/repository/repository", Relation::Below)]);
        assert_eq!(
            below.last_line(),
            "ERROR: unable to open the repository: /repository holds no repository, but one lies below it, at \
             /repository/repository: set KOPIA_REPOSITORY=filesystem:///repository/repository"
        );
        let above = elsewhere("/kopia/repository", &[("/kopia", Relation::Above)]);
        assert!(above.last_line().ends_with("above it, at /kopia: set KOPIA_REPOSITORY=filesystem:///kopia"));
        let identity = no_snapshot("atuin@default:/data", &["atuin-src@default:/data"], true);
        assert_eq!(
            identity.last_line(),
            "No eligible snapshots found for atuin@default:/data; the repository has atuin-src@default:/data \
             (24 snapshots, newest 2026-03-01T10:20:30Z): \
             set sourceIdentity: {sourceName: atuin-src, sourceNamespace: default}"
        );
    }

    #[test]
    fn another_application_is_never_offered_to_be_restored() {
        let line = no_snapshot("new@default:/data", &["plex@default:/data"], false).last_line();
        assert!(!line.contains("sourceIdentity"), "{line}");
        assert!(
            no_snapshot("new@default:/data", &[], false)
                .last_line()
                .ends_with("the repository has none at all")
        );
    }

    #[test]
    fn refusals_name_both_sides() {
        assert_eq!(
            refused("/repository/p".into()).last_line(),
            "ERROR: unable to open the repository: /repository/p refuses user 999 with groups 999, 2000: its owner is \
             1000:1000, its mode 0700; 1,943 of 3,409 looked at refuse: run as user 1000 (securityContext: {runAsUser: 1000, \
             runAsGroup: 1000})"
        );
    }

    #[test]
    fn last_lines_fit_whatever_the_names_are() {
        let name = "ä".repeat(300);
        let source = format!("{name}@{name}:/{name}");
        let long = format!("/{name}");
        let findings = [
            elsewhere(&long, &[(&format!("/{name}/{name}"), Relation::Below)]),
            elsewhere(&long, &[(&long, Relation::Below), ("/a", Relation::Below)]),
            no_snapshot(&source, &[&source], true),
            no_snapshot(&source, &["a@b:/c"], true),
            no_snapshot("a@b:/c", &[&source], true),
            no_snapshot("a@b:/c", &[&source], false),
            refused(long.clone().into()),
            Finding::NoRepository { given: "/a\nb\u{1b}".into(), holds: vec![name.clone(); 5] },
            Finding::NoSpace { target: long.into(), needed: u64::MAX, free: 0 },
        ];
        for finding in findings {
            let line = finding.last_line();
            assert!(line.len() <= LAST_LINE, "{} bytes: {line}", line.len());
            assert!(
                line.starts_with("ERROR: unable to ") || line.starts_with("No eligible snapshots found for ")
            );
            assert!(!line.contains(char::is_control), "{line:?}");
            (0..300).for_each(|most| assert!(finding.brief(most).len() <= most, "{most}"));
        }
        // What to change is there as long as it fits.
        let line = no_snapshot(&source, &["a@b:/c"], true).last_line();
        assert!(
            line.ends_with(
                ": set sourceIdentity: {sourceName: a, sourceNamespace: b, sourcePathOverride: /c}"
            )
        );
        // And names of the usual lengths fit whole.
        let app = "home-assistant-database";
        let line = no_snapshot(
            &format!("{app}@home-automation:/data"),
            &[&format!("{app}-src@home-automation:/data")],
            true,
        );
        assert!(!line.last_line().contains(ELLIPSIS), "{}", line.last_line());
    }
}
