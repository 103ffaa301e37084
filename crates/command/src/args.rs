//! The command line, as clap reads it.

mod archive;
#[cfg(feature = "browse")]
mod browse;
#[cfg(feature = "terminal-browser")]
mod browser;
mod cat;
#[cfg(feature = "describe")]
mod describe;
mod disk;
#[cfg(feature = "export")]
mod export;
pub(crate) mod foreign;
mod habits;
mod ls;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod mount;
mod only;
mod owners;
mod patterns;
mod places;
mod prices;
mod restore;
#[cfg(feature = "serve")]
mod serve;
mod store;
mod undo;
pub(crate) mod unparsed;
mod values;
#[cfg(feature = "velero")]
mod velero;
mod verify;
mod what;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use kopia_rs::OpenOptions;
use kopia_rs::storage::IoMode;

pub(crate) use archive::Archive;
#[cfg(feature = "browse")]
pub(crate) use browse::{Browse, Diff, Du, Find, Gone, Log, Other, Packs, Stats};
#[cfg(feature = "terminal-browser")]
pub(crate) use browser::Browser;
pub(crate) use cat::Cat;
#[cfg(feature = "describe")]
pub(crate) use describe::{Describe, Man, Shell};
#[cfg(feature = "export")]
pub(crate) use export::Export;
pub(crate) use ls::{Ls, SortKey};
#[cfg(all(feature = "mount", target_os = "linux"))]
pub(crate) use mount::Mount;
pub(crate) use only::Only;
pub(crate) use owners::Owners;
pub(crate) use patterns::{Given, List, Patterns};
pub(crate) use prices::Prices;
pub(crate) use restore::Restore;
#[cfg(feature = "serve")]
pub(crate) use serve::Serve;
use store::Stores;
pub(crate) use store::help as option_help;
pub(crate) use undo::Undo;
use values::{about_io, about_progress, as_stored, one_of};
#[cfg(feature = "velero")]
pub(crate) use velero::{Velero, VeleroList};
pub(crate) use verify::Verify;
pub(crate) use what::{OptionalWhat, What};

use crate::terminal::password;
use crate::terminal::progress::Wanted;

/// Restores snapshots of Kopia repositories without kopia.
#[derive(Debug, Parser)]
#[command(
    name = "kopia-rs",
    version,
    max_term_width = 100,
    // Without a command clap would print the help alone; every failure is to say `error:`.
    arg_required_else_help = false,
    after_help = "Examples:\n  \
                  export KOPIA_REPOSITORY=/backups/kopia\n  \
                  kopia-rs snapshots\n  \
                  kopia-rs ls anna@laptop:/home/anna\n  \
                  kopia-rs restore anna@laptop:/home/anna/photos restored\n\n\
                  --help says what WHAT can be, and shows all options; `kopia-rs COMMAND -h` those of a command.",
    after_long_help = "WHAT is `latest`, `latest~2` (two before it), `oldest`, user@host:/path, a snapshot's id or at least \
                  four digits of it, or an object's id, each with /a/path/below. Of a source, a part will do where no \
                  other has it: /path (of this machine first), host:/path, the host, the user, or the last folder.\n\n\
                  The repository is what --repository, --config or --token says, else KOPIA_REPOSITORY, else what kopia is \
                  connected to on this machine (KOPIA_CONFIG_PATH, or its usual place): then nothing has to be given.\n\n\
                  What a URL can say beside the place, as s3://bucket/prefix?region=eu-west-1, can be an option, too: \
                  --region eu-west-1. `kopia-rs connections --kinds` lists all of it.\n\n\
                  The password is taken from --password-file or --password-command, else from KOPIA_PASSWORD, else from where kopia stored it (a \
                  file beside its configuration, or the key ring of the system), else asked for on a terminal.\n\n\
                  Examples:\n  \
                  kopia-rs --repository 's3://backups/laptop/?endpoint=minio.lan:9000' snapshots\n  \
                  export KOPIA_REPOSITORY=/backups/kopia\n  \
                  kopia-rs snapshots\n  \
                  kopia-rs ls anna@laptop:/home/anna\n  \
                  kopia-rs restore anna@laptop:/home/anna/photos restored\n\n\
                  Exit status: 0 everything is there; 1 failed; 2 wrong usage; 3 ended, but entries are missing or \
                  incomplete, or verify or doctor found damage; 4 what is needed is being fetched from an archive: run the \
                  same command again later; 128 + n ended by signal n."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Args {
    /// Parses a command line.
    ///
    /// # Errors
    /// What is wrong with it, or the help that it asks for.
    pub(crate) fn parse_line(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let arguments = &habits::spelled_out(arguments);
        Self::try_parse_from(arguments).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp => {
                let shown = places::show(Self::command()).try_get_matches_from(arguments);
                shown.err().filter(|shown| shown.kind() == ErrorKind::DisplayHelp).unwrap_or(error)
            }
            _ => error,
        })
    }

    /// Returns whether standard output is for the bytes of files or an archive, and for nothing beside them.
    pub(crate) fn owns_stdout(&self) -> bool {
        match &self.command {
            Some(Command::Cat(_)) => true,
            #[cfg(feature = "export")]
            Some(Command::Export(args)) => !args.dry_run && args.named_file().is_none(),
            _ => false,
        }
    }
}

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Global {
    /// Where the repository is: a folder, or a URL such as s3://bucket/prefix, gs://…, azblob://…, b2://…,
    /// sftp://user@host/path, webdavs://…, rclone:remote:path, kopia://user@host@server,
    /// kopia+http://user@server
    /// [env: KOPIA_REPOSITORY].
    #[arg(long, global = true, value_name = "WHERE", conflicts_with_all = ["config", "token", "token_file", "token_stdin"])]
    pub(crate) repository: Option<OsString>,
    /// Take the repository that kopia is connected to by this configuration [env: KOPIA_CONFIG_PATH].
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", alias = "config-file", conflicts_with_all = ["token", "token_file", "token_stdin"])]
    pub(crate) config: Option<PathBuf>,
    /// Take the repository of this token, as `kopia repository status --reconnect-token` shows it.
    #[arg(long, global = true, hide_short_help = true, value_name = "TOKEN", conflicts_with_all = ["token_file", "token_stdin"])]
    pub(crate) token: Option<String>,
    /// Read the token from this file.
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", conflicts_with = "token_stdin")]
    pub(crate) token_file: Option<PathBuf>,
    /// Read the token from standard input.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) token_stdin: bool,
    /// Read the password from this file, without one line break at its end.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Take what this command prints for the password, without one line break at its end, as in
    /// --password-command 'pass show kopia'.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "COMMAND",
        conflicts_with = "password_file"
    )]
    pub(crate) password_command: Option<OsString>,
    /// Write the result to standard output as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How to read packs.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "HOW",
        default_value = "auto",
        value_parser = one_of(&IoMode::NAMES, about_io),
    )]
    pub(crate) io: IoMode,
    /// Open a damaged repository as far as possible: leave out index blobs that cannot be read, and ask the
    /// packs what they hold.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) degraded: bool,
    /// Include snapshots and contents that were deleted, as long as maintenance has not removed them.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) deleted: bool,
    /// Use this copy of a format blob that is lost or damaged, as `doctor --save-format-blob` found it in a
    /// pack.
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) format_blob: Option<PathBuf>,
    /// Keep indexes and directories of the repository below this folder, for the next command. All of it can
    /// be deleted at any time. Nothing is kept unless this is given; `verify` reads the repository all the
    /// same.
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// The most that is kept there, in MiB.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "MIB",
        default_value_t = 1024,
        requires = "cache"
    )]
    pub(crate) cache_limit: u64,
    /// Keep the merged index in a file in this folder instead of in memory (30 bytes for each content): for
    /// more contents than memory is for. The file has no name, and is gone when the command ends.
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR")]
    pub(crate) index_dir: Option<PathBuf>,
    /// How to show progress, on standard error. Signal USR1 shows it once in any case.
    #[arg(long, global = true, value_name = "HOW", value_parser = one_of(&Wanted::NAMES, about_progress))]
    pub(crate) progress: Option<Wanted>,
    /// Show no progress and no notes.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) archive: Archive,
    #[command(flatten)]
    pub(crate) stores: Stores,
}

impl Global {
    /// Returns what the options say of where the password is.
    pub(crate) fn password(&self) -> password::Given<'_> {
        password::Given { file: self.password_file.as_deref(), command: self.password_command.as_deref() }
    }

    /// Returns the folders that options name and that are written to, each with what messages call it.
    pub(crate) fn folders(&self) -> Vec<(&'static str, PathBuf)> {
        let all = [("the cache", &self.cache), ("the index", &self.index_dir)];
        all.into_iter().filter_map(|(what, folder)| Some((what, folder.clone()?))).collect()
    }

    /// How the repository is opened.
    pub(crate) fn open_options(&self) -> OpenOptions {
        let mut options = OpenOptions::default();
        options.degraded = self.degraded;
        options.deleted = self.deleted;
        if let Some(directory) = &self.index_dir {
            options.resources = options.resources.index_directory(directory);
        }
        options
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the repository is and holds.
    Status,
    /// List the repositories that kopia is connected to on this machine.
    Connections(Connections),
    /// List snapshots.
    #[command(
        after_help = "Examples:\n  kopia-rs snapshots\n  kopia-rs snapshots anna@laptop:/home/anna --json\n  \
                      kopia-rs snapshots --host laptop --tag env=prod -n 3"
    )]
    Snapshots(Snapshots),
    /// List a folder.
    #[command(
        after_help = "Examples:\n  kopia-rs ls -l latest\n  kopia-rs ls --sort size --reverse 'latest/docs/*.pdf'\n\n\
                            A name with * ? [ ] or { } that is not there as it stands is a pattern. --json writes one \
                            object a line: path, type (f, d, s), mode, size, mtime, uid, gid, obj, target of links.\n\n\
                            Line breaks and control characters in names are written as they are, but escaped on a \
                            terminal; --null and --json are safe for programs."
    )]
    Ls(Ls),
    #[cfg(feature = "browse")]
    #[command(flatten)]
    Browse(Browse),
    /// Walk through snapshots, folders and time on this terminal, and restore from there.
    #[cfg(feature = "terminal-browser")]
    #[command(
        name = "browse",
        after_help = "Examples:\n  kopia-rs browse\n  kopia-rs browse /backups/kopia\n  \
                            kopia-rs browse anna@laptop:/home/anna/docs --at 2026-03\n  \
                            kopia-rs browse sftp://nas/backups/kopia latest/etc\n\n\
                            Enter opens, Backspace goes up, Left and Right show the same folder in older and newer \
                            snapshots, Space marks, r restores what is marked into a folder, e writes it to an archive, \
                            ? lists all keys, q leaves. Nothing is ever written to the repository. Exit status 3 tells \
                            that a restore or archive is not complete."
    )]
    Browser(Box<Browser>),
    /// Write the bytes of files to standard output.
    #[command(
        after_help = "Examples:\n  kopia-rs cat anna@laptop:/home/anna/notes.txt --at 2026-03 > notes.txt\n  \
                            kopia-rs cat latest/db.sql --range -1000"
    )]
    Cat(Cat),
    /// Restore a folder, file or link.
    #[command(after_help = "Examples:\n  kopia-rs restore latest restored\n  \
                            kopia-rs restore anna@laptop:/home/anna/photos photos --at 2026-03-02\n  \
                            kopia-rs restore c5b35e31/etc/fstab . --dry-run\n  \
                            kopia-rs restore latest photos --include '*.jpg' --exclude /tmp/\n  \
                            kopia-rs restore /etc /home/anna/notes.txt rescued\n  \
                            kopia-rs restore anna@laptop:/home/anna/docs --in-original-place\n  \
                            kopia-rs restore latest --tag pvc=disk --device /dev/vdb\n\n\
                            A restore that was interrupted goes on when the same command is run again. Signal USR1 shows \
                            how far it is.")]
    Restore(Box<Restore>),
    /// Put back what a restore replaced and deleted, and remove what it wrote.
    #[command(
        after_help = "Examples:\n  kopia-rs restore anna@laptop:/home/anna/docs --in-original-place\n  \
                      kopia-rs undo --list\n  kopia-rs undo /home/anna/docs\n  \
                      kopia-rs undo --forget /home/anna/docs\n\n\
                      What was changed after the restore is put aside, and named. --json of --list writes one \
                      object a line: folder, target, began, state (unfinished, done, undone, forgotten), object, \
                      kept, written, bytes."
    )]
    Undo(Undo),
    /// Write a folder, file or link as an archive: tar, tar.zst, tar.gz or zip.
    #[cfg(feature = "export")]
    #[command(after_help = "Examples:\n  kopia-rs export latest backup.tar.zst\n  \
                            kopia-rs export anna@laptop:/home/anna/photos photos.tar\n  \
                            kopia-rs export c5b35e31/etc | ssh host tar -xpC /restored\n  \
                            kopia-rs export /etc /home/anna/notes.txt some.tar.gz\n\n\
                            A file that is damaged in the repository is left out and named, and the exit status is 3; \
                            the archive is whole in any case.")]
    Export(Export),
    /// Show snapshots in a web browser and by WebDAV, read-only, on this machine.
    #[cfg(feature = "serve")]
    #[command(
        after_help = "Examples:\n  kopia-rs serve\n  kopia-rs serve --listen 127.0.0.1:8080 --host laptop\n  \
                            rclone copy :webdav:/anna@laptop/home_anna/latest photos --webdav-url \
                            http://127.0.0.1:8080/dav/ --webdav-user any --webdav-pass $(rclone obscure TOKEN)\n\n\
                            Open the URL that is printed: its token lets you in, and nobody else. By WebDAV, the \
                            token is the password of any user. Files can be looked at and downloaded in parts, \
                            folders as tar or zip; nothing can be changed. It runs until it is interrupted. With \
                            --json: url, dav, token."
    )]
    Serve(Serve),
    /// Show snapshots as folders, read only, until it is unmounted.
    #[cfg(all(feature = "mount", target_os = "linux"))]
    #[command(after_help = "Examples:\n  kopia-rs mount /mnt\n  kopia-rs mount latest /mnt --idle 10m\n  \
                            kopia-rs mount anna@laptop:/home/anna /mnt --at yesterday\n\n\
                            Without WHAT, snapshots are at user@host/PATH/TIME, with local times, and a link `latest` beside \
                            them; --host, --user, --source-path and --tag choose some. It runs until ^C, until somebody \
                            unmounts it, or until --idle.\n\n\
                            Modes, owners and times are those of the snapshot; only this user is let in, and may read all. \
                            Kopia keeps no hard links, devices, pipes and sockets. What is damaged gives an input/output error, \
                            and one line here.")]
    Mount(Box<Mount>),
    /// Find out why a repository, snapshot or target does not work, and what to change.
    Doctor(Doctor),
    /// List backups and volumes of Velero, of one namespace or of all.
    #[cfg(feature = "velero")]
    #[command(after_help = "Examples:\n  kopia-rs velero backups --repository s3://bucket/prefix/\n  \
                      kopia-rs velero volumes --backup nightly\n  \
                      kopia-rs velero volumes -n shop --pvc data --json\n\n\
                      --repository is the bucket, a prefix in it, its folder kopia/, that of one namespace, or a local \
                      copy of any. Velero's own password is tried where none is given. --json of volumes writes an array of \
                      namespace, pod, name, kind (files, block), requester, backup, backupUid, snapshot, source, startTime, \
                      endTime, size, files, incomplete, deleted, repository, root; of backups one of backup, backupUid, \
                      namespaces, startTime, endTime, volumes, incomplete, size, files.")]
    Velero(Velero),
    /// Check that backups can be restored; list files that damage affects.
    #[command(after_help = "Examples:\n  kopia-rs verify\n  \
                            kopia-rs verify --percent 5\n  \
                            kopia-rs verify --rotate 30 --metrics /var/lib/node_exporter/backup.prom\n\n\
                            A job that runs each day with --rotate 30 reads a thirtieth of the packs and says since when \
                            everything was read and can be restored. What runs that were missed have left, the next \
                            one reads.")]
    Verify(Verify),
    /// Restore as a VolSync mover (reads the Job's environment; the same when called as entry.sh).
    #[command(after_help = "Its settings are the variables of the Job; --variables lists them.\n\n\
                            Exit status: 0 everything is there, or there is no backup yet; 1 failed or incomplete; 2 wrong\n\
                            usage; 128 + n ended by signal n.")]
    Mover(Mover),
    #[cfg(feature = "describe")]
    #[command(flatten)]
    Describe(Describe),
}

/// Where kubelet takes a container's message from, unless the pod says otherwise.
pub(crate) const TERMINATION_LOG: &str = "/dev/termination-log";

#[derive(Debug, clap::Args)]
pub(crate) struct Mover {
    /// What to do: restore; backup and maintenance are done by the original script. Without it, DIRECTION
    /// says so.
    #[arg(value_name = "OP")]
    pub(crate) operations: Vec<String>,
    /// Write the result to this file as Prometheus text.
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_file: Option<PathBuf>,
    /// Where the container's message goes, one line of JSON, if that file exists.
    #[arg(long, value_name = "FILE", default_value = TERMINATION_LOG)]
    pub(crate) termination_log: PathBuf,
    /// List the variables that movers are given, and what is done with each.
    #[arg(long)]
    pub(crate) variables: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Connections {
    /// List instead what URLs and options can say of each kind of storage.
    #[arg(long)]
    pub(crate) kinds: bool,
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Snapshots {
    /// Show only this source: user@host:/path, or a part of it, such as the path or the host.
    #[arg(value_name = "SOURCE", value_parser = as_stored())]
    pub(crate) source: Option<String>,
    /// Also show unfinished snapshots; --json always does.
    #[arg(long)]
    pub(crate) incomplete: bool,
    /// Show only the newest N of each source.
    #[arg(help_heading = only::WHICH, long, short = 'n', value_name = "N", alias = "max-results", alias = "latest")]
    pub(crate) last: Option<usize>,
    #[command(flatten)]
    pub(crate) only: Only,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) what: OptionalWhat,
    /// A folder that something is to be restored to: whether it can be written to and, with WHAT, has room
    /// for that.
    #[arg(long, value_name = "DIR")]
    pub(crate) target: Option<PathBuf>,
    /// Look for a replica of the format blob in packs and write it to this file, which must be new, for
    /// --format-blob.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_format_blob: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn definitions_are_sound() {
        Args::command().debug_assert();
        super::places::show(Args::command()).debug_assert();
    }

    #[test]
    fn help_shows_where_things_go() {
        for line in ["restore --help", "restore -h", "help restore", "restore a --dry-run b t --help"] {
            let arguments: Vec<_> =
                std::iter::once("kopia-rs").chain(line.split(' ')).map(Into::into).collect();
            let help = Args::parse_line(&arguments).unwrap_err().to_string();
            assert!(
                help.contains("Usage: kopia-rs restore [OPTIONS] <WHAT>... <TARGET>\n"),
                "{line}: {help}"
            );
            assert!(help.contains("\n  <WHAT>") && help.contains("\n  <TARGET>"), "{line}: {help}");
        }
    }
}
