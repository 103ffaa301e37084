//! Where the repository is: the first of the backends that the environment names, in the order of the
//! original script.

use kopia_rs::connection::storage::{Kind, Storage};
use kopia_rs::connection::{self, Connection};

use super::configuration::{self, Structured};
use super::environment::{Environment, Role, Variable};
use super::network;
use super::place::Place;
use crate::mover::account::line::SetupError;

/// What the environment says about it.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) place: Place,
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
    let mut choice = find(environment, structured)?;
    if let Place::Known(connection) = &mut choice.place {
        network::complete(&mut connection.storage, environment)?;
    }
    Ok(choice)
}

fn find(environment: &Environment, structured: Option<&Structured>) -> Result<Choice, SetupError> {
    let repository = environment.text(Variable::Repository)?;
    if let Some(place) = structured.and_then(|structured| structured.place.clone()) {
        let same = repository.is_none_or(|text| read(text).is_ok_and(|other| other.agrees(&place)));
        let warning =
            "KOPIA_STRUCTURED_REPOSITORY_CONFIG and KOPIA_REPOSITORY name different places; the first counts";
        let warnings = if same { Vec::new() } else { vec![warning.into()] };
        return Ok(Choice { place, by: configuration::NAME, warnings });
    }
    let is_s3 = repository.is_some_and(|text| text.starts_with("s3://"));
    let mut order = BEFORE_A_FOLDER.iter().map(|variable| (*variable, environment.has(*variable)));
    let before = order.find_map(|(variable, set)| match variable {
        Variable::S3Bucket if !set && is_s3 => Some(Variable::Repository),
        variable => set.then_some(variable),
    });
    if let Some(variable) = before {
        return chosen_by(variable, repository, environment);
    }
    // The script knows storage after a folder by its variable: to it, any other text than `filesystem://` is
    // nothing at all, and gives way.
    let is_folder = repository.is_some_and(|text| text.starts_with("filesystem://"));
    let after = AFTER_A_FOLDER.into_iter().find(|variable| environment.has(*variable));
    match (repository, after) {
        (None, None) => Err(SetupError::new(
            "no repository is given",
            "set KOPIA_REPOSITORY=filesystem:///absolute/path in the repository's Secret",
        )),
        (_, Some(variable)) if !is_folder => chosen_by(variable, repository, environment),
        (Some(text), after) => {
            let ignored = |after: Variable| {
                format!("{} is set and ignored, because KOPIA_REPOSITORY goes before it", after.name())
            };
            let by = Variable::Repository.name();
            Ok(Choice {
                place: named(text, environment)?,
                by,
                warnings: after.map(ignored).into_iter().collect(),
            })
        }
        (None, Some(variable)) => chosen_by(variable, None, environment),
    }
}

/// Reads KOPIA_REPOSITORY.
fn read(text: &str) -> Result<Place, SetupError> {
    match Connection::parse(text) {
        Ok(connection) => Ok(connection.into()),
        Err(connection::Error::UnknownStorage { name }) => Ok(Place::Unknown(name)),
        Err(error) => Err(SetupError::new(
            format!("KOPIA_REPOSITORY: {error}"),
            "write filesystem:///absolute/path without .., or s3://bucket/prefix",
        )),
    }
}

/// Reads KOPIA_REPOSITORY, and takes from variables what such storage needs beside it. The script has no use
/// for such a URL without the variable that chooses its storage.
fn named(text: &str, environment: &Environment) -> Result<Place, SetupError> {
    match read(text)? {
        Place::Known(url) if !matches!(url.storage.kind(), Kind::Filesystem | Kind::Server) => {
            let kind = url.storage.kind();
            let mut connection = *url;
            connection.storage = network::connection(kind, Some(connection.storage), environment)?.storage;
            Ok(connection.into())
        }
        other => Ok(other),
    }
}

/// Takes the storage that a variable names, and warns of what else that puts out of force.
fn chosen_by(
    variable: Variable,
    repository: Option<&str>,
    environment: &Environment,
) -> Result<Choice, SetupError> {
    let kind = match variable.role() {
        Role::Chooses(kind) => kind,
        _ => Kind::S3,
    };
    let mut warnings = Vec::new();
    // The path of a URL counts with S3 alone, whose keys begin with it.
    let mut url = None;
    if let Some(text) = repository {
        match read(text) {
            // A Secret holds both, and a URL of the same storage contradicts nothing.
            Ok(Place::Known(place)) if place.storage.kind() == kind => url = Some(place.storage),
            Err(error) if variable == Variable::Repository => return Err(error),
            _ => warnings.push(format!(
                "{} is set and goes before KOPIA_REPOSITORY={}",
                variable.name(),
                for_terminal(text)
            )),
        }
    }
    // A bucket that was left over in a Secret is taken out.
    let is_overruling = !warnings.is_empty();
    let advised = |error: SetupError| if is_overruling { error.or_remove(variable.name()) } else { error };
    let named = url.as_ref().and_then(container);
    let connection =
        network::connection(kind, url.filter(|_| kind == Kind::S3), environment).map_err(advised)?;
    if let Some(named) =
        named.filter(|named| container(&connection.storage).is_some_and(|other| other != *named))
    {
        let (name, place) = (variable.name(), &connection);
        warnings.push(format!(
            "{name} goes before KOPIA_REPOSITORY, which names {named}: the repository is {place}"
        ));
    }
    Ok(Choice { place: connection.into(), by: variable.name(), warnings })
}

/// Returns the bucket or container, and the prefix where only variables and a URL can disagree on it: the
/// script takes that of S3 from the URL.
fn container(storage: &Storage) -> Option<String> {
    let (bucket, prefix) = match storage {
        Storage::S3(s3) => (&s3.bucket, ""),
        Storage::Gcs(gcs) => (&gcs.bucket, &*gcs.prefix),
        Storage::Azure(azure) => (&azure.container, &*azure.prefix),
        Storage::B2(b2) => (&b2.bucket, &*b2.prefix),
        _ => return None,
    };
    Some(if prefix.is_empty() { bucket.clone() } else { format!("{bucket}/{prefix}") })
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
        let needed = [
            ("KOPIA_AZURE_STORAGE_ACCOUNT", "account"),
            ("B2_ACCOUNT_ID", "id"),
            ("B2_APPLICATION_KEY", "key"),
            ("SFTP_USERNAME", "user"),
            ("SFTP_PATH", "/path"),
        ];
        let all = needed.iter().chain(variables);
        let environment = all.map(|(name, value)| ((*name).into(), (*value).into())).collect();
        choose(&environment, None).unwrap()
    }

    fn kind(variables: &[(&str, &str)]) -> Option<Kind> {
        chosen(variables).place.kind()
    }

    fn place(text: &str) -> Place {
        read(text).unwrap()
    }

    const ORDER: [(&str, Kind); 9] = [
        ("KOPIA_S3_BUCKET", Kind::S3),
        ("KOPIA_AZURE_CONTAINER", Kind::Azure),
        ("KOPIA_GCS_BUCKET", Kind::Gcs),
        ("KOPIA_REPOSITORY", Kind::Filesystem),
        ("KOPIA_B2_BUCKET", Kind::B2),
        ("WEBDAV_URL", Kind::WebDav),
        ("SFTP_HOST", Kind::Sftp),
        ("RCLONE_REMOTE_PATH", Kind::Rclone),
        ("GOOGLE_DRIVE_FOLDER_ID", Kind::GoogleDrive),
    ];

    #[test]
    fn the_order_is_the_scripts() {
        let value = |name: &str| if name == "KOPIA_REPOSITORY" { "filesystem:///repository" } else { "x" };
        let mut variables: Vec<_> = ORDER.iter().map(|(name, _)| (*name, value(name))).collect();
        for (_, first) in ORDER {
            assert_eq!(kind(&variables), Some(first), "{variables:?}");
            variables.remove(0);
        }
    }

    #[test]
    fn what_is_overruled_is_named() {
        let choice = chosen(&[("KOPIA_S3_BUCKET", "b"), ("KOPIA_REPOSITORY", "filesystem:///repository")]);
        assert_eq!((choice.place.kind(), choice.by), (Some(Kind::S3), "KOPIA_S3_BUCKET"));
        assert!(
            choice.warnings[0]
                .contains("KOPIA_S3_BUCKET is set and goes before KOPIA_REPOSITORY=filesystem:")
        );
        let choice = chosen(&[("SFTP_HOST", "h"), ("KOPIA_REPOSITORY", "filesystem:///repository")]);
        assert_eq!(choice.place.to_string(), "/repository");
        assert!(choice.warnings[0].contains("SFTP_HOST is set and ignored"));
        assert!(chosen(&[("KOPIA_S3_BUCKET", "b"), ("KOPIA_REPOSITORY", "s3://b/p")]).warnings.is_empty());
        let choice = chosen(&[("KOPIA_S3_BUCKET", "b"), ("KOPIA_REPOSITORY", "sftp://me:hush@host/p")]);
        assert!(choice.warnings[0].ends_with("KOPIA_REPOSITORY=sftp://…"), "{choice:?}");
        // What is missing beside one that may have been left over is not the only way out.
        let left_over = [("KOPIA_AZURE_CONTAINER", "c"), ("KOPIA_REPOSITORY", "filesystem:///repository")];
        let environment = left_over.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let said = choose(&environment, None).unwrap_err().to_string();
        assert!(
            said.contains("KOPIA_AZURE_STORAGE_ACCOUNT") && said.contains("remove KOPIA_AZURE_CONTAINER"),
            "{said}"
        );
    }

    #[test]
    fn a_url_of_the_same_storage_contradicts_nothing() {
        for (variable, url, kind) in [
            ("KOPIA_S3_BUCKET", "s3://x/p", Kind::S3),
            ("KOPIA_AZURE_CONTAINER", "azure://x", Kind::Azure),
            ("KOPIA_GCS_BUCKET", "gcs://x", Kind::Gcs),
            ("KOPIA_B2_BUCKET", "b2://x", Kind::B2),
            ("SFTP_HOST", "sftp://h/p", Kind::Sftp),
        ] {
            let choice = chosen(&[(variable, "x"), ("KOPIA_REPOSITORY", url)]);
            assert_eq!((choice.place.kind(), choice.by), (Some(kind), variable));
            assert!(choice.warnings.is_empty(), "{choice:?}");
        }
    }

    #[test]
    fn what_a_url_says_in_vain_is_said() {
        for (variable, url, place) in [
            ("KOPIA_S3_BUCKET", "s3://b/p", "s3://x/p/"),
            ("KOPIA_GCS_BUCKET", "gcs://b", "gs://x"),
            // The script leaves out the path of any URL but S3's.
            ("KOPIA_GCS_BUCKET", "gcs://x/p", "gs://x"),
            ("KOPIA_B2_BUCKET", "b2://x/p", "b2://x"),
        ] {
            let choice = chosen(&[(variable, "x"), ("KOPIA_REPOSITORY", url)]);
            assert_eq!(choice.place.to_string(), place);
            let says = format!("{variable} goes before KOPIA_REPOSITORY, which names ");
            let [warning] = &choice.warnings[..] else { panic!("{choice:?}") };
            assert!(warning.starts_with(&says) && warning.ends_with(place), "{warning}");
        }
        // One that is wrong is nothing to the script.
        let choice = chosen(&[("SFTP_HOST", "h"), ("KOPIA_REPOSITORY", "sftp://h")]);
        assert_eq!((choice.place.to_string(), choice.warnings.len()), ("sftp://h/path".into(), 1));
        let wrong = [("KOPIA_REPOSITORY".into(), "s3://id:hush@b/p".into())].into_iter().collect();
        let said = choose(&wrong, None).unwrap_err().to_string();
        assert!(said.contains("KOPIA_REPOSITORY") && !said.contains("hush"), "{said}");
    }

    #[test]
    fn a_structured_configuration_goes_first_if_it_names_a_place() {
        let structured = |place: Option<Place>| Structured { place, username: None, hostname: None };
        let s3 = structured(Some(place("s3://b")));
        let folder = structured(Some(place("/a")));
        for (repository, structured, is_contradiction) in [
            ("s3://b/p", &s3, false),
            ("filesystem:///a", &s3, true),
            ("filesystem:///a", &folder, false),
            ("/b", &folder, true),
            ("gcs://b", &s3, true),
        ] {
            let environment = [("KOPIA_REPOSITORY".into(), repository.into())].into_iter().collect();
            let choice = choose(&environment, Some(structured)).unwrap();
            assert!(choice.place.agrees(structured.place.as_ref().unwrap()));
            assert_eq!(!choice.warnings.is_empty(), is_contradiction, "{repository} {structured:?}");
        }
        let environment = [("KOPIA_REPOSITORY".into(), "/b".into())].into_iter().collect();
        let choice = choose(&environment, Some(&structured(None))).unwrap();
        assert_eq!((choice.place.to_string(), choice.warnings), ("/b".into(), Vec::new()));
    }

    #[test]
    fn urls() {
        let name = |variables: &[(&str, &str)]| chosen(variables).place.to_string();
        assert_eq!(
            name(&[("KOPIA_REPOSITORY", "s3://bucket/prefix"), ("SFTP_HOST", "h")]),
            "s3://bucket/prefix/"
        );
        assert_eq!(kind(&[("KOPIA_REPOSITORY", "azure://x")]), Some(Kind::Azure));
        assert_eq!(name(&[("KOPIA_REPOSITORY", "foo://x")]), "foo://");
        assert_eq!(name(&[("KOPIA_REPOSITORY", "/srv/kopia")]), "/srv/kopia");
        for text in ["/srv/kopia", "file:///srv/kopia", "gs://b"] {
            assert_eq!(kind(&[("KOPIA_REPOSITORY", text), ("SFTP_HOST", "h")]), Some(Kind::Sftp));
        }
        assert_eq!(name(&[("KOPIA_REPOSITORY", "gs://b/p")]), "gs://b/p");
        for bad in ["filesystem://relative", "filesystem:///a/../b"] {
            let environment = [("KOPIA_REPOSITORY".into(), bad.into())].into_iter().collect();
            assert!(choose(&environment, None).unwrap_err().to_string().contains(bad));
        }
        let nothing = choose(&std::iter::empty().collect(), None).unwrap_err();
        assert!(nothing.to_string().contains("KOPIA_REPOSITORY"));
    }
}
