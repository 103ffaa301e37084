//! Who asks for blobs, and how a request says so.
//!
//! Authority: `getAZService` of Kopia's `azure_storage.go` for what comes before what, and its
//! `cli/storage_azure.go` for the variables. Kopia knows no identity of the machine; here it is the last that
//! is tried.

use std::path::PathBuf;
use std::time::SystemTime;

use jiff::fmt::rfc2822::DateTimePrinter;
use kopia_connection::storage::{Azure, AzureIdentity};
use kopia_connection::{Environment, Secret};
use kopia_storage::Failure;

use super::shared_key::SharedKey;
use super::token::{Application, Proof, Tokens};
use crate::http::{Network, Request};

/// The version of the service that is asked for: the first that lists deletions and versions is 2020-10-02,
/// and this one says which names it had to encode.
const SERVICE_VERSION: &str = "2021-12-02";

/// Who asks, and how that is told.
pub(super) struct Identity {
    how: How,
    /// What the source of the credentials is called in messages.
    name: String,
}

enum How {
    /// A shared access signature, which becomes part of the query.
    Sas(Secret),
    Key(Box<SharedKey>),
    Token(Box<Tokens>),
}

/// Which kind of credentials it is, for the words of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sas,
    Key,
    Token,
}

impl Identity {
    /// Finds out who asks. Nothing is asked yet.
    pub(super) fn new(place: &Azure, network: &Network) -> Result<Self, Failure> {
        let environment = &network.options().environment;
        let (identity, name) = match &place.identity {
            Some(identity) => (identity.clone(), "the connection"),
            None => of_environment(environment)?,
        };
        let of =
            |what: &str| if name == "the connection" { format!("{name}'s {what}") } else { name.to_string() };
        Ok(match identity {
            AzureIdentity::Sas(token) => {
                let token = token.reveal().trim().trim_start_matches('?').to_string().into();
                Self { how: How::Sas(token), name: of("SAS token") }
            }
            AzureIdentity::Key(key) => {
                let name = of("storage key");
                let key = SharedKey::new(&place.account, &key).ok_or_else(|| Failure::Credentials {
                    source_of: name.clone(),
                    why: "a storage key is base64, and this is not".into(),
                })?;
                Self { how: How::Key(Box::new(key)), name }
            }
            AzureIdentity::ClientSecret { tenant, client, secret } => {
                Self::of_proof(network, of("client secret"), tenant, client, Proof::Secret(secret))?
            }
            AzureIdentity::ClientCertificate { tenant, client, certificate } => {
                let proof = Proof::certificate(&certificate);
                let name = of("client certificate");
                let proof =
                    proof.map_err(|why| Failure::Credentials { source_of: name.clone(), why: why.into() })?;
                Self::of_proof(network, name, tenant, client, proof)?
            }
            AzureIdentity::Federated { tenant, client, token_file } => {
                let name = format!("the token file {}", token_file.display());
                Self::of_proof(network, name, tenant, client, Proof::File(token_file))?
            }
            AzureIdentity::Managed { client } => {
                let tokens = Tokens::of_machine(network, client)?;
                Self { name: tokens.source_of().into(), how: How::Token(Box::new(tokens)) }
            }
            _ => return Err(Failure::Unusable { what: "such identities of Azure are not supported".into() }),
        })
    }

    fn of_proof(
        network: &Network,
        name: String,
        tenant: String,
        client: String,
        proof: Proof,
    ) -> Result<Self, Failure> {
        let application = Application { tenant, client, proof };
        let tokens = Tokens::of_application(network, name.clone(), application)?;
        Ok(Self { how: How::Token(Box::new(tokens)), name })
    }

    /// Returns what the source of the credentials is called.
    pub(super) fn source_of(&self) -> &str {
        &self.name
    }

    pub(super) fn kind(&self) -> Kind {
        match self.how {
            How::Sas(_) => Kind::Sas,
            How::Key(_) => Kind::Key,
            How::Token(_) => Kind::Token,
        }
    }

    /// Signs a request, or adds to it what says who asks.
    pub(super) fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        request.set("x-ms-version", SERVICE_VERSION);
        request.set("x-ms-date", http_date(SystemTime::now()));
        match &self.how {
            How::Sas(token) => {
                let separator = if request.path.contains('?') { '&' } else { '?' };
                request.path = format!("{}{separator}{}", request.path, token.reveal());
            }
            How::Key(key) => {
                let headers = request.headers.iter().map(|(name, value)| (&**name, &**value));
                let value = key.authorization(request.method, &request.path, headers);
                request.set("authorization", value);
            }
            How::Token(tokens) => {
                let token = tokens.get()?;
                request.set("authorization", format!("Bearer {}", token.reveal()));
            }
        }
        Ok(())
    }

    /// Gets another token, if tokens are how it is told, and returns whether it did.
    pub(super) fn renew(&self) -> Result<bool, Failure> {
        match &self.how {
            How::Token(tokens) => tokens.renew().map(|()| true),
            How::Sas(_) | How::Key(_) => Ok(false),
        }
    }
}

/// Holds secrets.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({:?} of {})", self.kind(), self.name)
    }
}

/// Finds an identity in the variables, and says which of them it is in.
fn of_environment(environment: &Environment) -> Result<(AzureIdentity, &'static str), Failure> {
    let secret = |name: &str| environment.var(name).map(Secret::from);
    if let Some(token) = secret("AZURE_STORAGE_SAS_TOKEN") {
        return Ok((AzureIdentity::Sas(token), "AZURE_STORAGE_SAS_TOKEN"));
    }
    if let Some(key) = secret("AZURE_STORAGE_KEY") {
        return Ok((AzureIdentity::Key(key), "AZURE_STORAGE_KEY"));
    }
    let client = environment.var("AZURE_CLIENT_ID").map(str::to_string);
    let Some((tenant, client)) = environment.var("AZURE_TENANT_ID").map(str::to_string).zip(client.clone())
    else {
        return Ok((AzureIdentity::Managed { client }, ""));
    };
    if let Some(secret) = secret("AZURE_CLIENT_SECRET") {
        return Ok((AzureIdentity::ClientSecret { tenant, client, secret }, "AZURE_CLIENT_SECRET"));
    }
    if let Some(certificate) = secret("AZURE_CLIENT_CERTIFICATE") {
        let identity = AzureIdentity::ClientCertificate { tenant, client, certificate };
        return Ok((identity, "AZURE_CLIENT_CERTIFICATE"));
    }
    if let Some(path) = environment.var_os("AZURE_CLIENT_CERTIFICATE_PATH") {
        let name = "AZURE_CLIENT_CERTIFICATE_PATH";
        let text = std::fs::read_to_string(path).map_err(|error| {
            let why = format!("{} cannot be read: {error}", PathBuf::from(path).display());
            Failure::Credentials { source_of: name.into(), why }
        })?;
        return Ok((AzureIdentity::ClientCertificate { tenant, client, certificate: text.into() }, name));
    }
    if let Some(file) = environment.var_os("AZURE_FEDERATED_TOKEN_FILE") {
        let identity = AzureIdentity::Federated { tenant, client, token_file: PathBuf::from(file) };
        return Ok((identity, "AZURE_FEDERATED_TOKEN_FILE"));
    }
    Ok((AzureIdentity::Managed { client: Some(client) }, ""))
}

/// Returns a time as HTTP writes it.
fn http_date(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn found(variables: &[(&str, &str)]) -> String {
        let environment = variables.iter().copied().collect();
        let (identity, name) = of_environment(&environment).unwrap();
        let debug = format!("{identity:?}");
        let kind = debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        format!("{kind} {name}")
    }

    #[test]
    fn variables_have_the_order_of_kopia() {
        let application = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let with = |more: &[(&'static str, &'static str)]| found(&[&application, more].concat());
        assert_eq!(
            with(&[("AZURE_STORAGE_KEY", "k"), ("AZURE_STORAGE_SAS_TOKEN", "s")]),
            "Sas AZURE_STORAGE_SAS_TOKEN"
        );
        assert_eq!(
            with(&[("AZURE_STORAGE_KEY", "k"), ("AZURE_CLIENT_SECRET", "s")]),
            "Key AZURE_STORAGE_KEY"
        );
        let all = [
            ("AZURE_CLIENT_SECRET", "s"),
            ("AZURE_CLIENT_CERTIFICATE", "p"),
            ("AZURE_FEDERATED_TOKEN_FILE", "f"),
        ];
        assert_eq!(with(&all), "ClientSecret AZURE_CLIENT_SECRET");
        assert_eq!(with(&all[1..]), "ClientCertificate AZURE_CLIENT_CERTIFICATE");
        assert_eq!(with(&all[2..]), "Federated AZURE_FEDERATED_TOKEN_FILE");
        assert_eq!(with(&[]), "Managed ");
        assert_eq!(found(&all), "Managed ", "without a tenant there is no application");
    }

    #[test]
    fn the_date_is_that_of_http() {
        assert_eq!(http_date(UNIX_EPOCH + Duration::from_secs(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
