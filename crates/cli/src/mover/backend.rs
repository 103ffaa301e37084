//! Where the repository is: the first of the backends that the environment names, in the order of the original script.

use std::fmt;
use std::path::PathBuf;

use kopia_rs::storage::{self, Location};

use super::configuration::Structured;
use super::environment::{Environment, Variable};
use super::sentence::Trouble;

/// A kind of storage that kopia knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    S3,
    Azure,
    Gcs,
    B2,
    WebDav,
    Sftp,
    Rclone,
    GoogleDrive,
    /// One that only a structured configuration or a URL can name.
    Other,
}

/// Where the repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    /// Storage that cannot be read yet.
    Network {
        /// What people call it.
        name: String,
        /// The variable that says so.
        by: &'static str,
    },
}

/// What the environment says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) place: Place,
    /// Settings that contradict each other and what came of it.
    pub(crate) warnings: Vec<String>,
}

/// The variables that choose a backend, in the order in which the script looks at them. The first ones go before a folder,
/// the others after it.
const BEFORE_A_FOLDER: [Variable; 3] = [Variable::S3Bucket, Variable::AzureContainer, Variable::GcsBucket];
const AFTER_A_FOLDER: [Variable; 5] = [
    Variable::B2Bucket,
    Variable::WebDavUrl,
    Variable::SftpHost,
    Variable::RcloneRemotePath,
    Variable::DriveFolder,
];

/// Finds out where the repository is.
pub(crate) fn choose(environment: &Environment, structured: Option<&Structured>) -> Result<Choice, Trouble> {
    let repository = environment.text(Variable::Repository)?;
    if let Some(place) = structured.and_then(|structured| structured.place.clone()) {
        let same = repository.is_none_or(|text| folder(text).is_ok_and(|found| is_same(&found, &place)));
        let warning =
            "KOPIA_STRUCTURED_REPOSITORY_CONFIG and KOPIA_REPOSITORY name different places; the first counts";
        let warnings = if same { Vec::new() } else { vec![warning.into()] };
        return Ok(Choice { place, warnings });
    }
    let is_s3 = repository.is_some_and(|text| text.starts_with("s3://"));
    let mut order = BEFORE_A_FOLDER.iter().map(|variable| (*variable, environment.has(*variable)));
    let before = order.find_map(|(variable, set)| match variable {
        Variable::S3Bucket if !set && is_s3 => Some(Variable::Repository),
        variable => set.then_some(variable),
    });
    if let Some(variable) = before {
        return Ok(network(variable, repository));
    }
    // A path without `filesystem://` means a folder here, and nothing at all to the script, so it gives way to the others.
    let is_url = repository.is_some_and(|text| text.contains("://"));
    let after = AFTER_A_FOLDER.into_iter().find(|variable| environment.has(*variable));
    match (repository, after) {
        (Some(text), None) => Ok(Choice { place: folder(text)?, warnings: Vec::new() }),
        (Some(text), Some(after)) if is_url => match folder(text)? {
            // The script knows the storage by its variable and does not read such a URL.
            Place::Network { .. } => Ok(network(after, repository)),
            place => {
                let warning =
                    format!("{} is set and ignored, because KOPIA_REPOSITORY goes before it", after.name());
                Ok(Choice { place, warnings: vec![warning] })
            }
        },
        (_, Some(variable)) => Ok(network(variable, repository)),
        (None, None) => Err(Trouble::new(
            "no repository is given",
            "set KOPIA_REPOSITORY=filesystem:///absolute/path in the repository's Secret",
        )),
    }
}

/// Returns whether two settings agree. Of storage that cannot be read, only the kind is known.
fn is_same(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Folder(one), Place::Folder(other)) => one == other,
        (Place::Network { name: one, .. }, Place::Network { name: other, .. }) => one == other,
        _ => false,
    }
}

/// Reads a location of KOPIA_REPOSITORY.
fn folder(text: &str) -> Result<Place, Trouble> {
    match Location::parse(text) {
        Ok(Location::Folder(path)) => Ok(Place::Folder(path)),
        Err(storage::Error::UnsupportedBackend { name }) => {
            Ok(Place::Network { name, by: Variable::Repository.name() })
        }
        Err(error) => Err(Trouble::new(
            format!("KOPIA_REPOSITORY: {error}"),
            "write filesystem:///absolute/path without ..",
        )),
        Ok(_) => Err(Trouble::setting("KOPIA_REPOSITORY", "names a kind of place that is not known here")),
    }
}

/// A backend that a variable chooses; says what else it puts out of force.
fn network(variable: Variable, repository: Option<&str>) -> Choice {
    let backend = match variable.role() {
        super::environment::Role::Chooses(backend) => backend,
        _ => Backend::S3,
    };
    let name = backend.to_string();
    // A Secret holds both, and a URL of the same storage contradicts nothing.
    let same = |text: &str| matches!(folder(text), Ok(Place::Network { name: url, .. }) if url == name);
    let overruled = repository.filter(|text| variable != Variable::Repository && !same(text));
    let warning =
        |text| format!("{} is set and goes before KOPIA_REPOSITORY={}", variable.name(), shown(text));
    let place = Place::Network { name, by: variable.name() };
    Choice { place, warnings: overruled.map(warning).into_iter().collect() }
}

/// Shows where a repository is, unless that may hold a password.
fn shown(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, _)) if scheme != "filesystem" => format!("{scheme}://…"),
        _ => text.into(),
    }
}

impl Backend {
    /// Returns the backend of a `storage.type` in kopia's configuration.
    pub(crate) fn of_type(kind: &str) -> Self {
        match kind {
            "s3" => Self::S3,
            "azureBlob" => Self::Azure,
            "gcs" => Self::Gcs,
            "b2" => Self::B2,
            "webdav" => Self::WebDav,
            "sftp" => Self::Sftp,
            "rclone" => Self::Rclone,
            "gdrive" => Self::GoogleDrive,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 => "S3",
            Self::Azure => "Azure Blob Storage",
            Self::Gcs => "Google Cloud Storage",
            Self::B2 => "Backblaze B2",
            Self::WebDav => "WebDAV",
            Self::Sftp => "SFTP",
            Self::Rclone => "rclone",
            Self::GoogleDrive => "Google Drive",
            Self::Other => "another backend",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)]) -> Choice {
        let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        choose(&environment, None).unwrap()
    }

    fn name(variables: &[(&str, &str)]) -> String {
        match chosen(variables).place {
            Place::Folder(path) => path.display().to_string(),
            Place::Network { name, .. } => name,
        }
    }

    #[test]
    fn the_order_is_the_scripts() {
        let order = [
            ("KOPIA_S3_BUCKET", "S3"),
            ("KOPIA_AZURE_CONTAINER", "Azure Blob Storage"),
            ("KOPIA_GCS_BUCKET", "Google Cloud Storage"),
            ("KOPIA_REPOSITORY", "/repository"),
            ("KOPIA_B2_BUCKET", "Backblaze B2"),
            ("WEBDAV_URL", "WebDAV"),
            ("SFTP_HOST", "SFTP"),
            ("RCLONE_REMOTE_PATH", "rclone"),
            ("GOOGLE_DRIVE_FOLDER_ID", "Google Drive"),
        ];
        let mut variables: Vec<_> = order
            .iter()
            .map(|(name, _)| {
                (*name, if *name == "KOPIA_REPOSITORY" { "filesystem:///repository" } else { "x" })
            })
            .collect();
        for (_, first) in order {
            assert_eq!(name(&variables), first, "{variables:?}");
            variables.remove(0);
        }
    }

    #[test]
    fn what_is_overruled_is_named() {
        let choice = chosen(&[("KOPIA_S3_BUCKET", "b"), ("KOPIA_REPOSITORY", "filesystem:///repository")]);
        assert_eq!(choice.place, Place::Network { name: "S3".into(), by: "KOPIA_S3_BUCKET" });
        assert!(
            choice.warnings[0]
                .contains("KOPIA_S3_BUCKET is set and goes before KOPIA_REPOSITORY=filesystem:")
        );
        let choice = chosen(&[("SFTP_HOST", "h"), ("KOPIA_REPOSITORY", "filesystem:///repository")]);
        assert_eq!(choice.place, Place::Folder("/repository".into()));
        assert!(choice.warnings[0].contains("SFTP_HOST is set and ignored"));
        assert!(chosen(&[("KOPIA_S3_BUCKET", "b"), ("KOPIA_REPOSITORY", "s3://b/p")]).warnings.is_empty());
        let choice = chosen(&[("KOPIA_S3_BUCKET", "b"), ("KOPIA_REPOSITORY", "sftp://me:hush@host/p")]);
        assert!(choice.warnings[0].ends_with("KOPIA_REPOSITORY=sftp://…"), "{choice:?}");
    }

    #[test]
    fn a_url_of_the_same_storage_contradicts_nothing() {
        for (variable, url, name) in [
            ("KOPIA_S3_BUCKET", "s3://b/p", "S3"),
            ("KOPIA_AZURE_CONTAINER", "azure://c", "Azure Blob Storage"),
            ("KOPIA_GCS_BUCKET", "gcs://b", "Google Cloud Storage"),
            ("KOPIA_B2_BUCKET", "b2://b", "Backblaze B2"),
            ("SFTP_HOST", "sftp://h/p", "SFTP"),
        ] {
            let choice = chosen(&[(variable, "x"), ("KOPIA_REPOSITORY", url)]);
            assert_eq!(choice.place, Place::Network { name: name.into(), by: variable });
            assert!(choice.warnings.is_empty(), "{choice:?}");
        }
    }

    #[test]
    fn a_structured_configuration_goes_first_if_it_names_a_place() {
        let structured = |place: Option<Place>| Structured { place, username: None, hostname: None };
        let s3 = structured(Some(Place::Network { name: "S3".into(), by: "X" }));
        let folder = structured(Some(Place::Folder("/a".into())));
        for (repository, structured, is_contradiction) in [
            ("s3://b/p", &s3, false),
            ("filesystem:///a", &s3, true),
            ("filesystem:///a", &folder, false),
            ("/b", &folder, true),
            ("gcs://b", &s3, true),
        ] {
            let environment = [("KOPIA_REPOSITORY".into(), repository.into())].into_iter().collect();
            let choice = choose(&environment, Some(structured)).unwrap();
            assert_eq!(Some(choice.place), structured.place);
            assert_eq!(!choice.warnings.is_empty(), is_contradiction, "{repository} {structured:?}");
        }
        let environment = [("KOPIA_REPOSITORY".into(), "/b".into())].into_iter().collect();
        let choice = choose(&environment, Some(&structured(None))).unwrap();
        assert_eq!((choice.place, choice.warnings), (Place::Folder("/b".into()), Vec::new()));
    }

    #[test]
    fn urls() {
        assert_eq!(name(&[("KOPIA_REPOSITORY", "s3://bucket/prefix"), ("SFTP_HOST", "h")]), "S3");
        assert_eq!(name(&[("KOPIA_REPOSITORY", "azure://x")]), "Azure Blob Storage");
        assert_eq!(name(&[("KOPIA_REPOSITORY", "/srv/kopia")]), "/srv/kopia");
        assert_eq!(name(&[("KOPIA_REPOSITORY", "/srv/kopia"), ("SFTP_HOST", "h")]), "SFTP");
        for bad in ["filesystem://relative", "filesystem:///a/../b"] {
            let environment = [("KOPIA_REPOSITORY".into(), bad.into())].into_iter().collect();
            assert!(choose(&environment, None).unwrap_err().to_string().contains(bad));
        }
        let nothing = choose(&std::iter::empty().collect(), None).unwrap_err();
        assert!(nothing.to_string().contains("KOPIA_REPOSITORY"));
    }
}
