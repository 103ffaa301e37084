//! What is left as it is, because nothing that is shipped or tested here would run it or because it could not be switched.

use crate::source::{Source, squeezed};
use syn::{Attribute, Expr};

/// Conditions under which an item is for tests, for another system or for fuzzing alone.
const CONDITIONS: [&str; 9] = [
    "cfg(test)",
    "cfg(all(test",
    "cfg(any(test",
    "cfg(feature=\"testing\")",
    "cfg(all(feature=\"testing\"",
    "cfg(fuzzing)",
    "cfg(windows)",
    "cfg(not(unix",
    "cfg(not(target_os=\"linux\"",
];

/// Returns true if an item with these attributes is left out, with all that is in it.
pub(crate) fn by_attributes(source: Source<'_>, attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = squeezed(source.of(attribute));
        text == "#[test]" || CONDITIONS.iter().any(|condition| text.contains(condition))
    })
}

/// Returns true if the condition binds names: `a && let Some(b) = c` is no expression that could stand elsewhere.
pub(crate) fn binds(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        Expr::Paren(inner) => binds(&inner.expr),
        _ => false,
    }
}
