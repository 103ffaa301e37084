//! Restores to and from a file system that is far away.
//!
//! Each restore has one of its own, mounted for it alone, so that the system knows nothing of it yet. Either
//! the folder that is restored into lies on it, or all that is read.

pub(crate) mod mount;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::backup::Repositories;
use crate::contestants::{Contestant, Place};
use crate::figures::{Away, Column, Row};
use crate::rounds::{Comparison, is_whole, warm};
use crate::sets::{Set, count};
use crate::step::Step;
use crate::tools::Tool;
use crate::turns::{Ran, take_turns};
use mount::Mount;

impl Comparison<'_> {
    /// Has contestants restore a set at each distance, as many as can be there.
    pub(crate) fn latency(&self, set: Set, distances: &[Away], all: &[Contestant]) -> Result<Vec<Column>> {
        let tree = set.tree(self.work, self.args.scale, self.args.tree.as_deref())?;
        let (files, bytes) = count(&tree)?;
        let folder = self.work.join("repositories").join(self.folder_of(set, &tree));
        let repositories = Repositories::make(self.tools, &tree, &folder, &needed(all))?;
        self.flush()?;
        let rows = |away: &Away| {
            let there = all.iter().filter(|contestant| contestant.takes_part_at(*away));
            there.map(|contestant| Row::new(contestant.name(), contestant.label())).collect()
        };
        let column =
            |away: &Away| Column { set: set.name().into(), files, bytes, away: *away, rows: rows(away) };
        let mut columns: Vec<Column> = distances.iter().map(column).collect();
        take_turns(set, self.args.rounds, &mut columns, |turn| {
            self.make_room(set, files, bytes)?;
            let contestant = all.iter().find(|contestant| contestant.name() == turn.contestant);
            let contestant = *contestant.ok_or("nobody")?;
            let folder = self.restored().join(&turn.folder);
            let ran = match turn.away {
                Away::Disk(disk) => {
                    self.run_on_disk(contestant, (disk, bytes), &repositories, &folder, turn.is_first)?
                }
                away => self.run_slow(contestant, away, &repositories, &folder, turn.is_first)?,
            };
            self.flush()?;
            Ok(ran)
        });
        Ok(columns)
    }

    fn run_slow(
        &self,
        contestant: Contestant,
        away: Away,
        repositories: &Repositories,
        folder: &Path,
        is_first: bool,
    ) -> Result<Ran> {
        let (behind, point) = (folder.join("behind"), folder.join("mounted"));
        fs::create_dir_all(&behind)?;
        warm(&contestant.input(repositories))?;
        let program = self.tools.path(Tool::DelayedFs).ok_or("delayed-fs is not there: build all --bins")?;
        let mount = |trip, folder| Mount::start(program, Duration::from_micros(trip), folder, &point);
        let (mount, seen, target, restored) = match away {
            Away::Target { trip } => {
                let seen = repositories.seen_at(repositories.folder());
                (mount(trip, &*behind)?, seen, point.join("restored"), behind.join("restored"))
            }
            Away::Source { trip } => {
                let target = folder.join("restored");
                (mount(trip, repositories.folder())?, repositories.seen_at(&point), target.clone(), target)
            }
            Away::Local | Away::Line { .. } | Away::Disk(_) => return Err("not a file system".into()),
        };
        let place = Place {
            tools: self.tools,
            repositories: &seen,
            folder: folder.into(),
            target,
            kept: folder.into(),
        };
        let taken = Step::run_all(&contestant.steps(&place)?, folder)?;
        let counts = mount.end()?;
        if is_first {
            is_whole(repositories, &restored)?;
        }
        Ok((taken, Some(counts)))
    }
}

/// Returns the tools whose repositories are read.
fn needed(contestants: &[Contestant]) -> Vec<Tool> {
    let made = Tool::OF_BACKUPS.into_iter().chain([Tool::Tar]);
    let is_read = |tool: &Tool| contestants.iter().any(|contestant| contestant.reads() == *tool);
    made.filter(is_read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repositories_that_are_read_are_made() {
        assert_eq!(needed(&[Contestant::KopiaRs, Contestant::Cp]), [Tool::Kopia]);
        assert_eq!(needed(&[Contestant::Before]), [Tool::Kopia]);
        assert_eq!(needed(&[Contestant::Tar, Contestant::KopiaParallel]), [Tool::Kopia, Tool::Tar]);
        assert_eq!(needed(&[Contestant::Rsync]), []);
    }
}
