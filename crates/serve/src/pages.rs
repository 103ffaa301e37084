//! The pages: plain HTML, every name escaped, no scripts.

pub(crate) mod file;
pub(crate) mod folder;
pub(crate) mod html;
mod pager;
mod rows;
pub(crate) mod source;
pub(crate) mod sources;
