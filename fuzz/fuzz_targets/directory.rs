//! Directories, whole and as a stream: both say the same, and no name leaves its folder.
#![no_main]

use kopia_format::directory::{Entry, Refused, read, read_stream};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut whole = Vec::new();
    let result = read(bytes, |entry: Result<Entry<'_>, Refused>| whole.push(entry.map(Entry::into_owned)));
    for entry in whole.iter().flatten() {
        assert!(!matches!(&*entry.name, "" | "." | "..") && !entry.name.contains(['/', '\0']));
        assert_eq!(entry.mode & !0o7777, 0);
    }
    let mut streamed = Vec::new();
    let stream = read_stream(bytes, |entry| streamed.push(entry.map(Entry::into_owned))).expect("slices do not fail");
    if result.is_ok() {
        assert_eq!((stream.is_ok(), &streamed), (true, &whole));
    }
});
