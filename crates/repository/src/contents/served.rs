//! Contents that a server gives one by one: found, opened and decompressed.
//!
//! It knows neither packs nor places. What is known of a content before it comes is what those say that name
//! it: its id, and perhaps its length. Bytes come from somebody else's program, so every content is compared
//! with its id, whatever the reader wants verified.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use kopia_format::{BlobId, ContentId};
use kopia_storage::server::{Expected, Extent};
use kopia_storage::{ContentServer, ReadProfile};

use super::schedule::ReadStep;
use super::{ContentLocation, Flaw, Located, MAX_LENGTH, Origin};
use crate::sealing::Sealing;
use crate::{Error, Result};

/// How many bytes a content is taken to have of which nothing is known: more than most directories.
const USUAL: u64 = 32 << 10;

/// How much one step reads. Some steps are under way at once, so that there are always enough requests for
/// the link.
const STEP: usize = 32;
const STEP_BYTES: u64 = 2 << 20;

/// How much the server gets ready at once, and how many contents are worth whole packs.
const GROUP: usize = 1000;
const GROUP_BYTES: u64 = 96 << 20;
const MANY: usize = 64;

/// How many bytes more than expected all steps together may hold. What finds no room is read by itself,
/// later.
const SLACK: u64 = 64 << 20;

/// A server, and how its contents are named.
pub(crate) struct Served {
    server: Arc<dyn ContentServer>,
    sealing: Arc<Sealing>,
    /// What is left of [`SLACK`].
    slack: Arc<AtomicU64>,
}

/// The contents of a step: some of those that the server gets ready together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Portion {
    group: Arc<Group>,
    range: Range<usize>,
}

/// Contents that the server gets ready together.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    wanted: Vec<Expected>,
    ready: OnceLock<()>,
    /// What is got ready while these are read.
    next: Option<Arc<Group>>,
}

/// What came of a step: contents in its order, without those that did not come.
#[derive(Debug, Default)]
pub(super) struct Plain {
    pub(super) contents: Vec<Option<Vec<u8>>>,
    /// How many bytes that takes of the slack, until it is dropped.
    over: u64,
    slack: Arc<AtomicU64>,
}

impl Served {
    pub(crate) fn new(server: Arc<dyn ContentServer>, sealing: Arc<Sealing>) -> Self {
        Self { server, sealing, slack: Arc::new(AtomicU64::new(SLACK)) }
    }

    pub(super) fn profile(&self) -> ReadProfile {
        ReadProfile::SERVER
    }

    /// Asks the server about a content.
    pub(super) fn locate(&self, content: &ContentId) -> Result<ContentLocation> {
        let described = self.server.describe(std::slice::from_ref(content)).pop();
        let described = described.ok_or(Error::ContentNotFound { content: *content })?;
        let described = described.map_err(|error| missing(content, error))?;
        Ok(ContentLocation { deleted: described.deleted, assumed: false, ..place(described.length) })
    }

    /// Takes a content to be there, with the length that is said, or a usual one.
    pub(super) fn assume(&self, length: Option<u64>) -> ContentLocation {
        place(length.unwrap_or(USUAL))
    }

    pub(super) fn origin(&self, content: Option<&ContentId>, location: &ContentLocation) -> Origin {
        let name = content.map_or_else(|| "server".into(), ToString::to_string);
        let blob = BlobId::new(&name).expect("an id is a name");
        Origin { blob, offset: 0, length: location.stored_length() }
    }

    /// Puts needs into the order in which contents are first needed, which is about that of their packs, and
    /// cuts them into steps.
    pub(super) fn schedule<L: Located>(&self, located: &mut [L]) -> Vec<ReadStep> {
        let mut order = HashMap::with_capacity(located.len());
        for need in &*located {
            let next = order.len();
            order.entry(need.content()).or_insert(next);
        }
        located.sort_unstable_by_key(|need| order[&need.content()]);
        let needs = same(located).map(|same| {
            let longest = same.iter().map(|need| need.location().plain_length()).max();
            (Expected { content: same[0].content(), length: longest.unwrap_or_default() }, same.len())
        });
        steps(needs.collect())
    }

    /// Reads the contents of a step.
    pub(super) fn read(&self, step: &ReadStep) -> Plain {
        let Some(Portion { group, range }) = &step.portion else { return Plain::default() };
        self.prepare(group);
        let wanted = &group.wanted[range.clone()];
        let slack = self.slack.clone();
        let mut plain = Plain { contents: vec![None; wanted.len()], over: 0, slack };
        let mut room = step.length() as u64;
        self.server.contents(wanted, &mut |number, read| match read {
            Ok(bytes) if plain.has_room(&mut room, bytes.len() as u64) => {
                plain.contents[number] = Some(bytes)
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "it is read by itself"),
        });
        plain
    }

    /// Has the server get a group ready, and then the one after it; only who comes first waits for that.
    fn prepare(&self, group: &Group) {
        let mut first = false;
        group.ready.get_or_init(|| {
            first = true;
            group.prepare(&*self.server);
        });
        if let Some(next) = group.next.as_ref().filter(|_| first) {
            next.ready.get_or_init(|| next.prepare(&*self.server));
        }
    }

    /// Reads one content.
    pub(super) fn read_one(&self, content: &ContentId, length: u64) -> Result<Vec<u8>> {
        let plain = self.server.content(content, length).map_err(|error| missing(content, error))?;
        match self.sealing.matches(content, &plain) {
            Some(false) => Err(self.flawed(content, &plain)),
            // A server that keeps the key to itself is believed.
            Some(true) | None => Ok(plain),
        }
    }

    /// Compares the contents of a step with their ids, and gives each to `visit`; what did not come is read
    /// by itself.
    pub(super) fn decode<L: Located>(
        &self,
        needs: &[L],
        plain: &[Option<Vec<u8>>],
        mut visit: impl FnMut(&[L], Result<&[u8]>),
    ) {
        let groups: Vec<&[L]> = same(needs).collect();
        let ids: Vec<ContentId> = groups.iter().map(|same| same[0].content()).collect();
        let came = |number: usize| plain.get(number).and_then(Option::as_deref);
        let named: Vec<(&ContentId, &[u8])> =
            ids.iter().enumerate().map(|(number, id)| (id, came(number).unwrap_or_default())).collect();
        // A server that keeps the key to itself is believed.
        let matches = self.sealing.match_all(&named);
        let is_wrong = |number: usize| matches.as_ref().is_some_and(|matches| !matches[number]);
        for (number, same) in groups.into_iter().enumerate() {
            match came(number) {
                Some(plain) if is_wrong(number) => visit(same, Err(self.flawed(&ids[number], plain))),
                Some(plain) => visit(same, Ok(plain)),
                None => match self.read_one(&ids[number], same[0].location().plain_length()) {
                    Ok(plain) => visit(same, Ok(&plain)),
                    Err(error) => visit(same, Err(error)),
                },
            }
        }
    }

    fn flawed(&self, content: &ContentId, plain: &[u8]) -> Error {
        let flaw = Flaw::Corrupt("the server gave bytes whose hash is not its id".into());
        flaw.of(content, || self.origin(Some(content), &place(plain.len() as u64)))
    }
}

impl Plain {
    /// Takes so many bytes of what was expected and, where that is not enough, of the slack.
    fn has_room(&mut self, room: &mut u64, bytes: u64) -> bool {
        let more = bytes.saturating_sub(*room);
        let left = |slack: u64| slack.checked_sub(more);
        if self.slack.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_err() {
            return false;
        }
        (self.over, *room) = (self.over + more, *room - (bytes - more));
        true
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.slack.fetch_add(self.over, Ordering::Relaxed);
    }
}

impl Group {
    fn prepare(&self, server: &dyn ContentServer) {
        // Directories and lists lie in packs of their own, which servers keep as a whole anyway.
        let files: Vec<ContentId> =
            self.wanted.iter().map(|wanted| wanted.content).filter(|id| id.prefix().is_none()).collect();
        if files.len() > 1 {
            server.prepare(&files, if files.len() < MANY { Extent::Contents } else { Extent::Packs });
        }
    }
}

/// Cuts contents, each with the number of needs for it, into groups and these into steps.
fn steps(needs: Vec<(Expected, usize)>) -> Vec<ReadStep> {
    let lengths =
        |needs: &[(Expected, usize)]| needs.iter().map(|(wanted, _)| wanted.length).collect::<Vec<_>>();
    let cut = cut(&lengths(&needs), GROUP, GROUP_BYTES);
    let (mut groups, mut next) = (Vec::new(), None);
    for range in cut.into_iter().rev() {
        let wanted = needs[range.clone()].iter().map(|(wanted, _)| *wanted).collect();
        let group = Arc::new(Group { wanted, ready: OnceLock::new(), next: next.take() });
        next = Some(group.clone());
        groups.push((range, group));
    }
    let (mut steps, mut served) = (Vec::new(), 0);
    for (all, group) in groups.into_iter().rev() {
        let needs = &needs[all];
        for range in self::cut(&lengths(needs), STEP, STEP_BYTES) {
            let (start, bytes) = (served, needs[range.clone()].iter().map(|(wanted, _)| wanted.length).sum());
            served += needs[range.clone()].iter().map(|(_, count)| count).sum::<usize>();
            let portion = Some(Portion { group: group.clone(), range });
            steps.push(ReadStep {
                pack: 0,
                bytes: 0..bytes,
                serves: start..served,
                follows: false,
                portion,
                is_huge: false,
            });
        }
    }
    steps
}

/// Cuts a row into parts of so many items and bytes at most; a larger item is a part by itself.
fn cut(lengths: &[u64], most: usize, most_bytes: u64) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0_u64);
    for (number, length) in lengths.iter().enumerate() {
        bytes = bytes.saturating_add(*length);
        if number > start && (number - start == most || bytes > most_bytes) {
            parts.push(start..number);
            (start, bytes) = (number, *length);
        }
    }
    if start < lengths.len() {
        parts.push(start..lengths.len());
    }
    parts
}

/// Cuts needs, those of one content side by side, by their contents.
fn same<L: Located>(needs: &[L]) -> impl Iterator<Item = &[L]> {
    needs.chunk_by(|a, b| a.content() == b.content())
}

/// Makes the place of a content that has about so many bytes.
fn place(length: u64) -> ContentLocation {
    let length = length.min(MAX_LENGTH as u64) as u32;
    ContentLocation {
        pack: 0,
        offset: 0,
        packed_length: length,
        original_length: length,
        compression: 0,
        deleted: false,
        assumed: true,
    }
}

/// Says that a server has no such content in the words that are said where an index has none.
fn missing(content: &ContentId, error: kopia_storage::Error) -> Error {
    match error {
        kopia_storage::Error::NoContent { .. } => Error::ContentNotFound { content: *content },
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(lengths: &[u64]) -> Vec<(Expected, usize)> {
        let content = |number: usize| ContentId::new(None, &(number as u128).to_be_bytes()).unwrap();
        lengths
            .iter()
            .enumerate()
            .map(|(number, &length)| (Expected { content: content(number), length }, 2))
            .collect()
    }

    #[test]
    fn steps_serve_each_need_once_and_stay_small() {
        let steps = steps(needs(&[100; 2500]));
        assert_eq!(steps.len(), 2 * 1000_usize.div_ceil(STEP) + 500_usize.div_ceil(STEP));
        let served: Vec<usize> = steps.iter().flat_map(|step| step.serves()).collect();
        assert_eq!(served, (0..5000).collect::<Vec<_>>());
        let group = |step: &ReadStep| step.portion.as_ref().unwrap().group.clone();
        let (first, last) = (group(&steps[0]), group(&steps[steps.len() - 1]));
        assert_eq!((first.wanted.len(), last.wanted.len()), (1000, 500));
        assert!(last.next.is_none() && first.next.as_ref().unwrap().next.as_ref().unwrap().next.is_none());
    }

    #[test]
    fn more_than_was_expected_is_held_by_all_steps_together() {
        let slack = Arc::new(AtomicU64::new(100));
        let plain = || Plain { contents: Vec::new(), over: 0, slack: slack.clone() };
        let (mut first, mut room) = (plain(), 10);
        assert!(first.has_room(&mut room, 4) && first.has_room(&mut room, 76));
        assert_eq!((room, first.over), (0, 70));
        let (mut second, mut room) = (plain(), 10);
        assert!(!second.has_room(&mut room, 41) && room == 10);
        assert!(second.has_room(&mut room, 40));
        drop(first);
        assert!(second.has_room(&mut room, 70));
        drop(second);
        assert_eq!(slack.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn large_contents_are_steps_of_their_own() {
        let steps = steps(needs(&[4 << 20, 1 << 20, 1 << 20, 1 << 20, 200 << 20]));
        let lengths: Vec<_> = steps.iter().map(|step| (step.length() >> 20, step.serves().len())).collect();
        assert_eq!(lengths, [(4, 2), (2, 4), (1, 2), (200, 2)]);
        assert!(self::steps(Vec::new()).is_empty());
    }
}
