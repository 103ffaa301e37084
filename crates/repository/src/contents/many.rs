//! Many contents at once, on all cores: sorted, neighbours read together, each decoded once.

use std::thread;

use kopia_format::ContentId;
use kopia_storage::ReadAhead;

use super::{ContentLocation, Contents, Decoder, Fetched, Located, ReadStep, Steps};
use crate::parallel::reads_at_once;
use crate::{Error, Result};

/// A content that is wanted, and what for.
#[derive(Debug)]
pub(crate) struct Wanted<T> {
    pub(crate) content: ContentId,
    pub(crate) location: ContentLocation,
    pub(crate) tag: T,
}

impl<T> Located for Wanted<T> {
    fn content(&self) -> ContentId {
        self.content
    }

    fn location(&self) -> ContentLocation {
        self.location
    }
}

/// Is told all needs of a content, and its bytes.
type VisitNeeds<'v, L> = dyn Fn(&[L], Result<&[u8]>) + Sync + 'v;

/// Is told a content's number and its bytes. A trait object, as all here: one copy of the code serves all who
/// read many contents.
pub(crate) type VisitContent<'v> = &'v (dyn Fn(usize, Result<&[u8], &Error>) + Sync);

/// Steps that do nothing but read.
struct Reads<'a>(&'a [ReadStep]);

impl Steps for Reads<'_> {
    fn reads(&self) -> &[ReadStep] {
        self.0
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn entries(&self, number: usize) -> usize {
        self.0[number].serves().len()
    }
}

impl Contents {
    /// Reads and decodes many contents, neighbours together, and gives each to `visit` with its number in
    /// `contents`; several threads do so at once, in no order.
    pub fn read_many(&self, contents: &[ContentId], visit: impl Fn(usize, Result<&[u8], &Error>) + Sync) {
        self.read_many_until(contents, &|| false, &visit);
    }

    /// As [`Self::read_many`], until `stop` says that no more is wanted: the rest is not read, nor visited.
    pub(crate) fn read_many_until(
        &self,
        contents: &[ContentId],
        stop: &(dyn Fn() -> bool + Sync),
        visit: VisitContent<'_>,
    ) {
        let mut wanted = Vec::with_capacity(contents.len());
        for (tag, &content) in contents.iter().enumerate() {
            match self.assume(&content, None) {
                Ok(location) => wanted.push(Wanted { content, location, tag }),
                Err(error) => visit(tag, Err(&error)),
            }
        }
        self.read_located_until(wanted, (0, false), stop, &|same: &[Wanted<usize>], plain: Result<&[u8]>| {
            same.iter().for_each(|one| visit(one.tag, plain.as_ref().copied()));
        });
    }

    /// Reads and decodes located contents, and gives each to `visit` with all needs for it; several threads
    /// do so at once, in no order. Reads may get `at_least` bytes long.
    pub(crate) fn read_located<L: Located + Sync>(
        &self,
        located: Vec<L>,
        at_least: u64,
        verify_hashes: bool,
        visit: &VisitNeeds<'_, L>,
    ) {
        self.read_located_until(located, (at_least, verify_hashes), &|| false, visit);
    }

    /// As [`Self::read_located`], until `stop` says that no more is wanted.
    fn read_located_until<L: Located + Sync>(
        &self,
        mut located: Vec<L>,
        (at_least, verify_hashes): (u64, bool),
        stop: &(dyn Fn() -> bool + Sync),
        visit: &VisitNeeds<'_, L>,
    ) {
        let steps = self.schedule(&mut located, at_least);
        let work = |decoder: &mut Decoder, step: &ReadStep, fetched: &Fetched| {
            decoder.set_verify_hashes(verify_hashes);
            self.decode(decoder, step, &located, fetched, &visit);
            decoder.set_verify_hashes(false);
        };
        if self.profile().ahead == ReadAhead::Threads && steps.len() > 1 {
            let longest = at_least.max(self.profile().merge_limit as u64);
            return self.fetch_each(&steps, longest * self.profile().parallel_reads as u64, stop, &work);
        }
        self.cores.for_each(self.profile(), &steps, |step| {
            if stop() {
                return;
            }
            self.with_decoder(|decoder| {
                let fetched = self.fetch(step, decoder.take_buffer());
                work(decoder, step, &fetched);
                decoder.give_buffer(fetched.into_buffer());
            });
        });
    }

    /// Fetches steps ahead of the threads that work on them, one for each core.
    fn fetch_each(
        &self,
        steps: &[ReadStep],
        budget: u64,
        stop: &(dyn Fn() -> bool + Sync),
        work: &(dyn Fn(&mut Decoder, &ReadStep, &Fetched) + Sync),
    ) {
        let fetcher = self.fetcher::<Reads<'_>>(budget);
        fetcher.push(Reads(steps));
        fetcher.close();
        let work_on = || {
            let _guard = fetcher.abort_on_panic();
            let mut buffer = Vec::new();
            while let Some(mut task) = fetcher.take() {
                if stop() {
                    return fetcher.abort();
                }
                let step = &steps[task.number];
                let ahead = task.fetched.take();
                let fetched = ahead.unwrap_or_else(|| self.fetch(step, std::mem::take(&mut buffer)));
                self.with_decoder(|decoder| work(decoder, step, &fetched));
                buffer = fetched.into_buffer();
                fetcher.done(&task, &mut buffer);
            }
        };
        let workers = self.cores.count().min(steps.len());
        thread::scope(|scope| {
            fetcher.start_some_readers(scope, reads_at_once(self.profile()).min(steps.len()));
            for _ in 1..workers {
                // Fewer threads do the same work, where their number is limited.
                if thread::Builder::new().spawn_scoped(scope, work_on).is_err() {
                    break;
                }
            }
            work_on();
        });
    }
}

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::RepositoryWriter;

    use super::*;
    use crate::testing::open;

    #[test]
    fn needs_that_wait_for_a_step_are_counted() {
        let mut writer = RepositoryWriter::new().pack_size(1);
        let [one, other] = [1, 2].map(|number: u8| writer.content(None, &[number; 100]));
        let repository = open(writer);
        let contents = repository.contents();
        let mut wanted = [one, other, one, one].map(|content| {
            let location = contents.locate(&content).unwrap();
            Wanted { content, location, tag: () }
        });
        let steps = contents.schedule(&mut wanted, 0);
        let reads = Reads(&steps);
        assert_eq!(reads.reads(), steps);
        let mut entries: Vec<_> = (0..reads.count()).map(|number| reads.entries(number)).collect();
        entries.sort_unstable();
        assert_eq!(entries, [1, 3]);
    }
}
