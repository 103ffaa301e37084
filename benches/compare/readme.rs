//! Puts the table where a README wants it.

use std::fs;
use std::path::PathBuf;

use crate::Result;

/// What the markers of each table are called.
pub(crate) const LOCAL: &str = "comparison";
pub(crate) const NETWORK: &str = "network comparison";
pub(crate) const LATENCY: &str = "latency comparison";
pub(crate) const DISKS: &str = "disks";
pub(crate) const OPERATIONS: &str = "operations a file";
pub(crate) const SHARDS: &str = "shards";

/// Puts tables into files that have markers for them: each file for one at least, each table in one at least.
///
/// # Errors
/// If a file cannot be read or written, or a table or a file is left over.
pub(crate) fn put(tables: &[(String, &str)], files: &[PathBuf]) -> Result<()> {
    let mut placed = Vec::new();
    for file in files {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let mut text = fs::read_to_string(file).map_err(|error| named(&error))?;
        let fitting = tables.iter().filter(|(_, name)| text.contains(&format!("<!-- {name} -->")));
        let fitting: Vec<_> = fitting.collect();
        if fitting.is_empty() && !tables.is_empty() {
            return Err(named(&"there are no markers for these tables").into());
        }
        for (table, name) in fitting {
            text = replaced(&text, name, table).map_err(|error| named(&error))?;
            placed.push(*name);
        }
        fs::write(file, text).map_err(|error| named(&error))?;
    }
    match tables.iter().find(|(_, name)| !files.is_empty() && !placed.contains(name)) {
        Some((_, name)) => Err(format!("no file has the marker <!-- {name} -->").into()),
        None => Ok(()),
    }
}

/// Returns a text with what is between the markers of this name replaced.
///
/// # Errors
/// If it has not exactly one pair of markers, in their order.
fn replaced(text: &str, name: &str, table: &str) -> Result<String> {
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
    fn each_file_gets_the_tables_that_it_has_markers_for() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (place.path().join("one"), place.path().join("other"));
        fs::write(&one, "<!-- comparison -->\n<!-- /comparison -->").unwrap();
        fs::write(
            &other,
            "<!-- comparison -->\n<!-- /comparison --><!-- operations a file --><!-- /operations a file -->",
        )
        .unwrap();
        let tables = [("| a |".into(), LOCAL), ("| b |".into(), OPERATIONS)];
        put(&tables, &[one.clone(), other.clone()]).unwrap();
        assert!(fs::read_to_string(&one).unwrap().contains("| a |"));
        let text = fs::read_to_string(&other).unwrap();
        assert!(text.contains("| a |") && text.contains("| b |"), "{text}");
        let error = put(&tables, std::slice::from_ref(&one)).unwrap_err().to_string();
        assert_eq!(error, "no file has the marker <!-- operations a file -->");
        assert!(put(&tables[1..], &[one]).unwrap_err().to_string().ends_with("no markers for these tables"));
        put(&tables, &[]).unwrap();
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
