//! Objects as the contents they consist of.
//!
//! An object is one content, or a list of pieces that are objects themselves. [`Extents`] walks the lists
//! depth first and hands out contents in order, holding no more than one list of each level; [`ObjectReader`]
//! reads through them. Authority: `repo/object/object_reader.go`.

mod ahead;
mod chunk;
mod copy;
mod extents;
mod list;
mod lists;
mod reader;
mod spare;
mod streams;

pub(crate) use ahead::Allowance;
pub use chunk::Chunk;
pub use extents::{Extent, Extents};
pub(crate) use lists::{Lists, Made};
pub use reader::ObjectReader;
