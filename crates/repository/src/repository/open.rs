//! Opening, step by step.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::Scope;
use std::time::{Instant, SystemTime};

use kopia_codec::key::Password;
use kopia_format::format_blob::{BLOB_ID, RepositoryFormat, UpgradeLock};
use kopia_format::{BlobId, Timestamp};
use kopia_storage::BlobStore;

use super::{Blobs, Inner, OpenOptions, Place, Repository};
use crate::contents::{Contents, Packs, Source};
use crate::format_blob::codec_error;
use crate::index::table::PackNames;
use crate::index::{BUDGET, Feed, IndexSource, Listing, LiveIndex, Loader, Rules};
use crate::lru::Lru;
use crate::object::Allowance;
use crate::parallel::Cores;
use crate::sealing::Sealing;
use crate::traffic::{Meter, Metered};
use crate::upkeep::Upkeep;
use crate::{Error, FormatBlob, Result};

/// The features that this reader understands: those that kopia does (`repo/open.go`).
const KNOWN_FEATURES: [&str; 2] = ["index-v1", "index-v2"];

/// What kopia calls copies of the format blob from before an upgrade; the name of who upgrades follows.
const BACKUP_PREFIX: &str = "kopia.repository.backup.";

pub(super) fn open(
    store: Arc<dyn BlobStore>,
    password: &Password,
    options: &OpenOptions,
) -> Result<Repository> {
    let start = Instant::now();
    let meter = Arc::new(Meter::default());
    let store: Arc<dyn BlobStore> = Arc::new(Metered::new(store, meter.clone()));
    let cores = Arc::new(Cores::start(options.resources.threads)?);
    let directory = options.resources.index_directory.as_deref();
    directory.map_or(Ok(()), |directory| check_outside(directory, &*store))?;
    let id = FormatBlob::id();
    let mut blob = FormatBlob::read(&*store)?;

    let feed = Feed::new(&*store, &BUDGET);
    let (format, sealing, upkeep, warnings, rules, loaded) = std::thread::scope(|scope| {
        let _closing = feed.closing();
        // Deriving the key takes some 150 ms of one core and 64 MiB; listing and reading mostly wait for the
        // disk.
        let (sender, listed) = std::sync::mpsc::sync_channel(1);
        let ahead = std::thread::Builder::new().spawn_scoped(scope, || read_ahead(&feed, scope, sender));
        let (mut format, mut key) = blob.unseal(&*store, password)?;
        let mut warnings = Vec::new();
        if let Some(lock) = format.upgrade_lock.as_ref().filter(|lock| lock.in_force(now())) {
            let locked = locked(lock, &*store)?;
            let Error::Locked { backup: Some(backup), .. } = &locked else { return Err(locked) };
            if !options.degraded {
                return Err(locked);
            }
            (blob, (format, key)) = FormatBlob::before_upgrade(&*store, backup, password)?;
            warnings.push(format!("{locked}; it is read as it was before, by {backup}"));
        }
        warnings.extend(check(&format)?);
        let sealing = Sealing::new(&format).map_err(|error| codec_error(&id, error))?;
        let upkeep = (options.retention || options.schedule)
            .then(|| Upkeep::read(&*store, &key, blob.envelope(), &format, options))
            .transpose()?;
        drop(key);
        format.forget_keys();
        let listing = match ahead {
            Ok(_) => listed.recv().expect("the list, or an error, is sent first of all"),
            // Where no thread can be had, one does it all.
            Err(_) => Listing::read(&*store),
        };
        let rules = Rules { epochs: format.epochs, degraded: options.degraded, deleted: options.deleted };
        let (sealing_ref, known) = (&sealing, &PackNames::default());
        let cores = &cores;
        let loader = Loader { feed: &feed, scope, sealing: sealing_ref, cores, rules, known, directory };
        let loaded = loader.load(listing?)?;
        Ok::<_, Error>((format, sealing, upkeep, warnings, rules, loaded))
    })?;
    drop(feed);
    let opening = start.elapsed();
    let (mut indexes, packs) = loaded;
    let unreadable = std::mem::take(&mut indexes.unreadable);
    let sealing = Arc::new(sealing);
    let directory = options.resources.index_directory.clone();
    let source = IndexSource { store: store.clone(), sealing: sealing.clone(), rules, directory };
    let indexes = Arc::new(LiveIndex::new(source, indexes, packs));
    let packs = Packs::new(store.clone(), indexes.clone());
    let contents = Contents::new(
        Source::Packs(Box::new(packs)),
        sealing.clone(),
        cores.clone(),
        options.resources.content_cache,
    );
    Ok(Repository {
        inner: Arc::new(Inner {
            options: options.clone(),
            store,
            meter,
            place: Place::Blobs(Box::new(Blobs { blob: blob.into_blob(), format, indexes, upkeep })),
            sealing,
            cores,
            contents,
            known: Lru::new(options.resources.directory_cache),
            read_ahead: Arc::new(Allowance::new(options.resources.read_ahead)),
            unreadable,
            warnings,
            opening,
        }),
    })
}

/// Refuses to make a file in the repository.
fn check_outside(directory: &Path, store: &dyn BlobStore) -> Result<()> {
    let error = |source| Error::IndexFile { directory: directory.to_owned(), source };
    let place = directory.canonicalize().map_err(error)?;
    // What has no path here lies elsewhere.
    let repository = store.directory().and_then(|repository| repository.canonicalize().ok());
    if repository.is_some_and(|repository| place.starts_with(repository)) {
        let why = "it lies in the repository, in which nothing is written";
        return Err(error(io::Error::new(io::ErrorKind::InvalidInput, why)));
    }
    Ok(())
}

/// Lists the index blobs and has those read that probably count.
fn read_ahead<'scope>(
    feed: &'scope Feed<'_>,
    scope: &'scope Scope<'scope, '_>,
    listed: SyncSender<Result<Listing>>,
) {
    let listing = Listing::read(feed.store());
    if let Ok(listing) = &listing {
        feed.guess(listing.likely());
        feed.start_readers(scope);
    }
    // No thread waits for it where the password is wrong.
    let _ = listed.send(listing);
}

/// Makes the error of an upgrade that is under way. Of several copies of its format blob the one that is
/// named after who upgrades it is from before that: earlier upgrades leave theirs.
///
/// # Errors
/// [`Error::Storage`] if the copies cannot be listed: that there is none must not be said then.
fn locked(lock: &UpgradeLock, store: &dyn BlobStore) -> Result<Error> {
    let backups = store.list(BACKUP_PREFIX)?;
    let is_owners = |id: &BlobId| {
        let owner = id.as_str().get(BACKUP_PREFIX.len()..);
        owner.is_some_and(|owner| owner.eq_ignore_ascii_case(&lock.owner_id))
    };
    let backup = match &backups[..] {
        [only] => Some(only),
        // The case of the name may have got lost.
        several => several.iter().find(|backup| is_owners(&backup.id)),
    };
    Ok(Error::Locked {
        owner: lock.owner_id.clone(),
        since: lock.creation_time,
        backup: backup.map(|backup| backup.id.clone()),
        backups: backups.len(),
        message: lock.message.clone(),
    })
}

/// Rejects formats that are unsupported; returns warnings about the rest.
fn check(format: &RepositoryFormat) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for feature in &format.required_features {
        if KNOWN_FEATURES.contains(&&*feature.feature) {
            continue;
        }
        let wish = &feature.if_not_understood;
        if wish.warn {
            let (name, message) = (&feature.feature, &wish.message);
            warnings
                .push(format!("the repository uses the feature {name}, which is not known here: {message}"));
            continue;
        }
        let upgrade = match &*wish.upgrade_to_version {
            "" => String::new(),
            version => format!(" (kopia {version} knows it)"),
        };
        return Err(Error::Unsupported {
            place: format!("blob {BLOB_ID}"),
            what: "required feature",
            found: [&feature.feature, " ", &wish.message, &upgrade].concat().trim_end().into(),
        });
    }
    Ok(warnings)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since.as_secs() as i64, since.subsec_nanos()).unwrap_or_default()
}
