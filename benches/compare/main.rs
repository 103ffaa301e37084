//! The comparison: how long restores of the same trees take, by kopia-rs and by others.
//!
//! Whoever is on PATH takes part; nothing is fetched or built. The floor is the other program of this
//! package. Each restored tree is compared with the original once, so that nobody is fast by leaving
//! something out.
//!
//! | module | what |
//! |---|---|
//! | `sets` | the trees |
//! | `tools`, `backup` | programs, and their repositories |
//! | `contestants`, `step` | who restores, by which commands, and what one command took |
//! | `rounds`, `same` | the restores, and whether they are complete |
//! | `network` | the same over a line, from an S3 server; also in shards |
//! | `latency` | the same to and from a slow file system, and what files cost there |
//! | `disks` | the same to a new and to an aged ext4 |
//! | `turns` | whose turn it is in those three |
//! | `figures`, `machine` | what was measured, and where |
//! | `table`, `chart`, `readme` | what is made of it |

mod args;
mod backup;
mod chart;
mod contestants;
mod disks;
mod figures;
mod latency;
mod machine;
mod network;
mod readme;
mod rounds;
mod same;
mod sets;
mod step;
mod table;
mod tools;
mod turns;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use contestants::Contestant;
use figures::{Away, Figures, NetworkFigures};
use machine::Machine;
use network::Rival;
use rounds::Comparison;
use sets::Set;
use tools::Tools;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(Command::Measure { output, errors, command }) = &args.command {
        return step::measure(output, errors, command);
    }
    let earlier = args.from.as_deref().map(read).transpose()?;
    let figures = match (&args.work, earlier) {
        (Some(work), earlier) => measure(args, work, earlier)?,
        (None, Some(earlier)) => earlier,
        (None, None) => return Err("--work or --from is needed".into()),
    };
    let tables = tables(&figures);
    tables.iter().for_each(|(table, _)| print!("{table}"));
    if let Some(file) = &args.chart {
        fs::write(file, chart::svg(&figures))?;
    }
    if let Some(file) = &args.latency_chart {
        fs::write(file, chart::latency(&figures.latency))?;
    }
    readme::put(&tables, &args.readme)?;
    Ok(())
}

/// Returns the tables of all that was measured, each with the name of its markers.
fn tables(figures: &Figures) -> Vec<(String, &'static str)> {
    let Figures { sets, network, latency, disks, operations, shards, .. } = figures;
    let mut tables = Vec::new();
    if !sets.is_empty() {
        tables.push((table::markdown(figures), readme::LOCAL));
    }
    if let Some(network) = network {
        tables.push((table::network(figures, network), readme::NETWORK));
    }
    if !latency.is_empty() {
        tables.push((table::latency(figures, latency), readme::LATENCY));
    }
    if !disks.is_empty() {
        tables.push((table::disks(figures, disks), readme::DISKS));
    }
    if !operations.is_empty() {
        tables.push((table::operations(figures, operations), readme::OPERATIONS));
    }
    if let Some(shards) = shards {
        tables.push((table::shards(figures, shards), readme::SHARDS));
    }
    tables
}

fn read(file: &Path) -> Result<Figures> {
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()).into())
}

fn measure(args: &Args, work: &Path, earlier: Option<Figures>) -> Result<Figures> {
    fs::create_dir_all(work)?;
    let work = &work.canonicalize()?;
    let machine = Machine::look(work)?;
    let tools = Tools::find(args)?;
    let what = What::of(args)?;
    what.check_names(&args.only)?;
    let contestants = Contestant::chosen(what.contestants(), args, &tools);
    let rivals: Vec<_> = Rival::ALL.into_iter().filter(|rival| rival.is_wanted(args, &tools)).collect();
    let comparison = Comparison { args, work, tools: &tools, contestants: &contestants };
    // What an earlier comparison left.
    comparison.clean()?;
    fs::create_dir_all(work.join("restored"))?;
    let mut figures = Figures {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        machine,
        versions: tools.versions(|tool| match what {
            What::Network | What::Shards => rivals.iter().any(|rival| rival.tool() == tool),
            _ => contestants.iter().any(|contestant| contestant.tool() == tool),
        }),
        rounds: args.rounds,
        scale: args.scale,
        sets: Vec::new(),
        network: None,
        latency: Vec::new(),
        disks: Vec::new(),
        operations: Vec::new(),
        shards: None,
    };
    earlier.map_or(Ok(()), |earlier| figures.take_up(earlier))?;
    for set in what.sets(args) {
        match &what {
            What::Local => figures.put(comparison.set(set)?),
            What::Network => {
                let mut network = figures.network.take().unwrap_or_else(NetworkFigures::new);
                comparison.network(set, &mut network, &rivals)?;
                figures.network = Some(network);
            }
            What::Shards => figures.shards = Some(comparison.shards(set)?),
            What::Latency(distances) => {
                for column in comparison.latency(set, distances, &contestants)? {
                    column.put_into(&mut figures.latency);
                }
            }
            What::Disks(disks) => {
                for column in comparison.latency(set, disks, &contestants)? {
                    column.put_into(&mut figures.disks);
                }
            }
            What::Operations => {
                for column in comparison.latency(set, &[Away::Target { trip: 0 }], &contestants)? {
                    column.put_into(&mut figures.operations);
                }
            }
        }
        // At once, so that it is not lost if another set fails.
        if let Some(file) = &args.json {
            fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")?;
        }
    }
    if !args.keep {
        comparison.clean()?;
    }
    Ok(figures)
}

/// What is measured.
enum What {
    Local,
    Network,
    Shards,
    Latency(Vec<Away>),
    Disks(Vec<Away>),
    Operations,
}

impl What {
    fn of(args: &Args) -> Result<Self> {
        if !args.shards.is_empty() {
            if args.network.len() != 1 || args.target_latency.len() > 1 {
                return Err("shards are measured at one round trip".into());
            }
            return Ok(Self::Shards);
        }
        let targets = args.target_latency.iter().map(|&trip| Away::Target { trip });
        let sources = args.source_latency.iter().map(|&trip| Away::Source { trip });
        let distances: Vec<_> = targets.chain(sources).collect();
        Ok(match () {
            () if !distances.is_empty() && !args.network.is_empty() => {
                return Err("--network goes with --target-latency only where there are --shards".into());
            }
            () if args.operations => Self::Operations,
            () if !args.disks.is_empty() => Self::Disks(args.disks.iter().copied().map(Away::Disk).collect()),
            () if !distances.is_empty() => Self::Latency(distances),
            () if !args.network.is_empty() => Self::Network,
            () => Self::Local,
        })
    }

    /// Returns who may take part; over a network they are [`Rival`]s.
    fn contestants(&self) -> &'static [Contestant] {
        match self {
            Self::Local => &Contestant::LOCAL,
            Self::Network | Self::Shards => &[],
            Self::Latency(_) | Self::Disks(_) => &Contestant::LATENCY,
            Self::Operations => &Contestant::OPERATIONS,
        }
    }

    /// Checks that those who are asked for may take part.
    fn check_names(&self, only: &[String]) -> Result<()> {
        let names: Vec<_> = match self {
            Self::Network => Rival::ALL.map(Rival::name).to_vec(),
            Self::Shards => vec![Rival::KopiaRs.name()],
            _ => self.contestants().iter().map(|contestant| contestant.name()).collect(),
        };
        match only.iter().find(|name| !names.contains(&&***name)) {
            Some(unknown) => Err(format!("{unknown} is none of {}", names.join(", ")).into()),
            None => Ok(()),
        }
    }

    /// Returns the sets that are asked for, or the usual ones.
    fn sets(&self, args: &Args) -> Vec<Set> {
        if !args.sets.is_empty() {
            return args.sets.clone();
        }
        match self {
            Self::Network | Self::Shards => vec![Set::Mixed],
            Self::Latency(_) => vec![Set::Latency],
            Self::Disks(_) => vec![Set::Small],
            Self::Operations => vec![Set::Own, Set::Foreign],
            Self::Local => {
                let mut sets = vec![Set::Small, Set::Huge, Set::Duplicates];
                sets.extend(args.tree.as_ref().map(|_| Set::Real));
                sets
            }
        }
    }
}
