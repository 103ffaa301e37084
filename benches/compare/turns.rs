//! Whose turn it is where one set is restored in several ways: in each round every contestant of every column
//! once.
//!
//! Of the rounds the best one counts: whatever else runs on the machine makes a round slower, and never faster.

use kopia_rs_benches::operations::Counts;

use crate::Result;
use crate::figures::{Away, Column, Trouble};
use crate::sets::Set;
use crate::step::Taken;

/// Who took longer than this once has no second round, in seconds.
const LONG: f64 = 120.0;

/// One restore.
pub(crate) struct Turn<'a> {
    pub(crate) away: Away,
    pub(crate) contestant: &'a str,
    pub(crate) is_first: bool,
    /// What to call the folder of this restore.
    pub(crate) folder: String,
}

/// What a restore took, and what it asked a file system for.
pub(crate) type Ran = (Taken, Option<Counts>);

/// Returns in which order so many take their turns: each round begins with another one, and every other one goes
/// backwards, so that nobody always comes after the same one. What one leaves behind, as bytes that the system has
/// yet to write, costs the next one time.
pub(crate) fn order(round: usize, turns: usize) -> impl Iterator<Item = usize> {
    (0..turns).map(move |turn| {
        let step = if round.is_multiple_of(2) { turn } else { turns - turn };
        (round + step) % turns
    })
}

/// Has everybody restore once a round, and notes what that took.
pub(crate) fn take_turns(
    set: Set,
    rounds: usize,
    columns: &mut [Column],
    mut restore: impl FnMut(&Turn<'_>) -> Result<Ran>,
) {
    for round in 0..rounds {
        for column in &mut *columns {
            for number in order(round, column.rows.len()) {
                let row = &mut column.rows[number];
                let is_long = row.runs.first().is_some_and(|run| run.wall_s > LONG);
                if row.trouble.is_some() || is_long {
                    continue;
                }
                let away = column.away.label();
                let head = format!("{}, {away}, round {}: {}", set.name(), round + 1, row.label);
                let folder = format!("{}-{round}-{away}-{}", set.name(), row.contestant);
                let turn = Turn {
                    away: column.away,
                    contestant: &row.contestant,
                    is_first: round == 0,
                    folder: folder.replace([' ', ',', '/'], "-"),
                };
                match restore(&turn) {
                    Ok((taken, counts)) => {
                        eprintln!("{head}: {taken}");
                        row.runs.push(taken);
                        row.counts = counts.or(row.counts.take());
                    }
                    Err(error) => {
                        eprintln!("{head}: failed: {error}");
                        row.trouble = Some(Trouble::Failed(error.to_string()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Row;

    #[test]
    fn nobody_always_comes_after_the_same_one() {
        let rounds: Vec<Vec<usize>> = (0..4).map(|round| order(round, 3).collect()).collect();
        assert_eq!(rounds, [[0, 1, 2], [1, 0, 2], [2, 0, 1], [0, 2, 1]]);
        assert_eq!(order(5, 1).collect::<Vec<_>>(), [0]);
        assert_eq!(order(1, 0).count(), 0);
    }

    #[test]
    fn each_round_begins_with_another_one_and_spares_who_failed_or_takes_long() {
        let rows = ["a", "b", "c", "d"].map(|name| Row::new(name, name)).to_vec();
        let mut columns = [Column { set: "small".into(), files: 1, bytes: 1, away: Away::Local, rows }];
        let mut order = Vec::new();
        take_turns(Set::Small, 3, &mut columns, |turn| {
            order.push(format!("{}{}", turn.contestant, if turn.is_first { "!" } else { "" }));
            let wall_s = match turn.contestant {
                "c" => return Err("broken".into()),
                "d" => 1000.0,
                _ => 1.0,
            };
            let taken = Taken { wall_s, cpu_s: 1.0, peak_mib: None, traffic: None };
            Ok((taken, turn.is_first.then(Counts::default)))
        });
        assert_eq!(order, ["a!", "b!", "c!", "d!", "b", "a", "a", "b"]);
        let runs = columns[0].rows.iter().map(|row| row.runs.len()).collect::<Vec<_>>();
        assert_eq!(runs, [3, 3, 0, 1]);
        assert!(columns[0].rows[0].counts.is_some() && columns[0].rows[2].trouble.is_some());
    }
}
