#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kopia_fuzzkit::remote::gdrive_answers(bytes));
