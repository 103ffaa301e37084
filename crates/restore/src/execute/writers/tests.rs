use std::cell::Cell;

use kopia_repository::Trail;
use kopia_repository::object::Extent;
use kopia_testkit::writer::RepositoryWriter;

use super::*;
use crate::decide::existing::Candidates;
use crate::destination::leftover::Leftover;
use crate::destination::metadata::Attributes;
use crate::plan::items::{Check, SmallEntry};
use crate::testing::opened;

const MIB: u64 = 1 << 20;

fn root() -> Arc<Directory> {
    Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing)
}

/// A file of a size.
fn file(directory: &Arc<Directory>, size: u64) -> Item {
    Item::Small(SmallEntry {
        directory: directory.clone(),
        name: b"file".as_slice().into(),
        attributes: Attributes::default(),
        size,
        symlink: false,
        object: "00112233445566770011223344556677".parse().unwrap(),
        frees: None,
        discard: false,
    })
}

/// Files of these sizes that may be there already, in these directories.
fn checks_in(files: &[(&Arc<Directory>, u64)]) -> Arc<Batch> {
    let content = "00112233445566770011223344556677".parse().unwrap();
    let check = |&(directory, size): &(&Arc<Directory>, u64)| {
        let extent = Some(Extent { start: 0, length: None, content, compressed: false });
        Check { item: file(directory, size), extent, found: Candidates::default() }
    };
    let mut batch = Batch::default();
    batch.checks.extend(files.iter().map(check));
    Arc::new(batch)
}

/// As [`checks_in`], all in one directory.
fn checks(sizes: &[u64]) -> Arc<Batch> {
    let directory = root();
    checks_in(&sizes.iter().map(|size| (&directory, *size)).collect::<Vec<_>>())
}

fn task(batch: &Arc<Batch>, work: Work) -> Task {
    Task { batch: batch.clone(), work, _step: Arc::new(StepDone(Arc::default())) }
}

#[test]
fn what_is_read_to_be_compared_takes_room_until_it_is_done() {
    let writers = Writers::new(4, Some(4));
    let batch = checks(&[20 * MIB, 20 * MIB, 33 * MIB, u64::MAX]);
    let offer = |number| writers.offer(task(&batch, Work::Check(number)), || true);
    assert!(offer(0).is_none() && offer(1).is_some(), "both would be 40 MiB");
    let (lane, task) = writers.take(None).unwrap();
    assert!(offer(1).is_some(), "the first is being read");
    let done = Done::new(lane, &task, 0.0);
    drop(task);
    assert!(writers.take(Some(done)).is_none(), "nobody decodes, nothing waits");
    assert!(offer(1).is_none());
    // Those who decode do what is too large for writers, however little there is besides.
    let (lane, task) = writers.take(None).unwrap();
    assert!(writers.take(Some(Done::new(lane, &task, 0.0))).is_none());
    assert!([2, 3].into_iter().all(|number| offer(number).is_some()));
}

#[test]
fn what_waits_to_be_written_takes_room() {
    let mut writer = RepositoryWriter::new();
    writer.file(b"hello");
    let mut contents = Vec::new();
    opened(writer).contents().for_each(|content, location| contents.push((content, location)));
    let (content, location) = contents[0];
    let mut batch = Batch::default();
    let extent = Extent { start: 0, length: None, content, compressed: false };
    batch.add(file(&root(), 0), location, &extent);
    let (batch, bytes) = (Arc::new(batch), Arc::<[u8]>::from(vec![0; 20 << 20]));
    let writers = Writers::new(4, Some(4));
    let offer = || writers.offer(task(&batch, Work::Content(batch.needs[0], bytes.clone())), || true);
    assert!(offer().is_none() && offer().is_some(), "both are 40 MiB");
}

#[test]
fn writers_spread_over_directories() {
    let [first, second] = [root(), root()];
    let batch = checks_in(&[(&first, 1), (&first, 1), (&second, 1)]);
    let writers = Writers::new(4, Some(4));
    for number in 0..3 {
        assert!(writers.offer(task(&batch, Work::Check(number)), || true).is_none());
    }
    let taken = [(); 3].map(|()| match writers.take(None).unwrap().1.work {
        Work::Check(number) => number,
        Work::Content(..) | Work::Chore(_) => panic!("there are only checks"),
    });
    assert_eq!(taken, [0, 2, 1]);
}

#[test]
fn as_many_write_as_may_and_threads_are_started_for_no_more() {
    let writers = Writers::new(4, Some(2));
    let (batch, started) = (checks(&[1; 3]), Cell::new(0));
    for number in 0..3 {
        let start = || {
            started.set(started.get() + 1);
            true
        };
        assert!(writers.offer(task(&batch, Work::Check(number)), start).is_none());
    }
    assert_eq!(started.get(), 2);
    let (lane, first) = writers.take(None).unwrap();
    assert!(writers.lock().may_write());
    writers.take(None).unwrap();
    assert!(!writers.lock().may_write());
    writers.take(Some(Done::new(lane, &first, 0.0))).unwrap();
    assert!(!writers.lock().may_write(), "it has taken the next");
}

#[test]
fn nothing_is_queued_where_they_are_off_or_the_restore_ends() {
    assert!(!Writers::new(4, None).have_room(0));
    let writers = Writers::new(4, Some(4));
    assert!(writers.have_room(0));
    writers.abort();
    assert!(!writers.have_room(0));
}

#[test]
fn they_are_on_where_some_are_wanted_and_there_may_be_some() {
    for (fixed, are_on) in [(None, false), (Some(0), false), (Some(1), true)] {
        assert_eq!(Writers::new(4, fixed).are_on(), are_on, "{fixed:?}");
    }
    for (most, are_on) in [(0, false), (4, true)] {
        let writers = Writers::new(most, None);
        writers.wanted(100.0);
        assert_eq!(writers.are_on(), are_on, "{most}");
    }
}

#[test]
fn what_is_written_and_what_finds_no_room_is_measured() {
    let writers = Writers::new(4, Some(4));
    let batch = checks(&[20 * MIB; 2]);
    let offer = |number| writers.offer(task(&batch, Work::Check(number)), || true);
    assert!(offer(0).is_none() && !writers.lock().ramp.was_full);
    assert!(offer(1).is_some() && writers.lock().ramp.was_full);
    let written = || {
        writers.wrote(1.0);
        let state = writers.lock();
        (state.ramp.writes, state.ramp.was_busy)
    };
    assert_eq!(written(), (1, true), "something waits");
    let _taken = writers.take(None).unwrap();
    assert_eq!(written(), (2, false));
}

#[test]
fn a_write_counts_for_a_request_and_for_its_bytes() {
    assert_eq!([0, 128 << 10, 512 << 10].map(units), [1.0, 2.0, 5.0]);
    let batch = checks(&[MIB]);
    // What is compared is not written; what was written for others is.
    assert_eq!(Done::new(0, &task(&batch, Work::Check(0)), 3.0).units, 4.0);
}
