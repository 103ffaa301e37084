//! Reads contents pack by pack and compares each with its hash.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_format::ContentId;

use super::headed::{Headed, Unfit};
use super::rotation::{Pack, Rotation};
use super::walk::{Survey, Target};
use super::{Coverage, Damage, KEPT, Observer, Options, Report};
use crate::cold::ColdPacks;
use crate::contents::{ContentLocation, Listed, Origin, Wanted};
use crate::lock::{into_inner, lock};
use crate::{Defect, Error, Repository};

/// About how many contents are listed at once: 60 MB.
const LISTED: u64 = 1 << 20;

/// How many bytes are read at once: four of kopia's largest usual contents, so that they are hashed side by
/// side, too.
const READ: u64 = 17 << 20;

/// About how many bytes all threads have read at once, at most: on many cores each reads less.
const READ_IN_ALL: u64 = 192 << 20;

/// What there is in a pack of what is wanted.
#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    contents: u64,
    bytes: u64,
}

/// Which contents are verified.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection<'a> {
    /// These alone; without them, all that are not marked deleted, and `marked`.
    needed: Option<&'a HashSet<ContentId>>,
    /// Those that are needed although they are marked deleted.
    marked: &'a HashSet<ContentId>,
}

impl<'a> Selection<'a> {
    /// Takes what a survey needs, or everything if it was not to find that out.
    pub(super) fn of(survey: &'a Survey<'_>) -> Self {
        Self { needed: survey.needed.as_ref(), marked: &survey.marked }
    }

    /// Returns whether it has a content.
    fn has(&self, id: &ContentId, location: &ContentLocation) -> bool {
        // What a snapshot needs counts even if it is marked deleted: it can be read while its pack lasts.
        match self.needed {
            Some(needed) => needed.contains(id),
            None => !location.is_deleted() || self.marked.contains(id),
        }
    }
}

/// Contents that are not as they should be.
#[derive(Debug, Default)]
pub(super) struct Damaged {
    /// Those that cannot be read, each with the word for what is wrong with it.
    pub(super) contents: HashMap<ContentId, &'static str>,
    /// Those that are what was written, but do not unpack to what is expected of them.
    pub(super) unfit: HashMap<ContentId, Unfit>,
    /// Those that links need and no system takes as a target.
    pub(super) targets: HashMap<Target, Defect>,
}

impl Damaged {
    pub(super) fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.unfit.is_empty() && self.targets.is_empty()
    }
}

/// Verifies the contents that a survey needs, or all but those that are marked deleted and that it does not
/// need; returns those that are not as they should be.
pub(super) fn verify(
    survey: &Survey<'_>,
    options: &Options,
    observer: &dyn Observer,
    report: &mut Report,
) -> Damaged {
    let (repository, selection) = (survey.repository, Selection::of(survey));
    // Changes of the indexes while contents are read must not change what is counted.
    let listed = repository.contents().listed();
    let Choice { all, count, part, amounts, packs: chosen, known } =
        choose(repository, &listed, selection, options);
    report.packs = Coverage { verified: chosen.len() as u64, of: count };
    report.contents = Coverage { verified: part.contents, of: all.contents };
    report.stored_bytes = Coverage { verified: part.bytes, of: all.bytes };
    observer.total(part.bytes);

    let run = Run {
        repository,
        listed,
        headed: &survey.headed,
        targets: &survey.targets,
        observer,
        selection,
        plain_bytes: AtomicU64::new(0),
        found: Mutex::default(),
    };
    let mut rest = &chosen[..];
    while !rest.is_empty() {
        let mut count = 0;
        let fits = rest.iter().take_while(|&&pack| {
            let before = count;
            count += amounts[pack as usize].contents;
            before < LISTED
        });
        let (batch, after) = rest.split_at(fits.count());
        run.packs(batch);
        rest = after;
    }
    report.plain_bytes = run.plain_bytes.into_inner();
    let Found { damaged, mut damage, gone, packs: damaged_packs } = into_inner(run.found);
    report.rotated = turns(options, selection).map(|rotation| {
        let chosen: HashSet<u32> = chosen.into_iter().collect();
        let (groups, packs) = known;
        rotation.after(&packs, |place| {
            chosen.contains(&groups[place]).then(|| !damaged_packs.contains(&groups[place]))
        })
    });
    for (coverage, gone) in [(&mut report.contents, gone.contents), (&mut report.stored_bytes, gone.bytes)] {
        coverage.verified -= gone;
        coverage.of -= gone;
    }
    damage.sort_by(|a, b| (&a.pack, a.offset).cmp(&(&b.pack, b.offset)));
    report.damage_count = damaged.contents.len() as u64;
    report.damage = damage;
    damaged
}

/// Which packs are read.
pub(super) struct Choice {
    /// Of what is wanted, all that there is.
    all: Amount,
    /// In so many packs.
    count: u64,
    /// What there is in those that are read.
    part: Amount,
    /// By the numbers of packs.
    amounts: Vec<Amount>,
    /// Those that are read, by the names of their packs.
    pub(super) packs: Vec<u32>,
    /// All that hold any, where they are read in turn: their groups, and what they are.
    known: (Vec<u32>, Vec<Pack>),
}

/// Chooses a part of the packs that hold what is wanted.
pub(super) fn choose(
    repository: &Repository,
    listed: &Listed,
    selection: Selection<'_>,
    options: &Options,
) -> Choice {
    let mut amounts = vec![Amount::default(); repository.contents().groups()];
    listed.for_each(|id, location| {
        if selection.has(&id, &location) {
            let amount = &mut amounts[location.group() as usize];
            amount.contents += 1;
            amount.bytes += location.stored_length();
        }
    });
    let mut packs: Vec<u32> =
        (0..).zip(&amounts).filter(|(_, amount)| amount.contents > 0).map(|(pack, _)| pack).collect();
    repository.contents().sort_groups(&mut packs);
    let sum = |packs: &[u32]| {
        packs.iter().map(|&pack| amounts[pack as usize]).fold(Amount::default(), |sum, amount| Amount {
            contents: sum.contents + amount.contents,
            bytes: sum.bytes + amount.bytes,
        })
    };
    let (all, count) = (sum(&packs), packs.len() as u64);
    let mut known = (Vec::new(), Vec::new());
    let packs = match turns(options, selection) {
        Some(rotation) => {
            known = packs_of(repository, &packs, &amounts);
            rotation.choose(&known.1).into_iter().map(|place| known.0[place]).collect()
        }
        None => options.part.choose(packs, options.start),
    };
    Choice { all, count, part: sum(&packs), amounts, packs, known }
}

/// Returns whether any content is marked deleted; with packs, any in one of these.
pub(super) fn any_marked(repository: &Repository, listed: &Listed, packs: Option<&ColdPacks>) -> bool {
    let mut groups = HashSet::new();
    listed.for_each(|_, location| {
        if location.is_deleted() {
            groups.insert(location.group());
        }
    });
    let pack_of = |group| repository.contents().pack_of_group(group);
    groups.into_iter().any(|group| packs.is_none_or(|packs| pack_of(group).is_some_and(|id| packs.has(&id))))
}

/// Returns in which turn packs are read, if all contents are to be.
fn turns<'o>(options: &'o Options, selection: Selection<'_>) -> Option<&'o Rotation> {
    options.rotation.as_ref().filter(|_| selection.needed.is_none())
}

/// Returns what is to be read in turn: groups, and their packs.
fn packs_of(repository: &Repository, groups: &[u32], amounts: &[Amount]) -> (Vec<u32>, Vec<Pack>) {
    let named = groups.iter().filter_map(|&group| {
        let Amount { contents, bytes } = amounts[group as usize];
        Some((group, Pack { id: repository.contents().pack_of_group(group)?, contents, bytes }))
    });
    named.unzip()
}

/// What cannot be read: all of it, and more about the first.
#[derive(Default)]
struct Found {
    damaged: Damaged,
    damage: Vec<Damage>,
    /// The packs of what cannot be read.
    packs: HashSet<u32>,
    /// What others removed while contents were read, from the indexes, too.
    gone: Amount,
}

/// What all threads share.
struct Run<'a> {
    repository: &'a Repository,
    listed: Listed,
    headed: &'a Headed,
    targets: &'a HashSet<Target>,
    observer: &'a dyn Observer,
    selection: Selection<'a>,
    plain_bytes: AtomicU64,
    found: Mutex<Found>,
}

impl Run<'_> {
    /// Reads some packs.
    fn packs(&self, packs: &[u32]) {
        let contents = self.repository.contents();
        let packs: HashSet<u32> = packs.iter().copied().collect();
        let mut wanted = Vec::new();
        self.listed.for_each(|content, location| {
            if packs.contains(&location.group()) && self.selection.has(&content, &location) {
                let one = Wanted { content, location, tag: () };
                match contents.check_lengths(&content, &location) {
                    Ok(()) => wanted.push(one),
                    // A content that cannot have been written is not read either.
                    Err(error) => self.content(&one, Err(error)),
                }
            }
        });
        let at_least = (READ_IN_ALL / contents.parallel_reads() as u64).min(READ);
        contents.read_located(wanted, at_least, true, &|same, plain| self.content(&same[0], plain));
    }

    fn content(&self, wanted: &Wanted<()>, plain: crate::Result<&[u8]>) {
        let Wanted { content, location, .. } = wanted;
        match plain {
            Ok(plain) => {
                self.plain_bytes.fetch_add(plain.len() as u64, Ordering::Relaxed);
                let stated = self.headed.get(content);
                if let Some(unfit) = stated.and_then(|stated| stated.check(self.repository, content, plain)) {
                    lock(&self.found).damaged.unfit.insert(*content, unfit);
                }
                for target in [false, true].map(|compressed| Target { content: *content, compressed }) {
                    if let Some(defect) = self.why_no_target(&target, plain) {
                        lock(&self.found).damaged.targets.insert(target, defect);
                    }
                }
            }
            Err(error) if self.is_gone(content, &error) => {
                let gone = &mut lock(&self.found).gone;
                gone.contents += 1;
                gone.bytes += location.stored_length();
            }
            Err(error) => {
                let Origin { blob: pack, offset, .. } = self.repository.contents().origin(location);
                let damage = Damage { content: *content, pack, offset, error };
                self.observer.damage(&damage);
                let mut found = lock(&self.found);
                found.damaged.contents.insert(damage.content, damage.error.word());
                found.packs.insert(location.group());
                if found.damage.len() < KEPT {
                    found.damage.push(damage);
                }
            }
        }
        self.observer.content(location.stored_length());
    }

    /// Returns why a content is no target of a link, if it is to be one.
    fn why_no_target(&self, target: &Target, plain: &[u8]) -> Option<Defect> {
        if !self.targets.contains(target) {
            return None;
        }
        if !target.compressed {
            return Defect::of_target(plain);
        }
        let contents = self.repository.contents();
        let unpacked =
            contents.decompress_headed(&target.content, plain, None, |plain| Defect::of_target(&plain));
        // Why it cannot be unpacked is told of every object that needs it.
        unpacked.ok().flatten()
    }

    /// Returns whether a content was removed since it was listed, because nothing needs it any more.
    fn is_gone(&self, content: &ContentId, error: &Error) -> bool {
        let Selection { needed, marked } = self.selection;
        let may_be = needed.is_none() && !marked.contains(content);
        if !may_be || !matches!(error, Error::Storage(error) if error.is_not_found()) {
            return false;
        }
        match self.repository.contents().locate(content) {
            Ok(location) => location.is_deleted(),
            Err(error) => matches!(error, Error::ContentNotFound { .. }),
        }
    }
}
