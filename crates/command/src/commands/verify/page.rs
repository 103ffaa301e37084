//! The result as one page for people: nothing in it is loaded from elsewhere, and nothing runs.

use std::fmt::Write;

use kopia_rs::diagnosis::text::{chain, html};

use super::summary::Summary;
use crate::session::INCOMPLETE_LIST;
use crate::terminal::output::{count, size, thousands};
use crate::terminal::time;

/// How many lines each table has at most.
const SHOWN: usize = 1000;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;\
    border-bottom:1px solid #8884;vertical-align:top;overflow-wrap:anywhere}\
    .verdict{padding:1rem;border-left:.5rem solid #2a7d2a;font-size:1.2rem}.bad{border-color:#b3261e}\
    .open{border-color:#b98900}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}";

/// Writes the page.
pub(super) fn page(summary: &Summary<'_>, place: &str) -> String {
    let verified = summary.verified;
    let mut page = String::new();
    let kind = match (summary.is_sound(), summary.restorable_as_of()) {
        (false, _) => "verdict bad",
        (true, None) => "verdict open",
        (true, Some(_)) => "verdict",
    };
    let verdict = summary.line().unwrap_or_else(|| match summary.is_sound_as_listed() {
        true if summary.has_gaps => format!("what was read is sound, but {INCOMPLETE_LIST}"),
        true => "what was read is sound".into(),
        false => "not everything can be restored".into(),
    });
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Backup check: {0}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Backup check</h1>\n<p>{0}</p>\n\
         <p class=\"{kind}\">{1}</p>\n<table>\n",
        html(place),
        html(&verdict)
    );
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(page, "<tr><th>{name}</th><td>{}</td></tr>", html(value));
    };
    let of = |verified: u64, of: u64| format!("{} of {}", thousands(verified), thousands(of));
    row("Checked", &time::local(summary.began, "%Y-%m-%d %H:%M:%S %Z"));
    row("Took", &format!("{:.1} s", summary.seconds));
    row("Packs read in this run", &of(verified.packs.verified, verified.packs.of));
    let (read, all) = (size(verified.stored_bytes.verified), size(verified.stored_bytes.of));
    row("Bytes read in this run", &format!("{read} of {all}"));
    if let (Some(rotated), Some(days)) = (&verified.rotated, summary.days) {
        row("Read in turn", &format!("everything within {}", count(days.into(), "day", "days")));
        row("Packs read by now and sound", &of(rotated.standing.sound, rotated.standing.packs));
    }
    row("Folders", &thousands(verified.directories));
    row("Files and links", &thousands(verified.files));
    row("Damaged contents", &thousands(verified.damage_count));
    row("Entries that are lost", &thousands(verified.affected_count));
    page.push_str("</table>\n");
    let lost = summary.lost.iter().map(|lost| ("index".to_string(), lost.to_string()));
    let unlisted = verified.unlisted.iter().map(|error| ("snapshots".to_string(), error.to_string()));
    let gaps = summary.has_gaps.then(|| ("snapshots".to_string(), INCOMPLETE_LIST.to_string()));
    table(&mut page, "Parts of the list that cannot be read", lost.chain(unlisted).chain(gaps));
    let entries = verified.affected.iter().map(|entry| {
        let snapshot = entry.snapshot.as_ref();
        let of = snapshot.map(|snapshot| format!("{} {}: ", snapshot.source(), snapshot.start_time()));
        let path = if entry.path.is_empty() { "." } else { &entry.path };
        (format!("{}{path}", of.unwrap_or_default()), entry.reason.to_string())
    });
    table(&mut page, "Entries that cannot be restored as they were", entries);
    let damage = verified
        .damage
        .iter()
        .map(|damage| (format!("{} in pack {}", damage.content, damage.pack), chain(&damage.error)));
    table(&mut page, "Contents that cannot be read", damage);
    page.push_str("</body>\n</html>\n");
    page
}

/// Writes a table if there is anything for it.
fn table(page: &mut String, title: &str, lines: impl Iterator<Item = (String, String)>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = writeln!(page, "<h2>{title}</h2>\n<table>");
    for (what, why) in lines.by_ref().take(SHOWN) {
        let _ = writeln!(page, "<tr><td>{}</td><td>{}</td></tr>", html(&what), html(&why));
    }
    let more = lines.count() as u64;
    if more > 0 {
        let _ = writeln!(page, "<tr><td>… and {} more</td><td></td></tr>", thousands(more));
    }
    page.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_in_a_name_becomes_markup() {
        let hostile = "</td><script>alert('x')</script>\"&\u{1b}[2J";
        let escaped = super::html(hostile);
        assert!(!escaped.contains(['<', '>', '"', '\'', '\u{1b}']), "{escaped}");
        assert!(escaped.starts_with("&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39;)"));
    }
}
