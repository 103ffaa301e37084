//! The statement by which a service account asks for a token.
//!
//! Authority: Google's "Using OAuth 2.0 for Server to Server Applications", and RFC 7523.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::account::Service;
use crate::jwt::{Algorithm, Key};

/// How long a statement is good: the longest that Google takes.
const SECONDS: u64 = 3600;

/// Makes a statement, signed by the account's key. The error says in words what is wrong with the key.
pub(super) fn signed(account: &Service, scope: &str, now: SystemTime) -> Result<String, &'static str> {
    let key = Key::from_pem(account.key.reveal())?;
    let mut header = json!({"alg": Algorithm::Rs256.name(), "typ": "JWT"});
    if let Some(id) = &account.key_id {
        header["kid"] = id.as_str().into();
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = json!({
        "iss": account.email,
        "scope": scope,
        "aud": account.token_url,
        "iat": now,
        "exp": now.saturating_add(SECONDS),
    });
    key.sign(Algorithm::Rs256, &header, &claims)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_statement_says_who_asks_whom_for_what() {
        let account = Service {
            email: "reader@project.iam.gserviceaccount.com".into(),
            key: include_str!("../../tests/keys/rfc7515.pem").into(),
            key_id: Some("k1".into()),
            project: None,
            token_url: "https://oauth2.googleapis.com/token".into(),
        };
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let token = signed(&account, "scope", now).unwrap();
        let parts: Vec<Value> = token
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
        let wanted = json!({
            "iss": "reader@project.iam.gserviceaccount.com",
            "scope": "scope",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": 1_700_000_000,
            "exp": 1_700_003_600,
        });
        assert_eq!(parts[1], wanted);
        assert!(signed(&Service { key: "x".into(), ..account }, "scope", now).is_err());
    }
}
