//! Pages about the code name tests, crates and files that exist.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Returns all pages that people read, from the root of the workspace.
fn pages(workspace: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["", ".github", "benches", "crates", "crates/kopia-rs", "crates/kopia-rs/guide", "testdata"]
    {
        let entries = fs::read_dir(workspace.join(folder)).expect(folder);
        let entries = entries.map(|entry| entry.expect(folder).path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    pages.push(workspace.join(".ci/mutants/README.md"));
    // What rustdoc puts before the pages names modules.
    pages.retain(|page| !page.ends_with("guide/links.md"));
    pages.extend(
        ["kubernetes", "container"].map(|name| workspace.join("examples").join(name).join("README.md")),
    );
    pages
}

/// Returns a page without what stands in fences.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).expect("a page");
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns where links lead: those in the text, and definitions at the start of a line.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    let inline = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let defined =
        prose.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    inline.chain(defined.map(|(_, place)| place)).filter(|place| !place.contains("://"))
}

/// Returns the anchors that forges give to headings.
fn anchors(prose: &str) -> Vec<String> {
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|title| title.chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut count = 0;
    for page in pages(&workspace) {
        let prose_of_page = prose(&page);
        for link in links(&prose_of_page) {
            let (place, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if place.is_empty() { page.clone() } else { page.parent().unwrap().join(place) };
            assert!(target.exists(), "{}: {link} does not exist", page.display());
            let has_anchor = || anchors(&prose(&target)).iter().any(|known| known == anchor);
            assert!(anchor.is_empty() || has_anchor(), "{}: {link}: no such heading", page.display());
            count += 1;
        }
        // References that nothing defines are shown with their brackets.
        for reference in prose_of_page.split("][").skip(1).filter_map(|rest| Some(rest.split_once(']')?.0)) {
            let definition = format!("\n[{reference}]: ");
            assert!(prose_of_page.contains(&definition), "{}: [{reference}] is not defined", page.display());
        }
    }
    assert!(count > 60, "only {count} links were found");
}

#[test]
fn every_page_of_the_guide_is_in_its_list_and_in_rustdoc() {
    let facade = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kopia-rs");
    let read = |name: &str| fs::read_to_string(facade.join(name)).unwrap();
    let (list, links, modules) = (read("guide/README.md"), read("guide/links.md"), read("src/lib.rs"));
    for entry in fs::read_dir(facade.join("guide")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".md").filter(|name| !["README", "links"].contains(name)) else {
            continue;
        };
        let module = name.replace('-', "_");
        assert!(list.contains(&format!("[{name}]({name}.md)")), "guide/README.md has no {name}");
        assert!(links.contains(&format!("[{name}]: crate::guide::{module}\n")), "links.md has no {name}");
        assert!(modules.contains(&format!("include_str!(\"../guide/{name}.md\")")), "lib.rs has no {name}");
    }
}

#[test]
fn the_readme_is_short_and_its_figures_are_those_of_the_guide() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(workspace.join("README.md")).unwrap();
    assert!(readme.lines().count() <= 120, "{} lines", readme.lines().count());
    let guide = fs::read_to_string(workspace.join("crates/kopia-rs/guide/speed.md")).unwrap();
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let (_, section) = readme.split_once("\n## How fast\n").unwrap();
    let tables = section.split("\n## ").next().unwrap().split("\n\n").filter(|part| part.starts_with('|'));
    let tables: Vec<Vec<_>> = tables.map(|table| table.lines().map(cells).collect()).collect();
    assert_eq!(tables.len(), 2, "local restores, and those to and from slow file systems");
    for (rows, marker) in tables.iter().zip(["<!-- comparison -->", "<!-- latency comparison -->"]) {
        assert!(rows.len() > 5, "{rows:?}");
        let (_, compared) = guide.split_once(marker).unwrap();
        let compared = compared.trim_start().split("\n\n").next().unwrap();
        let compared: Vec<_> = compared.lines().filter(|line| line.starts_with('|')).map(cells).collect();
        for row in rows.iter().skip(2) {
            let measured = compared.iter().find(|measured| measured[0] == row[0]);
            let measured = measured.unwrap_or_else(|| panic!("the guide has no {}", row[0]));
            for (name, seconds) in rows[0].iter().zip(row).skip(1) {
                let column =
                    compared[0].iter().position(|column| column.contains(name.as_str())).expect(name);
                let first = measured[column].split(' ').next();
                assert_eq!(first, Some(seconds.as_str()), "{}, {name}", row[0]);
            }
        }
    }
}
