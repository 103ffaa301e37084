//! An Indexed Job: one restore in parts, each by a process with a line of its own, into one target.
//!
//! All processes share the cores of this machine, where pods would have some of their own. So what shards gain
//! is seen as long as lines and the target are what is waited for.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::Server;
use super::line::Line;
use super::minio::BUCKET;
use super::rivals::{keys, target};
use crate::Result;
use crate::backup::{PASSWORD, Repositories};
use crate::figures::{Away, ShardsFigures, ShardsRun};
use crate::latency::mount::Mount;
use crate::rounds::{Comparison, is_whole, warm};
use crate::sets::{Set, count};
use crate::step::{Step, Taken, Traffic};
use crate::tools::Tool;

/// Restores one set in shards.
struct Job<'a> {
    comparison: &'a Comparison<'a>,
    repositories: &'a Repositories,
    server: &'a Server,
}

impl Comparison<'_> {
    /// Restores a set in each number of shards that is asked for.
    pub(crate) fn shards(&self, set: Set) -> Result<ShardsFigures> {
        let args = self.args;
        let tree = set.tree(self.work, args.scale, args.tree.as_deref())?;
        let (files, bytes) = count(&tree)?;
        let name = self.folder_of(set, &tree);
        let folder = self.work.join("repositories").join(&name);
        let repositories = Repositories::make(self.tools, &tree, &folder, &Tool::OF_BACKUPS)?;
        let server = Server::start(self.work, &name, self.tools, &repositories)?;
        let job = Job { comparison: self, repositories: &repositories, server: &server };
        let mut runs: Vec<ShardsRun> = Vec::new();
        for &shards in &args.shards {
            let mut best: Option<ShardsRun> = None;
            for round in 0..args.rounds {
                self.make_room(set, files, bytes)?;
                let place = self.restored().join(format!("shards-{shards}-{round}"));
                let mut run = job.run(shards, &place, None)?;
                let half = Duration::from_secs_f64(run.last_s / 2.0);
                run.lost_s = Some(job.run(shards, &place.with_extension("lost"), Some(half))?.last_s);
                self.flush()?;
                eprintln!("{}, {shards} shards, round {}: {run:?}", set.name(), round + 1);
                best = best.filter(|best| best.all_s() <= run.all_s()).or(Some(run));
            }
            runs.extend(best);
        }
        let line = Away::Line { trip: args.network[0], link: args.link, slow_start: args.slow_start };
        let target = args.target_latency.first().copied();
        Ok(ShardsFigures { set: set.name().into(), files, bytes, line, target, runs })
    }
}

impl Job<'_> {
    /// Restores into a new folder. The first shard is killed after this time and started again, if one is given.
    fn run(&self, shards: u32, place: &Path, kill: Option<Duration>) -> Result<ShardsRun> {
        let args = self.comparison.args;
        let behind = place.join("behind");
        fs::create_dir_all(&behind)?;
        warm(self.server.folder())?;
        let mount = match args.target_latency.first() {
            Some(&trip) => {
                let program = self.comparison.tools.path(Tool::DelayedFs);
                let program = program.ok_or("delayed-fs is not there: build all --bins")?;
                let point = place.join("mounted");
                Some((Mount::start(program, Duration::from_micros(trip), &behind, &point)?, point))
            }
            None => None,
        };
        let seen = target(mount.as_ref().map_or(&behind, |(_, point)| point));
        let trip = Duration::from_millis(args.network[0]);
        let link = args.link.map(|megabits| megabits.saturating_mul(125_000));
        let lines: Vec<Line> = (0..shards)
            .map(|_| Line::start(self.server.address(), trip, link, args.slow_start))
            .collect::<Result<_, _>>()?;
        let shard = |number: u32| -> Result<Taken, String> {
            let step = |program: Option<&[String]>| {
                let step = self.step(program, &seen, lines[number as usize].address())?;
                // A whole restore is what one process does without shards.
                Ok::<_, Box<dyn std::error::Error>>(match shards {
                    1 => step,
                    _ => step.arg("--shard").arg(format!("{number}/{shards}")),
                })
            };
            let run = |step: Result<Step>, log: &str| -> Result<Taken> {
                Ok(step?.run(&place.join(format!("shard-{number}{log}.log")))?.0)
            };
            let taken = match kill.filter(|_| number == 0) {
                Some(after) => {
                    let timeout = ["--signal=KILL".into(), format!("{:.3}", after.as_secs_f64())];
                    let killed = run(step(Some(&timeout)).map(Step::may_fail), "-killed");
                    killed.and_then(|killed| Ok(killed.and(run(step(None), "")?)))
                }
                None => run(step(None), ""),
            };
            taken.map_err(|error| error.to_string())
        };
        let taken: Vec<Taken> = thread::scope(|scope| {
            let shard = &shard;
            let running: Vec<_> = (0..shards).map(|number| scope.spawn(move || shard(number))).collect();
            running
                .into_iter()
                .map(|shard| shard.join().unwrap_or(Err("a thread panicked".into())))
                .collect::<Result<_, _>>()
        })?;
        let finish = match shards {
            1 => None,
            _ => {
                let step = self.step(None, &seen, lines[0].address())?;
                let step = step.arg("--finish").arg(shards.to_string());
                Some(step.run(&place.join("finish.log"))?.0)
            }
        };
        if let Some((mount, _)) = mount {
            mount.end()?;
        }
        is_whole(self.repositories, &target(&behind))?;
        let walls = || taken.iter().map(|taken| taken.wall_s);
        let traffic = lines.iter().map(Line::traffic).fold(Traffic { requests: 0, bytes: 0 }, |all, one| {
            Traffic { requests: all.requests + one.requests, bytes: all.bytes + one.bytes }
        });
        Ok(ShardsRun {
            shards,
            first_s: walls().fold(f64::INFINITY, f64::min),
            last_s: walls().fold(0.0, f64::max),
            finish_s: finish.map_or(0.0, |finish| finish.wall_s),
            lost_s: None,
            cpu_s: taken.iter().chain(&finish).map(|taken| taken.cpu_s).sum(),
            traffic,
        })
    }

    /// Returns the command of a restore, run by `timeout` with these arguments if there are some.
    fn step(&self, timeout: Option<&[String]>, seen: &Path, endpoint: SocketAddr) -> Result<Step> {
        let program = self.comparison.tools.path(Tool::KopiaRs).ok_or("the program is not there")?;
        let step = match timeout {
            Some(args) => Step::new("timeout".as_ref(), args).arg(program).and_args(&["restore", "latest"]),
            None => Step::new(program, ["restore", "latest"]),
        };
        let step = step
            .arg(seen)
            .arg("--repository")
            .arg(format!("s3://{BUCKET}/kopia/?endpoint=http://{endpoint}"));
        Ok(keys(step.variable("KOPIA_PASSWORD", PASSWORD).variable("HOME", "/nonexistent")))
    }
}
