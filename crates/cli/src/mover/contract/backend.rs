//! Where the repository is: the first of the backends that the environment names, in the order of the
//! original script.

use kopia_rs::storage::Location;
use kopia_rs::storage::location::Backend;

use super::configuration::{self, Structured};
use super::environment::{Environment, Role, Variable};
use crate::mover::account::line::SetupError;

/// What the environment says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) location: Location,
    /// The variable that names it.
    pub(crate) by: &'static str,
    /// Settings that contradict each other and what came of it.
    pub(crate) warnings: Vec<String>,
}

/// The variables that choose a backend, in the order in which the script looks at them. The first ones go
/// before a directory, the others after it.
const BEFORE_A_FOLDER: [Variable; 3] = [Variable::S3Bucket, Variable::AzureContainer, Variable::GcsBucket];
const AFTER_A_FOLDER: [Variable; 5] = [
    Variable::B2Bucket,
    Variable::WebDavUrl,
    Variable::SftpHost,
    Variable::RcloneRemotePath,
    Variable::DriveFolder,
];

/// Finds out where the repository is.
pub(crate) fn choose(
    environment: &Environment,
    structured: Option<&Structured>,
) -> Result<Choice, SetupError> {
    let repository = environment.text(Variable::Repository)?;
    if let Some(location) = structured.and_then(|structured| structured.location.clone()) {
        let same = repository.is_none_or(|text| read(text).is_ok_and(|other| other == location));
        let warning =
            "KOPIA_STRUCTURED_REPOSITORY_CONFIG and KOPIA_REPOSITORY name different places; the first counts";
        let warnings = if same { Vec::new() } else { vec![warning.into()] };
        return Ok(Choice { location, by: configuration::NAME, warnings });
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
    // A path without `filesystem://` means a directory here, and nothing at all to the script, so it gives way
    // to the others.
    let is_url = repository.is_some_and(|text| text.contains("://"));
    let by = Variable::Repository.name();
    let after = AFTER_A_FOLDER.into_iter().find(|variable| environment.has(*variable));
    match (repository, after) {
        (Some(text), None) => Ok(Choice { location: read(text)?, by, warnings: Vec::new() }),
        (Some(text), Some(after)) if is_url => {
            let location = read(text)?;
            // The script knows other storage by its variable and does not read such a URL.
            if location.directory().is_none() {
                return Ok(network(after, repository));
            }
            let warning =
                format!("{} is set and ignored, because KOPIA_REPOSITORY goes before it", after.name());
            Ok(Choice { location, by, warnings: vec![warning] })
        }
        (_, Some(variable)) => Ok(network(variable, repository)),
        (None, None) => Err(SetupError::new(
            "no repository is given",
            "set KOPIA_REPOSITORY=filesystem:///absolute/path in the repository's Secret",
        )),
    }
}

/// Reads a location of KOPIA_REPOSITORY.
fn read(text: &str) -> Result<Location, SetupError> {
    Location::parse(text).map_err(|error| {
        SetupError::new(format!("KOPIA_REPOSITORY: {error}"), "write filesystem:///absolute/path without ..")
    })
}

/// Chooses the storage that a variable names, and warns of what else that puts out of force.
fn network(variable: Variable, repository: Option<&str>) -> Choice {
    let backend = match variable.role() {
        Role::Chooses(backend) => backend,
        _ => Backend::S3,
    };
    let location = Location::Unsupported(backend);
    // A Secret holds both, and a URL of the same storage contradicts nothing.
    let same = |text: &str| read(text).is_ok_and(|url| url == location);
    let overruled = repository.filter(|text| variable != Variable::Repository && !same(text));
    let warning =
        |text| format!("{} is set and goes before KOPIA_REPOSITORY={}", variable.name(), for_terminal(text));
    Choice { warnings: overruled.map(warning).into_iter().collect(), location, by: variable.name() }
}

/// Shows where a repository is, unless that may hold a password.
fn for_terminal(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, _)) if scheme != "filesystem" => format!("{scheme}://…"),
        _ => text.into(),
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
        chosen(variables).location.to_string()
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
        assert_eq!((choice.location, choice.by), (Location::Unsupported(Backend::S3), "KOPIA_S3_BUCKET"));
        assert!(
            choice.warnings[0]
                .contains("KOPIA_S3_BUCKET is set and goes before KOPIA_REPOSITORY=filesystem:")
        );
        let choice = chosen(&[("SFTP_HOST", "h"), ("KOPIA_REPOSITORY", "filesystem:///repository")]);
        assert_eq!(choice.location, Location::filesystem("/repository"));
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
            assert_eq!((choice.location.to_string().as_str(), choice.by), (name, variable));
            assert!(choice.warnings.is_empty(), "{choice:?}");
        }
    }

    #[test]
    fn a_structured_configuration_goes_first_if_it_names_a_place() {
        let structured = |location: Option<Location>| Structured { location, username: None, hostname: None };
        let s3 = structured(Some(Location::Unsupported(Backend::S3)));
        let folder = structured(Some(Location::filesystem("/a")));
        for (repository, structured, is_contradiction) in [
            ("s3://b/p", &s3, false),
            ("filesystem:///a", &s3, true),
            ("filesystem:///a", &folder, false),
            ("/b", &folder, true),
            ("gcs://b", &s3, true),
        ] {
            let environment = [("KOPIA_REPOSITORY".into(), repository.into())].into_iter().collect();
            let choice = choose(&environment, Some(structured)).unwrap();
            assert_eq!(Some(choice.location), structured.location);
            assert_eq!(!choice.warnings.is_empty(), is_contradiction, "{repository} {structured:?}");
        }
        let environment = [("KOPIA_REPOSITORY".into(), "/b".into())].into_iter().collect();
        let choice = choose(&environment, Some(&structured(None))).unwrap();
        assert_eq!((choice.location, choice.warnings), (Location::filesystem("/b"), Vec::new()));
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
