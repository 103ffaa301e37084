//! What was measured: the one source of table, chart and JSON.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::step::Taken;

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
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) contestant: String,
    pub(crate) label: String,
    /// Of each round.
    pub(crate) runs: Vec<Taken>,
    pub(crate) trouble: Option<Trouble>,
}

/// Why a contestant has no figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Trouble {
    /// It ended with an error.
    Failed(String),
    /// The restored tree is not the one that was backed up.
    Incomplete(String),
}

impl Row {
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
        })
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
        let alike = self.machine == earlier.machine
            && self.versions == earlier.versions
            && self.rounds == earlier.rounds
            && self.scale.total_cmp(&earlier.scale).is_eq();
        if !alike {
            return Err("the earlier figures are of another machine, other versions, rounds or sizes".into());
        }
        self.sets = earlier.sets;
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
            })
            .collect(),
        trouble,
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
    }
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
        assert!(figures.take_up(Figures { rounds: 9, ..made_up() }).is_err());
    }

    #[test]
    fn contestants_keep_their_order() {
        let figures = made_up();
        let names: Vec<_> = figures.contestants().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["kopia-rs", "floor", "kopia-cold", "vykar", "cp"]);
    }
}
