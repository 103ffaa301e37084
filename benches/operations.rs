//! Requests to a file system: which kinds there are, and how many were made.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A kind of request to a file system, as Linux' FUSE names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum Operation {
    Lookup,
    Create,
    Mknod,
    Mkdir,
    Symlink,
    Link,
    Open,
    Read,
    Write,
    Setattr,
    Getattr,
    Readlink,
    Flush,
    Fsync,
    Rename,
    Unlink,
    Rmdir,
    Opendir,
    Readdir,
    Fsyncdir,
    Statfs,
    Release,
    Releasedir,
    Forget,
}

impl Operation {
    /// All kinds, in the order of tables.
    pub const ALL: [Self; 24] = [
        Self::Lookup,
        Self::Create,
        Self::Mknod,
        Self::Mkdir,
        Self::Symlink,
        Self::Link,
        Self::Open,
        Self::Read,
        Self::Write,
        Self::Setattr,
        Self::Getattr,
        Self::Readlink,
        Self::Flush,
        Self::Fsync,
        Self::Rename,
        Self::Unlink,
        Self::Rmdir,
        Self::Opendir,
        Self::Readdir,
        Self::Fsyncdir,
        Self::Statfs,
        Self::Release,
        Self::Releasedir,
        Self::Forget,
    ];

    /// Kinds that no client waits for, and that cost no round trip unless somebody says so.
    pub const UNWAITED: [Self; 3] = [Self::Release, Self::Releasedir, Self::Forget];

    /// Returns its name in capitals, as `LOOKUP`.
    pub fn name(self) -> String {
        format!("{self:?}").to_uppercase()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// How many requests of each kind were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests of each kind; kinds without any are left out.
    pub operations: BTreeMap<Operation, u64>,
    /// Requests that had to wait for a round trip.
    pub round_trips: u64,
    /// The most requests that waited for their round trips at the same time.
    pub most_at_once: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
}

impl Counts {
    /// Returns how many requests of one kind were made.
    pub fn of(&self, operation: Operation) -> u64 {
        self.operations.get(&operation).copied().unwrap_or_default()
    }

    /// Renders the counts as a Markdown table, with a column of requests a file if `files` is not 0.
    pub fn markdown(&self, files: u64) -> String {
        let mut text = String::new();
        let a_file = |count: u64| {
            if files == 0 { String::new() } else { format!(" {:.2} |", count as f64 / files as f64) }
        };
        let (head, rule) = if files == 0 { ("", "") } else { (" a file |", "---|") };
        let mut line =
            |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
        line(format_args!("| operation | count |{head}"));
        line(format_args!("|---|---|{rule}"));
        for (operation, &count) in &self.operations {
            line(format_args!("| {} | {count} |{}", operation.name(), a_file(count)));
        }
        line(format_args!("| round trips | {} |{}", self.round_trips, a_file(self.round_trips)));
        text
    }
}

/// Counts requests while they are made, from any number of threads.
#[derive(Debug, Default)]
pub struct Counters {
    operations: [AtomicU64; Operation::ALL.len()],
    round_trips: AtomicU64,
    waiting: AtomicU64,
    most_at_once: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Counters {
    /// Counts a request.
    pub fn count(&self, operation: Operation) {
        self.add(operation, 1);
    }

    /// Counts several requests of a kind.
    pub fn add(&self, operation: Operation, number: u64) {
        self.operations[operation as usize].fetch_add(number, Ordering::Relaxed);
    }

    /// Counts a round trip that begins.
    pub fn depart(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(waiting, Ordering::Relaxed);
    }

    /// Notes that a round trip is over.
    pub fn arrive(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts bytes that were read.
    pub fn read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes that were written.
    pub fn written(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns what was counted so far.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let operations = Operation::ALL.into_iter().map(|kind| (kind, of(&self.operations[kind as usize])));
        Counts {
            operations: operations.filter(|(_, count)| *count > 0).collect(),
            round_trips: of(&self.round_trips),
            most_at_once: of(&self.most_at_once),
            bytes_read: of(&self.bytes_read),
            bytes_written: of(&self.bytes_written),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_all_listed_in_their_order() {
        for (number, kind) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        assert_eq!(Operation::ALL.len(), Operation::value_variants().len());
        assert_eq!(Operation::Readdir.name(), "READDIR");
    }

    #[test]
    fn requests_are_counted_and_those_that_wait_together() {
        let counters = Counters::default();
        for kind in [Operation::Create, Operation::Write, Operation::Write] {
            counters.count(kind);
            counters.depart();
        }
        counters.arrive();
        counters.depart();
        counters.count(Operation::Release);
        counters.add(Operation::Forget, 3);
        counters.written(10);
        let counts = counters.counts();
        assert_eq!((counts.of(Operation::Write), counts.of(Operation::Forget)), (2, 3));
        assert_eq!((counts.of(Operation::Read), counts.operations.len()), (0, 4));
        assert_eq!((counts.round_trips, counts.most_at_once), (4, 3));
        assert_eq!((counts.bytes_read, counts.bytes_written), (0, 10));
        let json = serde_json::to_string(&counts).unwrap();
        assert!(json.contains("\"write\":2"), "{json}");
        assert_eq!(serde_json::from_str::<Counts>(&json).unwrap(), counts);
    }

    #[test]
    fn tables_have_a_column_for_each_file_where_files_are_known() {
        let operations = BTreeMap::from([(Operation::Create, 4), (Operation::Lookup, 6)]);
        let counts = Counts { operations, round_trips: 10, ..Counts::default() };
        let expected = "\
| operation | count | a file |
|---|---|---|
| LOOKUP | 6 | 1.50 |
| CREATE | 4 | 1.00 |
| round trips | 10 | 2.50 |
";
        assert_eq!(counts.markdown(4), expected);
        assert!(counts.markdown(0).starts_with("| operation | count |\n|---|---|\n| LOOKUP | 6 |\n"));
    }
}
