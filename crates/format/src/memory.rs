//! About how many bytes of memory parsed values take, whatever they were written as.

use std::collections::BTreeMap;

/// What an allocation takes beside its bytes.
const ALLOCATION: usize = 16;

/// Returns what a text takes beside its `String`.
pub(crate) fn of_text(text: &str) -> usize {
    text.len().saturating_add(ALLOCATION)
}

/// Returns what a map of texts takes beside the map itself.
pub(crate) fn of_texts(texts: &BTreeMap<String, String>) -> usize {
    // A node of the standard library's B-trees has room for eleven, and is seldom less than half full.
    const NODE: usize = 11 * 2 * size_of::<String>() + 2 * size_of::<usize>();
    let nodes = texts.len().div_ceil(6).saturating_mul(NODE);
    let own = texts.iter().flat_map(|(name, text)| [of_text(name), of_text(text)]);
    own.fold(nodes, usize::saturating_add)
}

/// Adds up what parts take.
pub(crate) fn total(parts: impl IntoIterator<Item = usize>) -> usize {
    parts.into_iter().fold(0, usize::saturating_add)
}
