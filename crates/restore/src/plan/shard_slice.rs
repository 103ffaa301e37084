//! What falls to one of several processes that restore together.
//!
//! It is decided by where entries and pieces lie in their directory, counted in bytes from a place that its
//! path gives, so nobody has to speak to anybody, and a directory that one of them cannot read changes
//! nothing about the others.

use kopia_repository::{Entry, Shard};

/// What an entry counts for besides its bytes: making a file costs about as much as writing so many.
const ENTRY: u64 = 4096;

/// How many bytes in a row fall to one shard at most, so that it reads long pieces.
const LONGEST: u64 = 8 << 20;

/// How many bytes in a row fall to one shard at least.
const SHORTEST: u64 = 4096;

/// How many turns a shard has, or more where the snapshot is large.
const TURNS: u64 = 16;

/// Decides what falls to a shard.
#[derive(Debug)]
pub(crate) struct Share {
    shard: Shard,
    /// How many bytes in a row fall to one.
    unit: u64,
    /// Bytes of the directory that were walked, entries included, and those that it began with.
    position: u64,
}

impl Share {
    pub(crate) fn new(shard: Shard, root: &Entry) -> Self {
        let bytes = root.summary().and_then(|summary| u64::try_from(summary.size).ok());
        let turns = TURNS * u64::from(shard.of());
        let unit = bytes.map_or(LONGEST, |bytes| (bytes / turns).clamp(SHORTEST, LONGEST));
        Self { shard, unit, position: 0 }
    }

    /// Begins with a directory. Where that is depends on its path alone: what another shard could or could
    /// not read of other directories must not matter, nor may the first entries of all directories fall to
    /// the same shard.
    pub(crate) fn begin(&mut self, directory: &str) {
        self.position = spread(directory) % self.unit.saturating_mul(self.shard.of().into());
    }

    /// Goes on to the next entry and returns where it begins.
    pub(crate) fn next(&mut self, size: u64) -> u64 {
        let start = self.position;
        self.position = start.saturating_add(ENTRY).saturating_add(size);
        start
    }

    /// Returns whether what begins somewhere falls to this shard.
    pub(crate) fn has(&self, position: u64) -> bool {
        (position / self.unit) % u64::from(self.shard.of()) == u64::from(self.shard.number())
    }
}

/// Returns a number that depends on a path, the same on every machine and in every build: FNV-1a, and the end
/// of MurmurHash3, as the first alone hardly tells paths apart that differ at their end.
fn spread(path: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_falls_to_one_shard() {
        let share = |number| Share { shard: Shard::new(number, 3).unwrap(), unit: 100, position: 0 };
        let mut shares = [share(0), share(1), share(2)];
        let last = (u64::MAX / 100 % 3) as usize;
        for (at, number) in
            [(0, 0), (99, 0), (100, 1), (250, 2), (299, 2), (300, 0), (12_345, 0), (u64::MAX, last)]
        {
            let has: Vec<_> = shares.iter().map(|share| share.has(at)).collect();
            assert_eq!(has, [0, 1, 2].map(|share| share == number), "{at}");
        }
        assert_eq!((shares[0].next(10), shares[0].next(u64::MAX)), (0, ENTRY + 10));
        assert_eq!(shares[0].next(1), u64::MAX);
    }

    #[test]
    fn a_directory_begins_where_its_path_says() {
        let share = |number| Share { shard: Shard::new(number, 4).unwrap(), unit: 1 << 20, position: 0 };
        let begins = |number: u32, walked: u64, path: &str| {
            let mut share = share(number);
            share.next(walked);
            share.begin(path);
            share.next(0)
        };
        assert_eq!((spread(""), spread("a")), (0xefd0_1f60_ba99_2926, 0x82a2_a958_a9be_ce5b));
        // As any build has it: shards have to agree.
        assert_eq!([begins(0, 0, ""), begins(0, 0, "a")], [0x19_2926, 0x3e_ce5b]);
        let mut counts = [0; 4];
        for number in 0..400 {
            let path = format!("a/d{number}");
            let begin = begins(0, 0, &path);
            assert_eq!(begins(3, 12_345_678, &path), begin);
            counts[(0..4).find(|number| share(*number).has(begin)).unwrap() as usize] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }
}
