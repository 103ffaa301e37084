//! What keys do.

use kopia_format::directory::EntryKind;

use super::{Asked, Effect, Marks, Model, Picked, Place, Prompt, State};
use crate::Leave;
use crate::catalogue::Way;
use crate::key::Key;

impl Model {
    /// Does what a key stands for; returns what is left to be done by others.
    pub(crate) fn press(&mut self, key: Key) -> Option<Effect> {
        match key {
            Key::Ctrl('c') => return Some(Effect::Leave(Leave::Interrupt)),
            Key::Ctrl('z') => return Some(Effect::Suspend),
            Key::Ctrl('l') => return Some(Effect::Redraw),
            _ => {}
        }
        if self.prompt.is_some() {
            return self.type_in(key);
        }
        self.message = None;
        if let Some(top) = self.help {
            self.help = match key {
                Key::Up => Some(top.saturating_sub(1)),
                Key::Down | Key::Char(' ') | Key::PageDown => Some(top + 1),
                _ => None,
            };
            return None;
        }
        if self.preview.is_full {
            return self.press_in_file(key);
        }
        self.press_in_list(key)
    }

    fn press_in_list(&mut self, key: Key) -> Option<Effect> {
        match key {
            Key::Char('q') => return Some(Effect::Leave(Leave::Quit)),
            Key::Char('?') => self.help = Some(0),
            Key::Esc => self.leave_one(),
            Key::Left if self.place == Place::Folder => self.travel(Way::Older),
            Key::Right if self.place == Place::Folder => self.travel(Way::Newer),
            Key::Up | Key::Char('k') => self.go(-1),
            Key::Down | Key::Char('j') => self.go(1),
            Key::Left if self.place == Place::Times => self.go(1),
            Key::Right if self.place == Place::Times => self.go(-1),
            Key::PageUp => self.go(-(self.height() as isize)),
            Key::PageDown => self.go(self.height() as isize),
            Key::Home | Key::Char('g') => self.go(isize::MIN),
            Key::End | Key::Char('G') => self.go(isize::MAX),
            Key::Enter => self.enter(),
            Key::Backspace | Key::Char('u') => self.go_up(),
            Key::Char(' ') => self.mark(),
            Key::Char('c') => self.marks = Marks::default(),
            Key::Char('p') => {
                self.preview.is_pane = !self.preview.is_pane;
                self.ask_for_look();
            }
            Key::Char('/') if self.place == Place::Folder => {
                self.prompt = Some(Prompt::new(Asked::Search, &self.folder.search, 0));
            }
            Key::Char('r') => self.ask(Asked::Target, "restored"),
            Key::Char('e') => self.ask(Asked::File, "restored.tar.zst"),
            _ => {}
        }
        None
    }

    /// In a file that takes the whole screen.
    fn press_in_file(&mut self, key: Key) -> Option<Effect> {
        let rows = self.height();
        match key {
            Key::Char('q') => return Some(Effect::Leave(Leave::Quit)),
            Key::Char('?') => self.help = Some(0),
            Key::Esc if self.folder.state == State::Reading => {
                self.preview.is_full = false;
                self.cancel();
            }
            Key::Esc | Key::Backspace | Key::Char('u') | Key::Enter => {
                self.preview.is_full = false;
                self.preview.top = 0;
            }
            Key::Left => self.travel(Way::Older),
            Key::Right => self.travel(Way::Newer),
            Key::Up | Key::Char('k') => self.preview.scroll(-1, rows),
            Key::Down | Key::Char('j') => self.preview.scroll(1, rows),
            Key::PageUp => self.preview.scroll(-(rows as isize), rows),
            Key::PageDown | Key::Char(' ') => self.preview.scroll(rows as isize, rows),
            Key::Home | Key::Char('g') => self.preview.scroll(isize::MIN, rows),
            Key::End | Key::Char('G') => self.preview.scroll(isize::MAX, rows),
            Key::Char('r') => self.ask(Asked::Target, "restored"),
            Key::Char('e') => self.ask(Asked::File, "restored.tar.zst"),
            _ => {}
        }
        None
    }

    /// In the line in which something is typed.
    fn type_in(&mut self, key: Key) -> Option<Effect> {
        let prompt = self.prompt.as_mut()?;
        match key {
            Key::Char(c) => prompt.push(c),
            Key::Backspace => prompt.pop(),
            Key::Ctrl('u') => prompt.text.clear(),
            Key::Esc => {
                if self.prompt.take().is_some_and(|prompt| prompt.asked == Asked::Search) {
                    self.look_for(String::new());
                }
                return None;
            }
            Key::Enter => return self.answer_prompt(),
            // The list can be walked through while something is looked for.
            Key::Up | Key::Down if prompt.asked == Asked::Search => {
                self.go(if key == Key::Up { -1 } else { 1 });
                return None;
            }
            _ => {}
        }
        if prompt.asked == Asked::Search {
            let text = prompt.text.clone();
            self.look_for(text);
        }
        None
    }

    fn answer_prompt(&mut self) -> Option<Effect> {
        let prompt = self.prompt.take()?;
        let text = prompt.text;
        if prompt.asked == Asked::Search || text.is_empty() {
            return None;
        }
        let picked = self.picked();
        match prompt.asked {
            Asked::Target => Some(Effect::Leave(Leave::Restore { picked, target: text })),
            _ => Some(Effect::Leave(Leave::Export { picked, file: text })),
        }
    }

    fn look_for(&mut self, text: String) {
        self.folder.look_for(text);
        self.ask_for_look();
    }

    /// Leaves what is the last of: a folder that is being read, what is looked for.
    fn leave_one(&mut self) {
        if self.place == Place::Folder && self.folder.state == State::Reading {
            self.cancel();
        } else if !self.folder.search.is_empty() && self.place == Place::Folder {
            self.look_for(String::new());
        } else {
            self.tell("q leaves, Backspace goes up");
        }
    }

    fn go(&mut self, by: isize) {
        self.folder.select = None;
        let (length, cursor) = self.list();
        cursor.go(by, length);
        self.ask_for_look();
    }

    /// Returns the list that is shown: its length and its cursor.
    pub(crate) fn list(&mut self) -> (usize, &mut super::Cursor) {
        match self.place {
            Place::Sources => (self.catalogue.sources.len(), &mut self.sources),
            Place::Times => (self.catalogue.snapshots_of(self.source).len(), &mut self.times),
            Place::Folder => (self.folder.len(), &mut self.folder.cursor),
        }
    }

    fn enter(&mut self) {
        match self.place {
            Place::Sources => {
                if self.source != self.sources.place {
                    self.times = super::Cursor::default();
                }
                self.source = self.sources.place;
                self.place = Place::Times;
            }
            Place::Times => {
                if let Some(snapshot) = self.snapshot() {
                    self.open(snapshot, "", None);
                }
            }
            Place::Folder => {
                let Some(row) = self.folder.row() else { return };
                if row.kind == EntryKind::Directory {
                    let (snapshot, path) = (self.folder.snapshot, self.folder.path_of(row));
                    self.open(snapshot, &path, None);
                } else {
                    self.preview.is_full = true;
                    self.ask_for_look();
                }
            }
        }
    }

    fn go_up(&mut self) {
        match self.place {
            Place::Sources => {}
            Place::Times => self.place = Place::Sources,
            Place::Folder if self.folder.path.is_empty() => {
                self.before = None;
                self.folder = super::Folder::default();
                self.place = Place::Times;
                self.preview.forget();
            }
            Place::Folder => {
                let path = self.folder.path.clone();
                let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
                self.open(self.folder.snapshot, above, Some(name.to_owned()));
            }
        }
    }

    /// Returns the snapshot and path under the cursor, and whether it is a folder.
    fn under_cursor(&self) -> Option<(usize, String, bool)> {
        let snapshot = self.snapshot()?;
        if self.place == Place::Times {
            return Some((snapshot, String::new(), true));
        }
        let row = self.folder.row()?;
        Some((snapshot, self.folder.path_of(row), row.kind == EntryKind::Directory))
    }

    fn mark(&mut self) {
        let Some((snapshot, path, is_folder)) = self.under_cursor() else { return };
        if self.marks.toggle(snapshot, path, is_folder) {
            self.go(1);
        } else {
            self.tell("no more can be marked: mark a folder instead of what is in it");
        }
    }

    /// Returns what is marked or, if nothing is, what is under the cursor.
    fn picked(&self) -> Vec<Picked> {
        let picked = |(snapshot, path, is_folder): (usize, &str, bool)| {
            let snapshot = self.catalogue.snapshots.get(snapshot)?.id.clone();
            Some(Picked { snapshot, path: path.to_owned(), is_folder })
        };
        if self.marks.len() > 0 {
            return self.marks.iter().filter_map(picked).collect();
        }
        let under = self.under_cursor();
        under
            .and_then(|(snapshot, path, is_folder)| picked((snapshot, &path, is_folder)))
            .into_iter()
            .collect()
    }

    /// Asks where what is picked is to go.
    fn ask(&mut self, asked: Asked, usual: &str) {
        match self.picked().len() {
            0 => self.tell("open a source first, and choose a snapshot or what is in it"),
            number => self.prompt = Some(Prompt::new(asked, usual, number)),
        }
    }
}
