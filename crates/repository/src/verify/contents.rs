//! Reads contents pack by pack and compares each with its hash.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kopia_format::ContentId;

use super::{Coverage, Damage, KEPT, Observer, Options, Report};
use crate::contents::decode::{Decoder, implausible};
use crate::contents::schedule::{self, Limits};
use crate::contents::{Located, side_by_side};
use crate::index::Indexes;
use crate::{ContentLocation, Error, Repository};

/// About how many contents are listed at once: 60 MB.
const LISTED: u64 = 1 << 20;

/// How many bytes are read at once: four of kopia's largest usual contents, so that they are hashed side by side, too.
const READ: u64 = 17 << 20;

/// About how many bytes all threads have read at once, at most: on many cores each reads less.
const READ_IN_ALL: u64 = 192 << 20;

/// A content of the packs that are looked at.
struct Wanted {
    content: ContentId,
    location: ContentLocation,
}

impl Located for Wanted {
    fn content(&self) -> ContentId {
        self.content
    }

    fn location(&self) -> ContentLocation {
        self.location
    }
}

/// What there is in a pack of what is wanted.
#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    contents: u64,
    bytes: u64,
}

/// Contents that cannot be read, each with the word for what is wrong with it.
pub(super) type Damaged = HashMap<ContentId, &'static str>;

/// Verifies the contents of `needed`, or all that are not marked deleted; returns those that cannot be read.
pub(super) fn verify(
    repository: &Repository,
    needed: Option<&HashSet<ContentId>>,
    options: &Options,
    observer: &dyn Observer,
    report: &mut Report,
) -> Damaged {
    // What a snapshot needs counts even if it is marked deleted: it can be read while its pack lasts.
    let is_wanted = |id: &ContentId, location: &ContentLocation| {
        needed.map_or(!location.deleted, |needed| needed.contains(id))
    };
    // What others do to the indexes meanwhile must not change what is counted.
    let indexes = repository.indexes();
    let mut amounts = vec![Amount::default(); repository.living().0.packs().len()];
    indexes.table.for_each(|id, location| {
        if is_wanted(&id, &location) {
            let amount = &mut amounts[location.pack as usize];
            amount.contents += 1;
            amount.bytes += u64::from(location.packed_length);
        }
    });
    let mut packs: Vec<u32> =
        (0..).zip(&amounts).filter(|(_, amount)| amount.contents > 0).map(|(pack, _)| pack).collect();
    packs.sort_by_key(|&pack| repository.pack(pack));
    let sum = |packs: &[u32]| {
        packs.iter().map(|&pack| amounts[pack as usize]).fold(Amount::default(), |sum, amount| Amount {
            contents: sum.contents + amount.contents,
            bytes: sum.bytes + amount.bytes,
        })
    };
    let (all, count) = (sum(&packs), packs.len() as u64);
    let chosen = options.part.choose(packs, options.start);
    let part = sum(&chosen);
    report.packs = Coverage { verified: chosen.len() as u64, of: count };
    report.contents = Coverage { verified: part.contents, of: all.contents };
    report.stored_bytes = Coverage { verified: part.bytes, of: all.bytes };
    observer.total(part.bytes);

    let run = Run {
        repository,
        indexes,
        observer,
        all: needed.is_none(),
        plain_bytes: AtomicU64::new(0),
        found: Mutex::default(),
        tools: Mutex::default(),
    };
    let mut rest = &chosen[..];
    while !rest.is_empty() {
        let mut listed = 0;
        let fits = rest.iter().take_while(|&&pack| {
            let before = listed;
            listed += amounts[pack as usize].contents;
            before < LISTED
        });
        let (batch, after) = rest.split_at(fits.count());
        run.packs(batch, is_wanted);
        rest = after;
    }
    report.plain_bytes = run.plain_bytes.into_inner();
    let Found { damaged, mut damage, gone } = run.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (coverage, gone) in [(&mut report.contents, gone.contents), (&mut report.stored_bytes, gone.bytes)] {
        coverage.verified -= gone;
        coverage.of -= gone;
    }
    damage.sort_by(|a, b| (&a.pack, a.offset).cmp(&(&b.pack, b.offset)));
    report.damage_count = damaged.len() as u64;
    report.damage = damage;
    damaged
}

/// What cannot be read: all of it, and more about the first.
#[derive(Default)]
struct Found {
    damaged: Damaged,
    damage: Vec<Damage>,
    /// What others removed meanwhile, from the indexes too.
    gone: Amount,
}

/// What all threads share.
struct Run<'a> {
    repository: &'a Repository,
    indexes: Arc<Indexes>,
    observer: &'a dyn Observer,
    /// Whether everything that the indexes hold is wanted.
    all: bool,
    plain_bytes: AtomicU64,
    found: Mutex<Found>,
    /// Decoders and memory to read into, of threads that are between two reads.
    tools: Mutex<Vec<(Decoder, Vec<u8>)>>,
}

impl Run<'_> {
    /// Reads some packs.
    fn packs(&self, packs: &[u32], is_wanted: impl Fn(&ContentId, &ContentLocation) -> bool) {
        let packs: HashSet<u32> = packs.iter().copied().collect();
        let mut wanted = Vec::new();
        self.indexes.table.for_each(|content, location| {
            if packs.contains(&location.pack) && is_wanted(&content, &location) {
                let one = Wanted { content, location };
                match location.is_plausible() {
                    true => wanted.push(one),
                    // What nobody can have written is not read either.
                    false => self.content(&one, Err(implausible(self.repository, &content, &location))),
                }
            }
        });
        let profile = self.repository.store().profile();
        let mut limits = Limits::from(profile);
        let threads = rayon::current_num_threads().max(profile.parallel_reads) as u64;
        limits.bytes = limits.bytes.max((READ_IN_ALL / threads).min(READ));
        let reads = schedule::schedule(&mut wanted, limits);
        let tools = || self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        side_by_side(profile, &reads, |read| {
            let (mut decoder, buffer) =
                tools().pop().unwrap_or_else(|| (Decoder::new().verify_hashes(true), Vec::new()));
            let bytes = self.repository.read_pack(read, buffer).ok();
            let uses = &wanted[read.uses.clone()];
            self.repository.decode_read(&mut decoder, read, uses, bytes.as_deref(), |same, plain| {
                self.content(&same[0], plain);
            });
            tools().push((decoder, bytes.map(kopia_storage::BlobBytes::into_buffer).unwrap_or_default()));
        });
    }

    fn content(&self, wanted: &Wanted, plain: crate::Result<&[u8]>) {
        match plain {
            Ok(plain) => {
                self.plain_bytes.fetch_add(plain.len() as u64, Ordering::Relaxed);
            }
            Err(error) if self.is_gone(&wanted.content, &error) => {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.gone.contents += 1;
                found.gone.bytes += u64::from(wanted.location.packed_length);
            }
            Err(error) => {
                let pack = self.repository.pack(wanted.location.pack).clone();
                let damage =
                    Damage { content: wanted.content, pack, offset: wanted.location.offset.into(), error };
                self.observer.damage(&damage);
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.damaged.insert(damage.content, damage.error.word());
                if found.damage.len() < KEPT {
                    found.damage.push(damage);
                }
            }
        }
        self.observer.content(wanted.location.packed_length.into());
    }

    /// Says whether a content was there when indexes were read, and was then removed because nobody needs it any more.
    fn is_gone(&self, content: &ContentId, error: &Error) -> bool {
        let missing = matches!(error, Error::Storage(error) if error.is_not_found());
        self.all && missing && self.repository.find(content).map_or(true, |location| location.deleted)
    }
}
