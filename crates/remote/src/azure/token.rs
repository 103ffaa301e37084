//! Tokens of Microsoft Entra ID, for applications and for machines in Azure.
//!
//! Authority: Microsoft's "OAuth 2.0 client credentials flow", "Certificate credentials", and "How to use
//! managed identities on a virtual machine / for App Service"; for what the variables are called, the Go
//! package `azidentity`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kopia_connection::{Limits, Secret};
use kopia_storage::Failure;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use crate::http::{Kind, Network, Request};
use crate::jwt::{Algorithm, Key};
use crate::lease::{Lease, Renewed};
use crate::oauth::{Issuer, token};
use crate::objects::encoded;

/// What tokens are for.
const RESOURCE: &str = "https://storage.azure.com/";

/// Where tokens are issued, unless `AZURE_AUTHORITY_HOST` names another cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// The metadata service of virtual machines.
const METADATA: &str = "http://169.254.169.254";

/// How long a statement of an application is good.
const SECONDS: u64 = 600;

/// Gets tokens, and the next one before one expires.
#[derive(Debug)]
pub(super) struct Tokens {
    network: Network,
    name: String,
    whose: Whose,
    held: Renewed<Secret>,
}

#[derive(Debug)]
enum Whose {
    Application {
        url: String,
        application: Application,
    },
    Machine {
        url: String,
        /// The header that is asked with, by which the service knows that no browser was talked into it.
        header: (&'static str, String),
    },
}

/// An application that is registered in a tenant.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) tenant: String,
    pub(super) client: String,
    pub(super) proof: Proof,
}

/// By what an application proves that it is the one.
#[derive(Debug)]
pub(super) enum Proof {
    Secret(Secret),
    Certificate {
        key: Key,
        /// The SHA-256 of the certificate, as tokens have it.
        thumbprint: String,
    },
    /// A file with a token of somebody whom the tenant trusts. It is read anew each time.
    File(PathBuf),
}

impl Proof {
    /// Reads certificate and private key in PEM. The error says in words what is wrong.
    pub(super) fn certificate(pem: &Secret) -> Result<Self, &'static str> {
        let key = Key::from_pem(pem.reveal())?;
        // Certificates of authorities may be there as well; the one of the key holds the key.
        let is_own =
            |der: &CertificateDer<'_>| der.windows(key.public().len()).any(|part| part == key.public());
        let certificates = CertificateDer::pem_slice_iter(pem.reveal().as_bytes());
        let own = certificates.filter_map(Result::ok).find(is_own);
        let own = own.ok_or("it holds no certificate in PEM that belongs to its private key")?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &own));
        Ok(Self::Certificate { key, thumbprint })
    }
}

impl Tokens {
    /// Gets tokens of an application from Entra ID.
    pub(super) fn of_application(
        network: &Network,
        name: String,
        application: Application,
    ) -> Result<Self, Failure> {
        let authority = network.options().environment.var("AZURE_AUTHORITY_HOST").unwrap_or(AUTHORITY);
        let authority = authority.trim_end_matches('/');
        let authority =
            if authority.contains("://") { authority.to_string() } else { format!("https://{authority}") };
        let url = format!("{authority}/{}/oauth2/v2.0/token", encoded(&application.tenant));
        let whose = Whose::Application { url, application };
        Ok(Self { network: network.clone(), name, whose, held: Renewed::default() })
    }

    /// Gets tokens of the machine: of App Service and what is like it if the environment names such, or of a
    /// virtual machine.
    pub(super) fn of_machine(network: &Network, client: Option<String>) -> Result<Self, Failure> {
        let environment = &network.options().environment;
        let client = client.map(|client| format!("&client_id={}", encoded(&client))).unwrap_or_default();
        let resource = encoded(RESOURCE);
        let service = environment.var("IDENTITY_ENDPOINT").zip(environment.var("IDENTITY_HEADER"));
        let (name, url, header) = match service {
            Some((endpoint, header)) => {
                let url = format!("{endpoint}?api-version=2019-08-01&resource={resource}{client}");
                ("IDENTITY_ENDPOINT", url, ("x-identity-header", header.to_string()))
            }
            None => {
                let host = environment.var("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(METADATA);
                let path = "metadata/identity/oauth2/token?api-version=2018-02-01";
                let url = format!("{}/{path}&resource={resource}{client}", host.trim_end_matches('/'));
                ("the identity of this machine", url, ("metadata", "true".to_string()))
            }
        };
        let whose = Whose::Machine { url, header };
        Ok(Self { network: network.clone(), name: name.into(), whose, held: Renewed::default() })
    }

    pub(super) fn source_of(&self) -> &str {
        &self.name
    }

    /// Returns a token that is good now.
    pub(super) fn get(&self) -> Result<Secret, Failure> {
        self.held.get(|| self.issue())
    }

    /// Gets another token.
    pub(super) fn renew(&self) -> Result<(), Failure> {
        self.held.renew(|| self.issue())
    }

    fn issue(&self) -> Result<Lease<Secret>, Failure> {
        match &self.whose {
            Whose::Application { url, application } => {
                let issuer = Issuer { network: &self.network, source_of: &self.name };
                of_application(issuer, url, application)
            }
            Whose::Machine { url, header } => self.of_metadata(url, header),
        }
    }

    fn of_metadata(&self, url: &str, header: &(&'static str, String)) -> Result<Lease<Secret>, Failure> {
        // Outside of Azure nobody answers there, which is to be found out soon.
        let mut options = self.network.options().clone();
        options.patience.connect = Duration::from_secs(2);
        options.patience.dead = Duration::from_secs(2);
        options.patience.tries = 4;
        let network = Network::new(&options, &Limits::default());
        let request = Request::new("GET", "", Kind::Other).with(header.0, &*header.1);
        let answer = Issuer { network: &network, source_of: &self.name }.ask(url, request);
        answer.and_then(|answer| token(&answer)).map_err(|failure| match failure {
            Failure::Credentials { .. } => failure,
            other => Failure::NoCredentials {
                host: "Azure".into(),
                looked: format!(
                    "AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_KEY, AZURE_TENANT_ID with AZURE_CLIENT_ID, {}: {other}",
                    self.name
                ),
            },
        })
    }
}

fn of_application(
    issuer: Issuer<'_>,
    url: &str,
    application: &Application,
) -> Result<Lease<Secret>, Failure> {
    let (name, proof) = match &application.proof {
        Proof::Secret(secret) => ("client_secret", secret.clone()),
        Proof::Certificate { key, thumbprint } => {
            let signed = statement(key, thumbprint, url, &application.client, SystemTime::now());
            ("client_assertion", signed.map_err(|why| issuer.unusable(why))?.into())
        }
        Proof::File(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| issuer.unusable(&format!("it cannot be read: {error}")))?;
            ("client_assertion", text.trim().to_string().into())
        }
    };
    let scope = format!("{RESOURCE}.default");
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", &*application.client),
        ("scope", &*scope),
        (name, proof.reveal()),
    ];
    if name == "client_assertion" {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        fields.push(("client_assertion_type", kind));
    }
    issuer.by_form(url, &fields)
}

/// Makes the statement by which an application with a certificate asks for a token.
fn statement(
    key: &Key,
    thumbprint: &str,
    url: &str,
    client: &str,
    now: SystemTime,
) -> Result<String, &'static str> {
    let mut unique = [0; 16];
    aws_lc_rs::rand::fill(&mut unique).map_err(|_| "there is no randomness")?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = json!({"alg": Algorithm::Ps256.name(), "typ": "JWT", "x5t#S256": thumbprint});
    let claims = json!({
        "aud": url,
        "iss": client,
        "sub": client,
        "jti": URL_SAFE_NO_PAD.encode(unique),
        "nbf": now,
        "iat": now,
        "exp": now.saturating_add(SECONDS),
    });
    key.sign(Algorithm::Ps256, &header, &claims)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const KEY: &str = include_str!("../../tests/keys/rfc7515.pem");
    const CERTIFICATE: &str = include_str!("../../tests/keys/certificate.pem");
    const OTHER: &str = include_str!("../../tests/keys/other-certificate.pem");

    #[test]
    fn the_certificate_of_the_key_is_found_among_others() {
        let proof = Proof::certificate(&[OTHER, CERTIFICATE, KEY].concat().into()).unwrap();
        let Proof::Certificate { key, thumbprint } = proof else { panic!() };
        // As OpenSSL says it.
        assert_eq!(thumbprint, "sShkIzgme_zmdgS4VA-VtzJC-H7ec2JZZmYuGhm41dI");
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let token = statement(&key, &thumbprint, "https://login/t/oauth2/v2.0/token", "app", now).unwrap();
        let part = |number: usize| -> Value {
            let part = token.split('.').nth(number).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(part(0), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
        let claims = part(1);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["exp"]),
            (&json!("app"), &json!("app"), &json!(1_700_000_600))
        );
        assert_eq!(claims["aud"], "https://login/t/oauth2/v2.0/token");
    }

    #[test]
    fn without_its_certificate_a_key_proves_nothing() {
        for pem in [KEY.to_string(), [KEY, OTHER].concat(), CERTIFICATE.to_string()] {
            assert!(Proof::certificate(&pem.into()).is_err());
        }
    }
}
