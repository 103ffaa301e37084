//! Signs JSON web tokens, by which services prove who they are.
//!
//! Google's service accounts and Azure's applications with certificates sign a short statement with their RSA
//! key, and get a token for it. Authority: RFC 7515 and 7518.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl Algorithm {
    /// Returns the name for a token's header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

/// A private key that signs tokens.
#[derive(Debug)]
pub(crate) struct Key(RsaKeyPair);

impl Key {
    /// Reads the first private key of a PEM text, in PKCS #8 or PKCS #1. The error says in words what is
    /// wrong.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, &'static str> {
        let der =
            PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "it holds no private key in PEM")?;
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err("its private key is not one of RSA"),
        };
        pair.map(Self).map_err(|_| "its private key is not one of RSA with 2048 to 8192 bits")
    }

    /// Returns the public key in DER, which certificates of the key hold as it stands.
    pub(crate) fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs a token.
    pub(crate) fn sign(
        &self,
        algorithm: Algorithm,
        header: &Value,
        claims: &Value,
    ) -> Result<String, &'static str> {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        self.sign_encoded(algorithm, format!("{}.{}", encode(header), encode(claims)))
    }

    fn sign_encoded(&self, algorithm: Algorithm, mut token: String) -> Result<String, &'static str> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed =
            self.0.sign(algorithm.encoding(), &SystemRandom::new(), token.as_bytes(), &mut signature);
        signed.map_err(|_| "its private key does not sign")?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{self, UnparsedPublicKey};
    use serde_json::json;

    use super::*;

    const PKCS8: &str = include_str!("../tests/keys/rfc7515.pem");
    const PKCS1: &str = include_str!("../tests/keys/rfc7515.pkcs1.pem");

    /// RFC 7515, appendix A.2.
    #[test]
    fn the_example_of_the_standard_is_signed_alike() {
        let input = "eyJhbGciOiJSUzI1NiJ9.\
                     eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let wanted = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
                      jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb\
                      1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO\
                      YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        for pem in [PKCS8, PKCS1] {
            let token = Key::from_pem(pem).unwrap().sign_encoded(Algorithm::Rs256, input.into()).unwrap();
            assert_eq!(token, format!("{input}.{wanted}"));
        }
    }

    #[test]
    fn a_signature_with_salt_is_valid() {
        let key = Key::from_pem(PKCS8).unwrap();
        let token = key.sign(Algorithm::Ps256, &json!({"alg": "PS256"}), &json!({"iss": "me"})).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let public =
            UnparsedPublicKey::new(&signature::RSA_PSS_2048_8192_SHA256, key.0.public_key().as_ref());
        public.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        assert_eq!(input, "eyJhbGciOiJQUzI1NiJ9.eyJpc3MiOiJtZSJ9");
    }

    #[test]
    fn what_is_no_key_is_an_error() {
        let cut = PKCS8.replacen("MII", "MIJ", 1);
        for pem in ["", "secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &cut] {
            let why = Key::from_pem(pem).unwrap_err();
            assert!(why.starts_with("it"), "{why}");
        }
    }
}
