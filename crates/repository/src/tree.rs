//! A snapshot's tree: its entries, and what its directories are read from.

mod directory;
mod entry;
mod source;
mod trail;

pub use directory::Fetched;
pub use entry::{Directory, Entry};
pub use source::DirectorySource;
pub use trail::{MAX_WAITING, Trail};
