//! Words that commands and the mover share, beyond those of `kopia_rs::diagnosis`.

pub(crate) mod advice;
pub(crate) mod source_identity;
