//! Commands that are done here, and their options, as kopia 0.23.1 has them. Authority: Kopia's `cli`.

use kopia_rs::connection::connecting;

use super::call::Call;
#[cfg(all(feature = "mount", target_os = "linux"))]
use super::mount::run as mount;
use super::trouble::Trouble;
use super::{
    client, connect, contents, diff, listing, lists, maintenance, objects, policies, restore, snapshots,
    status, verify,
};

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) short: Option<char>,
    /// Whether it takes no value; then `--no-NAME` is known, too.
    pub(super) is_switch: bool,
    pub(super) variable: Option<&'static str>,
    pub(super) is_required: bool,
}

/// A command.
pub(super) struct Command {
    /// Its words, each with other words for the same.
    pub(super) words: &'static [&'static [&'static str]],
    pub(super) flags: &'static [Flag],
    /// How many arguments it takes.
    pub(super) arguments: std::ops::RangeInclusive<usize>,
    /// What kopia calls the arguments that it must have, with blanks between them.
    pub(super) argument: &'static str,
    pub(super) run: fn(&Call) -> Result<(), Trouble>,
}

pub(super) const fn value(name: &'static str) -> Flag {
    Flag { name, short: None, is_switch: false, variable: None, is_required: false }
}

pub(super) const fn switch(name: &'static str) -> Flag {
    Flag { is_switch: true, ..value(name) }
}

const fn short(flag: Flag, letter: char) -> Flag {
    Flag { short: Some(letter), ..flag }
}

const fn from(flag: Flag, variable: &'static str) -> Flag {
    Flag { variable: Some(variable), ..flag }
}

/// The kopia that has these commands and options.
pub(super) const VERSION: &str = "0.23.1";

/// Options of all commands. What logs, metrics, progress and maintenance mean nothing to a reader.
pub(super) const GLOBAL: &[Flag] = &[
    from(value("config-file"), "KOPIA_CONFIG_PATH"),
    from(short(value("password"), 'p'), "KOPIA_PASSWORD"),
    from(switch("persist-credentials"), "KOPIA_PERSIST_CREDENTIALS_ON_CONNECT"),
    from(switch("use-keyring"), "KOPIA_USE_KEYRING"),
    value("timezone"),
    switch("auto-maintenance"),
    value("initial-update-check-delay"),
    value("update-check-interval"),
    value("update-available-notify-interval"),
    switch("trace-storage"),
    switch("disable-repository-log"),
    value("dangerous-commands"),
    value("track-releasable"),
    value("upgrade-owner-id"),
    switch("upgrade-no-block"),
    value("error-notifications"),
    switch("dump-allocator-stats"),
    value("metrics-listen-addr"),
    switch("enable-pprof"),
    value("metrics-push-addr"),
    value("metrics-push-interval"),
    value("metrics-push-job"),
    value("metrics-push-grouping"),
    value("metrics-push-username"),
    value("metrics-push-password"),
    value("metrics-push-format"),
    switch("otlp-trace"),
    value("diagnostics-output-directory"),
    switch("metrics-store-on-exit"),
    switch("profile-store-on-exit"),
    switch("profile-go-gc-before-dump"),
    value("profile-blocking-rate"),
    switch("profile-cpu"),
    value("profile-memory-rate"),
    value("profile-mutex-fraction"),
    switch("progress"),
    value("progress-estimation-type"),
    value("progress-update-interval"),
    value("adaptive-estimation-threshold"),
    value("log-file"),
    value("content-log-file"),
    switch("disable-file-logging"),
    switch("disable-content-log"),
    value("log-dir"),
    value("log-dir-max-files"),
    value("log-dir-max-age"),
    value("log-dir-max-total-size-mb"),
    value("max-log-file-segment-size"),
    switch("wait-for-log-sweep"),
    value("content-log-dir-max-files"),
    value("content-log-dir-max-age"),
    value("content-log-dir-max-total-size-mb"),
    value("log-level"),
    switch("json-log-console"),
    switch("json-log-file"),
    value("file-log-level"),
    switch("file-log-local-tz"),
    switch("force-color"),
    switch("disable-color"),
    switch("console-timestamps"),
];

/// Options of all that connects, besides those of its kind of storage.
const CONNECT: &[Flag] = &[
    from(value("cache-directory"), "KOPIA_CACHE_DIRECTORY"),
    value("content-cache-size-mb"),
    value("content-cache-size-limit-mb"),
    value("content-min-sweep-age"),
    value("metadata-cache-size-mb"),
    value("metadata-cache-size-limit-mb"),
    value("metadata-min-sweep-age"),
    value("index-min-sweep-age"),
    value("max-list-cache-duration"),
    value("override-hostname"),
    value("override-username"),
    switch("check-for-updates"),
    switch("readonly"),
    switch("permissive-cache-loading"),
    value("description"),
    switch("enable-actions"),
    value("repository-format-cache-duration"),
    switch("disable-repository-format-cache"),
];

const JSON: [Flag; 3] = [switch("json"), switch("json-indent"), switch("json-verbose")];

const REPOSITORY: &[&str] = &["repository", "repo"];
const SNAPSHOT: &[&str] = &["snapshot", "snap"];
const LIST: &[&str] = &["list", "ls"];

macro_rules! commands {
    ($($words:expr, $flags:expr, $arguments:expr, $argument:expr, $run:expr;)*) => {
        &[$(Command { words: $words, flags: $flags, arguments: $arguments, argument: $argument, run: $run }),*]
    };
}

const RESTORE: &[Flag] = &[
    switch("overwrite-directories"),
    switch("overwrite-files"),
    switch("overwrite-symlinks"),
    switch("write-sparse-files"),
    from(switch("consistent-attributes"), "KOPIA_RESTORE_CONSISTENT_ATTRIBUTES"),
    value("mode"),
    value("parallel"),
    switch("skip-owners"),
    switch("skip-permissions"),
    switch("skip-times"),
    switch("ignore-permission-errors"),
    switch("write-files-atomically"),
    switch("ignore-errors"),
    switch("skip-existing"),
    switch("delete-extra"),
    value("shallow"),
    value("shallow-minsize"),
    value("snapshot-time"),
    switch("flush-files"),
];

/// All commands that are done here.
pub(super) const COMMANDS: &[Command] = commands! {
    &[REPOSITORY, &["connect"]], &[], 0..=0, "", connect::run;
    &[REPOSITORY, &["status"]],
        &[short(switch("reconnect-token"), 't'), short(switch("reconnect-token-with-password"), 's'), JSON[0], JSON[1], JSON[2]],
        0..=0, "", status::run;
    &[REPOSITORY, &["throttle"], &["set"]],
        &[value("download-bytes-per-second"), value("upload-bytes-per-second"), value("read-requests-per-second"),
          value("write-requests-per-second"), value("list-requests-per-second"), value("concurrent-reads"),
          value("concurrent-writes")],
        0..=0, "", client::set_throttle;
    &[REPOSITORY, &["throttle"], &["get"]], &JSON, 0..=0, "", client::get_throttle;
    &[REPOSITORY, &["set-client"]],
        &[switch("read-only"), switch("read-write"), switch("permissive-cache-loading"), value("description"),
          value("username"), value("hostname"), value("repository-format-cache-duration"),
          switch("disable-repository-format-cache")],
        0..=0, "", client::set;
    &[REPOSITORY, &["disconnect"]], &[], 0..=0, "", client::disconnect;
    &[SNAPSHOT, LIST],
        &[short(switch("incomplete"), 'i'), switch("human-readable"), short(switch("delta"), 'd'),
          short(switch("manifest-id"), 'm'), switch("retention"), switch("mtime"), switch("owner"),
          short(switch("show-identical"), 'l'), switch("storage-stats"), switch("reverse"), short(switch("all"), 'a'),
          short(value("max-results"), 'n'), value("tags"), JSON[0], JSON[1], JSON[2]],
        0..=1, "source", snapshots::run;
    &[SNAPSHOT, &["restore"]], RESTORE, 1..=usize::MAX, "sources", restore::run;
    &[&["restore"]], RESTORE, 1..=usize::MAX, "sources", restore::run;
    &[SNAPSHOT, &["verify"]],
        &[value("max-errors"), value("directory-id"), value("file-id"), switch("all-sources"), value("sources"),
          value("parallel"), value("file-queue-length"), value("file-parallelism"), value("verify-files-percent"),
          JSON[0], JSON[1], JSON[2]],
        0..=usize::MAX, "snapshot-ids", verify::run;
    &[&["show", "cat"]], &[], 1..=1, "object-path", objects::show;
    &[&["diff", "compare"]],
        &[short(switch("files"), 'f'), switch("stats-only"), from(value("diff-command"), "KOPIA_DIFF")],
        2..=2, "object-path1 object-path2", diff::run;
    &[&["mount"]],
        &[switch("browse"), switch("trace-fs"), switch("fuse-allow-other"), switch("fuse-allow-non-empty-mount"),
          switch("webdav"), value("max-cached-entries"), value("max-cached-dirs")],
        0..=2, "", mount;
    &[LIST],
        &[short(switch("long"), 'l'), short(switch("human-readable"), 'h'), short(switch("recursive"), 'r'),
          short(switch("show-object-id"), 'o'), switch("error-summary")],
        1..=1, "object-path", listing::run;
    &[&["index"], LIST], &[switch("summary"), switch("superseded"), value("sort"), JSON[0], JSON[1], JSON[2]], 0..=0, "", lists::indexes;
    &[&["blob"], LIST],
        &[value("prefix"), value("exclude-prefix"), value("min-size"), value("max-size"), switch("data-only"),
          JSON[0], JSON[1], JSON[2]],
        0..=0, "", lists::blobs;
    &[&["content", "contents"], LIST],
        &[short(switch("long"), 'l'), short(switch("compression"), 'c'), switch("deleted"), switch("deleted-only"),
          short(switch("summary"), 's'), short(switch("human"), 'h'), value("prefix"), switch("prefixed"),
          switch("non-prefixed"), JSON[0], JSON[1], JSON[2]],
        0..=0, "", contents::list;
    &[&["manifest"], LIST], &[value("filter"), value("sort"), JSON[0], JSON[1], JSON[2]], 0..=0, "", lists::manifests;
    &[&["manifest"], &["show"]], &[], 1..=usize::MAX, "item", lists::show_manifest;
    &[&["maintenance", "gc"], &["info", "status"]], &JSON, 0..=0, "", maintenance::info;
    &[&["policy", "policies"], LIST], &JSON, 0..=0, "", policies::list;
    &[&["policy", "policies"], &["show", "get"]], &[switch("global"), JSON[0], JSON[1], JSON[2]], 0..=usize::MAX, "target", policies::show;
};

/// Where nothing can be mounted, such a line is handed over.
#[cfg(not(all(feature = "mount", target_os = "linux")))]
fn mount(call: &Call) -> Result<(), Trouble> {
    Err(Trouble::failed(format!(
        "mount error: mounting error: {:?} cannot be mounted here",
        call.line.argument(0)
    )))
}

/// Returns what the options of a kind of storage are, with those of all that connects.
pub(super) fn of_kind(kind: &str) -> Option<Vec<Flag>> {
    let own = connecting::flags(kind)?.iter().map(|flag| Flag {
        name: flag.name,
        short: None,
        is_switch: flag.is_switch,
        variable: flag.variable,
        is_required: flag.is_required,
    });
    Some(CONNECT.iter().copied().chain(own).collect())
}

/// Returns what kopia calls a command: its first words.
pub(super) fn name(command: &Command) -> String {
    command.words.iter().map(|words| words[0]).collect::<Vec<_>>().join(" ")
}
