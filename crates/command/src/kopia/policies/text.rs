//! `policy show` without `--json`. Authority: Kopia's `cli/command_policy_show.go`.

use kopia_rs::Source;
use serde_json::Value;

use super::merge::Effective;
use super::{NONE, target_text, words};
use crate::terminal::output::for_terminal;

/// A line: its name, the value, and where that was said.
type Row = (String, String, String);

/// Writes what policies come to for a target.
pub(super) fn text(effective: &Effective, target: &Source) -> String {
    let mut page = Page { effective, target, rows: Vec::new() };
    page.retention();
    page.blank();
    page.files();
    page.blank();
    page.errors();
    page.blank();
    page.scheduling();
    page.blank();
    page.uploads();
    page.blank();
    page.compression();
    page.blank();
    page.metadata();
    page.blank();
    page.splitter();
    page.blank();
    page.actions();
    page.blank();
    page.system();
    page.blank();
    page.logging();
    format!("Policy for {}:\n\n{}\n", for_terminal(&target_text(target)), aligned(&page.rows))
}

fn aligned(rows: &[Row]) -> String {
    let with_value = rows.iter().filter(|(_, value, _)| !value.is_empty());
    let width = with_value.map(|(name, value, _)| name.len() + 3 + value.len()).max().unwrap_or_default();
    let line = |(name, value, defined): &Row| {
        let mut line = name.clone();
        if !value.is_empty() || !defined.is_empty() {
            line += &" ".repeat(width.saturating_sub(name.len() + value.len()));
            line += value;
        }
        let line = if defined.is_empty() { line } else { format!("{line}   {defined}") };
        for_terminal(&line).into_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

struct Page<'a> {
    effective: &'a Effective,
    target: &'a Source,
    rows: Vec<Row>,
}

impl Page<'_> {
    /// Returns a field by its path.
    fn get(&self, field: &str) -> &Value {
        field.split('.').fold(&self.effective.policy, |value, name| &value[name])
    }

    fn defined(&self, field: &str) -> String {
        let defined = self.effective.defined_at(field);
        match defined == *self.target {
            true => "(defined for this target)".into(),
            false => format!("inherited from {}", target_text(&defined)),
        }
    }

    fn blank(&mut self) {
        self.title("");
    }

    fn title(&mut self, name: &str) {
        self.rows.push((name.into(), String::new(), String::new()));
    }

    fn row(&mut self, name: &str, value: impl Into<String>, field: &str) {
        let defined = self.defined(field);
        self.rows.push((name.into(), value.into(), defined));
    }

    /// A row of a number, or a switch that is off where nothing is said.
    fn number(&mut self, name: &str, field: &str) {
        let value = self.get(field);
        let value = if value.is_null() { "-".to_owned() } else { value.to_string() };
        self.row(name, value, field);
    }

    fn switch(&mut self, name: &str, field: &str, default: bool) {
        let is_on = self.get(field).as_bool().unwrap_or(default);
        self.row(name, is_on.to_string(), field);
    }

    /// A row, and one for each text of a list; returns whether there are any.
    fn list(&mut self, name: &str, field: &str, indent: &str) -> bool {
        let texts: Vec<String> = self.texts(field);
        if !texts.is_empty() {
            self.row(name, "", field);
            texts.iter().for_each(|text| self.title(&format!("{indent}{text}")));
        }
        !texts.is_empty()
    }

    fn texts(&self, field: &str) -> Vec<String> {
        let texts = self.get(field).as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn size(&self, field: &str) -> i64 {
        self.get(field).as_i64().unwrap_or_default()
    }

    fn retention(&mut self) {
        self.title("Retention:");
        for (name, field) in [
            ("  Annual snapshots:", "keepAnnual"),
            ("  Monthly snapshots:", "keepMonthly"),
            ("  Weekly snapshots:", "keepWeekly"),
            ("  Daily snapshots:", "keepDaily"),
            ("  Hourly snapshots:", "keepHourly"),
            ("  Latest snapshots:", "keepLatest"),
        ] {
            self.number(name, &format!("retention.{field}"));
        }
        self.switch("  Ignore identical snapshots:", "retention.ignoreIdenticalSnapshots", false);
    }

    fn files(&mut self) {
        self.title("Files policy:");
        self.switch("  Ignore cache directories:", "files.ignoreCacheDirs", true);
        if !self.list("  Ignore rules:", "files.ignore", "    ") {
            self.title("  No ignore rules:");
        }
        self.list("  Read ignore rules from files:", "files.ignoreDotFiles", "    ");
        let most = self.size("files.maxFileSize");
        if most > 0 {
            self.row("  Ignore files above:", words::bytes(most), "files.maxFileSize");
        }
        self.switch("  Scan one filesystem only:", "files.oneFileSystem", false);
    }

    fn errors(&mut self) {
        self.title("Error handling policy:");
        self.switch("  Ignore file read errors:", "errorHandling.ignoreFileErrors", false);
        self.switch("  Ignore directory read errors:", "errorHandling.ignoreDirectoryErrors", false);
        self.switch("  Ignore unknown types:", "errorHandling.ignoreUnknownTypes", true);
    }

    fn scheduling(&mut self) {
        self.title("Scheduling policy:");
        self.title("  Scheduled snapshots:");
        let seconds = self.size("scheduling.intervalSeconds");
        let mut is_any = seconds != 0;
        if is_any {
            let interval = words::duration(i128::from(seconds) * 1_000_000_000);
            self.row("    Snapshot interval:", interval, "scheduling.intervalSeconds");
        }
        let times = self.get("scheduling.timeOfDay").as_array().cloned().unwrap_or_default();
        if !times.is_empty() {
            self.switch("  Run missed snapshots:", "scheduling.runMissed", false);
            self.row("  Snapshot times:", "", "scheduling.timeOfDay");
            for time in &times {
                let part = |name: &str| time[name].as_i64().unwrap_or_default();
                self.title(&format!("    {}:{:02}", part("hour"), part("min")));
            }
            is_any = true;
        }
        is_any |= self.list("  Crontab expressions:", "scheduling.cron", "    ");
        if !is_any {
            self.title("    None.");
        }
        self.switch("  Manual snapshot:", "scheduling.manual", false);
    }

    fn uploads(&mut self) {
        self.title("Uploads:");
        self.number("  Max parallel snapshots (server/UI):", "upload.maxParallelSnapshots");
        self.number("  Max parallel file reads:", "upload.maxParallelFileReads");
        let above = self.get("upload.parallelUploadAboveSize").as_i64();
        let above = above.map_or_else(|| "-".into(), words::bytes);
        self.row("  Parallel upload above size:", above, "upload.parallelUploadAboveSize");
    }

    fn compressor(&self, part: &str) -> Option<String> {
        let name = self.get(part)["compressorName"].as_str().unwrap_or_default();
        (!matches!(name, "" | NONE)).then(|| name.to_owned())
    }

    fn compression(&mut self) {
        let Some(name) = self.compressor("compression") else { return self.title("Compression disabled.") };
        self.title("Compression:");
        self.row("  Compressor:", name, "compression.compressorName");
        let only = "  Only compress files with the following extensions:";
        let never = "  Compress all files except the following extensions:";
        if !self.list(only, "compression.onlyCompress", "     - ")
            && !self.list(never, "compression.neverCompress", "    ")
        {
            self.title("  Compress files regardless of extensions.");
        }
        let (least, most) = (self.size("compression.minSize"), self.size("compression.maxSize"));
        let bytes = words::bytes;
        self.title(&match (least > 0, most > 0) {
            (_, true) => format!("  Only compress files between {} and {}.", bytes(least), bytes(most)),
            (true, false) => format!("  Only compress files bigger than {}.", bytes(least)),
            (false, false) => "  Compress files of all sizes.".into(),
        });
    }

    fn metadata(&mut self) {
        let Some(name) = self.compressor("metadataCompression") else {
            return self.title("Metadata compression disabled.");
        };
        self.title("Metadata compression:");
        self.row("  Compressor:", name, "metadataCompression.compressorName");
    }

    fn splitter(&mut self) {
        self.title("Splitter:");
        let algorithm = self.get("splitter.algorithm").as_str().filter(|name| !name.is_empty());
        let algorithm = algorithm.unwrap_or("(repository default)").to_owned();
        self.row("  Algorithm override:", algorithm, "splitter.algorithm");
    }

    fn actions(&mut self) {
        let mut is_any = false;
        for (name, field, is_inherited) in [
            ("Run command before snapshot root:", "beforeSnapshotRoot", true),
            ("Run command after snapshot root:", "afterSnapshotRoot", true),
            ("Run command before this folder:", "beforeFolder", false),
            ("Run command after this folder:", "afterFolder", false),
        ] {
            let field = format!("actions.{field}");
            let action = self.get(&field).clone();
            if action.is_null() {
                continue;
            }
            is_any = true;
            let defined = if is_inherited { self.defined(&field) } else { "(non-inheritable)".into() };
            self.rows.push((name.into(), String::new(), defined));
            self.action(&action);
        }
        if !is_any {
            self.title("No actions defined.");
        }
    }

    fn action(&mut self, action: &Value) {
        let part = |name: &str| action[name].as_str().unwrap_or_default();
        let mut value = |name: &str, value: String| self.rows.push((name.into(), value, String::new()));
        match part("script") {
            "" => {
                let arguments = action["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let arguments = arguments.collect::<Vec<_>>().join(" ");
                value("  Command:", String::new());
                value(&format!("    {} {arguments}", part("path")), String::new());
            }
            script => {
                let lines = script.lines().map(|line| format!("    {line}"));
                value("  Embedded script (stored in repository):", String::new());
                lines.for_each(|line| value(&line, String::new()));
            }
        }
        let mode = if part("mode").is_empty() { "sync" } else { part("mode") };
        value("  Mode:", mode.into());
        let seconds = action["timeout"].as_i64().unwrap_or_default();
        value("  Timeout:", words::duration(i128::from(seconds) * 1_000_000_000));
        value("", String::new());
    }

    fn system(&mut self) {
        self.title("OS-level snapshot support:");
        let field = "osSnapshots.volumeShadowCopy.enable";
        let mode = match self.size(field) {
            1 => "always",
            2 => "when-available",
            _ => "never",
        };
        self.row("  Volume Shadow Copy:", mode, field);
    }

    fn logging(&mut self) {
        self.title("Logging details (0-none, 10-maximum):");
        for (name, field) in [
            ("  Directory snapshotted:", "directories.snapshotted"),
            ("  Directory ignored:", "directories.ignored"),
            ("  Entry snapshotted:", "entries.snapshotted"),
            ("  Entry ignored:", "entries.ignored"),
            ("  Entry cache hit:", "entries.cacheHit"),
            ("  Entry cache miss:", "entries.cacheMiss"),
        ] {
            let field = format!("logging.{field}");
            let detail = self.size(&field).to_string();
            self.row(name, detail, &field);
        }
    }
}
