//! The S3 server that rivals read from: MinIO where it is on PATH, else one of our own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::bucket::Bucket;
use super::minio::{self, BUCKET, Minio};
use super::rivals;
use crate::Result;
use crate::backup::{Repositories, kopia, restic};
use crate::tools::{Tool, Tools, version};

/// A server with the repositories of one set.
pub(super) struct Server {
    kind: Kind,
    folder: PathBuf,
}

enum Kind {
    Minio(Minio),
    Own(Bucket),
}

/// Returns what will serve, with its version.
pub(super) fn name() -> String {
    match minio::program() {
        Some(program) => format!("minio {}", version("--version", &program)).trim_end().into(),
        None => "a small S3 server of the comparison's own".into(),
    }
}

impl Server {
    /// Starts one on a folder of its own, and has it hold the repositories unless it does already.
    pub(super) fn start(work: &Path, name: &str, tools: &Tools, repositories: &Repositories) -> Result<Self> {
        let minio = minio::program();
        let folder = work.join(if minio.is_some() { "minio" } else { "bucket" }).join(name);
        let (data, complete) = (folder.join("data"), folder.join("complete"));
        // A folder is a bucket, for both.
        fs::create_dir_all(data.join(BUCKET))?;
        let kind = match minio {
            Some(program) => Kind::Minio(Minio::start(&program, &folder, &data)?),
            None => Kind::Own(Bucket::start(&data)?),
        };
        let server = Self { kind, folder: data };
        if !complete.exists() {
            eprintln!("putting repositories where {} has them", self::name());
            match &server.kind {
                Kind::Minio(minio) => upload(tools, repositories, minio.address(), &folder)?,
                Kind::Own(_) => link(tools, repositories, &server.folder.join(BUCKET))?,
            }
            File::create(complete)?;
        }
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        match &self.kind {
            Kind::Minio(minio) => minio.address(),
            Kind::Own(bucket) => bucket.address(),
        }
    }

    /// Returns the folder with what is served.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Has each tool put its repository there.
fn upload(tools: &Tools, repositories: &Repositories, endpoint: SocketAddr, folder: &Path) -> Result<()> {
    let log = folder.join("upload.log");
    if let Some(program) = tools.path(Tool::Kopia) {
        let home = repositories.home(Tool::Kopia);
        let sync = kopia(program, &home, &["repository", "sync-to", "s3", "--no-progress", "--parallel=4"]);
        rivals::bucket(sync, endpoint).run(&log)?;
    }
    if let Some(program) = tools.path(Tool::Restic) {
        let (home, url) = (repositories.home(Tool::Restic), PathBuf::from(rivals::restic_url(endpoint)));
        rivals::keys(restic(program, &url, &home, &["init"])).run(&log)?;
        let backup = restic(program, &url, &home, &["backup", "."]).within(&repositories.tree);
        rivals::keys(backup).run(&log)?;
    }
    Ok(())
}

/// Links the files of the local repositories to where keys would be.
fn link(tools: &Tools, repositories: &Repositories, bucket: &Path) -> Result<()> {
    for tool in [Tool::Kopia, Tool::Restic] {
        if tools.path(tool).is_some() {
            let to = bucket.join(tool.name());
            fs::create_dir_all(&to)?;
            link_files(tool, &repositories.of(tool), "", &to)?;
        }
    }
    Ok(())
}

fn link_files(tool: Tool, folder: &Path, before: &str, to: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let key = format!("{before}{}", entry.file_name().to_string_lossy());
        // Kopia's folders are parts of names, which end in `.f`; in a bucket there are neither.
        let separator = if tool == Tool::Kopia { "" } else { "/" };
        if entry.file_type()?.is_dir() {
            link_files(tool, &entry.path(), &format!("{key}{separator}"), to)?;
            continue;
        }
        let key = match tool {
            Tool::Kopia => match key.strip_suffix(".f") {
                Some(blob) => blob.to_owned(),
                None => continue,
            },
            _ => key,
        };
        let place = to.join(key);
        place.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::hard_link(entry.path(), place)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_parts_of_names_for_kopia_alone() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        for name in ["p/4e3/11.f", "kopia.repository.f", ".shards"] {
            let path = from.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        for (tool, expected) in [
            (Tool::Kopia, vec!["kopia.repository", "p4e311"]),
            (Tool::Restic, vec![".shards", "kopia.repository.f", "p"]),
        ] {
            let to = to.join(tool.name());
            fs::create_dir_all(&to).unwrap();
            link_files(tool, &from, "", &to).unwrap();
            let mut names: Vec<_> =
                fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, expected);
        }
    }
}
