//! What the guide shows of the command: the reference, made of what `--help` prints, and a picture of a terminal.
//!
//! `KOPIA_RS_WRITE_GUIDE=1 cargo test --workspace --test cli guide` writes both again.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::common::{KopiaRs, Place};
use crate::terminal::Terminal;

const WRITE: &str = "KOPIA_RS_WRITE_GUIDE";

/// Compares a file of the guide with what it should be, or writes it.
fn compare(name: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kopia-rs/guide").join(name);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&file, wanted).unwrap();
    }
    let is = fs::read_to_string(&file).unwrap_or_default();
    let differing = is.lines().zip(wanted.lines()).find(|(is, wanted)| is != wanted);
    let again = format!("{WRITE}=1 cargo test --workspace --test cli guide");
    assert!(is == wanted, "{name} is not up to date, {differing:?}; `{again}` writes it");
}

/// Splits help into paragraphs: each begins in the first column, after an empty line.
fn paragraphs(help: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut is_after_gap = true;
    for line in help.lines().map(str::trim_end) {
        match paragraphs.last_mut() {
            Some(paragraph) if !is_after_gap || line.is_empty() || line.starts_with(' ') => {
                let _ = write!(paragraph, "\n{line}");
            }
            _ => paragraphs.push(line.into()),
        }
        is_after_gap = line.is_empty();
    }
    paragraphs.into_iter().map(|paragraph| paragraph.trim_end().into()).collect()
}

#[test]
#[cfg(all(
    target_os = "linux",
    feature = "browse",
    feature = "describe",
    feature = "export",
    feature = "mount",
    feature = "networks",
    feature = "serve",
    feature = "terminal-browser"
))]
fn the_reference_is_what_help_prints() {
    let help = |arguments: &str| KopiaRs::new(arguments).run().exits(0).text().to_owned();
    let all = help("--help");
    let common: Vec<_> =
        paragraphs(&all).into_iter().filter(|paragraph| paragraph.starts_with("Options of ")).collect();
    assert!(common.len() >= 2, "{common:?}");
    let mut page = format!(
        "# Reference\n\nThis is what `kopia-rs --help` and `kopia-rs COMMAND --help` print, on Linux and with all\nfeatures. Every \
         command also takes the options that the first section calls those of all commands; they are not\nrepeated.\n\nThe page is generated. `{WRITE}=1 cargo test --workspace --test cli guide` writes it \
         again.\n\n## kopia-rs\n\n```text\n{}\n```\n",
        paragraphs(&all).join("\n\n")
    );
    let (_, commands) = all.split_once("Commands:\n").unwrap();
    let lines = commands.lines().take_while(|line| line.starts_with(' '));
    let names =
        lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| *name != "help") {
        let own = help(&format!("{name} --help"));
        let own: Vec<_> = paragraphs(&own).into_iter().filter(|own| !common.contains(own)).collect();
        let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", own.join("\n\n"));
    }
    compare("reference.md", &page);
}

/// What a command shows on a terminal of 80 columns: notes, and then the result.
fn shown(place: &Place, arguments: &str) -> String {
    let terminal = Terminal::open();
    terminal.resize(80);
    let command = KopiaRs::golden("sources", arguments).env("TERM", "xterm").in_folder(&place.path(""));
    let ran = command.stdout(terminal.inside()).run().exits(0);
    let out = terminal.watch().join().unwrap();
    // How long it takes depends on the machine.
    let out: Vec<_> = out.lines().map(|line| line.split(" in 0").next().unwrap_or(line)).collect();
    format!("{}{}", ran.stderr, out.join("\n"))
}

/// Turns text with colours into spans.
fn spans(line: &str) -> String {
    let mut spans = String::new();
    for (place, part) in line.split("\u{1b}[").enumerate() {
        let (code, text) = part.split_once('m').filter(|_| place > 0).unwrap_or(("0", part));
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = match code {
            _ if text.is_empty() => Ok(()),
            "1" => write!(spans, "<tspan class=\"b\">{text}</tspan>"),
            "2" => write!(spans, "<tspan class=\"d\">{text}</tspan>"),
            "31" => write!(spans, "<tspan class=\"r\">{text}</tspan>"),
            "32" => write!(spans, "<tspan class=\"g\">{text}</tspan>"),
            "33" => write!(spans, "<tspan class=\"y\">{text}</tspan>"),
            _ => write!(spans, "{text}"),
        };
    }
    spans
}

#[test]
#[cfg(feature = "browse")]
fn the_picture_shows_what_the_command_prints() {
    let place = Place::new();
    let mut lines = Vec::new();
    for typed in ["snapshots app@media:/data", "diff app@media:/data", "restore app@media:/data restored"] {
        lines.push(format!("\u{1b}[32m$\u{1b}[0m \u{1b}[1mkopia-rs {typed}\u{1b}[0m"));
        lines.extend(shown(&place, typed).lines().map(str::to_owned));
        lines.push(String::new());
    }
    lines.pop();
    let height = 20 * lines.len() + 24;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 {height}\" width=\"760\" height=\"{height}\" \
         role=\"img\" aria-label=\"A terminal in which snapshots are listed, compared and restored\">\n\
         <style>text{{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#e6edf3;\
         white-space:pre}}.b{{font-weight:700}}.d{{fill:#9198a1}}.r{{fill:#ff7b72}}.g{{fill:#3fb950}}\
         .y{{fill:#d29922}}</style>\n<rect width=\"760\" height=\"{height}\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (row, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let _ = writeln!(picture, "<text x=\"16\" y=\"{}\">{}</text>", 20 * row + 27, spans(line));
    }
    compare("terminal.svg", &(picture + "</svg>\n"));
}
