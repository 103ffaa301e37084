//! The files of crates, from their roots by their modules, and the copies of those that are to be changed.

use crate::edit::{self, Edit, Map, Piece};
use crate::source::range;
use crate::visitor::Visitor;
use serde_json::Value;
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// What mutants provoke and nobody wants to be told; some of it would be an error.
const LINTS: &str = "\n#![allow(warnings, arithmetic_overflow, unconditional_panic, unconditional_recursion, unused_must_use)]\n";

/// What is to be done.
pub(crate) struct Plan {
    pub(crate) workspace: PathBuf,
    /// Names, and files at which they begin (`src/lib.rs`, `src/main.rs`), from the workspace.
    pub(crate) crates: Vec<(String, Vec<PathBuf>)>,
    /// Files that have one of these in their paths; all of them if there is none.
    pub(crate) files: Vec<String>,
    /// Numbers of mutants that do not compile.
    pub(crate) dropped: HashSet<u32>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Instrumented {
    pub(crate) mutants: Vec<Value>,
    /// Those that are other than in the workspace, with their texts.
    pub(crate) files: Vec<(String, String)>,
    pub(crate) map: Map,
}

/// Instruments every crate of the plan. Numbers begin at 1 and are the same whatever is dropped.
pub(crate) fn instrument(plan: &Plan) -> Result<Instrumented, String> {
    let mut done = Instrumented::default();
    let mut next = 1;
    for (name, roots) in &plan.crates {
        let mut waiting: VecDeque<(PathBuf, bool)> = roots.iter().map(|root| (root.clone(), true)).collect();
        let mut seen = HashSet::new();
        while let Some((file, is_root)) = waiting.pop_front() {
            if seen.insert(file.clone()) {
                let modules = one(plan, name, &file, is_root, &mut next, &mut done)
                    .map_err(|problem| format!("{}: {problem}", file.display()))?;
                waiting.extend(modules.into_iter().map(|module| (module, false)));
            }
        }
    }
    done.mutants.sort_by_key(|mutant| mutant["number"].as_u64());
    Ok(done)
}

/// Instruments one file, and returns those of its modules.
fn one(
    plan: &Plan,
    crate_name: &str,
    file: &Path,
    is_root: bool,
    next: &mut u32,
    done: &mut Instrumented,
) -> Result<Vec<PathBuf>, String> {
    let text = std::fs::read_to_string(plan.workspace.join(file)).map_err(|error| error.to_string())?;
    let syntax = syn::parse_file(&text).map_err(|error| error.to_string())?;
    let name = file.to_str().ok_or("the name is not UTF-8")?;
    let chosen = plan.files.is_empty() || plan.files.iter().any(|part| name.contains(part));
    let mut visitor = Visitor::new(&text, crate_name, name, &plan.dropped, *next);
    visitor.visit_file(&syntax);
    let modules = visitor.modules.iter().map(|(inline, module)| beside(plan, file, is_root, inline, module));
    let modules = modules.collect();
    if chosen {
        *next = visitor.next;
        done.mutants.append(&mut visitor.mutants);
    } else {
        visitor.edits.clear();
        visitor.functions.clear();
    }
    if is_root {
        // After the last inner attribute: of two about the same lint, the later one holds.
        let end = syntax.attrs.iter().map(|attribute| range(attribute).end).max().unwrap_or(0);
        let allow = Piece::new(LINTS, None);
        visitor.edits.push(Edit {
            range: end..end,
            before: vec![allow],
            after: String::new(),
            base: 0,
            count: 0,
        });
    }
    if !visitor.edits.is_empty() {
        let copy = edit::apply(&text, &visitor.edits, &visitor.functions, name, &mut done.map);
        done.files.push((name.to_owned(), copy));
    }
    Ok(modules)
}

/// The file of a module that `file` declares without a body.
fn beside(plan: &Plan, file: &Path, is_root: bool, inline: &[String], module: &str) -> PathBuf {
    let is_folders = is_root || file.file_name().is_some_and(|name| name == "mod.rs");
    let mut folder =
        if is_folders { file.parent().unwrap_or(file).to_owned() } else { file.with_extension("") };
    folder.extend(inline);
    let own = folder.join(format!("{module}.rs"));
    if plan.workspace.join(&own).exists() { own } else { folder.join(module).join("mod.rs") }
}
