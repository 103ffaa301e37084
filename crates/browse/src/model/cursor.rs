//! A place in a list, and the part of the list that is shown.

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) place: usize,
    /// The first that is shown.
    pub(crate) top: usize,
}

impl Cursor {
    /// Goes so far, and no farther than the list.
    pub(crate) fn go(&mut self, by: isize, length: usize) {
        self.place = self.place.saturating_add_signed(by).min(length.saturating_sub(1));
    }

    /// Has the place among what so many rows show.
    pub(crate) fn fit(&mut self, length: usize, rows: usize) {
        self.place = self.place.min(length.saturating_sub(1));
        self.top = self.top.min(length.saturating_sub(rows)).min(self.place);
        if rows > 0 && self.place >= self.top + rows {
            self.top = self.place + 1 - rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_stays_in_the_list_and_on_the_screen() {
        let mut cursor = Cursor::default();
        cursor.go(-1, 10);
        assert_eq!(cursor.place, 0);
        cursor.go(7, 10);
        cursor.fit(10, 3);
        assert_eq!((cursor.place, cursor.top), (7, 5));
        cursor.go(isize::MAX, 10);
        cursor.fit(10, 30);
        assert_eq!((cursor.place, cursor.top), (9, 0));
        cursor.fit(0, 0);
        assert_eq!((cursor.place, cursor.top), (0, 0));
    }
}
