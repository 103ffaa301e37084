//! Tables of restores to and from slow file systems, and of what files cost there in requests.

use std::fmt::Write;

use kopia_rs_benches::operations::{Counts, Operation};

use super::{contents, distant, origin, strong};
use crate::figures::{Away, Column, Figures};

/// Kinds of requests that are rarer than this for each file share a column.
const RARE: f64 = 0.05;

/// Writes times as Markdown: a row for each contestant, a column for each set and distance. Then what each
/// asked for, at the greatest distances.
pub(crate) fn latency(figures: &Figures, columns: &[Column]) -> String {
    let mut text = times(columns);
    let mut far: Vec<&Column> = Vec::new();
    for column in columns {
        match far.iter_mut().find(|other| other.set == column.set && is_alike(other.away, column.away)) {
            Some(other) if trip(other.away) < trip(column.away) => *other = column,
            Some(_) => {}
            None => far.push(column),
        }
    }
    for column in far {
        let title = format!("requests a file: {}, {}", column.set, column.away.label());
        text += "\n";
        text += &requests(&title, &[column], true);
    }
    text + "\n" + &origin(figures, columns, "page cache of what is below warm")
}

/// Writes times on new and aged disks as Markdown: a row for each contestant, a column for each disk.
pub(crate) fn disks(figures: &Figures, columns: &[Column]) -> String {
    times(columns)
        + "\n"
        + &origin(figures, columns, "page cache of what is read warm, each on an ext4 of its own")
}

/// Writes times as Markdown: a row for each contestant, a column for each set and distance.
fn times(columns: &[Column]) -> String {
    let mut text = String::new();
    let mut line =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
    let heads: String =
        columns.iter().map(|column| format!(" {}, {} |", column.set, column.away.label())).collect();
    line(format_args!("| wall s (× kopia-rs) / CPU s / peak MiB |{heads}"));
    line(format_args!("|---|{}", "---|".repeat(columns.len())));
    for (contestant, label) in contestants(columns) {
        let cells: String =
            columns.iter().map(|column| format!(" {} |", distant(column, contestant))).collect();
        line(format_args!("| {} |{cells}", strong(contestant, label)));
    }
    text
}

/// Writes what files cost in requests as Markdown: a row for each set and contestant, a column for each kind.
pub(crate) fn operations(figures: &Figures, columns: &[Column]) -> String {
    let columns: Vec<_> = columns.iter().collect();
    let sets: Vec<_> = columns
        .iter()
        .map(|column| format!("{}: {}", column.set, contents(column.files, column.bytes)))
        .collect();
    let versions: Vec<_> =
        figures.versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
    format!(
        "{}\n{}; through Linux {}'s FUSE, names and attributes believed for a second.\n{}.\n",
        requests("requests a file", &columns, false),
        sets.join("; "),
        figures.machine.kernel,
        versions.join(", ")
    )
}

/// Names and labels of all contestants, in their order.
fn contestants(columns: &[Column]) -> Vec<(&str, &str)> {
    let mut all = Vec::new();
    for row in columns.iter().flat_map(|column| &column.rows) {
        let contestant = (&*row.contestant, &*row.label);
        if !all.contains(&contestant) {
            all.push(contestant);
        }
    }
    all
}

fn requests(title: &str, columns: &[&Column], at_once: bool) -> String {
    let (mut rows, mut failed): (Vec<(String, &Counts, f64)>, _) = (Vec::new(), Vec::new());
    for (column, row) in columns.iter().flat_map(|column| column.rows.iter().map(move |row| (column, row))) {
        let set = if columns.len() > 1 { format!(", {}", column.set) } else { String::new() };
        let label = format!("{}{set}", strong(&row.contestant, &row.label));
        match &row.counts {
            Some(counts) => rows.push((label, counts, column.files.max(1) as f64)),
            None => failed.push(label),
        }
    }
    let waited = || Operation::ALL.into_iter().filter(|kind| !Operation::UNWAITED.contains(kind));
    let is_rare =
        |kind: &Operation| rows.iter().all(|(_, counts, files)| counts.of(*kind) as f64 / files < RARE);
    let (rare, kinds): (Vec<_>, Vec<_>) = waited().partition(is_rare);
    let mut text = String::new();
    let mut line =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
    let heads: String = kinds.iter().map(|kind| format!(" {} |", kind.name())).collect();
    let (more, rule) = if at_once { (" most at once |", "---|") } else { ("", "") };
    line(format_args!("| {title} |{heads} others | all |{more}"));
    line(format_args!("|---|{}---|---|{rule}", "---|".repeat(kinds.len())));
    for (label, counts, files) in &rows {
        let cell = |count: u64| format!(" {:.2} |", count as f64 / files);
        let cells: String = kinds.iter().map(|kind| cell(counts.of(*kind))).collect();
        let others = cell(rare.iter().map(|kind| counts.of(*kind)).sum());
        let all = cell(waited().map(|kind| counts.of(kind)).sum());
        let most = if at_once { format!(" {} |", counts.most_at_once) } else { String::new() };
        line(format_args!("| {label} |{cells}{others}{all}{most}"));
    }
    for label in failed {
        let rest = "| ".repeat(kinds.len() + 1 + usize::from(at_once));
        line(format_args!("| {label} | failed {rest}|"));
    }
    text
}

fn is_alike(one: Away, other: Away) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

fn trip(away: Away) -> u64 {
    match away {
        Away::Target { trip } | Away::Source { trip } => trip,
        Away::Local | Away::Line { .. } | Away::Disk(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{made_up, made_up_latency};

    #[test]
    fn figures_of_slow_file_systems_become_tables() {
        let expected = "\
| wall s (× kopia-rs) / CPU s / peak MiB | latency, target 0.5 ms | latency, target 2 ms | latency, source 2 ms |
|---|---|---|---|
| **kopia-rs & co** | 1.5 / 1.0 / 30 | 4.0 / 1.0 / 30 | 2.0 / 1.0 / 30 |
| cp & co | 6.0 (× 4.0) / 1.0 / 30 | 40 (× 10) / 1.0 / 30 | – |

| requests a file: latency, target 2 ms | LOOKUP | CREATE | others | all | most at once |
|---|---|---|---|---|---|
| **kopia-rs & co** | 0.75 | 1.00 | 0.02 | 1.77 | 32 |
| cp & co | 2.00 | 1.00 | 0.00 | 3.00 | 32 |

| requests a file: latency, source 2 ms | LOOKUP | CREATE | others | all | most at once |
|---|---|---|---|---|---|
| **kopia-rs & co** | 0.75 | 1.00 | 0.02 | 1.77 | 32 |

2001-02-03; An <imaginary> processor, 2 cores, 24 GiB; Linux 1.2.3, ext4; the best of up to 1 round, page cache \
of what is below warm, without a final sync.
latency: 100 files, 5 MB.
kopia-rs 0.1.0, kopia 0.23.1.
";
        assert_eq!(latency(&made_up(), &made_up_latency()), expected);
    }

    #[test]
    fn figures_of_disks_become_a_table_without_requests() {
        use crate::figures::Disk;
        let mut columns = made_up_latency();
        columns.truncate(2);
        columns[0].away = Away::Disk(Disk::Fresh);
        columns[1].away = Away::Disk(Disk::Aged);
        let expected = "\
| wall s (× kopia-rs) / CPU s / peak MiB | latency, new ext4 | latency, aged ext4, 60 % full |
|---|---|---|
| **kopia-rs & co** | 1.5 / 1.0 / 30 | 4.0 / 1.0 / 30 |
| cp & co | 6.0 (× 4.0) / 1.0 / 30 | 40 (× 10) / 1.0 / 30 |

2001-02-03; ";
        let table = disks(&made_up(), &columns);
        assert!(table.starts_with(expected), "{table}");
    }

    #[test]
    fn requests_of_several_sets_become_one_table() {
        let mut columns = made_up_latency();
        columns.truncate(2);
        columns[0].set = "own".into();
        let table = operations(&made_up(), &columns);
        assert!(table.starts_with("| requests a file | LOOKUP | CREATE | others | all |\n"), "{table}");
        assert!(table.contains("| **kopia-rs & co**, own | 0.75 |"), "{table}");
        assert!(table.contains("| cp & co, latency | 2.00 |"), "{table}");
        assert!(table.contains("own: 100 files, 5 MB; latency: 100 files, 5 MB; through Linux 1.2.3's FUSE"));
    }
}
