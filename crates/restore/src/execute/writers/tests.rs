use kopia_repository::Trail;
use kopia_repository::object::Extent;

use super::*;
use crate::decide::existing::Candidates;
use crate::destination::leftover::Leftover;
use crate::destination::metadata::Attributes;
use crate::plan::items::{Check, SmallEntry};

const MIB: u64 = 1 << 20;

/// Files of these sizes that may be there already, and the root that they lie in.
fn checks(sizes: &[u64]) -> Arc<Batch> {
    let directory = Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing);
    let content = "00112233445566770011223344556677";
    let check = |&size: &u64| {
        let entry = SmallEntry {
            directory: directory.clone(),
            name: b"file".as_slice().into(),
            attributes: Attributes::default(),
            size,
            symlink: false,
            object: content.parse().unwrap(),
            frees: None,
            discard: false,
        };
        let content = content.parse().unwrap();
        let extent = Some(Extent { start: 0, length: None, content, compressed: false });
        Check { item: Item::Small(entry), extent, found: Candidates::default() }
    };
    let mut batch = Batch::default();
    batch.checks.extend(sizes.iter().map(check));
    Arc::new(batch)
}

#[test]
fn what_is_read_to_be_compared_takes_room_until_it_is_done() {
    let writers = Writers::new(4, Some(4));
    let batch = checks(&[20 * MIB, 20 * MIB, 33 * MIB, u64::MAX]);
    let offer = |number| {
        let step = Arc::new(StepDone(Arc::default()));
        writers.offer(Task { batch: batch.clone(), work: Work::Check(number), _step: step }, || true)
    };
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
