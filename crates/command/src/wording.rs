//! Words that commands and the mover share, beyond those of `kopia_rs::diagnosis`.

pub(crate) mod advice;
pub(crate) mod attributes;
pub(crate) mod extras;
pub(crate) mod remote;
pub(crate) mod snapshots;
pub(crate) mod source_identity;
pub(crate) mod stubs;
