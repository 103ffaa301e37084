//! What lists of pieces lead to, each list read once however many objects have it.
//!
//! The pieces of a list may have lists, and those may be the same ones again, so some kilobytes name more contents
//! than anybody could visit. A walk by [`Extents`] ends at a limit there; whoever looks at all objects of a
//! repository would come to it once more for each of them.

use std::collections::HashMap;

use kopia_format::ObjectId;
use kopia_format::indirect::{MAX_PIECES, Piece};

use super::extents::{Extent, Extents, MAX_DEPTH, MAX_LIST_BYTES, Place, trim};
use crate::{Defect, Error, Repository};

/// Is told of each content that is come by, and whether it holds a list, or a part of one; returns whether it is as
/// its list says, or why the object cannot be read.
pub(crate) type LookAt<'l> = dyn FnMut(&Extent, bool) -> Result<bool, Defect> + 'l;

/// Objects with lists that were followed, each with what is known of it since.
#[derive(Debug)]
pub(crate) struct Lists {
    known: HashMap<ObjectId, Result<Followed, Box<Defect>>>,
    /// The only extents of those that have just one. Kopia writes none.
    only: HashMap<ObjectId, Extent>,
    /// What an object by itself has room for.
    top: Place,
    /// Those that are being followed.
    open: Vec<ObjectId>,
}

/// What an object leads to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Followed {
    /// How many bytes it has, as its list or the index says; 0 where only its compressed bytes tell.
    length: u64,
    /// How many bytes of lists a walk of it reads.
    list_bytes: u64,
    /// How many pieces it keeps at once.
    pieces: u32,
    /// How deep its lists nest.
    depth: u8,
    /// How many extents it has; no more than two are counted.
    extents: u8,
    /// Whether all contents are as their lists say.
    pub(crate) fits: bool,
}

/// The extents of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It has no bytes.
    Nothing,
    /// It is, or has a list of, only this one.
    One(Extent),
    /// There are more.
    Several,
}

/// Why an object cannot be followed.
enum Stop {
    /// Wherever it lies.
    Anywhere(Box<Defect>),
    /// A piece, or a list, where it lies: lists may nest too deep, have too many pieces, or too many bytes, together
    /// with its own.
    Here { piece: ObjectId, is_list: bool, defect: Box<Defect> },
}

impl Stop {
    /// Says what of the object above does not fit.
    fn of(self, piece: ObjectId, is_list: bool) -> Self {
        match self {
            Self::Here { defect, .. } => Self::Here { piece, is_list, defect },
            anywhere => anywhere,
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Anywhere(Box::new(error.into()))
    }
}

impl Default for Lists {
    fn default() -> Self {
        Self { known: HashMap::new(), only: HashMap::new(), top: Place::TOP, open: Vec::new() }
    }
}

impl Lists {
    /// Follows an object to its contents, those of its lists first. Of lists that were followed before nothing is
    /// looked at again.
    ///
    /// # Errors
    /// The first that `look_at` returned, and those of [`Extents`].
    pub(crate) fn follow(
        &mut self,
        repository: &Repository,
        object: ObjectId,
        look_at: &mut LookAt<'_>,
    ) -> Result<Followed, Defect> {
        // What has no room where it lies is followed by itself, and what it lies in once more: then it is known what
        // room it takes, wherever it lies, and no other object has it read again.
        let mut waiting = Vec::new();
        let mut next = (object, false);
        loop {
            let followed = match self.follow_at(repository, next.0, self.top, next.1, look_at) {
                Err(Stop::Here { piece, is_list, .. }) if self.is_new(piece, next.0, &waiting) => {
                    waiting.push(std::mem::replace(&mut next, (piece, is_list)));
                    continue;
                }
                Err(Stop::Here { defect, .. }) => {
                    self.known.insert(next.0, Err(defect.clone()));
                    Err(*defect)
                }
                Err(Stop::Anywhere(defect)) => Err(*defect),
                Ok(followed) => Ok(followed),
            };
            let Some(above) = waiting.pop() else { return followed };
            next = above;
        }
    }

    /// Returns whether an object was not followed by itself yet.
    fn is_new(&self, object: ObjectId, next: ObjectId, waiting: &[(ObjectId, bool)]) -> bool {
        let is_waiting = object == next || waiting.iter().any(|(other, _)| *other == object);
        !is_waiting && !self.known.contains_key(&object)
    }

    /// Returns how many bytes an object with a list has, if it was followed and can be read.
    pub(crate) fn length(&self, object: ObjectId) -> Option<u64> {
        self.known.get(&object)?.as_ref().ok().map(|followed| followed.length)
    }

    /// Returns what extents an object has; nothing if its content is in no index, or it has a list and was not
    /// followed, or cannot be.
    pub(crate) fn made(&self, repository: &Repository, object: ObjectId) -> Option<Made> {
        if object.indirection() == 0 {
            return Extents::new(repository, object)
                .next()
                .map_or(Some(Made::Nothing), |extent| extent.ok().map(Made::One));
        }
        match self.known.get(&object)?.as_ref().ok()?.extents {
            0 => Some(Made::Nothing),
            1 => self.only.get(&object).copied().map(Made::One),
            _ => Some(Made::Several),
        }
    }

    /// Follows an object at a place in others.
    fn follow_at(
        &mut self,
        repository: &Repository,
        object: ObjectId,
        place: Place,
        is_list: bool,
        look_at: &mut LookAt<'_>,
    ) -> Result<Followed, Stop> {
        let Some(list) = object.list() else {
            let Some(extent) = Extents::new(repository, object).next() else {
                return Ok(Followed { fits: true, ..Followed::default() });
            };
            let extent = extent?;
            let fits = look_at(&extent, is_list).map_err(|defect| Stop::Anywhere(Box::new(defect)))?;
            return Ok(Followed {
                length: extent.length.unwrap_or(0),
                extents: 1,
                fits,
                ..Followed::default()
            });
        };
        let here = |error: Error| Stop::Here { piece: object, is_list, defect: Box::new(error.into()) };
        let too_deep = || Error::object(object, format!("lists nest more than {MAX_DEPTH} deep"));
        let followed = match self.known.get(&object) {
            Some(Ok(followed)) => *followed,
            Some(Err(defect)) => return Err(Stop::Anywhere(defect.clone())),
            None if self.open.contains(&object) => return Err(too_deep().into()),
            None if place.depth >= MAX_DEPTH => return Err(here(too_deep())),
            None => {
                self.open.push(object);
                let followed = self.follow_list(repository, (object, list), place, is_list, look_at);
                self.open.pop();
                match &followed {
                    Ok(followed) => drop(self.known.insert(object, Ok(*followed))),
                    Err(Stop::Anywhere(defect)) => drop(self.known.insert(object, Err(defect.clone()))),
                    Err(Stop::Here { .. }) => {}
                }
                followed?
            }
        };
        if place.depth + usize::from(followed.depth) > MAX_DEPTH {
            return Err(here(too_deep()));
        }
        if followed.pieces as usize > place.most {
            let why = format!("its lists have more pieces than are kept at once, {MAX_PIECES}");
            return Err(here(Error::object(object, why)));
        }
        if followed.list_bytes > place.list_bytes {
            let why = format!("its lists have more than {MAX_LIST_BYTES} bytes");
            return Err(here(Error::object(object, why)));
        }
        Ok(followed)
    }

    /// Reads the list of an object and follows its pieces. Those of all lists that it lies in are in memory
    /// meanwhile, so it has what they leave.
    fn follow_list(
        &mut self,
        repository: &Repository,
        (object, list): (ObjectId, ObjectId),
        place: Place,
        is_list: bool,
        look_at: &mut LookAt<'_>,
    ) -> Result<Followed, Stop> {
        let below = Place { depth: place.depth + 1, ..place };
        let of_list =
            self.follow_at(repository, list, below, true, look_at).map_err(|stop| stop.of(list, true))?;
        let (mut pieces, left) = Extents::pieces(repository, (object, list), place).map_err(|error| {
            // By itself it may have room enough.
            let defect = Box::new(error.into());
            if place.depth > 0 {
                Stop::Here { piece: object, is_list, defect }
            } else {
                Stop::Anywhere(defect)
            }
        })?;
        let mut all = Followed {
            length: pieces.first().map_or(0, |last| last.start.saturating_add(last.length)),
            list_bytes: place.list_bytes - left,
            // There are no more than `MAX_PIECES`.
            pieces: of_list.pieces.max(pieces.len() as u32),
            depth: of_list.depth + 1,
            extents: 0,
            fits: of_list.fits,
        };
        let mut only = None;
        while let Some(Piece { start, length, object: piece }) = pieces.pop() {
            if piece.list().is_none() {
                let (content, compressed) = (piece.content(), piece.is_compressed());
                let extent = Extent { start, length: Some(length), content, compressed };
                let fits = look_at(&extent, is_list).map_err(|defect| Stop::Anywhere(Box::new(defect)))?;
                all.fits &= fits;
                all.extents = (all.extents + 1).min(2);
                only = Some(extent);
                continue;
            }
            trim(&mut pieces);
            let (most, list_bytes) = (place.most - pieces.len(), place.list_bytes - all.list_bytes);
            let at_piece = Place { depth: place.depth + 1, most, list_bytes };
            let followed = self
                .follow_at(repository, piece, at_piece, is_list, look_at)
                .map_err(|stop| stop.of(piece, is_list))?;
            if followed.length != length {
                let why = format!("its pieces have {} bytes, its list says {length}", followed.length);
                return Err(Error::object(piece, why).into());
            }
            all.list_bytes += followed.list_bytes;
            all.pieces = all.pieces.max(followed.pieces.saturating_add(pieces.len() as u32));
            all.depth = all.depth.max(followed.depth + 1);
            all.fits &= followed.fits;
            all.extents = (all.extents + followed.extents).min(2);
            if let Some(below) = self.only.get(&piece) {
                only = Some(Extent { start: start.saturating_add(below.start), ..*below });
            }
        }
        if let Some(extent) = only.filter(|_| all.extents == 1) {
            self.only.insert(object, extent);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
