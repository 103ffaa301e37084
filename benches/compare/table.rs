//! The tables of a README.

mod latency;
mod shards;

use std::fmt::Write;

use crate::figures::{Column, Figures, NetworkFigures, Row, SetFigures, Trouble};
use crate::step::Taken;
pub(crate) use latency::{disks, latency, operations};
pub(crate) use shards::shards;

/// Writes all figures as Markdown: a row for each contestant, a column for each set.
pub(crate) fn markdown(figures: &Figures) -> String {
    let Figures { date, machine, rounds, sets, .. } = figures;
    let mut text = String::new();
    let mut line =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
    let heads: String = sets.iter().map(|set| format!(" {} |", head(set))).collect();
    line(format_args!("| wall s (× kopia-rs) / CPU s / peak MiB |{heads}"));
    line(format_args!("|---|{}", "---|".repeat(sets.len())));
    for (contestant, label) in figures.contestants() {
        let cells: String = sets.iter().map(|set| format!(" {} |", cell(set, contestant))).collect();
        line(format_args!("| {} |{cells}", strong(contestant, label)));
    }
    let versions: Vec<_> =
        figures.versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
    let mut scaled = String::new();
    if figures.scale != 100.0 {
        scaled = format!(" Sets have {} % of their usual size.", figures.scale);
    }
    line(format_args!(""));
    line(format_args!(
        "{date}; {}, {} cores, {} GiB; Linux {}, {}; medians of {rounds} rounds, page cache warm, without a final sync.{scaled}\n{}.",
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.file_system,
        versions.join(", "),
    ));
    text
}

/// Writes figures over a line as Markdown: a row for each rival, a column for each set and distance.
pub(crate) fn network(figures: &Figures, network: &NetworkFigures) -> String {
    let Figures { date, machine, versions, .. } = figures;
    let mut text = String::new();
    let mut line =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
    let columns = &network.columns;
    let heads: String =
        columns.iter().map(|column| format!(" {}, {} |", column.set, column.away.label())).collect();
    line(format_args!("| wall s (× kopia-rs) / CPU s / peak MiB |{heads} requests | bytes |"));
    line(format_args!("|---|{}---|---|", "---|".repeat(columns.len())));
    let mut rivals: Vec<(&str, &str)> = Vec::new();
    for row in columns.iter().flat_map(|column| &column.rows) {
        if !rivals.contains(&(&row.contestant, &row.label)) {
            rivals.push((&row.contestant, &row.label));
        }
    }
    for (rival, label) in rivals {
        let rows = || columns.iter().filter_map(|column| column.row(rival)?.best()?.traffic);
        let requests = rows().map(|traffic| traffic.requests).max().map_or("–".into(), thousands);
        let bytes = rows().map(|traffic| traffic.bytes).max().map_or("–".into(), size);
        let cells: String = columns.iter().map(|column| format!(" {} |", distant(column, rival))).collect();
        line(format_args!("| {} |{cells} {requests} | {bytes} |", strong(rival, label)));
    }
    let mut sets: Vec<String> = Vec::new();
    for column in columns {
        let set = format!("{}: {}", column.set, contents(column.files, column.bytes));
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    let versions: Vec<_> = versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
    let rounds = columns.iter().flat_map(|column| &column.rows).map(|row| row.runs.len());
    line(format_args!(""));
    line(format_args!(
        "{date}; {}, {} cores for server, line and client together, {} GiB; {}; the best of up to {} rounds.\n\
         {}; requests and bytes of the column that has most.\n{}.",
        machine.processor,
        machine.cores,
        machine.memory_gib,
        network.server,
        rounds.max().unwrap_or_default(),
        sets.join("; "),
        versions.join(", "),
    ));
    text
}

/// Says where figures come from: date, machine, rounds, sets, versions. `how` they were measured differs.
fn origin(figures: &Figures, columns: &[Column], how: &str) -> String {
    let Figures { date, machine, versions, .. } = figures;
    let mut sets: Vec<String> = Vec::new();
    for column in columns {
        let set = format!("{}: {}", column.set, contents(column.files, column.bytes));
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    let versions: Vec<_> = versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
    let rounds = columns.iter().flat_map(|column| &column.rows).map(|row| row.runs.len()).max();
    let rounds = rounds.unwrap_or_default();
    format!(
        "{date}; {}, {} cores, {} GiB; Linux {}, {}; the best of up to {rounds} round{}, {how}, without a final sync.\n\
         {}.\n{}.\n",
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.file_system,
        if rounds == 1 { "" } else { "s" },
        sets.join("; "),
        versions.join(", "),
    )
}

/// Makes the label of kopia-rs stand out.
fn strong(contestant: &str, label: &str) -> String {
    if contestant == "kopia-rs" { format!("**{label}**") } else { label.into() }
}

fn distant(column: &Column, rival: &str) -> String {
    let Some(row) = column.row(rival) else { return "–".into() };
    let Some(Taken { wall_s, cpu_s, peak_mib, .. }) = row.best() else {
        return if row.trouble.is_some() { "failed".into() } else { "–".into() };
    };
    let reference = column.row("kopia-rs").and_then(Row::best).filter(|_| rival != "kopia-rs");
    let ratio =
        reference.map_or(String::new(), |reference| format!(" (× {})", short(wall_s / reference.wall_s)));
    let peak = peak_mib.map_or("–".into(), |peak| format!("{peak:.0}"));
    format!("{}{ratio} / {} / {peak}", short(wall_s), short(cpu_s))
}

/// Says what a set is.
pub(crate) fn head(set: &SetFigures) -> String {
    format!("{}: {}", set.name, contents(set.files, set.bytes))
}

fn contents(files: u64, bytes: u64) -> String {
    let files = if files == 1 { "1 file".into() } else { format!("{} files", thousands(files)) };
    format!("{files}, {}", size(bytes))
}

fn cell(set: &SetFigures, contestant: &str) -> String {
    let Some(row) = set.row(contestant) else { return "–".into() };
    match (&row.trouble, row.median()) {
        (Some(Trouble::Failed(_)), _) => "failed".into(),
        (Some(Trouble::Incomplete(_)), _) => "incomplete".into(),
        (None, None) => "–".into(),
        (None, Some(Taken { wall_s, cpu_s, peak_mib, .. })) => {
            let ratio = set.reference().filter(|_| contestant != "kopia-rs");
            let ratio =
                ratio.map_or(String::new(), |reference| format!(" (× {})", short(wall_s / reference)));
            let peak = peak_mib.map_or("–".into(), |peak| format!("{peak:.0}"));
            format!("{}{ratio} / {} / {peak}", short(wall_s), short(cpu_s))
        }
    }
}

/// A number with two digits that say something, three from a hundred on.
pub(crate) fn short(number: f64) -> String {
    match number {
        ..0.995 => format!("{number:.2}"),
        ..9.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        ..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_a_table() {
        let expected = "\
| wall s (× kopia-rs) / CPU s / peak MiB | small: 100,000 files, 492 MB | huge: 1 file, 3.2 GB |
|---|---|---|
| **kopia-rs & co** | 1.5 / 3.0 / 100 | 12 / 25 / 100 |
| floor & co | 1.0 (× 0.67) / 2.0 / – | – |
| kopia-cold & co | 32 (× 21) / 63 / 100 | incomplete |
| vykar & co | failed | – |
| cp & co | – | 7.0 (× 0.57) / 14 / 100 |

2001-02-03; An <imaginary> processor, 2 cores, 24 GiB; Linux 1.2.3, ext4; medians of 3 rounds, page cache warm, without a final sync.
kopia-rs 0.1.0, kopia 0.23.1.
";
        assert_eq!(markdown(&crate::figures::made_up()), expected);
    }

    #[test]
    fn figures_of_a_line_become_a_table() {
        let expected = "\
| wall s (× kopia-rs) / CPU s / peak MiB | mixed, local disk | mixed, 50 ms, 1 Gbit/s, slow start | requests | bytes |
|---|---|---|---|---|
| **kopia-rs & co** | 1.5 / 1.0 / 32 | 2.5 / 1.0 / 35 | 140 | 250 MB |
| kopia-cold & co | – | 100 (× 40) / 1.0 / 130 | 20,110 | 250 MB |

2001-02-03; An <imaginary> processor, 2 cores for server, line and client together, 24 GiB; minio 1; \
the best of up to 2 rounds.
mixed: 20,001 files, 622 MB; requests and bytes of the column that has most.
kopia-rs 0.1.0, kopia 0.23.1.
";
        let made_up = crate::figures::made_up_network();
        assert_eq!(network(&crate::figures::made_up(), &made_up), expected);
    }

    #[test]
    fn reduced_sets_are_said_to_be() {
        let figures = Figures { scale: 0.5, ..crate::figures::made_up() };
        assert!(markdown(&figures).contains("Sets have 0.5 % of their usual size."));
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in
            [(0.0, "0.00"), (0.994, "0.99"), (0.996, "1.0"), (9.94, "9.9"), (9.96, "10"), (123.4, "123")]
        {
            assert_eq!(short(number), text);
        }
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"].map(String::from)
        );
    }
}
