//! Who asks for blobs of Azure, from what is given of it.

use std::path::PathBuf;

use super::AzureIdentity;
use crate::Secret;

/// What may be given of who asks for blobs of Azure.
#[derive(Default)]
pub(crate) struct AzureParts {
    pub(super) sas: Option<Secret>,
    pub(super) key: Option<Secret>,
    pub(super) tenant: Option<String>,
    pub(super) client: Option<String>,
    pub(super) client_secret: Option<Secret>,
    pub(super) certificate: Option<Secret>,
    pub(super) token_file: Option<PathBuf>,
}

impl AzureParts {
    /// Returns the first identity that is complete, in the order of kopia's
    /// `repo/blob/azure/azure_storage.go`.
    pub(super) fn identity(self) -> Option<AzureIdentity> {
        if let Some(sas) = self.sas {
            return Some(AzureIdentity::Sas(sas));
        }
        if let Some(key) = self.key {
            return Some(AzureIdentity::Key(key));
        }
        let (tenant, client) = (self.tenant?, self.client?);
        if let Some(secret) = self.client_secret {
            return Some(AzureIdentity::ClientSecret { tenant, client, secret });
        }
        if let Some(certificate) = self.certificate {
            return Some(AzureIdentity::ClientCertificate { tenant, client, certificate });
        }
        self.token_file.map(|token_file| AzureIdentity::Federated { tenant, client, token_file })
    }
}
