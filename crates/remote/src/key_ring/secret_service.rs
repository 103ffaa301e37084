//! The Secret Service of desktops (GNOME Keyring, KWallet, KeePassXC), asked over D-Bus as go-keyring asks it.
//! Authority: the Secret Service API of freedesktop.org, and go-keyring's `keyring_unix.go`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use kopia_connection::Environment;
use zbus::connection::Builder;
use zbus::{Connection, Message, OwnedObjectPath, OwnedVariant, Variant, fdo};
use zeroize::Zeroizing;

use super::{Error, Found};

const SERVICE: &str = "org.freedesktop.secrets";
const PATH: &str = "/org/freedesktop/secrets";

/// The collection that is meant if none is named.
const DEFAULT: &str = "/org/freedesktop/secrets/aliases/default";

/// What stands in place of a dialog where none is needed.
const NO_PROMPT: &str = "/";

/// What the service says of something that is locked.
const IS_LOCKED: &str = "org.freedesktop.Secret.Error.IsLocked";

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A secret as the service gives it: session, parameters, value, type.
type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// Asks for a password by each of its names.
pub(super) fn find(names: Vec<String>, user: String, environment: &Environment) -> Found {
    let address = address(environment).ok_or(Error::Absent)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    // A thread of its own: the caller's may belong to a runtime, which must not be blocked in this way. It is
    // left alone where it hangs: a bus may take a connection and never say a word.
    let asking = move || {
        let _ = sender.send(zbus::block_on(ask(&address, &names, &user)));
    };
    let failed = |why: String| Error::Failed { why };
    thread::Builder::new()
        .name("key ring".into())
        .spawn(asking)
        .map_err(|error| failed(error.to_string()))?;
    match receiver.recv_timeout(TIMEOUT) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => Err(Error::Silent { seconds: TIMEOUT.as_secs() }),
        Err(RecvTimeoutError::Disconnected) => Err(failed("asking ended by itself".into())),
    }
}

/// Returns where the bus of the session listens.
fn address(environment: &Environment) -> Option<String> {
    if let Some(address) = environment.var("DBUS_SESSION_BUS_ADDRESS") {
        return Some(address.into());
    }
    let socket = Path::new(environment.var_os("XDG_RUNTIME_DIR")?).join("bus");
    socket.exists().then(|| format!("unix:path={}", socket.display()))
}

async fn ask(address: &str, names: &[String], user: &str) -> Found {
    let bus = Builder::address(address).build().await?;
    let mut item = search(&bus, names, user).await?;
    // Some list nothing of what is locked.
    if item.is_none() && unlock(&bus, DEFAULT).await? {
        item = search(&bus, names, user).await?;
    }
    let Some(item) = item else { return Ok(None) };
    if item.is_locked && !unlock(&bus, &item.path).await? {
        return Err(Error::Locked);
    }
    let opened = call(&bus, PATH, "Service", "OpenSession", &("plain", Variant::from(""))).await?;
    let (_, session): (OwnedVariant, OwnedObjectPath) = opened.body().deserialize()?;
    let answer = call(&bus, &item.path, "Item", "GetSecret", &(session,)).await?;
    let (_, _, value, _): Secret = answer.body().deserialize()?;
    Ok(Some(Zeroizing::new(value)))
}

/// A stored password, and whether it can be had only after it is unlocked.
struct Item {
    path: String,
    is_locked: bool,
}

/// Finds an item by the first of its names that there is.
async fn search(bus: &Connection, names: &[String], user: &str) -> Result<Option<Item>, Error> {
    for name in names {
        let sought = HashMap::from([("service", &**name), ("username", user)]);
        let found = call(bus, PATH, "Service", "SearchItems", &(sought,)).await?;
        let (open, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) = found.body().deserialize()?;
        let open = open.into_iter().map(|path| (path, false));
        let mut items = open.chain(locked.into_iter().map(|path| (path, true)));
        if let Some((path, is_locked)) = items.next() {
            return Ok(Some(Item { path: path.as_str().into(), is_locked }));
        }
    }
    Ok(None)
}

/// Unlocks what needs no question, and returns whether anything was unlocked.
async fn unlock(bus: &Connection, path: &str) -> Result<bool, Error> {
    let path = OwnedObjectPath::try_from(path)?;
    let answer = call(bus, PATH, "Service", "Unlock", &(vec![path],)).await?;
    let (unlocked, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) = answer.body().deserialize()?;
    if prompt.as_str() == NO_PROMPT { Ok(!unlocked.is_empty()) } else { Err(Error::Locked) }
}

async fn call<B: serde::Serialize + zbus::DynamicType>(
    bus: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message, zbus::Error> {
    let interface = format!("org.freedesktop.Secret.{interface}");
    bus.call_method(Some(SERVICE), path, Some(&*interface), method, body).await
}

impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        match &error {
            zbus::Error::FDO(said)
                if matches!(**said, fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_)) =>
            {
                Self::Absent
            }
            zbus::Error::MethodError(name, _, _) if name.as_str() == IS_LOCKED => Self::Locked,
            _ => Self::Failed { why: error.to_string() },
        }
    }
}
