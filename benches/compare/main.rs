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
//! | `network` | the same over a line, from an S3 server |
//! | `figures`, `machine` | what was measured, and where |
//! | `table`, `chart`, `readme` | what is made of it |

mod args;
mod backup;
mod chart;
mod contestants;
mod figures;
mod machine;
mod network;
mod readme;
mod rounds;
mod same;
mod sets;
mod step;
mod table;
mod tools;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use contestants::Contestant;
use figures::{Figures, NetworkFigures};
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
    let local = (!figures.sets.is_empty()).then(|| table::markdown(&figures));
    let network = figures.network.as_ref().map(|network| table::network(&figures, network));
    let tables = [(local, readme::LOCAL), (network, readme::NETWORK)];
    for (table, _) in &tables {
        table.iter().for_each(|table| print!("{table}"));
    }
    if let Some(file) = &args.chart {
        fs::write(file, chart::svg(&figures))?;
    }
    if let Some(file) = &args.readme {
        let mut text = fs::read_to_string(file)?;
        for (table, name) in tables {
            let Some(table) = table else { continue };
            let replaced = readme::replaced(&text, name, &table);
            text = replaced.map_err(|error| format!("{}: {error}", file.display()))?;
        }
        fs::write(file, text)?;
    }
    Ok(())
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
    let contestants = contestants(args, &tools)?;
    let rivals: Vec<_> = Rival::ALL.into_iter().filter(|rival| rival.is_wanted(args, &tools)).collect();
    let comparison = Comparison { args, work, tools: &tools, contestants: &contestants };
    // What an earlier comparison left.
    comparison.clean()?;
    fs::create_dir_all(work.join("restored"))?;
    let mut figures = Figures {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        machine,
        versions: tools.versions(|tool| match args.network.is_empty() {
            true => contestants.iter().any(|contestant| contestant.tool() == tool),
            false => rivals.iter().any(|rival| rival.tool() == tool),
        }),
        rounds: args.rounds,
        scale: args.scale,
        sets: Vec::new(),
        network: None,
    };
    earlier.map_or(Ok(()), |earlier| figures.take_up(earlier))?;
    for set in sets(args) {
        if args.network.is_empty() {
            figures.put(comparison.set(set)?);
        } else {
            let mut network = figures.network.take().unwrap_or_else(NetworkFigures::new);
            comparison.network(set, &mut network, &rivals)?;
            figures.network = Some(network);
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

fn contestants(args: &Args, tools: &Tools) -> Result<Vec<Contestant>> {
    let names = Contestant::ALL.map(Contestant::name).into_iter().chain(Rival::ALL.map(Rival::name));
    let mut names: Vec<_> = names.collect();
    names.dedup();
    if let Some(unknown) = args.only.iter().find(|name| !names.contains(&&***name)) {
        return Err(format!("{unknown} is none of {}", names.join(", ")).into());
    }
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let all = Contestant::ALL.into_iter();
    Ok(all.filter(|contestant| wanted(contestant.name()) && contestant.takes_part(tools)).collect())
}

fn sets(args: &Args) -> Vec<Set> {
    if !args.sets.is_empty() {
        return args.sets.clone();
    }
    if !args.network.is_empty() {
        return vec![Set::Mixed];
    }
    let mut sets = vec![Set::Small, Set::Huge, Set::Duplicates];
    if args.tree.is_some() {
        sets.push(Set::Real);
    }
    sets
}
