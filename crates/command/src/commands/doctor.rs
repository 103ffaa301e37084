//! `doctor [WHAT]`: why a repository cannot be opened, a snapshot not be found, or a target not be written.
//!
//! `kopia_rs::diagnosis` finds out; here it is asked in the order in which a restore would come upon the
//! findings, and they are shown.

mod place;
mod report;
mod save;
mod server;

use std::path::Path;
use std::sync::Arc;

use kopia_rs::connection::Environment;
use kopia_rs::connection::storage::Kind;
use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::diagnosis::{
    Effort, Finding, Hint, LocalPath, Weight, access, degraded_helps, identity, neighbours, not_found, pace,
    packs, replicas, velero,
};
use kopia_rs::storage::BlobStore;
use kopia_rs::unindexed::Packs;
use kopia_rs::{Error, FilesystemStore, FormatBlob, Password, Repository, Snapshots};

use crate::args::{self, Global};
use crate::error::{Exit, Failure};
use crate::session::{self, Choice, Session};
use crate::terminal::output::{self, log_line};
use crate::terminal::password;
use crate::wording::advice::sentence;
use place::Place;
use report::Report;

pub(crate) fn run(global: &Global, args: &args::Doctor) -> Result<Exit, Failure> {
    let environment = Environment::of_process();
    let choice = Choice::of(global, &environment)?;
    let place = Place::of(&choice, global, &environment);
    let mut report = Report::new(place.location());
    if choice.connection.storage.kind() == Kind::Server {
        server::examine(global, args, &choice, environment, &mut report)?;
        return finish(global, args, report);
    }
    let store = session::store(&choice.connection, global, environment)?;
    let store = match store {
        Ok(store) => Some(store),
        Err(error) => {
            let findings = place.explain(&error.into(), None, None);
            findings.into_iter().for_each(|finding| report.fatal(finding));
            None
        }
    };
    if let Some(directory) = choice.connection.storage.directory().filter(|path| neighbours::is_cache(path)) {
        report.fatal(Finding::Cache { given: directory.into() });
    } else if let Some(store) = store {
        // Nobody is asked for the password of what is not there.
        let source = password::source(global.password(), choice.password.as_ref());
        let veleros =
            if password::is_given(source.as_ref()) { None } else { veleros(&choice, &store, global) };
        let source = source.filter(|_| veleros.is_none());
        let is_asked = password::is_asked_for(source.as_ref());
        let source = source.filter(|_| !is_asked || FormatBlob::read(&*store).is_ok());
        let stored = choice.connection.password.as_ref();
        let read = |source| password::read(Some(source), global.password(), stored);
        let password = source.as_ref().map(read).transpose()?;
        if let Some(file) = &args.save_format_blob {
            save(&store, password.as_ref(), file, &mut report)?;
        }
        let password = password.zip(source).or(veleros);
        let it = Examined { place: &place, store: &store, password };
        examine(global, args, it, &mut report)?;
    }
    finish(global, args, report)
}

/// Returns the password that Velero gives its repositories, if none is given and it opens this one.
fn veleros(
    choice: &Choice,
    store: &Arc<dyn BlobStore>,
    global: &Global,
) -> Option<(Password, PasswordSource)> {
    let opens = || session::with_veleros_password(store, global).is_ok_and(|opened| opened.is_some());
    (choice.is_velero && opens()).then(|| (Password::new(velero::PASSWORD), PasswordSource::Connection))
}

/// Looks at the target, shows everything, and decides about the exit status.
fn finish(global: &Global, args: &args::Doctor, mut report: Report) -> Result<Exit, Failure> {
    if let Some(target) = &args.target {
        report.look_at_target(target);
    }
    // What takes longer comes behind it.
    if !global.json {
        Failure::unless_shown(report.text())?;
    }
    let told = report.told();
    if let Some(target) = &args.target {
        report.look_at_entries(target);
    }
    let written = if global.json { output::json(&report.json()) } else { report.text_since(told) };
    Failure::unless_shown(written)?;
    conclude(&report)
}

/// What is examined.
struct Examined<'a> {
    place: &'a Place,
    store: &'a Arc<dyn BlobStore>,
    /// The password and where it came from, if one is given.
    password: Option<(Password, PasswordSource)>,
}

impl Examined<'_> {
    /// Returns why the repository cannot be opened or listed.
    fn explain(&self, error: &Error) -> Vec<Finding> {
        let password = self.password.as_ref().map(|(password, source)| (password, source));
        self.place.explain(error, Some(&**self.store), password)
    }
}

/// Opens the repository and looks into it.
fn examine(
    global: &Global,
    args: &args::Doctor,
    it: Examined<'_>,
    report: &mut Report,
) -> Result<(), Failure> {
    let store = it.store;
    let Some((password, source)) = &it.password else {
        // Without one, it can be told whether there is something to open.
        let findings = match FormatBlob::read(&**store) {
            Ok(_) => vec![Finding::NoPassword],
            Err(error) => it.explain(&error),
        };
        findings.into_iter().for_each(|finding| report.fatal(finding));
        return Ok(());
    };
    let opened = password::open_with(Some(source), password, |password| {
        Repository::open_with(store.clone(), password, &global.open_options())
    });
    let repository = match opened {
        Ok(repository) => repository,
        Err(error) => {
            let findings = it.explain(&error);
            // What is lost can be told by opening it without.
            let open = |password: &Password| Repository::open_degraded(store.clone(), password);
            let degraded = || password::open_with(Some(source), password, open).ok();
            let index = findings.iter().any(Finding::is_damaged_index);
            let losses = index.then(degraded).flatten().as_ref().and_then(losses);
            findings.into_iter().chain(losses).for_each(|finding| report.fatal(finding));
            return Ok(());
        }
    };
    report.findings.extend(losses(&repository));
    report.notes = repository.warnings().to_vec();
    report.notes.extend(it.place.local().and_then(layout_problem));
    let snapshots = repository.snapshots();
    report.opened = repository.status().ok();
    report.identities = snapshots.as_ref().map(identity::all).unwrap_or_default();
    match snapshots {
        Ok(snapshots) => look_for(&Session::new(repository.clone(), global), args, &snapshots, report),
        Err(error) => {
            for mut finding in it.explain(&error) {
                if let Finding::Failed { hints, .. } = &mut finding
                    && degraded_helps(&error, &repository)
                {
                    hints.insert(0, Hint::ListDegraded);
                }
                report.fatal(finding);
            }
        }
    }
    let is_refused = |finding: &Finding| matches!(finding, Finding::Refused(_));
    if !report.findings.iter().any(is_refused) {
        let refused = it.place.local().and_then(|path| access::of_repository(path, Effort::Doctor));
        report.findings.extend(refused.map(Finding::Refused));
    }
    report.findings.extend(it.place.clock());
    // What cannot be listed is said below.
    report.findings.extend(packs::missing(&repository).unwrap_or_default());
    match packs::unindexed(&repository, Packs::All) {
        Ok(packs) => report.findings.extend(packs),
        Err(error) => report.findings.push(Finding::failed(&error)),
    }
    Ok(())
}

/// Looks for what cannot be found.
fn look_for(session: &Session, args: &args::Doctor, snapshots: &Snapshots, report: &mut Report) {
    let Some(what) = args.what.get() else { return };
    match session.find(&what) {
        Ok(selection) => {
            report.pace = args.target.as_ref().and_then(|_| pace::measure(&session.repository));
            report.found = Some(selection);
        }
        Err(error) => {
            let no_snapshot = not_found(snapshots, &error, &what.what);
            report.fatal(no_snapshot.unwrap_or_else(|| Finding::failed(&error)));
        }
    }
}

/// Returns that `.shards` makes no sense, which matters to kopia alone.
fn layout_problem(path: &LocalPath) -> Option<String> {
    let store = FilesystemStore::open(&path.given).ok()?;
    store.layout_problem().map(|problem| format!("{problem}; blobs were found all the same"))
}

fn losses(repository: &Repository) -> Option<Finding> {
    let mut losses: Vec<_> = repository.losses().iter().map(ToString::to_string).collect();
    let snapshots = repository.snapshots().ok();
    losses.extend(snapshots.iter().flat_map(|list| list.lost()).map(ToString::to_string));
    (!losses.is_empty()).then_some(Finding::Losses { losses })
}

/// Looks for a replica of the format blob and saves it.
fn save(
    store: &Arc<dyn BlobStore>,
    password: Option<&Password>,
    file: &Path,
    report: &mut Report,
) -> Result<(), Failure> {
    let (replicas, replica) = replicas::search(&**store, password, Effort::Doctor);
    let replica = replica.ok_or_else(|| Failure::failed(replicas.why_none()).with_class(Class::Damaged))?;
    save::save(file, replica.bytes(), store.directory().as_deref())?;
    report.saved = Some(file.into());
    Ok(())
}

/// Decides about the exit status; its reasons have been shown, and are repeated as errors.
fn conclude(report: &Report) -> Result<Exit, Failure> {
    let problems = || report.findings.iter().filter(|finding| finding.weight() == Weight::Problem);
    let Some(first) = problems().next() else { return Ok(Exit::Complete) };
    if report.is_fatal {
        return Err(Failure::failed(sentence(first)).with_class(first.class()).told());
    }
    problems().for_each(|problem| log_line(format_args!("error: {}", sentence(problem))));
    Ok(Exit::Partial)
}
