use std::path::PathBuf;

use kopia_rs::Timestamp;

use super::*;
use kopia_rs::diagnosis::Ids;
use kopia_rs::diagnosis::access::{Refusals, Remedy, SecurityContext};
use kopia_rs::diagnosis::neighbours::{Layout, Neighbour, Relation};

#[test]
fn advice_outlives_a_long_cause() {
    let advice = "set KOPIA_REPOSITORY=filesystem:///repository/repository";
    let short = StatusLine::unable("open /repository", "no repository is there", advice);
    assert_eq!(
        short.as_str(),
        "ERROR: unable to open /repository: no repository is there: \
         set KOPIA_REPOSITORY=filesystem:///repository/repository"
    );
    let long = StatusLine::unable("open /repository", &"very ".repeat(100), advice);
    assert_eq!(long.as_str().len(), LONGEST);
    assert!(long.as_str().ends_with(&format!("…: {advice}")), "{long}");
}

#[test]
fn what_was_cut_is_kept_whole() {
    let cause = "very ".repeat(100);
    let long = StatusLine::unable("open /repository", &cause, "mount it");
    let whole = format!("unable to open /repository: {cause}: mount it");
    assert_eq!(long.whole().as_deref(), Some(&*whole));
    assert_eq!(long.and("; and more").whole(), Some(format!("{whole}; and more")));
    let short = StatusLine::unable("open /repository", "no repository is there", "mount it");
    assert_eq!((short.whole(), short.and("; and more").whole()), (None, None));
    let identity = format!("{0}@{0}:/{0}", "app".repeat(60));
    let other = no_snapshot(&identity, &["app@media:/data"], true);
    for nothing in [StatusLine::nothing(&identity, "it is empty", ""), StatusLine::of(&other)] {
        let whole = nothing.whole().expect("it was cut");
        assert!(whole.contains(&identity), "{whole}");
    }
    let endless = StatusLine::unable("open /repository", &"x".repeat(1 << 20), "");
    assert_eq!(endless.whole().expect("it was cut").len(), LONGEST_WHOLE);
}

#[test]
fn nothing_makes_it_longer_or_more_than_a_line() {
    for text in ["x".repeat(1000), "ä\n".repeat(500), "\u{10ffff}".repeat(300), "\u{1b}[31m".repeat(90)] {
        for sentence in [
            StatusLine::unable(&text, &text, &text),
            StatusLine::nothing(&text, &text, &text),
            StatusLine::restored(&text),
        ] {
            assert!(sentence.as_str().len() <= LONGEST, "{sentence}");
            assert!(!sentence.as_str().contains(['\n', '\u{1b}']), "{sentence}");
        }
    }
}

fn neighbour(path: &str, relation: Relation) -> Neighbour {
    Neighbour { path: path.into(), relation, layout: Layout::Directory }
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

fn line(finding: &Finding) -> String {
    StatusLine::of(finding).to_string()
}

fn refused(path: PathBuf) -> Finding {
    let context = SecurityContext { run_as_user: Some(1000), run_as_group: Some(1000), ..Default::default() };
    Finding::Refused(Refusals {
        path,
        is_directory: true,
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
        line(&below),
        "ERROR: unable to open the repository: /repository holds no repository, but one lies below it, at \
         /repository/repository: set KOPIA_REPOSITORY=filesystem:///repository/repository"
    );
    let above = elsewhere("/kopia/repository", &[("/kopia", Relation::Above)]);
    assert!(line(&above).ends_with("above it, at /kopia: set KOPIA_REPOSITORY=filesystem:///kopia"));
    let identity = no_snapshot("atuin@default:/data", &["atuin-src@default:/data"], true);
    assert_eq!(
        line(&identity),
        "No eligible snapshots found for atuin@default:/data; the repository has atuin-src@default:/data \
         (24 snapshots, newest 2026-03-01T10:20:30Z): \
         set sourceIdentity: {sourceName: atuin-src, sourceNamespace: default}"
    );
}

#[test]
fn another_application_is_never_offered_to_be_restored() {
    let other = line(&no_snapshot("new@default:/data", &["plex@default:/data"], false));
    assert!(!other.contains("sourceIdentity"), "{other}");
    let none = line(&no_snapshot("new@default:/data", &[], false));
    assert!(none.ends_with("the repository has none at all"), "{none}");
}

#[test]
fn refusals_name_both_sides() {
    assert_eq!(
        line(&refused("/repository/p".into())),
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
        Finding::NoSpace { target: long.into(), needed: u64::MAX, free: 0, certain: true },
    ];
    for finding in findings {
        let line = line(&finding);
        assert!(line.len() <= LONGEST, "{} bytes: {line}", line.len());
        assert!(
            line.starts_with("ERROR: unable to ") || line.starts_with("No eligible snapshots found for ")
        );
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    // What to change is there as long as it fits.
    let long = line(&no_snapshot(&source, &["a@b:/c"], true));
    let set = "; the repository has a@b:/c: set sourceIdentity: {sourceName: a, sourceNamespace: b, sourcePathOverride: /c}";
    assert!(long.ends_with(set), "{long}");
    // And names of the usual lengths fit whole.
    let app = "home-assistant-database";
    let usual = line(&no_snapshot(
        &format!("{app}@home-automation:/data"),
        &[&format!("{app}-src@home-automation:/data")],
        true,
    ));
    assert!(!usual.contains(CUT), "{usual}");
}
