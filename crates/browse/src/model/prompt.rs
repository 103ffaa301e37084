//! A line in which something is typed.

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Letters of names in the folder.
    Search,
    /// A folder to restore to.
    Target,
    /// An archive to write.
    File,
}

/// The most characters that are taken.
const LONGEST: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) asked: Asked,
    pub(crate) text: String,
    /// How many entries it is about.
    pub(crate) entries: usize,
    /// Whether the text is a proposal, in place of which another is typed.
    is_proposal: bool,
}

impl Prompt {
    pub(super) fn new(asked: Asked, text: &str, entries: usize) -> Self {
        Self { asked, text: text.to_owned(), entries, is_proposal: asked != Asked::Search }
    }

    pub(super) fn push(&mut self, c: char) {
        if std::mem::take(&mut self.is_proposal) {
            self.text.clear();
        }
        if !c.is_control() && self.text.len() < LONGEST {
            self.text.push(c);
        }
    }

    /// Takes the last character back.
    pub(super) fn pop(&mut self) {
        self.is_proposal = false;
        self.text.pop();
    }

    /// Returns the words before what is typed.
    pub(crate) fn label(&self) -> String {
        let entries = match self.entries {
            1 => "1 entry".to_owned(),
            number => format!("{number} entries"),
        };
        match self.asked {
            Asked::Search => "/".to_owned(),
            Asked::Target => format!("restore {entries} into the folder: "),
            Asked::File => format!("export {entries} to .tar .tar.zst .tar.gz .zip: "),
        }
    }
}
