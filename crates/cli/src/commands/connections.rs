//! `connections`: which repositories kopia is connected to on this machine.

use std::io::{self, Write};

use kopia_rs::connection::places::{self, Place};
use kopia_rs::connection::{Connection, Environment};
use kopia_rs::diagnosis::text::chain;
use serde_json::{Value, json};

use crate::args::Global;
use crate::error::{Exit, Failure};
use crate::terminal::output::{self, JsonArray, for_terminal, log_line};

pub(crate) fn run(global: &Global) -> Result<Exit, Failure> {
    let places = places::find(&Environment::of_process());
    let found: Vec<_> = places.iter().map(Found::look).collect();
    if global.json {
        let mut array = JsonArray::new();
        found.iter().try_for_each(|found| array.push(&found.json())).map_err(Failure::output)?;
        array.finish().map_err(Failure::output)?;
        return Ok(Exit::Complete);
    }
    list(&found).map_err(Failure::output)?;
    if found.is_empty() && !global.quiet {
        log_line(
            "note: kopia is not connected to any repository on this machine; name one with --repository",
        );
    }
    Ok(Exit::Complete)
}

/// A configuration, and what it says or why it says nothing.
struct Found<'p> {
    place: &'p Place,
    connection: Result<Connection, String>,
}

impl<'p> Found<'p> {
    fn look(place: &'p Place) -> Self {
        Self { place, connection: place.read().map_err(|error| chain(&error)) }
    }

    fn identity(connection: &Connection) -> Option<String> {
        let (user, host) = (connection.username.as_deref(), connection.hostname.as_deref());
        let is_known = user.is_some() || host.is_some();
        is_known.then(|| format!("{}@{}", user.unwrap_or_default(), host.unwrap_or_default()))
    }

    fn json(&self) -> Value {
        let Place { file, is_default, .. } = self.place;
        let mut value = json!({
            "file": file.to_string_lossy(),
            "isDefault": is_default,
            "hasPassword": self.place.has_password(),
        });
        match &self.connection {
            Ok(connection) => {
                value["type"] = connection.storage.kind().type_name().into();
                value["location"] = connection.location().into();
                value["username"] = connection.username.clone().into();
                value["hostname"] = connection.hostname.clone().into();
                value["description"] = connection.description.clone().into();
            }
            Err(error) => value["error"] = error.clone().into(),
        }
        value
    }
}

fn list(found: &[Found<'_>]) -> io::Result<()> {
    let mut out = output::out();
    for (number, Found { place, connection }) in found.iter().enumerate() {
        let gap = if number > 0 { "\n" } else { "" };
        let default = if place.is_default { " (default)" } else { "" };
        writeln!(out, "{gap}{}{default}", for_terminal(&place.file.display().to_string()))?;
        let connection = match connection {
            Ok(connection) => connection,
            Err(error) => {
                writeln!(out, "  cannot be used: {}", for_terminal(error))?;
                continue;
            }
        };
        let stored = if place.has_password() { "stored" } else { "not stored" };
        for (name, value) in [
            ("kind", Some(connection.storage.kind().to_string())),
            ("repository", Some(connection.location())),
            ("identity", Found::identity(connection)),
            ("description", connection.description.clone()),
            ("password", Some(stored.into())),
        ] {
            let Some(value) = value else { continue };
            writeln!(out, "  {:<13}{}", format!("{name}:"), for_terminal(&value))?;
        }
    }
    out.flush()
}
