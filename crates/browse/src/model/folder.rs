//! A folder of a snapshot, as far as it has been read.

use kopia_format::Timestamp;
use kopia_format::directory::EntryKind;

use super::Cursor;

/// How many sentences about what is left out are kept.
const NOTES: usize = 100;

/// An entry, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: Box<str>,
    pub(crate) kind: EntryKind,
    /// Of a folder, all that is below it.
    pub(crate) size: u64,
    /// How many files are below a folder.
    pub(crate) files: u64,
    pub(crate) modified: Timestamp,
}

/// How far the reading of a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Reading,
    Whole,
    /// It was left before all was read.
    Left,
    /// There are more entries than are shown.
    Cut,
    /// The snapshot has nothing there.
    Missing,
    /// The snapshot has a file or link there.
    NoFolder,
    /// The snapshot is of a single file, which is the only row.
    File,
    /// It cannot be read, or not all of it.
    Damaged(String),
}

#[derive(Debug)]
pub(crate) struct Folder {
    /// That of the answers it waits for.
    pub(crate) number: u64,
    pub(crate) snapshot: usize,
    /// Below the root; empty for the root.
    pub(crate) path: String,
    pub(crate) rows: Vec<Row>,
    /// What is looked for in the names.
    pub(crate) search: String,
    /// Those rows that have it, if anything is looked for.
    found: Option<Vec<u32>>,
    pub(crate) cursor: Cursor,
    pub(crate) state: State,
    /// What is left out, and why.
    pub(crate) notes: Vec<String>,
    /// How many things are left out.
    pub(crate) left_out: u64,
    /// The name that the cursor goes to once it is read.
    pub(super) select: Option<String>,
    /// Whether it did.
    pub(super) is_selected: bool,
}

impl Default for Folder {
    fn default() -> Self {
        Self { state: State::Whole, ..Self::new(0, 0, String::new(), None) }
    }
}

impl Folder {
    pub(super) fn new(number: u64, snapshot: usize, path: String, select: Option<String>) -> Self {
        Self {
            number,
            snapshot,
            path,
            rows: Vec::new(),
            search: String::new(),
            found: None,
            cursor: Cursor::default(),
            state: State::Reading,
            notes: Vec::new(),
            left_out: 0,
            select,
            is_selected: false,
        }
    }

    /// Returns how many rows are shown.
    pub(crate) fn len(&self) -> usize {
        self.found.as_ref().map_or(self.rows.len(), Vec::len)
    }

    /// Returns one of those that are shown.
    pub(crate) fn shown(&self, place: usize) -> Option<&Row> {
        match &self.found {
            Some(found) => self.rows.get(*found.get(place)? as usize),
            None => self.rows.get(place),
        }
    }

    /// Returns the row under the cursor.
    pub(crate) fn row(&self) -> Option<&Row> {
        self.shown(self.cursor.place)
    }

    /// Returns the path of a row, below the root.
    pub(crate) fn path_of(&self, row: &Row) -> String {
        match (&self.state, &*self.path) {
            (State::File, path) => path.to_owned(),
            (_, "") => row.name.to_string(),
            (_, path) => format!("{path}/{}", row.name),
        }
    }

    /// Takes more rows; the cursor goes to the one that it is to be at.
    pub(super) fn add(&mut self, rows: Vec<Row>) {
        let first = self.rows.len();
        self.rows.extend(rows);
        if let Some(found) = &mut self.found {
            found.extend(matching(&self.rows[first..], &self.search).map(|place| place + first as u32));
        }
        self.find_selected(first);
    }

    fn find_selected(&mut self, first: usize) {
        let Some(select) = self.select.as_deref().filter(|_| !self.is_selected) else { return };
        let Some(row) = self.rows[first..].iter().position(|row| &*row.name == select) else { return };
        let row = row + first;
        let place = match &self.found {
            Some(found) => found.iter().position(|&other| other as usize == row),
            None => Some(row),
        };
        if let Some(place) = place {
            self.cursor.place = place;
            self.is_selected = true;
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.left_out += 1;
        if self.notes.len() < NOTES {
            self.notes.push(note);
        }
    }

    pub(super) fn end(&mut self, state: State) {
        self.state = state;
    }

    /// Shows those rows alone whose names have these letters, large or small; all of them for none.
    pub(super) fn look_for(&mut self, text: String) {
        let under = self.row().map(|row| row.name.clone());
        self.found = (!text.is_empty()).then(|| matching(&self.rows, &text).collect());
        self.search = text;
        if self.state == State::Reading {
            // The cursor goes to what is to be selected once that is read.
            return;
        }
        // The cursor stays on its entry where that is still shown.
        let place = under.and_then(|name| {
            (0..self.len()).find(|&place| self.shown(place).is_some_and(|row| row.name == name))
        });
        self.cursor.place = place.unwrap_or(0);
    }
}

/// Returns the places of those rows whose names have these letters.
fn matching<'r>(rows: &'r [Row], text: &str) -> impl Iterator<Item = u32> + use<'r> {
    let text = text.to_lowercase();
    let has = move |row: &Row| row.name.to_lowercase().contains(&text);
    rows.iter().enumerate().filter(move |(_, row)| has(row)).map(|(place, _)| place as u32)
}
