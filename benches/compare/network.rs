//! Restores over a line: the same repositories behind one S3 server, as far away as is asked for.
//!
//! The server is on this machine: MinIO where it is on PATH, else one of our own. Between it and a contestant
//! lies a [`Line`], which delays, is no wider than its link, and counts requests and bytes.

mod bucket;
mod line;
mod minio;
mod rivals;
mod server;
mod shards;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::args::Args;
use crate::backup::Repositories;
use crate::figures::{Away, Column, NetworkFigures, Row};
use crate::rounds::{Comparison, is_whole, warm};
use crate::sets::{Set, count};
use crate::step::{Step, Taken};
use crate::tools::Tool;
use crate::turns::take_turns;
use line::Line;
pub(crate) use rivals::Rival;
use rivals::Spot;
use server::Server;

/// Returns name and version of the server.
pub(crate) fn server_name() -> String {
    server::name()
}

impl Comparison<'_> {
    /// Has all rivals restore a set from each distance, and once more from the local disk.
    pub(crate) fn network(&self, set: Set, figures: &mut NetworkFigures, rivals: &[Rival]) -> Result<()> {
        let tree = set.tree(self.work, self.args.scale, self.args.tree.as_deref())?;
        let (files, bytes) = count(&tree)?;
        let name = self.folder_of(set, &tree);
        let folder = self.work.join("repositories").join(&name);
        let repositories = Repositories::make(self.tools, &tree, &folder, &Tool::OF_BACKUPS)?;
        let server = Server::start(self.work, &name, self.tools, &repositories)?;
        self.flush()?;
        let Args { link, slow_start, .. } = *self.args;
        let distances = self.args.network.iter().map(|&trip| Away::Line { trip, link, slow_start });
        let mut columns: Vec<Column> = std::iter::once(Away::Local)
            .chain(distances)
            .map(|away| Column {
                set: set.name().into(),
                files,
                bytes,
                away,
                rows: rivals.iter().filter(|rival| rival.takes_part_at(away)).map(row).collect(),
            })
            .collect();
        take_turns(set, self.args.rounds, &mut columns, |turn| {
            self.make_room(set, files, bytes)?;
            let place = self.restored().join(&turn.folder);
            let rival = rivals.iter().find(|rival| rival.name() == turn.contestant).ok_or("nobody")?;
            let taken = self.run_away(*rival, turn.away, &repositories, &server, &place)?;
            if turn.is_first {
                is_whole(&repositories, &rivals::target(&place))?;
            }
            self.flush()?;
            Ok((taken, None))
        });
        columns.into_iter().for_each(|column| figures.put(column));
        Ok(())
    }

    fn run_away(
        &self,
        rival: Rival,
        away: Away,
        repositories: &Repositories,
        server: &Server,
        place: &Path,
    ) -> Result<Taken> {
        fs::create_dir_all(place)?;
        let line = match away {
            Away::Local | Away::Target { .. } | Away::Source { .. } | Away::Disk(_) => {
                warm(&repositories.of(Tool::Kopia))?;
                None
            }
            Away::Line { trip, link, slow_start } => {
                warm(server.folder())?;
                let link = link.map(|megabits| megabits.saturating_mul(125_000));
                Some(Line::start(server.address(), Duration::from_millis(trip), link, slow_start)?)
            }
        };
        let endpoint = line.as_ref().map(Line::address);
        let spot = Spot { tools: self.tools, repositories, place, endpoint };
        let mut taken = Step::run_all(&rival.steps(&spot)?, place)?;
        taken.traffic = line.as_ref().map(Line::traffic);
        Ok(taken)
    }
}

fn row(rival: &Rival) -> Row {
    Row::new(rival.name(), rival.label())
}
