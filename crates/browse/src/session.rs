//! A session: keys, answers, and what is done about them.

use std::time::Duration;

use crossterm::event::{self, Event};
use kopia_repository::Snapshots;
use rustix::process::{Signal, getpid, kill_process};

use crate::catalogue::Catalogue;
use crate::key::Key;
use crate::model::{Effect, Model};
use crate::read::Readers;
use crate::screen::Screen;
use crate::{Error, Leave, Options, Result, view};

/// How often answers are looked for while something is read.
const READING: Duration = Duration::from_millis(40);

/// How long a key is waited for otherwise: nothing else happens.
const IDLE: Duration = Duration::from_secs(60);

/// How many answers are taken before the screen is drawn.
const ANSWERS: usize = 64;

/// Snapshots on a terminal.
pub struct Browser {
    model: Model,
    readers: Readers,
    options: Options,
}

impl Browser {
    /// Makes a browser of these snapshots, which begins with the list of sources.
    ///
    /// # Errors
    /// [`Error::NoSnapshots`]; that there are no threads to be had.
    pub fn new(snapshots: &Snapshots, options: Options) -> Result<Self> {
        let (catalogue, handles) = Catalogue::new(snapshots);
        if handles.is_empty() {
            return Err(Error::NoSnapshots);
        }
        Ok(Self { model: Model::new(catalogue), readers: Readers::new(handles)?, options })
    }

    /// Begins in a folder of a snapshot instead, with the cursor on the entry of this name.
    pub fn open(&mut self, snapshot: &str, path: &str, select: Option<&str>) {
        let place = self.model.catalogue.snapshots.iter().position(|taken| taken.id == snapshot);
        if let Some(place) = place {
            self.model.open(place, path.trim_matches('/'), select.map(str::to_owned));
        }
    }

    /// Tells how something ended that was done meanwhile; what was marked for it stays so unless all of it was
    /// done.
    pub fn done(&mut self, said: &str, is_complete: bool) {
        self.model.done(said, is_complete);
    }

    /// Takes the terminal over until the person leaves, or wants something done.
    ///
    /// # Errors
    /// [`Error::Terminal`].
    pub fn run(&mut self) -> Result<Leave> {
        let mut screen = Screen::take_over()?;
        let mut ticks = 0_usize;
        loop {
            for _ in 0..ANSWERS {
                let Some((number, answer)) = self.readers.take() else { break };
                self.model.answer(number, answer);
            }
            screen.draw(|buffer| {
                self.model.resize(buffer.area.width, buffer.area.height);
                view::draw(&mut self.model, &self.options, ticks, buffer)
            })?;
            self.readers.ask(self.model.take_requests(), self.model.awaited());
            let patience = if self.model.is_reading() { READING } else { IDLE };
            ticks = ticks.wrapping_add(1);
            if !event::poll(patience)? {
                continue;
            }
            let Event::Key(event) = event::read()? else { continue };
            let effect = Key::of(&event).and_then(|key| self.model.press(key));
            match effect {
                None => {}
                Some(Effect::Leave(leave)) => return Ok(leave),
                Some(Effect::Redraw) => screen.forget(),
                Some(Effect::Suspend) => {
                    drop(screen);
                    kill_process(getpid(), Signal::TSTP).map_err(std::io::Error::from)?;
                    screen = Screen::take_over()?;
                }
            }
        }
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("place", &self.model.place).finish_non_exhaustive()
    }
}
