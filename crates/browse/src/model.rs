//! What is shown, and what keys and answers do to it; no terminal, no repository.

mod cursor;
mod folder;
mod keys;
mod marks;
mod preview;
mod prompt;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use cursor::Cursor;
pub(crate) use folder::{Folder, Row, State};
pub(crate) use marks::Marks;
pub use marks::Picked;
pub(crate) use preview::Preview;
pub(crate) use prompt::{Asked, Prompt};

use crate::Leave;
use crate::catalogue::{Catalogue, Way};
use crate::look::Look;
use kopia_format::directory::EntryKind;

/// From how many columns on the beginning of a file is shown beside the list.
pub(crate) const WIDE: u16 = 72;

/// Where one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the list of sources.
    Sources,
    /// In the time line of a source.
    Times,
    Folder,
}

/// Something to be read, by whoever has the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Answers bear it, too.
    pub(crate) number: u64,
    pub(crate) snapshot: usize,
    /// Below the root; empty for the root.
    pub(crate) path: String,
    pub(crate) wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Folder,
    Look,
}

/// A part of what was asked for.
#[derive(Debug)]
pub(crate) enum Answer {
    Rows(Vec<Row>),
    /// Something is left out, which this says.
    Note(String),
    /// All that there is was told.
    End(State),
    Look(Result<Look, String>),
}

/// What is to be done that the model cannot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The session ends, or makes room for what the caller does.
    Leave(Leave),
    Suspend,
    /// Draw everything again, whatever the terminal shows.
    Redraw,
}

/// What is told in the line above the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) is_bad: bool,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) catalogue: Catalogue,
    pub(crate) place: Place,
    pub(crate) sources: Cursor,
    pub(crate) times: Cursor,
    /// The source whose time line is, or was, shown.
    pub(crate) source: usize,
    pub(crate) folder: Folder,
    /// What was shown before a folder that is being read.
    before: Option<Box<(Place, Folder)>>,
    pub(crate) preview: Preview,
    pub(crate) marks: Marks,
    pub(crate) prompt: Option<Prompt>,
    /// How far the page of keys is scrolled, if it is shown.
    pub(crate) help: Option<usize>,
    pub(crate) message: Option<Message>,
    /// Columns and rows of the screen.
    size: (u16, u16),
    /// What is to be read.
    requests: Vec<Request>,
    numbers: u64,
}

impl Model {
    pub(crate) fn new(catalogue: Catalogue) -> Self {
        let mut model = Self {
            catalogue,
            place: Place::Sources,
            sources: Cursor::default(),
            times: Cursor::default(),
            source: 0,
            folder: Folder::default(),
            before: None,
            preview: Preview::default(),
            marks: Marks::default(),
            prompt: None,
            help: None,
            message: None,
            size: (80, 24),
            requests: Vec::new(),
            numbers: 0,
        };
        // One source needs no choice.
        if model.catalogue.sources.len() == 1 {
            model.place = Place::Times;
        }
        model
    }

    /// Takes what is to be read since the last call.
    pub(crate) fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// Returns the numbers of those answers that are still waited for.
    pub(crate) fn awaited(&self) -> [u64; 2] {
        [self.folder.number, self.preview.number]
    }

    /// Returns whether something is being read.
    pub(crate) fn is_reading(&self) -> bool {
        self.folder.state == State::Reading || self.preview.number != 0 && self.preview.look.is_none()
    }

    /// Takes the size of the screen.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
        self.ask_for_look();
    }

    /// Returns how many rows a list has: the title, a line of what is told and the help take three.
    pub(crate) fn height(&self) -> usize {
        let rows = usize::from(self.size.1);
        rows.saturating_sub(match rows {
            ..=2 => 1,
            3 => 2,
            _ => 3,
        })
    }

    /// Returns whether the beginning of a file is shown beside the list.
    pub(crate) fn has_pane(&self) -> bool {
        self.preview.is_pane && self.size.0 >= WIDE
    }

    /// Opens a folder, and keeps what is shown until there is something of it; `select` is the name of an
    /// entry that the cursor goes to.
    pub(crate) fn open(&mut self, snapshot: usize, path: &str, select: Option<String>) {
        self.source = self.catalogue.source_of(snapshot);
        self.sources.place = self.source;
        self.stand_at(snapshot);
        let number = self.next_number();
        let folder = Folder::new(number, snapshot, path.to_owned(), select);
        let left = std::mem::replace(&mut self.folder, folder);
        // Who goes on before something was read comes back to what was shown whole.
        if self.before.is_none() {
            self.before = Some(Box::new((self.place, left)));
        }
        self.place = Place::Folder;
        self.message = None;
        self.preview.forget();
        self.requests.retain(|request| request.wanted != Wanted::Folder);
        let wanted = Wanted::Folder;
        self.requests.push(Request { number, snapshot, path: path.to_owned(), wanted });
    }

    /// Puts the cursor of the time line on a snapshot of the source.
    fn stand_at(&mut self, snapshot: usize) {
        let first = self.catalogue.snapshots_of(self.source).start;
        self.times.place = snapshot.saturating_sub(first);
    }

    /// Leaves a folder that is being read, for what was shown before.
    fn cancel(&mut self) {
        let Some(before) = self.before.take() else { return };
        (self.place, self.folder) = *before;
        // The answers that it waited for were dropped.
        self.folder.number = 0;
        if self.folder.state == State::Reading {
            self.folder.state = State::Left;
        }
        if self.place == Place::Folder {
            self.stand_at(self.folder.snapshot);
        }
        self.preview.forget();
        self.ask_for_look();
    }

    /// Takes a part of what was asked for; what is not waited for any more is nothing.
    pub(crate) fn answer(&mut self, number: u64, answer: Answer) {
        match answer {
            Answer::Look(look) if number == self.preview.number => self.preview.take(look),
            Answer::Rows(rows) if number == self.folder.number => {
                self.folder.add(rows);
                self.ask_for_look();
            }
            Answer::Note(note) if number == self.folder.number => self.folder.note(note),
            Answer::End(state) if number == self.folder.number => {
                self.before = None;
                self.folder.end(state);
                let is_absent = self.folder.select.is_some() && !self.folder.is_selected;
                if self.preview.is_full && is_absent {
                    self.preview
                        .show(Look { what: "it is not there in this snapshot".into(), lines: Vec::new() });
                } else {
                    self.ask_for_look();
                }
            }
            _ => {}
        }
    }

    /// Tells how something ended that was done meanwhile; marks are needed no more if all of it was.
    pub(crate) fn done(&mut self, said: &str, is_complete: bool) {
        if is_complete {
            self.marks = Marks::default();
        }
        self.message = Some(Message { text: said.to_owned(), is_bad: !is_complete });
    }

    /// Returns the snapshot that the cursor is on, or in.
    pub(crate) fn snapshot(&self) -> Option<usize> {
        match self.place {
            Place::Sources => None,
            Place::Times => self.catalogue.snapshots_of(self.source).nth(self.times.place),
            Place::Folder => Some(self.folder.snapshot),
        }
    }

    /// Returns the row under the cursor.
    pub(crate) fn row(&self) -> Option<&Row> {
        (self.place == Place::Folder).then(|| self.folder.row()).flatten()
    }

    /// Has the file under the cursor looked at, if that is shown and not known yet.
    fn ask_for_look(&mut self) {
        if self.place != Place::Folder || !(self.has_pane() || self.preview.is_full) {
            return;
        }
        let Some(row) = self.folder.row() else {
            if self.folder.state != State::Reading && !self.preview.is_full {
                self.preview.forget();
            }
            return;
        };
        // A full page is of the one file, wherever the cursor stands before that is found.
        if self.preview.is_full && self.folder.select.is_some() && !self.folder.is_selected {
            return;
        }
        let (snapshot, path) = (self.folder.snapshot, self.folder.path_of(row));
        let is_file = row.kind != EntryKind::Directory;
        if self.preview.is_of(snapshot, &path) {
            return;
        }
        let number = self.next_number();
        self.preview.expect(number, snapshot, path.clone());
        self.requests.retain(|request| request.wanted != Wanted::Look);
        if is_file {
            self.requests.push(Request { number, snapshot, path, wanted: Wanted::Look });
        } else {
            self.preview.show(Look { what: "a folder".into(), lines: Vec::new() });
        }
    }

    /// Goes to the same folder in another snapshot.
    fn travel(&mut self, way: Way) {
        let Some(other) = self.catalogue.beside(self.folder.snapshot, way) else {
            let end = if way == Way::Older { "oldest" } else { "newest" };
            self.tell(&format!("this is the {end} snapshot of its source"));
            return;
        };
        let selected =
            self.folder.select.clone().or_else(|| self.folder.row().map(|row| row.name.to_string()));
        let (path, search) = (self.folder.path.clone(), self.folder.search.clone());
        self.open(other, &path, selected);
        self.folder.look_for(search);
    }

    fn tell(&mut self, text: &str) {
        self.message = Some(Message { text: text.to_owned(), is_bad: false });
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
