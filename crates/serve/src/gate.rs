//! Who may come in: the Host header must be one of ours, and the token must be there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::Token;
use crate::answer::Answer;
use crate::listen::Names;
use crate::pages::html;
use crate::request::query;

/// Decides about requests by their heads alone.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) token: Token,
    pub(crate) names: Names,
    /// Cookies belong to a host, whatever its port: those of several servers must differ.
    pub(crate) cookie: String,
}

impl Gate {
    /// Returns what is answered to a request that does not come in.
    pub(crate) fn refuse(&self, parts: &Parts) -> Option<Answer> {
        if !self.is_host_right(parts) {
            let why =
                "This server answers to the address that kopia-rs printed; other names are not its own.";
            return Some(html::message(StatusCode::MISDIRECTED_REQUEST, "Wrong name", why));
        }
        let asked = parts.uri.query().unwrap_or_default();
        if query(asked, "token").is_some_and(|sent| self.token.matches(sent.as_bytes())) {
            return matches!(parts.method, Method::GET | Method::HEAD).then(|| self.welcome(parts));
        }
        if self.has_cookie(&parts.headers) || self.has_password(&parts.headers) {
            return None;
        }
        let why = "Open the address that kopia-rs printed; it has the token that lets you in.";
        let answer = html::message(StatusCode::UNAUTHORIZED, "No token", why);
        // A browser would ask for a name and a password, which are not what people have.
        let is_dav = parts.uri.path() == "/dav" || parts.uri.path().starts_with("/dav/");
        let ask = "Basic realm=\"kopia-rs\", charset=\"UTF-8\"";
        Some(if is_dav { answer.with(header::WWW_AUTHENTICATE, ask) } else { answer })
    }

    /// Gives a browser the cookie, and takes the token out of what it shows.
    fn welcome(&self, parts: &Parts) -> Answer {
        let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, self.token.reveal());
        // Not a path of two slashes, which is another host's.
        let path = parts.uri.path().trim_start_matches('/');
        Answer::see_other(StatusCode::SEE_OTHER, &format!("/{path}")).with(header::SET_COOKIE, &cookie)
    }

    fn is_host_right(&self, parts: &Parts) -> bool {
        let mut hosts = parts.headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let is_right = host.to_str().is_ok_and(|host| self.names.admit(host));
        is_right && parts.uri.authority().is_none_or(|authority| self.names.admit(authority.as_str()))
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && self.token.matches(value.as_bytes()))
    }

    /// Any user will do; the password is the token.
    fn has_password(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, encoded)) = sent.and_then(|value| value.split_once(' ')) else { return false };
        let decoded = STANDARD.decode(encoded.trim()).unwrap_or_default();
        let colon = decoded.iter().position(|&byte| byte == b':');
        scheme.eq_ignore_ascii_case("basic")
            && colon.is_some_and(|colon| self.token.matches(&decoded[colon + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::Listen;

    fn gate() -> Gate {
        let names = Listen::default().names("127.0.0.1:80".parse().unwrap());
        Gate { token: Token::random().unwrap(), names, cookie: "kopia-rs-80".into() }
    }

    fn status(gate: &Gate, uri: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = gate.refuse(&request.body(()).unwrap().into_parts().0)?;
        Some(answer.into_response(true, runtime.handle()).0.status().as_u16())
    }

    #[test]
    fn the_host_comes_before_the_token() {
        let gate = gate();
        let token = format!("/?token={}", gate.token.reveal());
        assert_eq!(status(&gate, &token, &[("host", "evil.example")]), Some(421));
        assert_eq!(status(&gate, &token, &[]), Some(421));
        assert_eq!(status(&gate, &token, &[("host", "localhost"), ("host", "localhost")]), Some(421));
        assert_eq!(
            status(&gate, &format!("http://evil.example{token}"), &[("host", "localhost")]),
            Some(421)
        );
        assert_eq!(status(&gate, &token, &[("host", "localhost")]), Some(303));
    }

    #[test]
    fn the_token_comes_as_query_cookie_or_password() {
        let gate = gate();
        let token = gate.token.reveal();
        let cookie = format!("other=1; kopia-rs-80={token}");
        let password = |password: &str| format!("Basic {}", STANDARD.encode(format!("any:{password}")));
        let with = |name, value: &str| status(&gate, "/", &[("host", "127.0.0.1"), (name, value)]);
        assert_eq!(with("cookie", &cookie), None);
        assert_eq!(with("authorization", &password(token)), None);
        for (name, wrong) in [
            ("cookie", format!("kopia-rs-81={token}")),
            ("cookie", "kopia-rs-80=".into()),
            ("authorization", password("")),
            ("authorization", password("wrong")),
            ("authorization", format!("Basic {token}")),
            ("authorization", format!("Bearer {token}")),
        ] {
            assert_eq!(with(name, &wrong), Some(401), "{name}: {wrong}");
        }
        assert_eq!(status(&gate, "/?token=wrong", &[("host", "localhost")]), Some(401));
    }
}
