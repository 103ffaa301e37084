//! Long tables, a part at a time.

use std::ops::Range;

use crate::request::Request;

/// How many rows a page has.
pub(super) const ROWS: usize = 1000;

/// Which part of a table is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pager {
    page: usize,
    of: usize,
}

impl Pager {
    /// Reads the number of the page, counted from 1.
    pub(super) fn new(request: &Request, rows: usize) -> Self {
        let wanted = request.query("page").and_then(|page| page.parse().ok());
        Self::at(wanted.unwrap_or(1), rows)
    }

    fn at(page: usize, rows: usize) -> Self {
        let of = rows.div_ceil(ROWS).max(1);
        Self { page: page.clamp(1, of), of }
    }

    /// Returns the numbers of the rows that are shown.
    pub(super) fn range(&self, rows: usize) -> Range<usize> {
        let start = (self.page - 1) * ROWS;
        start.min(rows)..(start + ROWS).min(rows)
    }

    /// Writes links to the other parts; `query` is what else the page depends on, with `&` at its end.
    pub(super) fn links(&self, query: &str) -> String {
        if self.of == 1 {
            return String::new();
        }
        let link = |page: usize, word: &str| match page {
            page if (1..=self.of).contains(&page) => format!("<a href=\"?{query}page={page}\">{word}</a>"),
            _ => word.to_owned(),
        };
        let (before, after) = (link(self.page - 1, "‹ before"), link(self.page + 1, "after ›"));
        format!("<p class=\"pager\">{before} page {} of {} {after}</p>\n", self.page, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_on_one_page() {
        for rows in [0, 1, ROWS, ROWS + 1, 3 * ROWS] {
            let of = Pager::at(1, rows).of;
            let shown: usize = (1..=of).map(|page| Pager::at(page, rows).range(rows).len()).sum();
            assert_eq!(shown, rows);
        }
        assert_eq!(Pager::at(0, 5), Pager::at(1, 5));
        assert_eq!(Pager::at(usize::MAX, 2 * ROWS).range(2 * ROWS), ROWS..2 * ROWS);
        assert!(Pager::at(1, ROWS).links("").is_empty());
        assert!(Pager::at(1, ROWS + 1).links("sort=size&").contains("href=\"?sort=size&page=2\""));
    }
}
