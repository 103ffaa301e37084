#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kopia_fuzzkit::format::index_v1(bytes));
