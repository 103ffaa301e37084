//! The table of restores in shards.

use std::fmt::Write;

use super::{contents, size, thousands};
use crate::figures::{Away, Figures, ShardsFigures};

/// Writes figures of shards as Markdown: a row for each number of them.
pub(crate) fn shards(figures: &Figures, shards: &ShardsFigures) -> String {
    let ShardsFigures { set, files, bytes, line, target, runs } = shards;
    let Figures { date, machine, rounds, .. } = figures;
    let mut text = String::new();
    let mut add =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
    add(format_args!(
        "| shards | all, s | × one | first shard, s | last shard, s | finish, s | one lost, s more | CPU s | requests | bytes |"
    ));
    add(format_args!("|{}", "---|".repeat(10)));
    let one = runs.iter().find(|run| run.shards == 1).map(|run| run.all_s());
    for run in runs {
        let gain = one.map_or("–".into(), |one| format!("{:.1}", one / run.all_s()));
        let lost = run.lost_s.map_or("–".into(), |lost| format!("{:.1}", (lost - run.last_s).max(0.0)));
        add(format_args!(
            "| {} | {:.1} | {gain} | {:.1} | {:.1} | {:.1} | {lost} | {:.1} | {} | {} |",
            run.shards,
            run.all_s(),
            run.first_s,
            run.last_s,
            run.finish_s,
            run.cpu_s,
            thousands(run.traffic.requests),
            size(run.traffic.bytes),
        ));
    }
    let target = target.map_or("the local disk".into(), |trip| Away::Target { trip }.label());
    add(format_args!(
        "\n{date}; {}: {}; {} for each shard, {target}; {} cores for all of them, server and lines; the best of {rounds} {}.",
        set,
        contents(*files, *bytes),
        line.label(),
        machine.cores,
        if *rounds == 1 { "round" } else { "rounds" },
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{ShardsRun, made_up};
    use crate::step::Traffic;

    #[test]
    fn figures_of_shards_become_a_table() {
        let traffic = Traffic { requests: 1200, bytes: 5_000_000 };
        let one = ShardsRun {
            shards: 1,
            first_s: 8.0,
            last_s: 8.0,
            finish_s: 0.0,
            lost_s: Some(12.0),
            cpu_s: 2.0,
            traffic,
        };
        let four = ShardsRun {
            shards: 4,
            first_s: 1.5,
            last_s: 2.5,
            finish_s: 0.7,
            lost_s: None,
            cpu_s: 2.25,
            traffic,
        };
        let line = Away::Line { trip: 20, link: Some(100), slow_start: false };
        let (set, runs) = ("mixed".into(), vec![one, four]);
        let figures = ShardsFigures { set, files: 100, bytes: 5_000_000, line, target: Some(2000), runs };
        let expected = "\
| shards | all, s | × one | first shard, s | last shard, s | finish, s | one lost, s more | CPU s | requests | bytes |
|---|---|---|---|---|---|---|---|---|---|
| 1 | 8.0 | 1.0 | 8.0 | 8.0 | 0.0 | 4.0 | 2.0 | 1,200 | 5 MB |
| 4 | 3.2 | 2.5 | 1.5 | 2.5 | 0.7 | – | 2.2 | 1,200 | 5 MB |

2001-02-03; mixed: 100 files, 5 MB; 20 ms, 100 Mbit/s for each shard, target 2 ms; 2 cores for all of them, server \
and lines; the best of 3 rounds.
";
        assert_eq!(shards(&made_up(), &figures), expected);
    }
}
