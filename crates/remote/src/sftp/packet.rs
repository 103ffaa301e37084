//! The packets of SFTP version 3, as far as a reader needs them: requests as bytes, and bytes as replies.
//!
//! Whatever the server says is checked here: a string ends within its packet, a count is compared with the
//! bytes at hand, and nothing is allocated for more than there is. Authority: draft-ietf-secsh-filexfer-02,
//! the version that servers speak.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The version that is spoken.
pub(super) const VERSION: u32 = 3;

/// The longest packet that is taken, without its length. Servers send replies of up to 256 KiB.
pub(super) const MAX_PACKET: usize = 1 << 20;

/// The longest name of a file that any file system has, in bytes. Longer ones are passed over.
const MAX_NAME: usize = 255;

/// The longest handle that the draft allows, in bytes.
const MAX_HANDLE: usize = 256;

const INIT: u8 = 1;
const REPLY_VERSION: u8 = 2;
const REPLY_STATUS: u8 = 101;
const REPLY_HANDLE: u8 = 102;
const REPLY_DATA: u8 = 103;
const REPLY_NAME: u8 = 104;
const REPLY_ATTRIBUTES: u8 = 105;
const REPLY_EXTENDED: u8 = 201;

/// What a server can be asked for. None of it changes anything there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    /// Opens a file to be read.
    Open(&'a [u8]),
    /// Closes a file or a directory.
    Close(&'a [u8]),
    /// Reads bytes of a file: fewer only at its end, or if the server gives fewer at a time.
    Read { handle: &'a [u8], offset: u64, length: u32 },
    /// Asks what a path is, without following a link.
    LinkStat(&'a [u8]),
    /// Opens a directory to be listed.
    OpenDirectory(&'a [u8]),
    /// Lists some more entries of a directory.
    ReadDirectory(&'a [u8]),
    /// Asks what a path is.
    Stat(&'a [u8]),
    /// Asks for something that the version does not have.
    Extended(&'a [u8]),
}

impl Request<'_> {
    fn kind(&self) -> u8 {
        match self {
            Self::Open(_) => 3,
            Self::Close(_) => 4,
            Self::Read { .. } => 5,
            Self::LinkStat(_) => 7,
            Self::OpenDirectory(_) => 11,
            Self::ReadDirectory(_) => 12,
            Self::Stat(_) => 17,
            Self::Extended(_) => 200,
        }
    }

    /// Appends the packet.
    pub(super) fn write(&self, id: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; 4]);
        out.push(self.kind());
        out.extend(id.to_be_bytes());
        match self {
            Self::Open(path) => {
                string(out, path);
                // To be read, without attributes.
                out.extend(1u32.to_be_bytes());
                out.extend(0u32.to_be_bytes());
            }
            Self::Read { handle, offset, length } => {
                string(out, handle);
                out.extend(offset.to_be_bytes());
                out.extend(length.to_be_bytes());
            }
            Self::Close(text)
            | Self::LinkStat(text)
            | Self::OpenDirectory(text)
            | Self::ReadDirectory(text)
            | Self::Stat(text)
            | Self::Extended(text) => string(out, text),
        }
        finish(out, start);
    }
}

/// Returns the first packet, which says which version is spoken.
pub(super) fn init() -> Vec<u8> {
    let mut out = vec![0; 4];
    out.push(INIT);
    out.extend(VERSION.to_be_bytes());
    finish(&mut out, 0);
    out
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    // Paths and handles: far from 4 GiB.
    out.extend((text.len() as u32).to_be_bytes());
    out.extend(text);
}

/// Puts the length before a packet that began at `start`.
fn finish(out: &mut [u8], start: usize) {
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(Status),
    Handle(Vec<u8>),
    Data(Data),
    Names(Vec<Name>),
    Attributes(Attributes),
    Extended(Vec<u8>),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u32,
    /// In the server's words; it may be empty.
    pub(super) message: String,
}

impl Status {
    pub(super) const OK: u32 = 0;
    pub(super) const END: u32 = 1;
    pub(super) const NO_SUCH_FILE: u32 = 2;
    pub(super) const PERMISSION_DENIED: u32 = 3;
    pub(super) const FAILURE: u32 = 4;
    pub(super) const CONNECTION_LOST: u32 = 7;
}

/// Bytes of a file, left in the packet that they came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Data {
    packet: Vec<u8>,
    start: usize,
}

impl Data {
    pub(super) fn bytes(&self) -> &[u8] {
        self.packet.get(self.start..).unwrap_or_default()
    }
}

/// An entry of a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: Vec<u8>,
    /// Without following a link.
    pub(super) attributes: Attributes,
}

/// What is known of a file. A server may leave anything out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) length: Option<u64>,
    /// As `st_mode` of POSIX.
    mode: Option<u32>,
    /// In seconds since 1970.
    modified: Option<u32>,
}

impl Attributes {
    /// The bits of a mode that say what kind of thing it is.
    const KIND: u32 = 0o170_000;

    /// Returns those bits, if they are known.
    pub(super) fn kind(&self) -> Option<u32> {
        self.mode.map(|mode| mode & Self::KIND)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind() == Some(0o040_000)
    }

    pub(super) fn modified(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.modified?.into()))
    }
}

/// Reads a reply to an id, or why it is none.
pub(super) fn reply(packet: Vec<u8>) -> Result<(u32, Reply), &'static str> {
    let mut bytes = Bytes(&packet);
    let kind = bytes.u8()?;
    let id = bytes.u32()?;
    let reply = match kind {
        REPLY_STATUS => Reply::Status(Status {
            code: bytes.u32()?,
            // Old servers end here.
            message: bytes.string().map(|text| String::from_utf8_lossy(text).into()).unwrap_or_default(),
        }),
        REPLY_HANDLE => match bytes.string()? {
            handle if handle.len() <= MAX_HANDLE => Reply::Handle(handle.into()),
            _ => return Err("a handle is longer than 256 bytes"),
        },
        REPLY_DATA => {
            let length = bytes.string()?.len();
            // It ends the packet but for what a server may add.
            let start = packet.len() - bytes.0.len() - length;
            let mut packet = packet;
            packet.truncate(start + length);
            Reply::Data(Data { packet, start })
        }
        REPLY_NAME => Reply::Names(names(&mut bytes)?),
        REPLY_ATTRIBUTES => Reply::Attributes(attributes(&mut bytes)?),
        REPLY_EXTENDED => Reply::Extended(bytes.0.into()),
        _ => return Err("a packet is of a kind that is no reply"),
    };
    Ok((id, reply))
}

fn names(bytes: &mut Bytes<'_>) -> Result<Vec<Name>, &'static str> {
    let count = bytes.u32()? as usize;
    // Each has at least two lengths and its flags.
    if count > bytes.0.len() / 12 {
        return Err("a list of names is shorter than its count says");
    }
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let name = bytes.string()?;
        // As `ls -l` writes it, for people.
        bytes.string()?;
        let attributes = attributes(bytes)?;
        if !matches!(name, b"" | b"." | b"..") && name.len() <= MAX_NAME && !name.contains(&b'/') {
            names.push(Name { name: name.into(), attributes });
        }
    }
    Ok(names)
}

fn attributes(bytes: &mut Bytes<'_>) -> Result<Attributes, &'static str> {
    let flags = bytes.u32()?;
    let has = |flag: u32| flags & flag != 0;
    let mut found = Attributes::default();
    if has(1) {
        found.length = Some(bytes.u64()?);
    }
    if has(2) {
        // Owner and group.
        bytes.u64()?;
    }
    if has(4) {
        found.mode = Some(bytes.u32()?);
    }
    if has(8) {
        // When it was read last comes first.
        bytes.u32()?;
        found.modified = Some(bytes.u32()?);
    }
    if has(1 << 31) {
        let count = bytes.u32()?;
        // Each takes bytes, so the loop ends with the packet.
        for _ in 0..count {
            bytes.string()?;
            bytes.string()?;
        }
    }
    Ok(found)
}

/// Reads the first packet of the server: its version and the extensions that it knows.
pub(super) fn version(packet: &[u8]) -> Result<(u32, Vec<Vec<u8>>), &'static str> {
    let mut bytes = Bytes(packet);
    if bytes.u8()? != REPLY_VERSION {
        return Err("its first packet does not say which version it speaks");
    }
    let version = bytes.u32()?;
    let mut extensions = Vec::new();
    while !bytes.0.is_empty() {
        extensions.push(bytes.string()?.into());
        bytes.string()?;
    }
    Ok((version, extensions))
}

/// The extension that says how much may be asked for at once.
pub(super) const LIMITS: &[u8] = b"limits@openssh.com";

/// What [`LIMITS`] answers. Zero is no limit, or one that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) read_length: u64,
    pub(super) open_handles: u64,
}

/// Reads what [`LIMITS`] answers.
pub(super) fn limits(body: &[u8]) -> Result<Limits, &'static str> {
    let mut bytes = Bytes(body);
    let _packet_length = bytes.u64()?;
    let read_length = bytes.u64()?;
    let _write_length = bytes.u64()?;
    Ok(Limits { read_length, open_handles: bytes.u64()? })
}

/// What is left of a packet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (first, rest) = self.0.split_first_chunk().ok_or("a packet ends too early")?;
        self.0 = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8, &'static str> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        self.array().map(u64::from_be_bytes)
    }

    fn string(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or("a string is longer than its packet")?;
        self.0 = rest;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
