//! `connections`: which repositories kopia is connected to on this machine.

use std::io::{self, Write};

use kopia_rs::connection::places::{self, Place};
use kopia_rs::connection::storage::Kind;
use kopia_rs::connection::storage::options::{KNOWN, Known};
use kopia_rs::connection::{Connection, Environment};
use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::chain;
use serde_json::{Value, json};

use crate::args::{Connections, Global, option_help};
use crate::error::{Exit, Failure};
use crate::session::key_ring;
use crate::terminal::output::{self, JsonArray, for_terminal, log_line};

pub(crate) fn run(global: &Global, args: &Connections) -> Result<Exit, Failure> {
    if args.kinds {
        return if global.json { kinds_as_json() } else { list_kinds() }.map_err(Failure::output);
    }
    let environment = Environment::of_process();
    let places = places::find(&environment);
    let mut found: Vec<_> = places.iter().map(Found::look).collect();
    look_into_key_ring(&mut found, &environment);
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
    /// The other is why it cannot be used.
    connection: Result<Connection, (String, Class)>,
    is_in_key_ring: bool,
}

impl<'p> Found<'p> {
    fn look(place: &'p Place) -> Self {
        let connection = place.read().map_err(|error| {
            let text = chain(&error);
            (text, Failure::from(error).class())
        });
        Self { place, connection, is_in_key_ring: false }
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
            "hasPassword": self.place.has_password() || self.is_in_key_ring,
        });
        match &self.connection {
            Ok(connection) => {
                value["type"] = connection.storage.kind().type_name().into();
                value["location"] = connection.location().into();
                value["username"] = connection.username.clone().into();
                value["hostname"] = connection.hostname.clone().into();
                value["description"] = connection.description.clone().into();
            }
            Err((error, class)) => {
                value["error"] = error.clone().into();
                value["class"] = class.code().into();
            }
        }
        value
    }
}

/// Looks for passwords that lie beside no configuration. A key ring that fails is not asked again.
fn look_into_key_ring(found: &mut [Found<'_>], environment: &Environment) {
    for found in found.iter_mut().filter(|found| !found.place.has_password()) {
        let Ok(connection) = &found.connection else { continue };
        let Some(has) = key_ring::has(connection, &found.place.file, environment) else { return };
        found.is_in_key_ring = has;
    }
}

fn list(found: &[Found<'_>]) -> io::Result<()> {
    let mut out = output::out();
    for (number, Found { place, connection, is_in_key_ring }) in found.iter().enumerate() {
        let gap = if number > 0 { "\n" } else { "" };
        let default = if place.is_default { " (default)" } else { "" };
        writeln!(out, "{gap}{}{default}", for_terminal(&place.file.display().to_string()))?;
        let connection = match connection {
            Ok(connection) => connection,
            Err((error, _)) => {
                writeln!(out, "  cannot be used: {}", for_terminal(error))?;
                continue;
            }
        };
        let stored = match (place.has_password(), is_in_key_ring) {
            (true, _) => "stored",
            (false, true) => "stored in the key ring",
            (false, false) => "not stored",
        };
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

/// Lists how places of each kind are written, and what can be said beside the place.
fn list_kinds() -> io::Result<Exit> {
    let mut out = output::out();
    writeln!(out, "Options are given as --name VALUE, or in the URL as ?name=value&name=value.\n")?;
    writeln!(out, "every kind")?;
    KNOWN.iter().filter(|known| known.is_common()).try_for_each(|known| list_option(&mut out, known))?;
    for kind in Kind::ALL {
        writeln!(out, "\n{kind}: {}", kind.spelling())?;
        let mut own = KNOWN.iter().filter(|known| !known.is_common() && known.kinds.contains(&kind));
        own.try_for_each(|known| list_option(&mut out, known))?;
    }
    out.flush()?;
    Ok(Exit::Complete)
}

fn list_option(out: &mut impl Write, known: &Known) -> io::Result<()> {
    let name = format!("{} {}", known.name, known.value.unwrap_or_default());
    writeln!(out, "  --{name:<34} {}", option_help(known))
}

fn kinds_as_json() -> io::Result<Exit> {
    let mut array = JsonArray::new();
    for kind in Kind::ALL {
        let own = KNOWN.iter().filter(|known| known.kinds.contains(&kind));
        let options = own.map(|known| {
            json!({
                "name": known.name,
                "value": known.value,
                "about": known.about,
                "variable": known.variable,
                "isList": known.is_list,
                "isSecret": known.is_secret,
            })
        });
        array.push(&json!({
            "type": kind.type_name(),
            "url": kind.spelling(),
            "options": options.collect::<Vec<_>>(),
        }))?;
    }
    array.finish()?;
    Ok(Exit::Complete)
}
