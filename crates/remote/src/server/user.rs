//! Who asks: a user of the repository server, with the user's own password.

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use kopia_connection::{Connection, Environment};
use kopia_storage::Failure;

/// A user as the server knows it, `user@host`, and its password.
///
/// The password is that of the user and not the repository's. It lies in a header that is marked as
/// sensitive.
#[derive(Clone)]
pub(super) struct User {
    pub(super) name: HeaderValue,
    pub(super) host: HeaderValue,
    pub(super) password: HeaderValue,
    /// `user@host`.
    shown: String,
}

impl User {
    /// Takes user and host from the connection, or from the variables that systems set.
    pub(super) fn of(connection: &Connection, environment: &Environment) -> Result<Self, Failure> {
        let from = |names: &[&str]| names.iter().find_map(|name| environment.var(name)).map(str::to_owned);
        let name = connection.username.clone().or_else(|| from(&["USER", "LOGNAME", "USERNAME"]));
        let host = connection.hostname.clone().or_else(|| from(&["HOSTNAME", "COMPUTERNAME"]));
        let host = host.or_else(|| environment.host());
        let (Some(name), Some(host)) = (name, host) else {
            return Err(unusable(
                "a Kopia repository server wants to know who asks: give the user and the host, as \
                                 alice and laptop of kopia://alice@laptop@server",
            ));
        };
        let Some(password) = &connection.password else {
            return Err(unusable("a Kopia repository server wants the password of its user"));
        };
        // Kopia has users in lower case only (`internal/user`).
        let (name, host) = (name.to_lowercase(), host.to_lowercase());
        let mut user = Self {
            name: HeaderValue::from_str(&name).map_err(|_| no_header("the user's name"))?,
            host: HeaderValue::from_str(&host).map_err(|_| no_header("the host's name"))?,
            password: HeaderValue::from_bytes(password.as_bytes())
                .map_err(|_: InvalidHeaderValue| no_header("the password"))?,
            shown: format!("{name}@{host}"),
        };
        user.password.set_sensitive(true);
        Ok(user)
    }

    /// Returns `user@host`.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

fn unusable(what: &str) -> Failure {
    Failure::Unusable { what: what.into() }
}

fn no_header(what: &str) -> Failure {
    unusable(&format!("{what} has characters that cannot be sent to a Kopia repository server"))
}

#[cfg(test)]
mod tests {
    use kopia_connection::Storage;
    use kopia_connection::storage::Server;

    use super::*;

    fn connection(username: Option<&str>, password: Option<&str>) -> Connection {
        let mut connection = Connection::new(Storage::Server(Server::default()));
        connection.username = username.map(str::to_owned);
        connection.password = password.map(Into::into);
        connection
    }

    fn environment() -> Environment {
        [("USER", "bob"), ("HOSTNAME", "Desk")].into_iter().collect()
    }

    #[test]
    fn the_connection_comes_first_and_variables_come_second() {
        let shown = |username| User::of(&connection(username, Some("pw")), &environment()).unwrap().shown;
        assert_eq!((&*shown(None), &*shown(Some("Alice"))), ("bob@desk", "alice@desk"));
        let nowhere = User::of(&connection(Some("Alice"), Some("pw")), &Environment::empty());
        assert!(nowhere.is_err(), "the host is not known");
        let named =
            User::of(&connection(Some("Alice"), Some("pw")), &Environment::empty().with_host("PC.lan"));
        assert_eq!(named.unwrap().shown, "alice@pc");
    }

    #[test]
    fn passwords_are_sent_as_they_stand_and_never_shown() {
        let of = |password| User::of(&connection(None, password), &environment());
        let user = of(Some("gehe\u{fc}m")).unwrap();
        assert_eq!(user.password.as_bytes(), "gehe\u{fc}m".as_bytes());
        assert!(!format!("{:?}", user.password).contains("gehe"));
        let error = of(Some("hunter2\n")).err().unwrap().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(of(None).is_err());
    }
}
