//! The options of `kopia repository connect` for each kind of storage.

/// An option of a kind of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flag {
    /// Its name, without hyphens.
    pub name: &'static str,
    /// Whether it takes no value.
    pub is_switch: bool,
    /// The variable that gives its value where it is not given.
    pub variable: Option<&'static str>,
    /// Whether a value must come from somewhere; an empty one will do.
    pub is_required: bool,
}

const fn value(name: &'static str) -> Flag {
    Flag { name, is_switch: false, variable: None, is_required: false }
}

const fn switch(name: &'static str) -> Flag {
    Flag { is_switch: true, ..value(name) }
}

const fn required(name: &'static str) -> Flag {
    Flag { is_required: true, ..value(name) }
}

const fn from(flag: Flag, variable: &'static str) -> Flag {
    Flag { variable: Some(variable), ..flag }
}

const DOWN: Flag = value("max-download-speed");
const UP: Flag = value("max-upload-speed");
const LISTS: Flag = value("list-parallelism");

const FILESYSTEM: &[Flag] = &[
    required("path"),
    value("owner-uid"),
    value("owner-gid"),
    value("file-mode"),
    value("dir-mode"),
    switch("flat"),
    LISTS,
    DOWN,
    UP,
];

const S3: &[Flag] = &[
    required("bucket"),
    value("endpoint"),
    value("region"),
    from(required("access-key"), "AWS_ACCESS_KEY_ID"),
    from(required("secret-access-key"), "AWS_SECRET_ACCESS_KEY"),
    from(value("session-token"), "AWS_SESSION_TOKEN"),
    value("prefix"),
    switch("disable-tls"),
    switch("disable-tls-verification"),
    DOWN,
    UP,
    value("point-in-time"),
    from(value("root-ca-pem-base64"), "ROOT_CA_PEM_BASE64"),
    value("root-ca-pem-path"),
];

const AZURE: &[Flag] = &[
    required("container"),
    from(required("storage-account"), "AZURE_STORAGE_ACCOUNT"),
    from(value("storage-key"), "AZURE_STORAGE_KEY"),
    from(value("storage-domain"), "AZURE_STORAGE_DOMAIN"),
    from(value("sas-token"), "AZURE_STORAGE_SAS_TOKEN"),
    value("prefix"),
    from(value("tenant-id"), "AZURE_TENANT_ID"),
    from(value("client-id"), "AZURE_CLIENT_ID"),
    from(value("client-secret"), "AZURE_CLIENT_SECRET"),
    from(value("client-cert"), "AZURE_CLIENT_CERTIFICATE"),
    from(value("azure-federated-token-file"), "AZURE_FEDERATED_TOKEN_FILE"),
    DOWN,
    UP,
    value("point-in-time"),
];

const GCS: &[Flag] = &[
    required("bucket"),
    value("prefix"),
    switch("read-only"),
    value("credentials-file"),
    switch("embed-credentials"),
    DOWN,
    UP,
    value("point-in-time"),
];

const B2: &[Flag] = &[
    required("bucket"),
    from(required("key-id"), "B2_KEY_ID"),
    from(required("key"), "B2_KEY"),
    value("prefix"),
    DOWN,
    UP,
];

const SFTP: &[Flag] = &[
    required("path"),
    required("host"),
    value("port"),
    required("username"),
    value("sftp-password"),
    value("keyfile"),
    value("key-data"),
    value("known-hosts"),
    value("known-hosts-data"),
    switch("embed-credentials"),
    switch("external"),
    value("ssh-command"),
    value("ssh-args"),
    switch("flat"),
    LISTS,
    DOWN,
    UP,
];

const WEBDAV: &[Flag] = &[
    required("url"),
    switch("flat"),
    from(value("webdav-username"), "KOPIA_WEBDAV_USERNAME"),
    from(value("webdav-password"), "KOPIA_WEBDAV_PASSWORD"),
    LISTS,
    switch("atomic-writes"),
    DOWN,
    UP,
];

const RCLONE: &[Flag] = &[
    required("remote-path"),
    switch("flat"),
    value("rclone-exe"),
    value("rclone-args"),
    value("rclone-env"),
    value("embed-rclone-config"),
    switch("rclone-debug"),
    switch("rclone-nowait-for-transfers"),
    LISTS,
    switch("atomic-writes"),
    value("rclone-startup-timeout"),
    DOWN,
    UP,
];

const GDRIVE: &[Flag] = &[
    required("folder-id"),
    switch("read-only"),
    value("credentials-file"),
    switch("embed-credentials"),
    DOWN,
    UP,
];

const FROM_CONFIG: &[Flag] = &[value("file"), value("token"), value("token-file"), switch("token-stdin")];

const SERVER: &[Flag] =
    &[required("url"), value("server-cert-fingerprint"), value("local-cache-key-derivation-algorithm")];

/// Returns the options of what follows `connect`, or `None` if kopia has no such kind.
pub fn flags(kind: &str) -> Option<&'static [Flag]> {
    Some(match kind {
        "filesystem" => FILESYSTEM,
        "s3" => S3,
        "azure" => AZURE,
        "gcs" => GCS,
        "b2" => B2,
        "sftp" => SFTP,
        "webdav" => WEBDAV,
        "rclone" => RCLONE,
        "gdrive" => GDRIVE,
        "from-config" => FROM_CONFIG,
        "server" => SERVER,
        _ => return None,
    })
}
