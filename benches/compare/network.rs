//! Restores over a line: the same repositories behind one S3 server, as far away as is asked for.
//!
//! The server is on this machine: MinIO where it is on PATH, else one of our own. Between it and a contestant
//! lies a [`Line`], which delays, is no wider than its link, and counts requests and bytes. Contestants take
//! turns as they do locally. Of the rounds the best one counts: whatever else runs on the machine makes a
//! round slower, and never faster.

mod bucket;
mod line;
mod minio;
mod rivals;
mod server;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::args::Args;
use crate::backup::Repositories;
use crate::figures::{Away, Column, NetworkFigures, Row, Trouble};
use crate::rounds::{Comparison, warm};
use crate::same;
use crate::sets::{Set, count};
use crate::step::{Taken, Traffic};
use crate::tools::Tool;
use line::Line;
pub(crate) use rivals::Rival;
use rivals::Spot;
use server::Server;

/// Returns name and version of the server.
pub(crate) fn server_name() -> String {
    server::name()
}

/// Who took longer than this once has no second round, in seconds.
const LONG: f64 = 120.0;

impl Comparison<'_> {
    /// Has all rivals restore a set from each distance, and once more from the local disk.
    pub(crate) fn network(&self, set: Set, figures: &mut NetworkFigures, rivals: &[Rival]) -> Result<()> {
        let tree = set.tree(self.work, self.args.scale, self.args.tree.as_deref())?;
        let (files, bytes) = count(&tree)?;
        let name = self.folder_of(set, &tree);
        let folder = self.work.join("repositories").join(&name);
        let repositories = Repositories::make(self.tools, &tree, &folder)?;
        let server = Server::start(self.work, &name, self.tools, &repositories)?;
        self.flush()?;
        let Args { link, slow_start, .. } = *self.args;
        let distances = self.args.network.iter().map(|&trip| Away::Line { trip, link, slow_start });
        let mut columns: Vec<Column> = std::iter::once(Away::Local)
            .chain(distances)
            .map(|away| Column {
                set: set.name().into(),
                files,
                bytes,
                away,
                rows: rivals.iter().filter(|rival| rival.takes_part_at(away)).map(row).collect(),
            })
            .collect();
        for round in 0..self.args.rounds {
            for column in &mut columns {
                let turns = column.rows.len();
                for turn in 0..turns {
                    let row = &mut column.rows[(turn + round) % turns];
                    let is_long = row.runs.first().is_some_and(|run| run.wall_s > LONG);
                    if row.trouble.is_some() || is_long {
                        continue;
                    }
                    let Some(rival) = rivals.iter().find(|rival| rival.name() == row.contestant) else {
                        continue;
                    };
                    self.make_room(set, files, bytes)?;
                    let head = format!(
                        "{}, {}, round {}: {}",
                        set.name(),
                        column.away.label(),
                        round + 1,
                        row.label
                    );
                    let work = format!("{}-{round}-{}-{}", set.name(), column.away.label(), rival.name());
                    let place = self.restored().join(work.replace([' ', ',', '/'], "-"));
                    let ran = self.run_away(*rival, column.away, &repositories, &server, &place);
                    let ran = ran.and_then(|taken| {
                        if round == 0 {
                            is_whole(&repositories, &place)?;
                        }
                        Ok(taken)
                    });
                    match ran {
                        Ok(taken) => {
                            eprintln!("{head}: {taken}");
                            row.runs.push(taken);
                        }
                        Err(error) => {
                            eprintln!("{head}: failed: {error}");
                            row.trouble = Some(Trouble::Failed(error.to_string()));
                        }
                    }
                    self.flush()?;
                }
            }
        }
        columns.into_iter().for_each(|column| figures.put(column));
        Ok(())
    }

    fn run_away(
        &self,
        rival: Rival,
        away: Away,
        repositories: &Repositories,
        server: &Server,
        place: &Path,
    ) -> Result<Taken> {
        fs::create_dir_all(place)?;
        let line = match away {
            Away::Local => {
                warm(&repositories.of(Tool::Kopia))?;
                None
            }
            Away::Line { trip, link, slow_start } => {
                warm(server.folder())?;
                let link = link.map(|megabits| megabits.saturating_mul(125_000));
                Some(Line::start(server.address(), Duration::from_millis(trip), link, slow_start)?)
            }
        };
        let endpoint = line.as_ref().map(Line::address);
        let spot = Spot { tools: self.tools, repositories, place, endpoint };
        let mut taken: Option<Taken> = None;
        for (number, step) in rival.steps(&spot)?.iter().enumerate() {
            let (step_taken, _) = step.run(&place.join(format!("step-{number}.log")))?;
            taken = Some(taken.map_or(step_taken, |taken| taken.and(step_taken)));
        }
        let mut taken = taken.ok_or("nothing to measure")?;
        taken.traffic = line.as_ref().map(Line::traffic);
        Ok(taken)
    }
}

/// Compares what was restored with what was backed up.
fn is_whole(repositories: &Repositories, place: &Path) -> Result<()> {
    let differences = same::differences(&repositories.tree, &rivals::target(place))?;
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("incomplete: {}", differences.join("; ")).into())
}

fn row(rival: &Rival) -> Row {
    Row { contestant: rival.name().into(), label: rival.label().into(), runs: Vec::new(), trouble: None }
}

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} s, {:.2} CPU s", self.wall_s, self.cpu_s)?;
        self.peak_mib.map_or(Ok(()), |peak| write!(f, ", {peak:.0} MiB"))?;
        match self.traffic {
            Some(Traffic { requests, bytes }) => write!(f, ", {requests} requests, {bytes} bytes"),
            None => Ok(()),
        }
    }
}
