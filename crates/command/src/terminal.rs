//! Where the command meets a person, a log or a pipe: standard streams, the password prompt, progress,
//! signals, reports.
//!
//! Nothing here knows of repositories beyond the values that it shows, nor decides about exit codes.

pub(crate) mod colour;
pub(crate) mod inside;
pub(crate) mod metrics;
pub(crate) mod metrics_file;
pub(crate) mod output;
pub(crate) mod password;
pub(crate) mod progress;
pub(crate) mod prometheus;
pub(crate) mod question;
pub(crate) mod replace;
pub(crate) mod report;
pub(crate) mod signals;
pub(crate) mod time;
pub(crate) mod unfinished;
