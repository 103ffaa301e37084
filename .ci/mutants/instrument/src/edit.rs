//! What is put around ranges of a file, and where it comes to lie in the copy.

use serde_json::{Value, json};
use std::ops::Range;

/// Text that is put around one place. It is in front of a point if the range is empty.
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) before: Vec<Piece>,
    pub(crate) after: String,
    /// The number of the place's first mutant; 0 if it is no place of mutants.
    pub(crate) base: u32,
    pub(crate) count: u32,
}

/// A piece of the text in front. If it belongs to a mutant, an error in it is that mutant's.
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) mutant: Option<u32>,
}

impl Piece {
    pub(crate) fn new(text: impl Into<String>, mutant: impl Into<Option<u32>>) -> Self {
        Self { text: text.into(), mutant: mutant.into() }
    }
}

/// A function, by its bytes in the file, and the mutants in it.
pub(crate) struct Function {
    pub(crate) range: Range<usize>,
    pub(crate) mutants: Range<u32>,
}

/// Where things lie in the copies of all files, as `[file, first byte, end, …]`. Errors of the compiler are led back by them.
#[derive(Default)]
pub(crate) struct Map {
    /// `[…, mutant]`: the text that is one mutant's.
    pub(crate) alternatives: Vec<Value>,
    /// `[…, first mutant, how many]`: all that was put around a place, and the place.
    pub(crate) places: Vec<Value>,
    /// `[…, first mutant, the one after the last]`.
    pub(crate) functions: Vec<Value>,
}

/// When two edits meet at one byte: what ends there is closed first, then come points, then what begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    End,
    Point,
    Start,
}

/// Returns the file's text with all edits. Of two with the same range the first is the outer one.
pub(crate) fn apply(text: &str, edits: &[Edit], functions: &[Function], file: &str, map: &mut Map) -> String {
    let mut copy = String::with_capacity(text.len() * 3);
    let mut done = 0;
    let mut opened = vec![0; edits.len()];
    // Bytes of the text and of the copy that are the same.
    let mut marks = vec![(0, 0)];
    for (position, side, index) in in_order(edits) {
        copy.push_str(&text[done..position]);
        done = position;
        let edit = &edits[index];
        if side != Side::End {
            marks.push((position, copy.len()));
            opened[index] = copy.len();
            for piece in &edit.before {
                let start = copy.len();
                copy.push_str(&piece.text);
                if let Some(mutant) = piece.mutant {
                    map.alternatives.push(json!([file, start, copy.len(), mutant]));
                }
            }
        }
        if side != Side::Start {
            copy.push_str(&edit.after);
            if edit.base != 0 {
                map.places.push(json!([file, opened[index], copy.len(), edit.base, edit.count]));
            }
        }
        marks.push((position, copy.len()));
    }
    copy.push_str(&text[done..]);
    let in_copy = |position: usize| {
        let (from, to) = marks[marks.partition_point(|mark| mark.0 <= position) - 1];
        to + (position - from)
    };
    for function in functions {
        let Range { start, end } = function.range;
        map.functions.push(json!([
            file,
            in_copy(start),
            in_copy(end),
            function.mutants.start,
            function.mutants.end
        ]));
    }
    copy
}

/// Both sides of every edit, as they come in the text.
fn in_order(edits: &[Edit]) -> Vec<(usize, Side, usize)> {
    let mut sides = vec![];
    for (index, Edit { range, .. }) in edits.iter().enumerate() {
        // At one byte, the longer edit begins first and ends last.
        let place = index as isize;
        if range.is_empty() {
            sides.push((range.start, Side::Point, (0, place), index));
        } else {
            sides.push((range.start, Side::Start, (-(range.end as isize), place), index));
            sides.push((range.end, Side::End, (-(range.start as isize), -place), index));
        }
    }
    sides.sort_unstable();
    sides.into_iter().map(|(position, side, _, index)| (position, side, index)).collect()
}
