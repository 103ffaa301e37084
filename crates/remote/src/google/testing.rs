//! Opens what reads credentials to fuzz targets.

use super::account::{Account, External};
use crate::http::Answer;
use crate::{jwt, oauth};

/// Reads a file of credentials, a private key, and the answer of a service that gives tokens.
pub fn credentials(bytes: &[u8]) {
    match Account::parse(bytes) {
        Ok(Account::External(External { subject, .. })) => drop(subject.token(bytes)),
        Ok(_) => {}
        Err(why) => assert!(why.len() < 500, "{why}"),
    }
    let _ = oauth::token(&Answer::made(200, bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = jwt::Key::from_pem(text);
    }
}
