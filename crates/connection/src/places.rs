//! Where kopia keeps its configurations. Authority: Kopia's `internal/ospath`, `cli/config.go` and
//! `app/public/config.js`.

use std::path::{Path, PathBuf};

use crate::{Connection, Environment, Result, config_file, stored_password};

/// The variable that names the configuration.
pub const CONFIG_PATH: &str = "KOPIA_CONFIG_PATH";

/// The configuration that kopia uses if no other is named.
const DEFAULT_NAME: &str = "repository.config";

/// The directory that kopia's image keeps its settings in.
const IMAGE_DIRECTORY: &str = "/app/config";

/// How many configurations of one directory are looked at.
const MOST: usize = 100;

/// A configuration that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Whether kopia uses it if no other is named.
    pub is_default: bool,
}

impl Place {
    /// Reads it, with the password that kopia stored beside it.
    ///
    /// # Errors
    /// As [`config_file::read`].
    pub fn read(&self) -> Result<Connection> {
        config_file::read(&self.file)
    }

    /// Returns whether kopia stored a password beside it.
    pub fn has_password(&self) -> bool {
        stored_password::file(&self.file).exists()
    }
}

/// Returns the directory of kopia's settings, as the system and the variables have it.
pub fn settings_directory(environment: &Environment) -> Option<PathBuf> {
    let home = || environment.home().map(Path::to_path_buf);
    let settings = if cfg!(target_os = "macos") {
        home()?.join("Library/Application Support")
    } else if cfg!(windows) {
        environment.var_os("APPDATA")?.into()
    } else if let Some(settings) = environment.var_os("XDG_CONFIG_HOME") {
        settings.into()
    } else {
        home()?.join(".config")
    };
    Some(settings.join("kopia"))
}

/// Returns the file that the name of a configuration means. A bare name lies in the directory of kopia's
/// settings, unless there is none of it but one here.
pub fn resolve(name: &Path, environment: &Environment) -> PathBuf {
    let is_bare = name.file_name() == Some(name.as_os_str());
    let inside = settings_directory(environment).filter(|_| is_bare).map(|directory| directory.join(name));
    inside.filter(|file| file.exists() || !name.exists()).unwrap_or_else(|| name.into())
}

/// Finds all configurations: the one that the variable names, and those of kopia and of KopiaUI in the
/// directory of settings. The one that kopia would use comes first; without a variable it may be missing.
pub fn find(environment: &Environment) -> Vec<Place> {
    let named = environment.var_os(CONFIG_PATH).map(|name| resolve(Path::new(name), environment));
    let portable = environment.var_os("KOPIA_UI_PORTABLE_CONFIG_DIR").map(PathBuf::from);
    let image = Some(PathBuf::from(IMAGE_DIRECTORY));
    let mut files: Vec<PathBuf> = named.clone().into_iter().collect();
    for directory in [settings_directory(environment), portable, image].into_iter().flatten() {
        files.extend(configurations(&directory).into_iter().filter(|file| named.as_ref() != Some(file)));
    }
    let default = named.or_else(|| files.iter().find(|file| file.ends_with(DEFAULT_NAME)).cloned());
    let mut places: Vec<_> =
        files.into_iter().map(|file| Place { is_default: default.as_ref() == Some(&file), file }).collect();
    places.sort_by_key(|place| !place.is_default);
    places
}

/// Returns the configurations of a directory by their names: `repository.config`, and the `….config` of
/// KopiaUI.
fn configurations(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path())).take(MOST);
    let is_config = |file: &PathBuf| file.extension().is_some_and(|end| end == "config") && file.is_file();
    let mut files: Vec<_> = files.filter(is_config).collect();
    files.sort_unstable();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(home: &Path, variables: &[(&str, &Path)]) -> Environment {
        variables.iter().map(|(name, value)| (*name, *value)).collect::<Environment>().with_home(home)
    }

    fn names(places: &[Place]) -> Vec<(&str, bool)> {
        // The image's own may be there on whatever runs this.
        let own = places.iter().filter(|place| !place.file.starts_with(IMAGE_DIRECTORY));
        own.map(|place| (place.file.file_name().unwrap().to_str().unwrap(), place.is_default)).collect()
    }

    #[test]
    fn kopias_own_place_and_those_of_its_window() {
        let home = tempfile::tempdir().unwrap();
        let settings = settings_directory(&environment(home.path(), &[])).unwrap();
        assert!(settings.starts_with(home.path()));
        assert!(names(&find(&environment(home.path(), &[]))).is_empty());
        std::fs::create_dir_all(settings.join("sub.config")).unwrap();
        for name in ["repository-1700000000000.config", "x.config.kopia-password", "ui-preferences.json"] {
            std::fs::write(settings.join(name), "{}").unwrap();
        }
        let found = find(&environment(home.path(), &[]));
        assert_eq!(names(&found), [("repository-1700000000000.config", false)]);
        std::fs::write(settings.join("repository.config"), "{}").unwrap();
        std::fs::write(settings.join("repository.config.kopia-password"), "").unwrap();
        let found = find(&environment(home.path(), &[]));
        let both = [("repository.config", true), ("repository-1700000000000.config", false)];
        assert_eq!(names(&found), both);
        assert_eq!((found[0].has_password(), found[1].has_password()), (true, false));
    }

    #[test]
    fn the_variable_goes_first_even_if_its_file_is_missing() {
        let home = tempfile::tempdir().unwrap();
        let settings = settings_directory(&environment(home.path(), &[])).unwrap();
        std::fs::create_dir_all(&settings).unwrap();
        std::fs::write(settings.join("repository.config"), "{}").unwrap();
        for (value, file) in
            [("other.config", settings.join("other.config")), ("/no/where.config", "/no/where.config".into())]
        {
            let environment = environment(home.path(), &[(CONFIG_PATH, Path::new(value))]);
            assert_eq!(resolve(Path::new(value), &environment), file);
            let found = find(&environment);
            assert_eq!((&found[0].file, found[0].is_default), (&file, true));
            assert!(found[1..].iter().all(|place| !place.is_default));
        }
        let named = environment(home.path(), &[(CONFIG_PATH, Path::new("repository.config"))]);
        assert_eq!(names(&find(&named)), [("repository.config", true)]);
    }

    #[test]
    #[cfg(not(any(target_os = "macos", windows)))]
    fn a_variable_moves_the_directory_of_settings() {
        let environment = environment(Path::new("/home/me"), &[("XDG_CONFIG_HOME", Path::new("/settings"))]);
        assert_eq!(settings_directory(&environment).unwrap(), Path::new("/settings/kopia"));
        assert_eq!(settings_directory(&Environment::empty()), None);
    }
}
