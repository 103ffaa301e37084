//! Puts the table where a README wants it.

use crate::Result;

const BEGIN: &str = "<!-- comparison -->";
const END: &str = "<!-- /comparison -->";

/// Returns a text with what is between its markers replaced.
///
/// # Errors
/// If it has not exactly one pair of markers, in their order.
pub(crate) fn replaced(text: &str, table: &str) -> Result<String> {
    let error = || format!("{BEGIN} and {END} must be there once, in this order");
    let (before, rest) = text.split_once(BEGIN).ok_or_else(error)?;
    let (_, after) = rest.split_once(END).ok_or_else(error)?;
    if [before, rest].iter().any(|part| part.contains(BEGIN)) || before.contains(END) || after.contains(END) {
        return Err(error().into());
    }
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "# A\n\n<!-- comparison -->\nold\n<!-- /comparison -->\n\nb\n";
        let new = replaced(text, "| new |\n").unwrap();
        assert_eq!(new, "# A\n\n<!-- comparison -->\n| new |\n<!-- /comparison -->\n\nb\n");
        assert_eq!(replaced(&new, "| new |\n").unwrap(), new);
        let empty = replaced("<!-- comparison --><!-- /comparison -->", "x").unwrap();
        assert_eq!(empty, "<!-- comparison -->\nx\n<!-- /comparison -->");
    }

    #[test]
    fn without_its_markers_a_text_is_refused() {
        for text in ["", BEGIN, END, &format!("{END}{BEGIN}"), &format!("{BEGIN}{BEGIN}{END}")] {
            assert!(replaced(text, "x").is_err(), "{text}");
        }
    }
}
