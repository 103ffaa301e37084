//! The path of the directory that a walk is in, where each is followed by those that lie in it.

use super::Trail;

/// The path of the directory that was entered last.
///
/// It is made from that of the directory before it: to join the names of a [`Trail`] takes longer the deeper
/// that lies.
#[derive(Debug, Default)]
pub struct CurrentPath {
    /// Ends in `/`, but for the root's, which is empty.
    text: String,
    /// Where the paths of the directories end that this one lies in, the root's first, and its own.
    ends: Vec<usize>,
}

impl CurrentPath {
    /// Goes on to the next directory of a walk of [`Order::DepthFirst`](super::Order::DepthFirst).
    pub fn enter(&mut self, trail: &Trail) {
        self.ends.truncate(trail.depth());
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
        if !trail.name().is_empty() {
            self.text.push_str(trail.name());
            self.text.push('/');
        }
        self.ends.push(self.text.len());
    }

    /// Returns what comes before the names of the directory's entries.
    pub fn prefix(&self) -> &str {
        &self.text
    }

    /// Returns the path of an entry in the directory, or of the directory itself for an empty name.
    pub fn path_of(&self, name: &str) -> String {
        match name {
            "" => self.text.strip_suffix('/').unwrap_or_default().to_owned(),
            name => format!("{}{name}", self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_path_of_the_trail() {
        let (first, second) = (Trail::root(None), Trail::root(None));
        let (a, b) = (first.child("a", None), first.child("b", None));
        let (deep, beside) = (a.child("c", None).child("d", None), a.child("e", None));
        let mut path = CurrentPath::default();
        for trail in [&first, &a, &a.child("c", None), &deep, &beside, &b, &b.child("f", None), &second] {
            path.enter(trail);
            assert_eq!(path.path_of(""), trail.path_of(""));
            assert_eq!(path.path_of("x"), trail.path_of("x"));
            assert_eq!(format!("{}x", path.prefix()), trail.path_of("x"));
        }
    }
}
