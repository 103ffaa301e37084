//! Lines about files that stand for others.

use kopia_rs::diagnosis::text::{count, thousands};
use kopia_rs::{Stub, StubKind};
use serde::Serialize;

/// How many are named in messages.
const NAMED: usize = 10;

/// One file as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Json<'a> {
    path: &'a str,
    /// `unreadable`: `kopia snapshot fix` put it there; `placeholder`: `kopia restore --shallow` did.
    kind: &'static str,
    /// The name of the original.
    name: &'a str,
    /// The object of the original.
    object: String,
}

impl<'a> Json<'a> {
    pub(crate) fn new(path: &'a str, stub: &'a Stub) -> Self {
        let kind = match stub.kind {
            StubKind::Unreadable => "unreadable",
            StubKind::Placeholder => "placeholder",
        };
        Self { path, kind, name: &stub.name, object: stub.object.to_string() }
    }
}

/// Returns lines about files that stand for others: `number` in all, of which the first are known.
pub(crate) fn lines<'a>(number: u64, stubs: impl Iterator<Item = (&'a str, &'a Stub)>) -> Vec<String> {
    let stubs: Vec<_> = stubs.collect();
    let mut lines = Vec::new();
    let mut named = 0;
    for (kind, one, many, why) in [
        (
            StubKind::Unreadable,
            "entry is a stub",
            "entries are stubs",
            "that `kopia snapshot fix` put there for what it could not read; another snapshot may have it",
        ),
        (
            StubKind::Placeholder,
            "entry is a placeholder",
            "entries are placeholders",
            "that `kopia restore --shallow` put there for what it did not restore; \
             `kopia-rs restore OBJECT TARGET` restores one",
        ),
    ] {
        let of_kind: Vec<_> = stubs.iter().filter(|(_, stub)| stub.kind == kind).collect();
        if !of_kind.is_empty() {
            lines.push(format!("{} {why}:", count(of_kind.len() as u64, one, many)));
            let one = |(path, stub): &&(&str, &Stub)| {
                format!("  {path}, for {} (object {})", stub.name, stub.object)
            };
            lines.extend(of_kind.iter().take(NAMED).map(one));
            named += of_kind.len().min(NAMED) as u64;
        }
    }
    if number > named {
        lines.push(format!("  … and {} more", thousands(number - named)));
    }
    lines
}
