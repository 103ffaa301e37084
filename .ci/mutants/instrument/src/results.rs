//! What a function may answer without having looked at anything, by the type of its result.

use crate::source::{Source, squeezed};
use syn::{GenericArgument, Path, PathArguments, PathSegment, ReturnType, Type, TypeReference, TypeTuple};

const DEFAULT: &str = "::std::default::Default::default()";
/// A text that no test expects.
const TEXT: &str = "\"xyzzy\"";
const OWNED_TEXT: &str = "\"xyzzy\".into()";
/// So many of a tuple's combinations.
const COMBINATIONS: usize = 8;

/// Values, as code, for a function with this result. Which of them do not compile is found out later.
pub(crate) fn of(result: &ReturnType, source: Source<'_>) -> Vec<String> {
    match result {
        ReturnType::Default => one("()"),
        ReturnType::Type(_, result) => values(result, source),
    }
}

/// The same code as people want to read it.
pub(crate) fn short(code: &str) -> String {
    const PREFIXES: [&str; 9] = [
        "::std::default::",
        "::std::option::Option::",
        "::std::result::Result::",
        "::std::vec::",
        "::std::string::",
        "::std::boxed::",
        "::std::borrow::",
        "::std::path::",
        "::std::ffi::",
    ];
    PREFIXES.iter().fold(code.to_owned(), |code, prefix| code.replace(prefix, ""))
}

/// Returns true if a body with this text, squeezed, computes `value` as it is.
pub(crate) fn is_there_already(value: &str, body: &str) -> bool {
    squeezed(value) == body
        || squeezed(&short(value)) == body
        || (value == OWNED_TEXT && body == TEXT)
        || (value == DEFAULT && body.ends_with("Self::default()"))
}

fn one(value: &str) -> Vec<String> {
    vec![value.to_owned()]
}

fn several(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn values(result: &Type, source: Source<'_>) -> Vec<String> {
    match result {
        Type::Paren(inner) => values(&inner.elem, source),
        Type::Group(inner) => values(&inner.elem, source),
        Type::Tuple(tuple) => of_tuple(tuple, source),
        Type::Array(array) => {
            let length = source.of(&array.len);
            values(&array.elem, source).iter().map(|value| format!("[{value}; {length}]")).collect()
        }
        Type::Reference(reference) => of_reference(reference, source),
        Type::Path(named) => match named.path.segments.last() {
            Some(last) => of_path(&named.path, last, source),
            None => vec![],
        },
        _ => vec![],
    }
}

fn of_tuple(tuple: &TypeTuple, source: Source<'_>) -> Vec<String> {
    let mut combinations = vec![String::new()];
    for element in &tuple.elems {
        let values = values(element, source);
        combinations = combinations
            .iter()
            .flat_map(|before| values.iter().map(move |value| format!("{before}{value}, ")))
            .take(COMBINATIONS)
            .collect();
    }
    let close = |inner: &String| match tuple.elems.len() {
        1 => format!("({},)", inner.trim_end_matches(", ")),
        _ => format!("({})", inner.trim_end_matches(", ")),
    };
    combinations.iter().map(close).collect()
}

/// What is referred to is leaked: processes of tests do not live long.
fn of_reference(reference: &TypeReference, source: Source<'_>) -> Vec<String> {
    match &*reference.elem {
        Type::Path(named) if named.path.is_ident("str") && reference.mutability.is_none() => {
            several(&["\"\"", TEXT])
        }
        Type::Path(named) if ends_in(&named.path, "Path") => one("::std::path::Path::new(\"\")"),
        Type::Path(named) if ends_in(&named.path, "OsStr") => one("::std::ffi::OsStr::new(\"xyzzy\")"),
        Type::Slice(slice) => {
            let mut leaked = one("::std::vec::Vec::leak(::std::vec::Vec::new())");
            let elements = values(&slice.elem, source);
            leaked.extend(elements.iter().map(|value| format!("::std::vec::Vec::leak(vec![{value}])")));
            leaked
        }
        other => {
            let values = values(other, source);
            values
                .iter()
                .map(|value| format!("::std::boxed::Box::leak(::std::boxed::Box::new({value}))"))
                .collect()
        }
    }
}

fn of_path(path: &Path, last: &PathSegment, source: Source<'_>) -> Vec<String> {
    let first = first_argument(last);
    let of_first = || first.map(|argument| values(argument, source)).unwrap_or_default();
    match last.ident.to_string().as_str() {
        "bool" => several(&["true", "false"]),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => several(&["0", "1"]),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => several(&["0", "1", "-1"]),
        "f32" | "f64" => several(&["0.0", "1.0", "-1.0"]),
        "NonZeroUsize" | "NonZeroU64" | "NonZeroU32" | "NonZeroU16" | "NonZeroU8" => {
            one("1.try_into().unwrap()")
        }
        "String" => several(&["::std::string::String::new()", OWNED_TEXT]),
        "Option" => {
            let mut options = one("::std::option::Option::None");
            options.extend(of_first().iter().map(|value| format!("::std::option::Option::Some({value})")));
            options
        }
        "Result" if first.is_none() && squeezed(source.of(path)).ends_with("fmt::Result") => {
            one("::std::result::Result::Ok(())")
        }
        "Result" if first.is_none() => one("::std::result::Result::Ok(::std::default::Default::default())"),
        "Result" => of_first().iter().map(|value| format!("::std::result::Result::Ok({value})")).collect(),
        "Vec" => {
            let mut lists = one("::std::vec::Vec::new()");
            lists.extend(of_first().iter().map(|value| format!("vec![{value}]")));
            lists
        }
        "Box" | "Arc" | "Rc" | "Mutex" | "RwLock" | "Cell" | "RefCell" => match first {
            Some(Type::Slice(_)) => one(DEFAULT),
            Some(argument) if is_str(argument) => several(&[DEFAULT, OWNED_TEXT]),
            _ => {
                // The path as it is written, without its arguments.
                let start = source.of(path).len() - source.of(last).len();
                let outer = format!("{}{}", &source.of(path)[..start], last.ident);
                of_first().iter().map(|value| format!("{outer}::new({value})")).collect()
            }
        },
        "Cow" if first.is_some_and(is_str) => {
            several(&["::std::borrow::Cow::Borrowed(\"\")", "::std::borrow::Cow::Borrowed(\"xyzzy\")"])
        }
        _ => one(DEFAULT),
    }
}

fn first_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(argument) => Some(argument),
        _ => None,
    })
}

fn is_str(argument: &Type) -> bool {
    matches!(argument, Type::Path(named) if named.path.is_ident("str"))
}

fn ends_in(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|last| last.ident == name)
}
