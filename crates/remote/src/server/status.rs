//! How gRPC says that a call is over, in words.

use http::HeaderMap;
use kopia_storage::Failure;
use percent_encoding::percent_decode;

use super::messages::clean;

/// The status of a call that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    code: u32,
    message: String,
}

impl Status {
    /// Reads it from headers or trailers, if it is there.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
        let message =
            headers.get("grpc-message").map(|text| percent_decode(text.as_bytes()).collect::<Vec<u8>>());
        Some(Self { code, message: clean(&message.unwrap_or_default()) })
    }

    /// Returns why the session ended, and whether another one may help.
    pub(super) fn failure(self, host: &str, user: &str) -> (Failure, bool) {
        let Self { code, message } = self;
        let host = host.to_string();
        match code {
            0 => (Failure::Disconnected { host, why: "the server ended the session".into() }, true),
            // The server looks for nothing else before it knows who asks.
            7 | 16 => (Failure::WrongKey { host, credentials: format!("user {user}"), message }, false),
            _ => {
                let passes = matches!(code, 1 | 2 | 4 | 10 | 13 | 14);
                (
                    Failure::Refusal { host, status: format!("gRPC status {code}{}", name(code)), message },
                    passes,
                )
            }
        }
    }
}

/// Returns the name of a status that servers are known to answer with.
fn name(code: u32) -> &'static str {
    match code {
        2 => " (unknown)",
        8 => " (resource exhausted)",
        12 => " (unimplemented)",
        13 => " (internal)",
        14 => " (unavailable)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: &str, message: &str) -> Option<Status> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", code.parse().unwrap());
        headers.insert("grpc-message", message.parse().unwrap());
        Status::of(&headers)
    }

    #[test]
    fn a_wrong_user_is_told_and_not_tried_again() {
        let status = status("7", "access denied for alice%40laptop").unwrap();
        let (failure, passes) = status.failure("host:1", "alice@laptop");
        assert!(!passes);
        let words = failure.to_string();
        assert!(words.contains("host:1") && words.contains("access denied for alice@laptop"), "{words}");
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let passes = |code| status(code, "x").unwrap().failure("h", "u").1;
        assert!(passes("14") && passes("0") && passes("13"));
        assert!(!passes("12") && !passes("8") && !passes("16") && !passes("99"));
        assert_eq!(status("x", ""), None);
    }
}
