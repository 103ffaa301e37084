//! Small sources in, expected copies out. The switch's name is left out of them: `m(1, 2)` asks for the mutants 1 and 2.

use crate::edit::{self, Map};
use crate::files::{self, Plan};
use crate::visitor::Visitor;
use serde_json::Value;
use std::collections::HashSet;
use syn::visit::Visit;

/// The copy, on one line, and its mutants.
fn instrumented(text: &str, dropped: &[u32]) -> (String, Vec<Value>) {
    let dropped: HashSet<u32> = dropped.iter().copied().collect();
    let mut visitor = Visitor::new(text, "own", "src/lib.rs", &dropped, 1);
    visitor.visit_file(&syn::parse_file(text).expect("Rust"));
    let copy = edit::apply(text, &visitor.edits, &visitor.functions, "src/lib.rs", &mut Map::default());
    syn::parse_file(&copy).expect("the copy is Rust");
    let copy = crate::source::on_one_line(&copy.replace("::mutant_switch::which", "m"));
    (copy.replace("( match", "(match"), visitor.mutants)
}

fn copy(text: &str) -> String {
    instrumented(text, &[]).0
}

/// `was -> becomes` of every mutant.
fn changes(text: &str) -> Vec<String> {
    let one = |mutant: &Value| format!("{} -> {}", text_of(&mutant["was"]), text_of(&mutant["becomes"]));
    instrumented(text, &[]).1.iter().map(one).collect()
}

fn text_of(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[track_caller]
fn assert_unchanged(text: &str) {
    assert_eq!(copy(text), crate::source::on_one_line(text));
}

#[test]
fn a_function_may_return_at_once() {
    assert_eq!(
        copy("fn size() -> Option<u64> { stat() }"),
        "fn size() -> Option<u64> { match m(1, 3) { 1 => return ::std::option::Option::None, \
         2 => return ::std::option::Option::Some(0), 3 => return ::std::option::Option::Some(1), _ => {} } stat() }"
    );
}

#[test]
fn operators_become_others_and_nest() {
    assert_eq!(
        copy("async fn f() { g(!a && b == c) }"),
        "async fn f() { g((match m(1, 1) { 1 => (!a) || (b == c), _ => \
         (match m(2, 1) { 1 => a, _ => !a }) && (match m(3, 1) { 1 => (b) != (c), _ => b == c }) })) }"
    );
    assert_eq!(
        copy("async fn f() { n += 1; }"),
        "async fn f() { (match m(1, 2) { 1 => n -= 1, 2 => n *= 1, _ => n += 1 }); }"
    );
}

#[test]
fn flags_are_not_told_apart_from_their_exclusive_or() {
    assert_eq!(changes("async fn f() { g(Mode::RUSR | (A_B | C1), 0); }"), ["| -> &", "| -> &"]);
    assert_eq!(changes("async fn f() { g(bits | MASK) }"), ["| -> &", "| -> ^"]);
    assert_eq!(changes("async fn f() { g(A | 2) }"), ["| -> &", "| -> ^"]);
}

#[test]
fn arms_before_a_wildcard_go_and_guards_become_constant() {
    assert_eq!(
        copy("async fn f() { match a { 1 => b, n if n.c() => d, _ => e } }"),
        "async fn f() { match a { 1 if m(1, 1) == 0 => b, \
         n if m(2, 1) == 0 && ((match m(3, 2) { 1 => true, 2 => false, _ => n.c() })) => d, _ => e } }"
    );
    // Without one, the compiler would not have it.
    assert_unchanged("async fn f() { match a { true => b, false => c } }");
}

#[test]
fn results_are_made_by_their_types() {
    let bodies = |result: &str| {
        let all = changes(&format!("fn f() -> {result} {{ g() }}"));
        all.iter().map(|change| change.replace("body of f -> ", "")).collect::<Vec<_>>()
    };
    assert_eq!(bodies("bool"), ["true", "false"]);
    assert_eq!(bodies("i32"), ["0", "1", "-1"]);
    assert_eq!(bodies("&'static str"), ["\"\"", "\"xyzzy\""]);
    assert_eq!(bodies("Result<(), Error>"), ["Ok(())"]);
    assert_eq!(bodies("io::Result<Vec<u8>>"), ["Ok(Vec::new())", "Ok(vec![0])", "Ok(vec![1])"]);
    assert_eq!(bodies("(bool, String)").len(), 4);
    assert_eq!(bodies("(u8,)"), ["(0,)", "(1,)"]);
    assert_eq!(bodies("[u8; 4]"), ["[0; 4]", "[1; 4]"]);
    assert_eq!(bodies("std::sync::Arc<u8>"), ["std::sync::Arc::new(0)", "std::sync::Arc::new(1)"]);
    assert_eq!(bodies("&[Entry]"), ["Vec::leak(Vec::new())", "Vec::leak(vec![Default::default()])"]);
    assert_eq!(bodies("Entry"), ["Default::default()"]);
    assert!(bodies("impl Iterator<Item = u8>").is_empty());
    assert_eq!(changes("fn f() { g() }"), ["body of f -> ()"]);
}

#[test]
fn a_body_does_not_become_what_it_is() {
    assert_eq!(changes("fn f() -> bool { true }"), ["body of f -> false"]);
    assert_eq!(changes("fn f() -> Option<u8> { None }"), ["body of f -> Some(0)", "body of f -> Some(1)"]);
    assert_unchanged("fn f() {}");
    assert_unchanged("impl Default for A { fn default() -> Self { A::new() } }");
    assert_unchanged("impl fmt::Debug for A { fn fmt(&self) -> fmt::Result { say(self) } }");
}

#[test]
fn what_the_compiler_computes_stays() {
    assert_unchanged(
        "const A: u8 = 1 + 2; static B: bool = !true; enum C { D = 1 + 1 } struct E([u8; 1 + 1]);",
    );
    assert_unchanged("const fn f() -> u8 { 1 + 2 }");
    assert_unchanged("impl A { const B: u8 = 1 + 2; } trait C { const D: u8 = 1 + 2; }");
    assert_unchanged(
        "async fn f() { const A: u8 = 1 + 2; let b: [u8; 1 + 1] = [0; 1 + 1]; g::<{ 1 + 1 }>(const { 1 + 1 }); }",
    );
    assert_unchanged("#[a(b = 1 + 1)] async fn f() { g() }");
}

#[test]
fn patterns_and_macros_stay() {
    assert_unchanged("async fn f() { let -1 = a else { return }; match b { -1 | 2..=3 => c, d => e } }");
    assert_unchanged("macro_rules! a { () => { 1 + 2 } } async fn f() { assert!(a == b); say!(1 + 2); }");
}

#[test]
fn conditions_that_bind_stay_but_not_what_they_look_at() {
    assert_unchanged("async fn f() { if a && let Some(b) = c { d } }");
    assert_eq!(
        copy("async fn f() { while let Some(a) = b && c == d {} }"),
        "async fn f() { while let Some(a) = b && (match m(1, 1) { 1 => (c) != (d), _ => c == d }) {} }"
    );
    assert_eq!(
        copy("async fn f() { match a { b if let Some(c) = b => d, _ => e } }"),
        "async fn f() { match a { b if m(1, 1) == 0 && let Some(c) = b => d, _ => e } }"
    );
}

#[test]
fn what_is_for_tests_or_other_systems_stays() {
    assert_unchanged("#[cfg(test)] mod tests { fn f() { g() } }");
    assert_unchanged("#[cfg(any(test, feature = \"seal\"))] fn f() { g() }");
    assert_unchanged("#[cfg(feature = \"testing\")] impl A { fn f() { g() } }");
    assert_unchanged("#[test] fn f() { g() }");
    assert_unchanged("#[cfg(not(unix))] fn f() { g() }");
    assert_eq!(changes("#[cfg(feature = \"mount\")] fn f() { g() }").len(), 1);
}

#[test]
fn those_that_do_not_compile_are_left_out_and_the_others_keep_their_numbers() {
    let text = "async fn f() { a < b; c == d }";
    let (copy, mutants) = instrumented(text, &[2]);
    assert_eq!(
        copy,
        "async fn f() { (match m(1, 3) { 1 => (a) == (b), 3 => (a) <= (b), _ => a < b }); \
         (match m(4, 1) { 1 => (c) != (d), _ => c == d }) }"
    );
    assert_eq!(
        mutants.iter().map(|mutant| mutant["number"].as_u64()).collect::<Vec<_>>(),
        [Some(1), Some(3), Some(4)]
    );
    assert_eq!(instrumented(text, &[1, 2, 3, 4]).0, text);
}

#[test]
fn a_mutant_says_where_it_is() {
    let text = "impl Row {\n    /// Says.\n    async fn is_last(&self) {\n        self.at\n            == 3\n    }\n}\n";
    let mutant = &instrumented(text, &[]).1[0];
    assert_eq!((text_of(&mutant["function"]), text_of(&mutant["text"])), ("Row::is_last", "== 3"));
    assert_eq!((mutant["line"].as_u64(), mutant["column"].as_u64()), (Some(5), Some(13)));
    let bytes = |index: usize| mutant["bytes"][index].as_u64().expect("a number") as usize;
    let function = &text[bytes(0)..bytes(1)];
    assert!(function.starts_with("async fn is_last") && function.ends_with("    }"), "{function}");
}

#[test]
fn errors_lead_back_to_what_they_lie_in() {
    let text = "fn f() -> bool { a == b }";
    let none = HashSet::new();
    let mut visitor = Visitor::new(text, "own", "a.rs", &none, 1);
    visitor.visit_file(&syn::parse_file(text).expect("Rust"));
    let mut map = Map::default();
    let copy = edit::apply(text, &visitor.edits, &visitor.functions, "a.rs", &mut map);
    let at = |value: &Value| {
        let place = |index: usize| value[index].as_u64().expect("a number") as usize;
        copy[place(1)..place(2)].to_owned()
    };
    let alternatives: Vec<String> = map.alternatives.iter().map(at).collect();
    assert_eq!(alternatives, ["1 => return true, ", "2 => return false, ", "1 => (a) != (b), "]);
    let places: Vec<String> = map.places.iter().map(at).collect();
    assert!(places[1].starts_with("(match") && places[1].ends_with("a == b })"), "{places:?}");
    assert_eq!(map.functions.iter().map(at).collect::<Vec<_>>(), [copy]);
}

#[test]
fn crates_are_read_by_their_modules() {
    let folder = std::env::temp_dir().join(format!("instrument-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("src/inner/deep")).expect("a folder");
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).expect("a file");
    write(
        "src/lib.rs",
        "//! Docs.\n#![deny(missing_docs)]\nmod inner;\n#[cfg(test)]\nmod tests;\nfn f() { g() }\n",
    );
    write("src/inner.rs", "mod deep { mod deeper; }\nmod plain;\n");
    write("src/inner/deep/deeper.rs", "fn f() { g() }");
    write("src/inner/plain.rs", "struct A;");
    let plan = |files: &[&str]| Plan {
        workspace: folder.clone(),
        crates: vec![("own".into(), vec!["src/lib.rs".into()])],
        files: files.iter().map(|&part| part.into()).collect(),
        dropped: HashSet::new(),
    };
    let all = files::instrument(&plan(&[])).expect("all are there");
    let part = files::instrument(&plan(&["deeper"])).expect("all are there");
    std::fs::remove_dir_all(&folder).expect("it is ours");

    let names = |of: &files::Instrumented| of.files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&all), ["src/lib.rs", "src/inner/deep/deeper.rs"]);
    assert!(
        all.files[0].1.starts_with("//! Docs.\n#![deny(missing_docs)]\n#![allow(warnings,"),
        "{}",
        all.files[0].1
    );
    assert_eq!(all.mutants.len(), 2);
    // The root allows what mutants provoke in any file.
    assert_eq!((names(&part), part.mutants.len()), (names(&all), 1));
}
