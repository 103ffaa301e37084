//! The text of the finding about Velero's repositories.

use super::{count, store};
use crate::Audience;
use crate::remote::Backend;
use crate::velero::NamespaceRepository;

/// How many namespaces a sentence lists.
const LISTED: usize = 10;

pub(super) fn fact(given: &str, namespaces: &[NamespaceRepository], is_cut: bool) -> String {
    let names: Vec<_> =
        namespaces.iter().take(LISTED).map(|one| format!("{} at {}", one.namespace, one.root)).collect();
    let more = if is_cut || namespaces.len() > LISTED { ", …" } else { "" };
    let number = count(namespaces.len() as u64, "namespace", "namespaces");
    format!(
        "{given} holds no repository itself, but those of Velero, of {number}: {}{more}",
        names.join(", ")
    )
}

/// Advises to list the volumes, and to restore one of the first namespace; in a Job, which restores from one place
/// alone, to name that of a namespace.
pub(super) fn change(
    given: &str,
    backend: Option<Backend>,
    container: &str,
    namespaces: &[NamespaceRepository],
    audience: Audience,
) -> String {
    let Some(first) = namespaces.first() else { return String::new() };
    if audience == Audience::VolSync {
        let variable = match backend {
            None => format!("KOPIA_REPOSITORY=filesystem://{}", first.root),
            Some(backend) => store::variable(backend, container, &first.root),
        };
        let others: Vec<_> = namespaces.iter().skip(1).take(LISTED).map(|one| &*one.namespace).collect();
        let more = if namespaces.len() > LISTED + 1 { ", …" } else { "" };
        let others = match &others[..] {
            [] => String::new(),
            names => format!(", or the same place of another namespace: {}{more}", names.join(", ")),
        };
        return format!("set {variable} for the volumes of {}{others}", first.namespace);
    }
    let (here, there) = match backend {
        None => (
            format!(" --repository {}", store::quoted(given)),
            format!("--repository {}", store::quoted(&first.root)),
        ),
        Some(backend) => (String::new(), store::option(backend, container, &first.root)),
    };
    let same = if backend.is_some() { ", with the same options," } else { "" };
    format!(
        "`kopia-rs velero volumes{here}`{same} lists their volumes; `kopia-rs restore SNAPSHOT TARGET {there}` restores one \
         of {}",
        first.namespace
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<NamespaceRepository> {
        let one = |name: &&str| NamespaceRepository {
            namespace: (*name).into(),
            root: format!("p q/kopia/{name}/"),
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn it_names_the_namespaces_and_what_to_run() {
        let two = of(&["shop", "web"]);
        assert_eq!(
            fact("s3://b/p q/", &two, false),
            "s3://b/p q/ holds no repository itself, but those of Velero, of 2 namespaces: shop at p q/kopia/shop/, \
             web at p q/kopia/web/"
        );
        assert!(fact("x", &two, true).ends_with(", …"));
        assert_eq!(
            change("s3://b/p q/", Some(Backend::S3), "b", &two, Audience::Terminal),
            "`kopia-rs velero volumes`, with the same options, lists their volumes; `kopia-rs restore SNAPSHOT TARGET \
             --prefix 'p q/kopia/shop/'` restores one of shop"
        );
        assert_eq!(
            change("s3://b/p q/", Some(Backend::S3), "b", &two, Audience::VolSync),
            "set KOPIA_REPOSITORY=s3://b/p q/kopia/shop/ for the volumes of shop, or the same place of another \
             namespace: web"
        );
        let one = [NamespaceRepository { namespace: "web".into(), root: "/mnt/kopia/web/".into() }];
        let one = change("/mnt", None, "", &one, Audience::VolSync);
        assert_eq!(one, "set KOPIA_REPOSITORY=filesystem:///mnt/kopia/web/ for the volumes of web");
        let local = change("/mnt/a b", None, "", &two, Audience::Terminal);
        assert!(local.starts_with("`kopia-rs velero volumes --repository '/mnt/a b'` lists"), "{local}");
    }
}
