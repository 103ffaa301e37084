//! The look into the file under the cursor.

use crate::look::Look;

#[derive(Debug)]
pub(crate) struct Preview {
    /// That of the answer it waits for.
    pub(crate) number: u64,
    /// The snapshot and path that it is of.
    of: Option<(usize, String)>,
    /// What is known; nothing as long as it is being read.
    pub(crate) look: Option<Result<Look, String>>,
    /// Whether it may be shown beside the list.
    pub(crate) is_pane: bool,
    /// Whether it takes the whole screen.
    pub(crate) is_full: bool,
    /// The first line that is shown.
    pub(crate) top: usize,
}

impl Default for Preview {
    fn default() -> Self {
        Self { number: 0, of: None, look: None, is_pane: true, is_full: false, top: 0 }
    }
}

impl Preview {
    pub(super) fn forget(&mut self) {
        *self = Self { is_pane: self.is_pane, is_full: self.is_full, ..Self::default() };
    }

    /// Returns whether it is of this already.
    pub(super) fn is_of(&self, snapshot: usize, path: &str) -> bool {
        self.of.as_ref().is_some_and(|(one, other)| *one == snapshot && other == path)
    }

    pub(super) fn expect(&mut self, number: u64, snapshot: usize, path: String) {
        self.forget();
        self.number = number;
        self.of = Some((snapshot, path));
    }

    pub(super) fn take(&mut self, look: Result<Look, String>) {
        self.look = Some(look);
    }

    pub(super) fn show(&mut self, look: Look) {
        self.number = 0;
        self.look = Some(Ok(look));
    }

    /// Returns how many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.look.as_ref().and_then(|look| look.as_ref().ok()).map_or(0, |look| look.lines.len())
    }

    /// Scrolls so far, and no farther than to the last line.
    pub(super) fn scroll(&mut self, by: isize, rows: usize) {
        let last = self.lines().saturating_sub(rows.max(1));
        self.top = self.top.saturating_add_signed(by).min(last);
    }
}
