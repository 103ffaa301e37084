//! `serve`: snapshots in a web browser, and by WebDAV.

use std::io::{self, Write};

use kopia_rs::diagnosis::text::chain;
use kopia_rs::serve::{Error, Listen, Options, Server};
use serde::Serialize;

use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{self, escape, log_line};
use crate::terminal::time;

/// Where the server is, for programs.
#[derive(Serialize)]
struct Json<'a> {
    url: &'a str,
    dav: &'a str,
    token: &'a str,
}

pub(super) fn run(session: &Session, args: &args::Serve) -> Result<Exit, Failure> {
    let mut options = Options::default();
    options.filter = args.only.filter();
    options.time = Box::new(|instant| time::local(instant, "%Y-%m-%d %H:%M:%S"));
    options.notice = Box::new(|sentence| log_line(format_args!("warning: {}", escape(sentence))));
    let snapshots = session.admitted(&args.only)?;
    session.warn_of_gaps(None);
    let listen = args.listen.as_deref().map(Listen::new).unwrap_or_default();
    let server = Server::bind(&session.repository, snapshots, &listen, options).map_err(failure)?;
    if !server.address().ip().is_loopback() {
        let address = server.address();
        log_line(format_args!(
            "warning: other machines can reach {address}, and what is sent is not encrypted: anybody on the way \
             can read the token and the files"
        ));
    }
    let (url, dav) = (server.url(), server.dav_url());
    let told = if session.json {
        output::json(&Json { url: &url, dav: &dav, token: server.token().reveal() })
    } else {
        writeln!(io::stdout(), "{url}")
    };
    told.map_err(Failure::output)?;
    session.note(&format!("WebDAV clients find the same at {dav}: any user, the token is the password"));
    session.note("^C ends it");
    match server.run().map_err(failure)? {}
}

fn failure(error: Error) -> Failure {
    let failure = Failure::failed(chain(&error)).with_class_of_source(&error);
    match error {
        Error::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            failure.hint("another program listens there; port 0, or none, takes one that is free")
        }
        Error::Address { .. } => failure.hint("an address is 127.0.0.1:8080, [::1]:8080 or nas.lan:8080"),
        _ => failure,
    }
}
