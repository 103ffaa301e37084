//! The comparison from its arguments to its table, with the one contestant that every machine has.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::process::{Command, Output};

fn compare<A: AsRef<OsStr>>(args: &[A]) -> Output {
    // Only what is there in any case, so that the test is the same everywhere.
    Command::new(env!("CARGO_BIN_EXE_compare")).args(args).env("PATH", "/usr/bin:/bin").output().unwrap()
}

#[test]
fn a_tiny_set_becomes_table_chart_and_figures() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| place.path().join(name).into_os_string();
    let (work, readme, chart, json) = (file("work"), file("readme"), file("chart"), file("json"));
    fs::write(&readme, "before\n<!-- comparison -->\n<!-- /comparison -->\nafter\n").unwrap();
    let mut args: Vec<OsString> =
        ["--scale", "0.05", "--rounds", "2", "--only", "cp"].map(OsString::from).to_vec();
    for (name, value) in [("--work", &work), ("--readme", &readme), ("--chart", &chart), ("--json", &json)] {
        args.extend([name.into(), value.clone()]);
    }
    let output = compare(&args);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{messages}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("small: 50 files") && table.contains("| cp -a of the plain tree | "), "{table}");
    let text = fs::read_to_string(&readme).unwrap();
    assert!(text.starts_with("before\n<!-- comparison -->\n| wall s") && text.ends_with("-->\nafter\n"));
    assert_eq!(fs::read_to_string(&chart).unwrap().matches("<rect").count(), 3);
    assert!(!place.path().join("work/restored").exists(), "restored folders are removed");

    let again = compare(&[OsStr::new("--from"), &json]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), table);
}

#[test]
fn unknown_contestants_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let output = compare(&["--only", "tar", "--work", &place.path().to_string_lossy()]);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("error: tar is none of kopia-rs, before, floor")
    );
}

#[test]
fn over_a_network_whoever_is_missing_takes_no_part() {
    let place = tempfile::tempdir().unwrap();
    let json = place.path().join("figures.json").into_os_string();
    let mut args: Vec<OsString> =
        ["--network", "0,5", "--scale", "0.05", "--rounds", "1", "--only", "restic"]
            .map(OsString::from)
            .to_vec();
    args.extend(["--work".into(), place.path().join("work").into(), "--json".into(), json.clone()]);
    let output = compare(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("mixed, local disk | mixed, 0 ms | mixed, 5 ms | requests | bytes |"), "{table}");
    let again = compare(&[OsStr::new("--from"), &json]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), table);
}

#[test]
fn slow_targets_become_times_and_counts() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| place.path().join(name).into_os_string();
    let (readme, chart, json) = (file("readme"), file("chart"), file("json"));
    fs::write(&readme, "<!-- latency comparison -->\n<!-- /latency comparison -->\n").unwrap();
    let mut args: Vec<OsString> =
        ["--target-latency", "0,0.5", "--scale", "0.2", "--rounds", "1", "--only", "cp"]
            .map(OsString::from)
            .to_vec();
    args.extend(["--work".into(), file("work"), "--json".into(), json.clone()]);
    args.extend(["--readme".into(), readme.clone(), "--latency-chart".into(), chart.clone()]);
    let output = compare(&args);
    let messages = String::from_utf8_lossy(&output.stderr);
    if messages.contains("cannot be mounted") {
        eprintln!("skipped: {messages}");
        return;
    }
    assert!(output.status.success(), "{messages}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains(" latency, target 0 ms | latency, target 0.5 ms |"), "{table}");
    assert!(table.contains("| requests a file: latency, target 0.5 ms | LOOKUP | CREATE |"), "{table}");
    assert!(table.contains("latency: 11 files") && !table.contains("failed"), "{table}");
    assert!(fs::read_to_string(&readme).unwrap().contains("| requests a file"));
    assert_eq!(fs::read_to_string(&chart).unwrap().matches("<rect").count(), 2);
    let again = compare(&[OsStr::new("--from"), &json]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), table);
    // Nothing stays mounted.
    assert!(!fs::read_to_string("/proc/self/mounts").unwrap().contains(&*place.path().to_string_lossy()));
}

#[test]
fn requests_of_own_files_are_counted() {
    let place = tempfile::tempdir().unwrap();
    let args = ["--operations", "--sets", "own", "--rounds", "1", "--only", "cp,tar", "--scale", "2"];
    let mut args: Vec<OsString> = args.map(OsString::from).to_vec();
    args.extend(["--work".into(), place.path().join("work").into()]);
    let output = compare(&args);
    let messages = String::from_utf8_lossy(&output.stderr);
    if messages.contains("cannot be mounted") {
        eprintln!("skipped: {messages}");
        return;
    }
    assert!(output.status.success(), "{messages}");
    let table = String::from_utf8(output.stdout).unwrap();
    let row = |label: &str| {
        let row = table.lines().find(|line| line.starts_with(&format!("| {label} |")));
        row.unwrap_or_else(|| panic!("{label} is not in {table}")).to_owned()
    };
    // Each file is created once.
    let cp = row("cp -a of the plain tree");
    assert!(
        table.starts_with("| requests a file | LOOKUP | CREATE |") && cp.contains(" | 1.00 | "),
        "{table}"
    );
    assert!(!row("tar x of an archive").contains("failed"), "{table}");
    assert!(table.contains("own: 20 files"), "{table}");
}
