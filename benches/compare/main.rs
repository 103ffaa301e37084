//! The comparison: how long restores of the same trees take, by kopia-rs and by others.
//!
//! Whoever is on PATH takes part; nothing is fetched or built. The floor is the other program of this package. Each
//! restored tree is compared with the original once, so that nobody is fast by leaving something out.
//!
//! | module | what |
//! |---|---|
//! | `sets` | the trees |
//! | `tools`, `backup` | programs, and their repositories |
//! | `contestants`, `step` | who restores, by which commands, and what one command took |
//! | `rounds`, `same` | the restores, and whether they are complete |
//! | `figures`, `machine` | what was measured, and where |
//! | `table`, `chart`, `readme` | what is made of it |

mod args;
mod backup;
mod chart;
mod contestants;
mod figures;
mod machine;
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
use figures::Figures;
use machine::Machine;
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
    let table = table::markdown(&figures);
    print!("{table}");
    if let Some(file) = &args.chart {
        fs::write(file, chart::svg(&figures))?;
    }
    if let Some(file) = &args.readme {
        let text = readme::replaced(&fs::read_to_string(file)?, &table);
        fs::write(file, text.map_err(|error| format!("{}: {error}", file.display()))?)?;
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
    let comparison = Comparison { args, work, tools: &tools, contestants: &contestants };
    // What an earlier comparison left.
    comparison.clean()?;
    fs::create_dir_all(work.join("restored"))?;
    let mut figures = Figures {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        machine,
        versions: tools.versions(|tool| contestants.iter().any(|contestant| contestant.tool() == tool)),
        rounds: args.rounds,
        scale: args.scale,
        sets: Vec::new(),
    };
    earlier.map_or(Ok(()), |earlier| figures.take_up(earlier))?;
    for set in sets(args) {
        figures.put(comparison.set(set)?);
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
    let names = Contestant::ALL.map(Contestant::name);
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
    let mut sets = vec![Set::Small, Set::Huge, Set::Duplicates];
    if args.tree.is_some() {
        sets.push(Set::Real);
    }
    sets
}
