//! The options of `serve`.

use super::only::Only;

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Listen on this address instead of a free port of 127.0.0.1: IP, IP:PORT or NAME:PORT. With another
    /// address than one of loopback, others can read along what is not encrypted.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    #[command(flatten)]
    pub(crate) only: Only,
}
