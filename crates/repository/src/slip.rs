//! Names that differ by a slip of the fingers.

/// How much of a name is compared, in characters: the time that takes grows with its square.
const COMPARED: usize = 64;

/// The shortest name that is taken for a slip of another one, in characters.
pub const SHORTEST: usize = 3;

/// From here on a name is no slip of another one, as [`misspelt`] measures it: two of five letters may be wrong.
pub const SLIP: u32 = 53;

/// Returns how unlike two names are by their letters: 20 if they are equal, up to 100.
pub fn misspelt(a: &str, b: &str) -> u32 {
    let chars = |text: &str| text.chars().take(COMPARED).collect::<Vec<_>>();
    let (a, b) = (chars(a), chars(b));
    let length = a.len().max(b.len()).max(1);
    (20 + 80 * edits(&a, &b) / length).min(100) as u32
}

/// Returns how many characters must be put in, taken out or replaced to make one text of the other.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Keeps the name most like one that is wanted, of those that are offered.
#[derive(Debug)]
pub(crate) struct Nearest<'a> {
    wanted: &'a str,
    lower: String,
    is_short: bool,
    best: Option<(u32, String)>,
}

impl<'a> Nearest<'a> {
    /// Starts without any; a name that is too short is like no other.
    pub(crate) fn new(wanted: &'a str) -> Self {
        let is_short = wanted.chars().count() < SHORTEST;
        Self { wanted, lower: wanted.to_lowercase(), is_short, best: None }
    }

    /// Offers a name; of equally good ones the first is kept.
    pub(crate) fn offer(&mut self, name: &str) {
        if self.is_short {
            return;
        }
        let wrong = if name.to_lowercase() == self.lower { 0 } else { misspelt(name, self.wanted) };
        if wrong < self.best.as_ref().map_or(SLIP, |(least, _)| *least) {
            self.best = Some((wrong, name.into()));
        }
    }

    /// Returns the best name.
    pub(crate) fn into_name(self) -> Option<String> {
        self.best.map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(wanted: &str, names: &[&str]) -> Option<String> {
        let mut nearest = Nearest::new(wanted);
        names.iter().for_each(|name| nearest.offer(name));
        nearest.into_name()
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("abc", "ac", 1), ("äb", "ab", 1)]
        {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(edits(&chars(a), &chars(b)), expected, "{a} {b}");
            assert_eq!(edits(&chars(b), &chars(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn the_name_with_the_fewest_slips_is_nearest() {
        let names = ["Documents", "Downloads", "documents.old", "Music", "a", ""];
        assert_eq!(nearest("Docments", &names).as_deref(), Some("Documents"));
        assert_eq!(nearest("DOWNLOADS", &names).as_deref(), Some("Downloads"));
        assert_eq!(nearest("Musci", &names).as_deref(), Some("Music"));
        assert_eq!(nearest("Pictures", &names), None);
        // Too short to be told from others.
        assert_eq!(nearest("b", &names), None);
        assert_eq!(nearest("fo", &["foo", "FO"]), None);
        assert_eq!(nearest("foe", &["foo"]).as_deref(), Some("foo"));
        assert_eq!(nearest("", &names), None);
        assert_eq!(nearest("straße", &["strasse"]).as_deref(), Some("strasse"));
        let longer = "photos-of-the-summer-2024";
        assert_eq!(nearest("photos-of-the-summer", &[longer]).as_deref(), Some(longer));
        assert_eq!(nearest("foe", &["foo", "fob"]).as_deref(), Some("foo"), "the first of equally good ones");
    }
}
