//! Pages about the code name tests, crates and files that exist.

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

#[test]
fn the_page_about_the_crates_names_all_of_them_and_files_that_exist() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(crates.join("README.md")).unwrap();
    for entry in fs::read_dir(&crates).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        assert!(page.contains(&format!("\n| `{name}` |")), "crates/README.md has no row of {name}");
    }
    // A path is given from `crates`, or from the room that the sentence is about.
    let prose: String = page.split("```").step_by(2).collect();
    let paths: Vec<&str> = prose.split('`').skip(1).step_by(2).filter(|text| text.contains(".rs")).collect();
    assert!(paths.len() > 15, "only {paths:?} were found");
    for path in paths {
        let rooms = ["", "repository/src/contents", "restore/src", "restore/src/destination"];
        assert!(rooms.iter().any(|room| crates.join(room).join(path).is_file()), "there is no {path}");
    }
}
