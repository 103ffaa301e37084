//! Builds every mutant into the sources at once: each place where something can be changed asks a switch at run time which of its
//! alternatives is on (mutant schemata), so that one build serves them all.
//!
//! A plan is read from stdin as JSON; nothing is written but the answer, to stdout:
//!
//! ```json
//! {"workspace": "/path", "crates": [{"name": "storage", "roots": ["crates/storage/src/lib.rs"]}], "files": [], "dropped": [17]}
//! {"mutants": [{"number": 1, …}], "files": {"crates/storage/src/lib.rs": "…"}, "alternatives": [], "places": [], "functions": []}
//! ```
//!
//! `files` of the plan are parts of paths, `dropped` are numbers of mutants that do not compile. What the lists of the answer hold is said
//! at [`edit::Map`].

mod edit;
mod excluded;
mod files;
mod operators;
mod results;
mod source;
#[cfg(test)]
mod tests;
mod visitor;
mod walk;

use files::{Instrumented, Plan};
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    let value = serde_json::from_str(&text).map_err(|error| format!("the plan: {error}"))?;
    let done = files::instrument(&plan(&value).ok_or("the plan has another form")?)?;
    std::io::stdout().write_all(answer(done).to_string().as_bytes()).map_err(|error| error.to_string())
}

fn plan(value: &Value) -> Option<Plan> {
    let texts = |value: &Value| -> Option<Vec<String>> {
        value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let one_crate = |value: &Value| {
        let roots = texts(&value["roots"])?.into_iter().map(Into::into).collect();
        Some((value["name"].as_str()?.to_owned(), roots))
    };
    Some(Plan {
        workspace: value["workspace"].as_str()?.into(),
        crates: value["crates"].as_array()?.iter().map(one_crate).collect::<Option<_>>()?,
        files: texts(&value["files"])?,
        dropped: value["dropped"]
            .as_array()?
            .iter()
            .map(|number| Some(number.as_u64()? as u32))
            .collect::<Option<_>>()?,
    })
}

fn answer(done: Instrumented) -> Value {
    let files: Map<String, Value> = done.files.into_iter().map(|(file, text)| (file, text.into())).collect();
    json!({
        "mutants": done.mutants,
        "files": files,
        "alternatives": done.map.alternatives,
        "places": done.map.places,
        "functions": done.map.functions,
    })
}
