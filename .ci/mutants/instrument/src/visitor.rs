//! The places of a file where something can be changed, and the edits that make a switch of each.

use crate::edit::{Edit, Function, Piece};
use crate::source::{Source, on_one_line, range, squeezed};
use crate::{excluded, results};
use proc_macro2::Span;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit;
use syn::{Arm, Block, Expr, Signature};

/// The function that is asked at every place.
const WHICH: &str = "::mutant_switch::which";

/// What one place may become.
pub(crate) struct Alternative {
    code: String,
    /// As people read it.
    becomes: String,
}

impl Alternative {
    pub(crate) fn new(code: impl Into<String>, becomes: impl Into<String>) -> Self {
        Self { code: code.into(), becomes: becomes.into() }
    }
}

/// A place as it was registered: its first number, how many there are, and those that are not dropped, counted from 1.
struct Place {
    base: u32,
    count: u32,
    kept: Vec<(u32, String)>,
}

impl Place {
    /// `begin 1 => …, 2 => …, end`, where `arm` is put after each arrow.
    fn choose(&self, begin: &str, arm: &str, end: &str) -> Vec<Piece> {
        let call = format!("{begin} {WHICH}({}, {}) {{ ", self.base, self.count);
        let arms = self
            .kept
            .iter()
            .map(|(number, code)| Piece::new(format!("{number} => {arm}{code}, "), self.base + number - 1));
        [Piece::new(call, None)].into_iter().chain(arms).chain([Piece::new(end, None)]).collect()
    }
}

/// What a visit finds in one file.
pub(crate) struct Visitor<'a> {
    pub(crate) source: Source<'a>,
    crate_name: &'a str,
    file: &'a str,
    /// Numbers of mutants that do not compile.
    dropped: &'a HashSet<u32>,
    /// The next mutant's number. Those that are dropped keep theirs.
    pub(crate) next: u32,
    pub(crate) edits: Vec<Edit>,
    pub(crate) functions: Vec<Function>,
    pub(crate) mutants: Vec<Value>,
    /// Modules in files of their own: the inline modules around them, and their names.
    pub(crate) modules: Vec<(Vec<String>, String)>,
    /// Of types, functions and inline modules around the place.
    names: Vec<String>,
    pub(crate) inline: Vec<String>,
    /// The functions around the place.
    bodies: Vec<Range<usize>>,
    /// Bodies of this function of the present `impl` stay: nobody tests `fmt` of `Debug`, and `default` would call itself.
    pub(crate) kept_body: Option<&'static str>,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(
        text: &'a str,
        crate_name: &'a str,
        file: &'a str,
        dropped: &'a HashSet<u32>,
        next: u32,
    ) -> Self {
        Self {
            source: Source(text),
            crate_name,
            file,
            dropped,
            next,
            edits: vec![],
            functions: vec![],
            mutants: vec![],
            modules: vec![],
            names: vec![],
            inline: vec![],
            bodies: vec![],
            kept_body: None,
        }
    }

    /// Gives numbers to what a place may become; none if all of it is dropped.
    fn place(&mut self, at: Span, was: &str, kind: &str, alternatives: Vec<Alternative>) -> Option<Place> {
        let (base, count) = (self.next, alternatives.len() as u32);
        self.next += count;
        let start = at.start();
        let function = self.bodies.last().cloned().unwrap_or(0..self.source.0.len());
        let mut kept = vec![];
        for (index, Alternative { code, becomes }) in (0..).zip(alternatives) {
            let number = base + index;
            if self.dropped.contains(&number) {
                continue;
            }
            self.mutants.push(json!({
                "number": number, "base": base, "count": count,
                "crate": self.crate_name, "file": self.file, "line": start.line, "column": start.column + 1,
                "function": self.names.join("::"), "bytes": [function.start, function.end],
                "text": on_one_line(self.source.line(start.line)),
                "kind": kind, "was": on_one_line(was), "becomes": on_one_line(&becomes),
            }));
            kept.push((index + 1, code));
        }
        (!kept.is_empty()).then_some(Place { base, count, kept })
    }

    fn edit(&mut self, place: &Place, range: Range<usize>, before: Vec<Piece>, after: &str) {
        self.edits.push(Edit {
            range,
            before,
            after: after.to_owned(),
            base: place.base,
            count: place.count,
        });
    }

    /// A place whose value is that of an expression.
    pub(crate) fn expression(
        &mut self,
        range: Range<usize>,
        at: Span,
        was: &str,
        kind: &str,
        alternatives: Vec<Alternative>,
    ) {
        if let Some(place) = self.place(at, was, kind, alternatives) {
            self.edit(&place, range, place.choose("(match", "", "_ => "), " })");
        }
    }

    /// A function with all that is in it.
    pub(crate) fn function(&mut self, signature: &Signature, block: &Block) {
        // The compiler may run it, and no switch can be asked there.
        if signature.constness.is_some() {
            return;
        }
        let name = signature.ident.to_string();
        let from = self.next;
        // Without its attributes: what its comments say changes no result.
        let whole = range(signature).start..range(block).end;
        self.names.push(name.clone());
        self.bodies.push(whole.clone());
        if signature.asyncness.is_none() && !block.stmts.is_empty() && self.kept_body != Some(&name) {
            self.body(signature, block, &name);
        }
        let outer = self.kept_body.take();
        visit::visit_block(self, block);
        self.kept_body = outer;
        self.bodies.pop();
        self.names.pop();
        self.functions.push(Function { range: whole, mutants: from..self.next });
    }

    /// The function returns at once.
    fn body(&mut self, signature: &Signature, block: &Block, name: &str) {
        let Range { start, end } = range(block);
        let inner = squeezed(self.source.at(&(start + 1..end - 1)));
        let mut values = results::of(&signature.output, self.source);
        values.retain(|value| !results::is_there_already(value, &inner));
        let alternatives =
            values.into_iter().map(|value| Alternative::new(&value, results::short(&value))).collect();
        let was = format!("body of {name}");
        if let Some(place) = self.place(signature.ident.span(), &was, "body", alternatives) {
            let before = place.choose(" match", "return ", "_ => {} } ");
            self.edit(&place, start + 1..start + 1, before, "");
        }
    }

    /// The arm is gone, so that the wildcard gets its values.
    pub(crate) fn arm(&mut self, arm: &Arm) {
        let pattern = range(&arm.pat);
        let was = self.source.of(&arm.pat);
        let gone = vec![Alternative::new("", "arm deleted")];
        let Some(place) = self.place(arm.pat.span(), was, "arm", gone) else { return };
        let call = format!("{WHICH}({}, 1) == 0", place.base);
        match &arm.guard {
            None => {
                let guard = Piece::new(format!(" if {call}"), place.base);
                self.edit(&place, pattern.end..pattern.end, vec![guard], "");
            }
            Some((_, guard)) => {
                let (open, close) = if excluded::binds(guard) { ("", "") } else { ("(", ")") };
                let before = vec![Piece::new(format!("{call} && {open}"), place.base)];
                self.edit(&place, range(guard), before, close);
            }
        }
    }

    pub(crate) fn guard(&mut self, guard: &Expr) {
        if excluded::binds(guard) {
            return;
        }
        let constants =
            vec![Alternative::new("true", "guard true"), Alternative::new("false", "guard false")];
        self.expression(range(guard), guard.span(), self.source.of(guard), "guard", constants);
    }

    pub(crate) fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.names.push(name);
        visit(self);
        self.names.pop();
    }
}
