//! How a server wants to be shown who one is: the header `WWW-Authenticate` (RFC 9110, section 11).

/// One of the ways that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Such as `Basic`, as the server writes it.
    pub(super) scheme: String,
    /// Names in small letters, values without quotes.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Returns whether it is of this scheme, given in small letters.
    pub(super) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Returns the value of a parameter, whose name is given in small letters.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Returns whether a parameter is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Reads one header, which may hold several challenges. What makes no sense is passed over.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for part in parts(header) {
        // `Digest realm="x"`, `nonce="y"`, `Negotiate`, or `Negotiate base64==`.
        let (before, value) = match part.split_once('=') {
            Some((before, value)) => (before.trim(), Some(value.trim())),
            None => (part.trim(), None),
        };
        let (scheme, name) = match (before.split_once([' ', '\t']), value) {
            (Some((scheme, name)), _) => (Some(scheme), name.trim()),
            (None, Some(_)) => (None, before),
            (None, None) => (Some(before), ""),
        };
        if let Some(scheme) = scheme.filter(|scheme| !scheme.is_empty()) {
            challenges.push(Challenge { scheme: scheme.into(), parameters: Vec::new() });
        }
        if let (Some(challenge), Some(value)) = (challenges.last_mut(), value) {
            challenge.parameters.push((name.to_ascii_lowercase(), unquoted(value)));
        }
    }
    challenges
}

/// Splits at commas that are not within quotes.
fn parts(header: &str) -> Vec<&str> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in header.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                parts.push(&header[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&header[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.into() };
    let (mut text, mut letters) = (String::new(), inner.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_challenges_stand_in_one_header() {
        let header = r#"Negotiate, Digest realm="a, \"b\"", QOP="auth,auth-int" , nonce=abc==, stale=TRUE,Basic realm="x""#;
        let challenges = parse(header);
        let schemes: Vec<_> = challenges.iter().map(|challenge| &*challenge.scheme).collect();
        assert_eq!(schemes, ["Negotiate", "Digest", "Basic"]);
        let digest = &challenges[1];
        assert_eq!(
            ["realm", "qop", "nonce"].map(|name| digest.get(name).unwrap()),
            ["a, \"b\"", "auth,auth-int", "abc=="]
        );
        assert!(digest.flag("stale") && !digest.flag("userhash") && digest.is("digest"));
        assert_eq!(challenges[2].get("realm"), Some("x"));
    }

    #[test]
    fn what_makes_no_sense_ends() {
        for header in ["", ",,", "=", "\"", "Digest realm=\"x", "\\", "a=b", "Basic", "Basic realm=\"\\"] {
            assert!(parse(header).len() <= 1, "{header}");
        }
        assert_eq!(parse("NTLM TlRMTVNTUAAC==")[0].scheme, "NTLM");
    }
}
