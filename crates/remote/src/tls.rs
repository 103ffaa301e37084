//! Which certificates of servers are trusted.
//!
//! Encryption is rustls with aws-lc-rs. The fingerprint is Kopia's way (`internal/tlsutil`): any certificate
//! that the server sends may have it, and then nothing else is checked, neither name nor date.

use std::path::Path;
use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use kopia_connection::Environment;
use kopia_storage::Failure;
use kopia_storage::failure::CertificateProblem;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Which certificates of a server are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// Those that the system trusts, for the server's name.
    System,
    /// Those that these certificates in PEM vouch for, for the server's name.
    Roots(Vec<u8>),
    /// Any.
    Nothing,
    /// Any chain that has a certificate with this SHA-256 in hex.
    Fingerprint(String),
}

/// How many names of a certificate are told.
const NAMES: usize = 5;

impl Trust {
    /// Makes what a connection needs. `protocols` are offered to the server, such as `h2`.
    ///
    /// # Errors
    /// [`Failure::Unusable`] if certificates or the fingerprint cannot be read.
    pub(crate) fn config(
        &self,
        environment: &Environment,
        protocols: &[&[u8]],
    ) -> Result<Arc<ClientConfig>, Failure> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider, environment)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?;
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        environment: &Environment,
    ) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
        let accepts = match self {
            Self::System => return by_roots(provider, system_roots(environment)),
            Self::Roots(pem) => return by_roots(provider, given_roots(pem)?),
            Self::Nothing => Accepts::All,
            Self::Fingerprint(hex) => Accepts::Fingerprint(parse_fingerprint(hex)?),
        };
        Ok(Arc::new(Lenient { accepts, provider: Arc::clone(provider) }))
    }
}

/// Why a certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Distrust {
    pub(crate) problem: CertificateProblem,
    /// The SHA-256 of the certificate in hex.
    pub(crate) fingerprint: Option<String>,
}

impl Distrust {
    /// Returns why a certificate is not trusted, if that is why there is no connection.
    pub(crate) fn of(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
                Some(other.downcast_ref::<Self>().cloned().unwrap_or_else(|| Self {
                    problem: CertificateProblem::Other(other.to_string()),
                    fingerprint: None,
                }))
            }
            rustls::Error::InvalidCertificate(bad) => Some(Self { problem: problem(bad), fingerprint: None }),
            rustls::Error::General(text) => {
                Some(Self { problem: CertificateProblem::Other(text.clone()), fingerprint: None })
            }
            _ => None,
        }
    }

    fn refusal(problem: CertificateProblem, certificate: &CertificateDer<'_>) -> rustls::Error {
        let distrust = Self { problem, fingerprint: Some(fingerprint(certificate)) };
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(distrust))))
    }
}

fn problem(bad: &CertificateError) -> CertificateProblem {
    use CertificateError as Bad;
    match bad {
        Bad::UnknownIssuer => CertificateProblem::UnknownIssuer,
        Bad::Expired | Bad::ExpiredContext { .. } => CertificateProblem::Expired,
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => CertificateProblem::NotValidYet,
        Bad::NotValidForName => CertificateProblem::WrongName { names: Vec::new() },
        Bad::NotValidForNameContext { presented, .. } => {
            CertificateProblem::WrongName { names: presented.iter().take(NAMES).map(plain).collect() }
        }
        other => CertificateProblem::Other(other.to_string()),
    }
}

/// Returns a name of a certificate without the kind that stands before it, such as `DnsName("host")`.
fn plain(name: impl AsRef<str>) -> String {
    let name = name.as_ref();
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').into()
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    digest(&SHA256, certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn by_roots(
    provider: &Arc<CryptoProvider>,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = builder.build().map_err(|_| {
        unusable("there are no certificates of authorities to trust; set SSL_CERT_FILE to a file of them")
    })?;
    Ok(Arc::new(Strict(verifier)))
}

/// Reads what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, or else what the system trusts. What cannot be read
/// counts as not there.
fn system_roots(environment: &Environment) -> Vec<CertificateDer<'static>> {
    let file = environment.var_os("SSL_CERT_FILE").map(Path::new);
    let directories = environment.var_os("SSL_CERT_DIR");
    if file.is_none() && directories.is_none() {
        return rustls_native_certs::load_native_certs().certs;
    }
    let mut certificates = rustls_native_certs::load_certs_from_paths(file, None).certs;
    for directory in directories.into_iter().flat_map(std::env::split_paths) {
        certificates.extend(rustls_native_certs::load_certs_from_paths(None, Some(&directory)).certs);
    }
    certificates
}

fn given_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unusable("the certificates of authorities that were given are no PEM")),
    }
}

fn parse_fingerprint(hex: &str) -> Result<[u8; 32], Failure> {
    let bad = || unusable("a certificate's fingerprint has 64 hexadecimal digits: its SHA-256");
    let digits: Vec<u8> = hex
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()
        .ok_or_else(bad)?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    if digits.len() != 64 {
        return Err(bad());
    }
    bytes.try_into().map_err(|_| bad())
}

fn unusable(what: impl Into<String>) -> Failure {
    Failure::Unusable { what: what.into() }
}

/// Keeps to all rules, and remembers which certificate it did not trust.
#[derive(Debug)]
struct Strict(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Strict {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match &error {
            rustls::Error::InvalidCertificate(bad) => Distrust::refusal(problem(bad), end_entity),
            _ => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[derive(Debug)]
enum Accepts {
    All,
    Fingerprint([u8; 32]),
}

/// Looks at less than the rules of certificates demand. That the server has the certificate's key is checked
/// all the same.
#[derive(Debug)]
struct Lenient {
    accepts: Accepts,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Accepts::Fingerprint(wanted) = &self.accepts else { return Ok(ServerCertVerified::assertion()) };
        let mut sent = std::iter::once(end_entity).chain(intermediates);
        if sent.any(|certificate| digest(&SHA256, certificate).as_ref() == wanted) {
            return Ok(ServerCertVerified::assertion());
        }
        let problem = CertificateProblem::Fingerprint { found: fingerprint(end_entity) };
        Err(Distrust::refusal(problem, end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_trusted_is_told_before_any_connection() {
        let config = |trust: Trust| trust.config(&Environment::empty(), &[]).map(|_| ());
        assert!(config(Trust::Nothing).is_ok());
        assert!(config(Trust::Fingerprint("Ab".repeat(32))).is_ok());
        assert!(config(Trust::Fingerprint(["AB"; 32].join(":"))).is_ok());
        for bad in ["", "ab", "zz", &"abc".repeat(32)] {
            assert!(config(Trust::Fingerprint(bad.into())).is_err(), "{bad}");
        }
        assert!(config(Trust::Roots(b"no certificate".to_vec())).is_err());
    }

    #[test]
    fn a_file_without_certificates_is_not_taken_for_the_systems() {
        let environment: Environment = [("SSL_CERT_FILE", "/dev/null")].into_iter().collect();
        let error = Trust::System.config(&environment, &[]).unwrap_err();
        assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
    }
}
