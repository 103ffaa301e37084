//! What was measured: the one source of table, chart and JSON.

use clap::ValueEnum;
use kopia_rs_benches::operations::Counts;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::step::{Taken, Traffic};

/// All figures of a comparison.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Year, month and day, in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    /// Names and versions of the tools.
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) rounds: usize,
    /// Of the usual size of the sets, in percent.
    pub(crate) scale: f64,
    pub(crate) sets: Vec<SetFigures>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<NetworkFigures>,
    /// Of restores to and from a slow file system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) latency: Vec<Column>,
    /// Of restores to disks that are new, and that have aged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) disks: Vec<Column>,
    /// What files cost in requests to a file system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) operations: Vec<Column>,
    /// Of restores in shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shards: Option<ShardsFigures>,
}

/// Figures of one set that is restored in shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardsFigures {
    pub(crate) set: String,
    pub(crate) files: u64,
    /// Of all files.
    pub(crate) bytes: u64,
    /// A line, of which each shard has one.
    pub(crate) line: Away,
    /// The round trip of the file system that is restored into, in microseconds; none if it is the local disk.
    pub(crate) target: Option<u64>,
    pub(crate) runs: Vec<ShardsRun>,
}

/// A restore in so many shards. Times are wall seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardsRun {
    pub(crate) shards: u32,
    /// Until the first shard was through.
    pub(crate) first_s: f64,
    /// Until the last one was.
    pub(crate) last_s: f64,
    /// What came after that: attributes, and making it visible.
    pub(crate) finish_s: f64,
    /// Until the last one was, where one was killed half way and started again.
    pub(crate) lost_s: Option<f64>,
    /// Processor seconds of all.
    pub(crate) cpu_s: f64,
    pub(crate) traffic: Traffic,
}

impl ShardsRun {
    /// Returns how long all of it took.
    pub(crate) fn all_s(&self) -> f64 {
        self.last_s + self.finish_s
    }
}

/// Figures of restores over a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkFigures {
    /// What is at the other end.
    pub(crate) server: String,
    pub(crate) columns: Vec<Column>,
}

/// What was measured of one set at one distance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) set: String,
    pub(crate) files: u64,
    /// Of all files.
    pub(crate) bytes: u64,
    pub(crate) away: Away,
    pub(crate) rows: Vec<Row>,
}

/// How far away a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Away {
    /// On the local disk, without a server.
    Local,
    /// Behind a line with this round trip.
    Line {
        /// A round trip, in milliseconds.
        trip: u64,
        /// Mbit a second, unless there is no limit.
        link: Option<u64>,
        /// Whether each connection begins slowly.
        slow_start: bool,
    },
    /// On the local disk, but what is restored goes to a file system with this round trip.
    Target {
        /// In microseconds.
        trip: u64,
    },
    /// On a file system with this round trip.
    Source {
        /// In microseconds.
        trip: u64,
    },
    /// On the local disk, but what is restored goes to this one.
    Disk(Disk),
}

/// What a disk has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Disk {
    /// Nothing.
    Fresh,
    /// Years of files that were created and deleted: it is 60 % full, and what is free lies scattered.
    Aged,
}

impl Away {
    /// Returns what a column is called.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Local => "local disk".into(),
            Self::Line { trip, link, slow_start } => {
                let link = match link {
                    Some(link) if link % 1000 == 0 => format!(", {} Gbit/s", link / 1000),
                    Some(link) => format!(", {link} Mbit/s"),
                    None => String::new(),
                };
                format!("{trip} ms{link}{}", if slow_start { ", slow start" } else { "" })
            }
            Self::Target { trip } => format!("target {} ms", trip as f64 / 1000.0),
            Self::Source { trip } => format!("source {} ms", trip as f64 / 1000.0),
            Self::Disk(Disk::Fresh) => "new ext4".into(),
            Self::Disk(Disk::Aged) => "aged ext4, 60 % full".into(),
        }
    }
}

impl NetworkFigures {
    /// Starts without columns.
    pub(crate) fn new() -> Self {
        Self { server: crate::network::server_name(), columns: Vec::new() }
    }

    /// Adds a column; its rows replace earlier ones of the same set and distance.
    pub(crate) fn put(&mut self, column: Column) {
        column.put_into(&mut self.columns);
    }
}

impl Column {
    /// Adds it to others; its rows replace earlier ones of the same set and distance.
    pub(crate) fn put_into(self, columns: &mut Vec<Self>) {
        let is_same = |old: &&mut Self| {
            (&old.set, old.away, old.files, old.bytes) == (&self.set, self.away, self.files, self.bytes)
        };
        let Some(old) = columns.iter_mut().find(is_same) else {
            columns.retain(|old| old.set != self.set || old.away != self.away);
            columns.push(self);
            return;
        };
        for row in self.rows {
            match old.rows.iter_mut().find(|old| old.contestant == row.contestant) {
                Some(old) => *old = row,
                None => old.rows.push(row),
            }
        }
    }

    pub(crate) fn row(&self, contestant: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.contestant == contestant)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SetFigures {
    pub(crate) name: String,
    pub(crate) files: u64,
    /// Of all files.
    pub(crate) bytes: u64,
    pub(crate) rows: Vec<Row>,
}

/// One contestant's figures of one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) contestant: String,
    pub(crate) label: String,
    /// Of each round.
    pub(crate) runs: Vec<Taken>,
    pub(crate) trouble: Option<Trouble>,
    /// Requests of the last round to the file system that is measured, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<Counts>,
}

/// Why a contestant has no figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Trouble {
    /// It ended with an error.
    Failed(String),
    /// The restored tree is not the one that was backed up.
    Incomplete(String),
}

impl Row {
    pub(crate) fn new(contestant: &str, label: &str) -> Self {
        let (contestant, label) = (contestant.into(), label.into());
        Self { contestant, label, runs: Vec::new(), trouble: None, counts: None }
    }

    /// Returns the median of each figure, unless there was trouble.
    pub(crate) fn median(&self) -> Option<Taken> {
        if self.trouble.is_some() || self.runs.is_empty() {
            return None;
        }
        let of = |figure: fn(&Taken) -> f64| median(self.runs.iter().map(figure).collect());
        let peaks: Vec<f64> = self.runs.iter().filter_map(|run| run.peak_mib).collect();
        Some(Taken {
            wall_s: of(|run| run.wall_s),
            cpu_s: of(|run| run.cpu_s),
            peak_mib: (!peaks.is_empty()).then(|| median(peaks)),
            traffic: None,
        })
    }

    /// Returns the fastest round with the highest peak of all, unless there was trouble.
    pub(crate) fn best(&self) -> Option<Taken> {
        let best = self.runs.iter().min_by(|a, b| a.wall_s.total_cmp(&b.wall_s));
        let best = *best.filter(|_| self.trouble.is_none())?;
        let peak_mib = self.runs.iter().filter_map(|run| run.peak_mib).reduce(f64::max);
        Some(Taken { peak_mib, ..best })
    }
}

impl SetFigures {
    /// Returns the wall seconds of kopia-rs, which others are compared with.
    pub(crate) fn reference(&self) -> Option<f64> {
        self.row("kopia-rs").and_then(Row::median).map(|taken| taken.wall_s)
    }

    pub(crate) fn row(&self, contestant: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.contestant == contestant)
    }
}

impl Figures {
    /// Begins with the sets of earlier figures.
    ///
    /// # Errors
    /// If both do not belong together.
    pub(crate) fn take_up(&mut self, earlier: Self) -> crate::Result<()> {
        // Not all need take part each time.
        let versions = |(tool, version): &(String, String)| {
            earlier.versions.iter().all(|(other, earlier)| other != tool || earlier == version)
        };
        // Over a line each row knows how many rounds it had.
        let rounds = self.rounds == earlier.rounds || earlier.sets.is_empty();
        let alike = self.machine == earlier.machine
            && self.versions.iter().all(versions)
            && rounds
            && self.scale.total_cmp(&earlier.scale).is_eq();
        if !alike {
            return Err("the earlier figures are of another machine, other versions, rounds or sizes".into());
        }
        for version in earlier.versions {
            if !self.versions.contains(&version) {
                self.versions.push(version);
            }
        }
        self.sets = earlier.sets;
        self.network = earlier.network;
        self.latency = earlier.latency;
        self.disks = earlier.disks;
        self.operations = earlier.operations;
        self.shards = earlier.shards;
        Ok(())
    }

    /// Adds a set, in place of an earlier one of its name.
    pub(crate) fn put(&mut self, set: SetFigures) {
        match self.sets.iter_mut().find(|old| old.name == set.name) {
            Some(old) => *old = set,
            None => self.sets.push(set),
        }
    }

    /// Returns names and labels of all contestants, in their order.
    pub(crate) fn contestants(&self) -> Vec<(&str, &str)> {
        let mut contestants = Vec::new();
        for row in self.sets.iter().flat_map(|set| &set.rows) {
            let contestant = (&*row.contestant, &*row.label);
            if !contestants.contains(&contestant) {
                contestants.push(contestant);
            }
        }
        contestants
    }
}

/// The middle one, or the mean of the two in the middle. There must be one at least.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        0 => f64::midpoint(numbers[middle - 1], numbers[middle]),
        _ => numbers[middle],
    }
}

/// Figures that were never measured, for the tests of table and chart.
#[cfg(test)]
pub(crate) fn made_up() -> Figures {
    let row = |contestant: &str, walls: &[f64], trouble| Row {
        contestant: contestant.into(),
        label: format!("{contestant} & co"),
        runs: walls
            .iter()
            .map(|&wall_s| Taken {
                wall_s,
                cpu_s: 2.0 * wall_s,
                peak_mib: (contestant != "floor").then_some(99.6),
                traffic: None,
            })
            .collect(),
        trouble,
        counts: None,
    };
    let failed = Some(Trouble::Failed("exit status 1".into()));
    let incomplete = Some(Trouble::Incomplete("a is missing".into()));
    Figures {
        date: "2001-02-03".into(),
        machine: Machine {
            processor: "An <imaginary> processor".into(),
            cores: 2,
            memory_gib: 24,
            kernel: "1.2.3".into(),
            file_system: "ext4".into(),
        },
        versions: vec![("kopia-rs".into(), "0.1.0".into()), ("kopia".into(), "0.23.1".into())],
        rounds: 3,
        scale: 100.0,
        sets: vec![
            SetFigures {
                name: "small".into(),
                files: 100_000,
                bytes: 492_000_000,
                rows: vec![
                    row("kopia-rs", &[2.0, 1.5, 1.0], None),
                    row("floor", &[1.0], None),
                    row("kopia-cold", &[30.0, 33.0], None),
                    row("vykar", &[], failed),
                ],
            },
            SetFigures {
                name: "huge".into(),
                files: 1,
                bytes: 3 << 30,
                rows: vec![
                    row("kopia-rs", &[12.34], None),
                    row("kopia-cold", &[0.5], incomplete),
                    row("cp", &[7.0], None),
                ],
            },
        ],
        network: None,
        latency: Vec::new(),
        disks: Vec::new(),
        operations: Vec::new(),
        shards: None,
    }
}

/// Figures of a line that was never measured.
#[cfg(test)]
pub(crate) fn made_up_network() -> NetworkFigures {
    use crate::step::Traffic;
    let row = |contestant: &str, walls: &[f64], requests: u64| Row {
        contestant: contestant.into(),
        label: format!("{contestant} & co"),
        runs: walls
            .iter()
            .map(|&wall_s| Taken {
                wall_s,
                cpu_s: 1.0,
                peak_mib: Some(30.0 + wall_s),
                traffic: (requests > 0).then_some(Traffic { requests, bytes: 250_000_000 }),
            })
            .collect(),
        trouble: None,
        counts: None,
    };
    let column = |away, rows| Column { set: "mixed".into(), files: 20_001, bytes: 622_000_000, away, rows };
    NetworkFigures {
        server: "minio 1".into(),
        columns: vec![
            column(Away::Local, vec![row("kopia-rs", &[1.5], 0)]),
            column(
                Away::Line { trip: 50, link: Some(1000), slow_start: true },
                vec![row("kopia-rs", &[5.0, 2.5], 140), row("kopia-cold", &[100.0], 20_110)],
            ),
        ],
    }
}

/// Figures of slow file systems that were never measured.
#[cfg(test)]
pub(crate) fn made_up_latency() -> Vec<Column> {
    use kopia_rs_benches::operations::Operation;
    let row = |contestant: &str, wall_s: f64, lookups: u64, statfs: u64| {
        let mut row = Row::new(contestant, &format!("{contestant} & co"));
        row.runs = vec![Taken { wall_s, cpu_s: 1.0, peak_mib: Some(30.0), traffic: None }];
        let operations = [
            (Operation::Lookup, lookups),
            (Operation::Create, 100),
            (Operation::Statfs, statfs),
            (Operation::Release, 100),
        ];
        row.counts = Some(Counts { operations: operations.into(), most_at_once: 32, ..Counts::default() });
        row
    };
    let column = |away, rows| Column { set: "latency".into(), files: 100, bytes: 5_000_000, away, rows };
    vec![
        column(Away::Target { trip: 500 }, vec![row("kopia-rs", 1.5, 75, 2), row("cp", 6.0, 200, 0)]),
        column(Away::Target { trip: 2000 }, vec![row("kopia-rs", 4.0, 75, 2), row("cp", 40.0, 200, 0)]),
        column(Away::Source { trip: 2000 }, vec![row("kopia-rs", 2.0, 75, 2)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![3.0, 1.0]), 2.0);
        let figures = made_up();
        let small = &figures.sets[0];
        assert_eq!(small.reference(), Some(1.5));
        assert_eq!(small.row("kopia-cold").and_then(Row::median).unwrap().wall_s, 31.5);
        assert_eq!(small.row("floor").and_then(Row::median).unwrap().peak_mib, None);
        assert_eq!(figures.sets[1].row("kopia-cold").and_then(Row::median), None);
    }

    #[test]
    fn sets_measured_anew_replace_earlier_ones() {
        let mut figures = Figures { sets: Vec::new(), ..made_up() };
        figures.take_up(made_up()).unwrap();
        figures.put(SetFigures { name: "huge".into(), files: 2, bytes: 0, rows: Vec::new() });
        figures.put(SetFigures { name: "real".into(), files: 3, bytes: 0, rows: Vec::new() });
        let sets: Vec<_> = figures.sets.iter().map(|set| (&*set.name, set.files)).collect();
        assert_eq!(sets, [("small", 100_000), ("huge", 2), ("real", 3)]);
        for column in made_up_latency() {
            column.put_into(&mut figures.latency);
        }
        let mut again = made_up_latency().remove(1);
        again.rows = vec![Row::new("kopia-rs", "new"), Row::new("tar", "tar")];
        again.put_into(&mut figures.latency);
        let labels = |column: &Column| column.rows.iter().map(|row| row.label.clone()).collect::<Vec<_>>();
        assert_eq!(labels(&figures.latency[1]), ["new", "cp & co", "tar"]);
        // Another tree has nothing in common with the earlier one.
        Column { files: 1, ..made_up_latency().remove(1) }.put_into(&mut figures.latency);
        assert_eq!(figures.latency.len(), 3);
        assert_eq!(labels(&figures.latency[2]), ["kopia-rs & co", "cp & co"]);
        assert!(figures.take_up(Figures { rounds: 9, ..made_up() }).is_err());
        let versions = |kopia: &str| vec![("kopia".into(), kopia.into()), ("cp".into(), "9".into())];
        assert!(figures.take_up(Figures { versions: versions("0.22"), ..made_up() }).is_err());
        figures.take_up(Figures { versions: versions("0.23.1"), ..made_up() }).unwrap();
        assert_eq!(figures.versions.len(), 3, "whoever took part before stays");
    }

    #[test]
    fn contestants_keep_their_order() {
        let figures = made_up();
        let names: Vec<_> = figures.contestants().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["kopia-rs", "floor", "kopia-cold", "vykar", "cp"]);
    }
}
