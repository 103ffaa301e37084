//! kopia's words for tools, asked as Kopiur's client asks: arguments, fields of JSON, exit status, and what its
//! substrings make of messages. Where `kopia` is on PATH, the same calls are made to both.
#![cfg(feature = "kopia-words")]

#[cfg(feature = "networks")]
#[path = "kopia_words/bucket.rs"]
mod bucket;
#[path = "kopia_words/client.rs"]
mod client;
#[path = "kopia_words/handing.rs"]
mod handing;
#[path = "kopia_words/looking.rs"]
mod looking;
#[path = "kopia_words/pod.rs"]
mod pod;
#[path = "kopia_words/reading.rs"]
mod reading;
#[path = "kopia_words/side_by_side.rs"]
mod side_by_side;
#[path = "kopia_words/upkeep.rs"]
mod upkeep;
