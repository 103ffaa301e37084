//! `snapshots [SOURCE]`: what was backed up, and when.

use std::io::{self, Write};

use kopia_rs::diagnosis::Class;
use kopia_rs::{Snapshot, Snapshots, Source};

use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::colour::Colour;
use crate::terminal::output::{self, JsonArray, count, escape, for_terminal, log_line, size};
use crate::terminal::time;
use crate::wording::snapshots::failed;

pub(crate) fn run(session: &Session, args: &args::Snapshots) -> Result<Exit, Failure> {
    let snapshots = session.snapshots()?;
    let admitted = snapshots.admitted(&args.only.filter());
    let source = args.source.as_ref().and_then(|text| text.parse::<Source>().ok());
    session.warn_of_gaps(source.as_ref());
    let sources = args.source.as_deref().map(|text| named(&snapshots, text)).transpose()?;
    let mut chosen: Vec<&Snapshot> = admitted
        .iter()
        .filter(|snapshot| sources.as_ref().is_none_or(|sources| sources.contains(&snapshot.source())))
        .collect();
    let is_shown = |snapshot: &Snapshot| session.json || args.incomplete || snapshot.is_complete();
    if let Some(last) = args.last {
        chosen = newest(chosen, last, is_shown);
    }
    if chosen.is_empty() && snapshots.iter().len() > 0 {
        let what = "snapshot of such a host, user, path or tag".into();
        let candidates = snapshots.sources().iter().map(ToString::to_string).collect();
        return Err(kopia_rs::Error::NotFound { what, candidates }.into());
    }
    // A list that lacks all that there is must not be taken for that of an empty repository.
    let lacks_all = chosen.is_empty() && session.has_gaps();
    if session.json {
        let mut array = JsonArray::new();
        chosen.iter().try_for_each(|snapshot| array.push(snapshot.manifest())).map_err(Failure::output)?;
        array.finish().map_err(Failure::output)?;
        return Ok(concluded(lacks_all));
    }
    let incomplete = |snapshot: &&&Snapshot| !snapshot.is_complete();
    let hidden = if args.incomplete { 0 } else { chosen.iter().filter(incomplete).count() };
    let visible: Vec<_> =
        chosen.iter().filter(|snapshot| args.incomplete || !incomplete(snapshot)).copied().collect();
    list(&visible).map_err(Failure::output)?;
    if chosen.is_empty() && snapshots.hides_deleted() {
        session.note("snapshots were deleted, of which some may still be there: --deleted shows them");
    }
    match (chosen.len(), hidden) {
        (0, _) if lacks_all => {}
        (0, _) => session.note("the repository holds no snapshots"),
        (_, 0) => {}
        (_, hidden) => {
            let what = count(hidden as u64, "unfinished snapshot is", "unfinished snapshots are");
            session.note(&format!("{what} not shown; --incomplete shows all"));
        }
    }
    Ok(concluded(lacks_all))
}

/// Decides about the exit status: a list that lacks all snapshots is not complete.
fn concluded(lacks_all: bool) -> Exit {
    if lacks_all {
        log_line("error: snapshots are missing from the list");
        return Exit::Partial;
    }
    Exit::Complete
}

/// Finds the sources that a name stands for.
fn named<'s>(snapshots: &'s Snapshots, name: &str) -> Result<Vec<&'s Source>, Failure> {
    let sources = snapshots.sources_named(name);
    if sources.is_empty() {
        let candidates = snapshots.sources().iter().map(ToString::to_string).collect();
        let failure = Failure::failed(format!("snapshot of {name} not found")).with_class(Class::NotFound);
        return Err(failure.meant(name, candidates, snapshots));
    }
    Ok(sources)
}

/// Keeps the newest of each source, as many as are wanted of those that are shown.
fn newest(chosen: Vec<&Snapshot>, last: usize, is_shown: impl Fn(&Snapshot) -> bool) -> Vec<&Snapshot> {
    let groups = chosen.chunk_by(|one, other| one.source() == other.source());
    let newest = groups.flat_map(|group| {
        let shown: Vec<_> = group.iter().filter(|snapshot| is_shown(snapshot)).collect();
        shown[shown.len().saturating_sub(last)..].to_vec()
    });
    newest.copied().collect()
}

/// Writes a table, source by source, as wide as the terminal allows.
fn list(snapshots: &[&Snapshot]) -> io::Result<()> {
    let mut out = output::out();
    let rows: Vec<Row> = snapshots.iter().map(|snapshot| Row::of(snapshot)).collect();
    let widths = Widths::of(&rows);
    let room = output::width();
    let mut source = None;
    for (snapshot, row) in snapshots.iter().zip(&rows) {
        if source != Some(snapshot.source()) {
            let gap = if source.is_some() { "\n" } else { "" };
            let name = snapshot.source().to_string();
            writeln!(out, "{gap}{}", Colour::Bold.paint(&for_terminal(&name)))?;
            source = Some(snapshot.source());
        }
        for line in row.lines(&widths, room) {
            writeln!(out, "{}", for_terminal(&line))?;
        }
        for line in snapshot.manifest().summary().map(failed).unwrap_or_default() {
            writeln!(out, "      {}", for_terminal(&line))?;
        }
    }
    out.flush()
}

/// A line of the table.
struct Row {
    time: String,
    id: String,
    size: String,
    files: String,
    notes: Vec<String>,
}

/// How wide the columns are, in those of a terminal.
#[derive(Debug, Default)]
struct Widths {
    /// Names of zones differ in length between summer and winter.
    time: usize,
    files: usize,
    /// All of the widest line with whole ids.
    whole: usize,
}

impl Row {
    fn of(snapshot: &Snapshot) -> Self {
        let (bytes, files) = snapshot.totals();
        Self {
            time: time::local(snapshot.start_time(), "%Y-%m-%d %H:%M:%S %Z"),
            id: snapshot.id().into(),
            size: size(bytes),
            files: count(files, "file", "files"),
            notes: notes(snapshot),
        }
    }

    /// Lays the row out. On a terminal that is too narrow for the table ids are short, and notes that have no
    /// room come in a line of their own; programs get everything in one.
    fn lines(&self, widths: &Widths, room: Option<usize>) -> Vec<String> {
        let is_narrow = room.is_some_and(|room| widths.whole > room);
        let id = if is_narrow { output::short(&self.id) } else { &self.id };
        let (time, files) = (widths.time, widths.files);
        let row = format!("  {:<time$}  {id}  {:>9}  {:>files$}", self.time, self.size, self.files);
        let notes: String = self.notes.iter().map(|note| format!("  {note}")).collect();
        let length = output::columns(&escape(&row)) + output::columns(&escape(&notes));
        if notes.is_empty() || room.is_none_or(|room| length <= room) {
            return vec![row + &notes];
        }
        vec![row, format!("    {notes}")]
    }
}

impl Widths {
    fn of(rows: &[Row]) -> Self {
        let widest = |text: fn(&Row) -> &String| rows.iter().map(|row| output::columns(text(row))).max();
        let mut widths = Self {
            time: widest(|row| &row.time).unwrap_or_default(),
            files: widest(|row| &row.files).unwrap_or_default(),
            whole: 0,
        };
        let lines = rows.iter().flat_map(|row| row.lines(&widths, None));
        widths.whole = lines.map(|line| output::columns(&escape(&line))).max().unwrap_or_default();
        widths
    }
}

/// What is special about a snapshot.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    let description = Some(snapshot.manifest().description()).filter(|text| !text.is_empty());
    snapshot.marks().into_iter().chain(description.map(|text| format!("{text:?}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: &str, files: &str, notes: &[&str]) -> Row {
        let notes = notes.iter().map(ToString::to_string).collect();
        Row { time: time.into(), id: "c".repeat(32), size: "117.3 kB".into(), files: files.into(), notes }
    }

    #[test]
    fn a_table_fits_the_terminal_and_its_columns_stand_below_each_other() {
        let rows = [
            row("2026-01-02 03:04:05 CET", "1 file", &["pin keep", "tag:of some length"]),
            row("2026-07-02 03:04:05 CEST", "123,456 files", &[]),
        ];
        let widths = Widths::of(&rows);
        let of = |room| rows.iter().flat_map(|row| row.lines(&widths, room)).collect::<Vec<_>>();
        for room in [None, Some(200), Some(80)] {
            let lines = of(room);
            assert_eq!(lines[0].find("  cccccccc"), lines.last().unwrap().find("  cccccccc"), "{lines:?}");
            let ends = |line: &String, word: &str| line.find(word).unwrap() + word.len();
            assert_eq!(ends(&lines[0], " file"), ends(lines.last().unwrap(), " files"), "{lines:?}");
        }
        assert_eq!((of(None).len(), of(Some(200))), (2, of(None)));
        let narrow = of(Some(80));
        assert!(narrow.len() == 3 && narrow.iter().all(|line| line.chars().count() <= 80), "{narrow:?}");
        // Each of these takes two columns: 61 + 2 + 18 do not fit, though 61 + 2 + 9 would.
        let wide = [row("2026-01-02 03:04:05 CET", "123,456 files", &["写真と文書館の記録"])];
        let lines = wide[0].lines(&Widths::of(&wide), Some(80));
        assert!(lines.len() == 2 && lines[1].ends_with("写真と文書館の記録"), "{lines:?}");
        assert!(
            narrow[0].contains("  cccccccc  ") && narrow[1] == "      pin keep  tag:of some length",
            "{narrow:?}"
        );
    }
}
