//! What an interrupted restore left of an entry.

/// What an interrupted restore left of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Leftover {
    #[default]
    Nothing,
    /// Something of its kind, which may have the right bytes.
    Usable,
    /// Something of another kind, which has to go first.
    InTheWay,
}
