//! `schema`: what is written as JSON.
//!
//! It is kept by hand: a derived one would need a derive on each type of each crate that ends up there, and say
//! no more. A test compares it with the output of every command, in both directions.

use std::io::Write;

use crate::error::{Exit, Failure};
use crate::terminal::output;

/// All outputs, and what is in them.
const SCHEMA: &str = include_str!("schema.json");

pub(super) fn run() -> Result<Exit, Failure> {
    let mut out = output::out();
    Exit::Complete.after(out.write_all(SCHEMA.as_bytes()).and_then(|()| out.flush()))
}
