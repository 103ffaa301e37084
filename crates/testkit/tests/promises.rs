//! The table of promises in testdata/README.md names tests that exist.

use std::fs;
use std::path::Path;

#[test]
fn every_promise_is_held_by_tests_that_exist() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(workspace.join(path)).expect(path);
    let table = read("testdata/README.md");
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with('|') && line.contains(".rs`")).collect();
    assert!(rows.len() > 30, "only {} rows were found", rows.len());
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let &[_, file, tests] = &*cells else { panic!("a row has three cells: {row}") };
        let code = read(file.trim_matches('`'));
        assert!(code.contains("#[test]"), "{file} has no tests");
        for test in tests.split(", ").filter(|tests| *tests != "all") {
            let name = test.strip_prefix('`').and_then(|test| test.strip_suffix('`')).expect(row);
            // Unit tests are indented: they lie in a module of the file that they test.
            let function = format!("fn {name}()");
            let is_there = code.lines().any(|line| line.trim_start().starts_with(&function));
            assert!(is_there, "{file} has no test {name}");
        }
    }
}
