//! Puts the table where a README wants it.

use crate::Result;

/// What the markers of the local comparison are called, and those of the one over a line.
pub(crate) const LOCAL: &str = "comparison";
pub(crate) const NETWORK: &str = "network comparison";

/// Returns a text with what is between the markers of this name replaced.
///
/// # Errors
/// If it has not exactly one pair of markers, in their order.
pub(crate) fn replaced(text: &str, name: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let error = || format!("{begin} and {end} must be there once, in this order");
    let (before, rest) = text.split_once(&begin).ok_or_else(error)?;
    let (_, after) = rest.split_once(&end).ok_or_else(error)?;
    if [before, rest].iter().any(|part| part.contains(&begin))
        || before.contains(&end)
        || after.contains(&end)
    {
        return Err(error().into());
    }
    Ok(format!("{before}{begin}\n{}\n{end}{after}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "# A\n\n<!-- comparison -->\nold\n<!-- /comparison -->\n\nb\n";
        let new = replaced(text, LOCAL, "| new |\n").unwrap();
        assert_eq!(new, "# A\n\n<!-- comparison -->\n| new |\n<!-- /comparison -->\n\nb\n");
        assert_eq!(replaced(&new, LOCAL, "| new |\n").unwrap(), new);
        let empty = replaced("<!-- comparison --><!-- /comparison -->", LOCAL, "x").unwrap();
        assert_eq!(empty, "<!-- comparison -->\nx\n<!-- /comparison -->");
    }

    #[test]
    fn without_its_markers_a_text_is_refused() {
        const BEGIN: &str = "<!-- network comparison -->";
        const END: &str = "<!-- /network comparison -->";
        for text in ["", BEGIN, END, &format!("{END}{BEGIN}"), &format!("{BEGIN}{BEGIN}{END}")] {
            assert!(replaced(text, NETWORK, "x").is_err(), "{text}");
        }
        assert!(replaced(&format!("{BEGIN}{END}"), LOCAL, "x").is_err());
    }
}
