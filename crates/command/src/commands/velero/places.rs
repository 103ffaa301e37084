//! The repositories that are meant: the one that is given, or those of all namespaces below a bucket.

use std::io::ErrorKind;

use kopia_rs::connect::survey;
use kopia_rs::connection::Environment;
use kopia_rs::diagnosis::text::{chain, option, quoted};
use kopia_rs::diagnosis::velero::{Search, in_directory, in_store, namespace_of};
use kopia_rs::diagnosis::{Class, neighbours};
use kopia_rs::storage::{Shape, Surroundings};

use crate::args::Global;
use crate::error::Failure;
use crate::session::{Choice, options};
use crate::terminal::output::{escape, log_line};
use crate::wording::remote::remote;

/// The repositories, each as it would be chosen by itself.
pub(super) struct Places {
    all: Vec<(Option<String>, Choice)>,
    /// Whether something may be missing, as was told.
    has_gaps: bool,
    /// Whether the place that was given is the repository itself.
    is_given: bool,
}

impl Places {
    /// Finds them. Where there are none, opening what was given says why.
    pub(super) fn find(choice: Choice, global: &Global, environment: &Environment) -> Result<Self, Failure> {
        let search = match choice.connection.storage.directory() {
            Some(directory) if neighbours::layout(directory).is_some() => Search::default(),
            Some(directory) => in_directory(directory, None),
            None => match survey(&choice.connection, &options(global, environment.clone())).ok().flatten() {
                Some(around) if !holds_one(&*around) => in_store(&*around, None),
                _ => Search::default(),
            },
        };
        let is_given = search.found.is_empty();
        // That nothing is there at all is said when it is opened.
        let error = search
            .error
            .as_ref()
            .filter(|it| !is_given || !matches!(it.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory));
        if let Some(error) = error {
            log_line(format_args!("warning: not everything could be looked at: {}", escape(&chain(error))));
        }
        for error in &search.refused {
            log_line(format_args!("error: {}", escape(&chain(error))));
        }
        if search.is_cut {
            log_line("error: there is more than was looked at: name the prefix, or its folder kopia/");
        }
        let has_gaps = search.is_cut || !search.refused.is_empty();
        if is_given {
            let namespace = namespace_of(&choice.place()).map(Into::into);
            return Ok(Self { all: vec![(namespace, choice.of_velero())], has_gaps, is_given });
        }
        let all = search.found.into_iter().map(|one| (Some(one.namespace), choice.at(&one.root))).collect();
        Ok(Self { all, has_gaps, is_given })
    }

    /// Returns those that may hold volumes of a namespace.
    ///
    /// # Errors
    /// That it has none, with the namespaces that have.
    pub(super) fn wanted(&self, namespace: Option<&str>) -> Result<Vec<&Choice>, Failure> {
        let is_wanted =
            |name: &Option<String>| self.is_given || namespace.is_none() || name.as_deref() == namespace;
        let wanted: Vec<_> =
            self.all.iter().filter(|(name, _)| is_wanted(name)).map(|(_, choice)| choice).collect();
        if wanted.is_empty() {
            let names = self.all.iter().filter_map(|(name, _)| name.clone()).collect();
            let text = format!("there is no repository of namespace {}", namespace.unwrap_or_default());
            return Err(Failure::failed(text).with_class(Class::NotFound).candidates(names));
        }
        Ok(wanted)
    }

    /// Returns whether there is no other than the one that was given.
    pub(super) fn is_one(&self) -> bool {
        self.is_given
    }

    /// Returns whether there may be more, as was told.
    pub(super) fn has_gaps(&self) -> bool {
        self.has_gaps
    }

    /// Spells the option that a restore takes beside those that were given: which repository it is.
    pub(super) fn option(&self) -> String {
        let Some((_, first)) = self.all.first().filter(|_| !self.is_given) else { return String::new() };
        let place = first.place();
        let above = place.trim_end_matches('/');
        let above = &above[..above.rfind('/').map_or(0, |slash| slash + 1)];
        // Of prefixes, a slash at the end is part.
        let end = if place.ends_with('/') { "/" } else { "" };
        let place = format!("{above}NAMESPACE{end}");
        match remote(&first.connection) {
            None => format!(" --repository {}", quoted(&place)),
            Some(remote) => format!(" {}", option(remote.backend, &remote.container, &place)),
        }
    }
}

/// Returns whether there is a repository at the place itself. What cannot be looked at is said when it is
/// opened.
fn holds_one(around: &dyn Surroundings) -> bool {
    let root = around.root();
    let is_there = |prefix: &str, name: &str| {
        around.look(prefix).map_or(true, |level| level.iter().any(|near| near.name == name))
    };
    if around.shape() == Shape::Keys {
        let key = format!("{root}kopia.repository");
        return is_there(&key, &key);
    }
    let root = if root.is_empty() || root.ends_with('/') { root } else { format!("{root}/") };
    ["kopia.repository.f", "kopia.repository"].iter().any(|name| is_there(&root, &format!("{root}{name}")))
}
