//! The keys and algorithms of a repository: error correction around encryption, and the hash that names
//! contents.
//!
//! It opens bytes and compares hashes. It reads no blob, and the keys never leave it.

use kopia_codec::cipher::{Cipher, Encryption};
use kopia_codec::ecc::Ecc;
use kopia_codec::hash::{HashAlgorithm, Hasher};
use kopia_format::format_blob::RepositoryFormat;
use kopia_format::{BlobId, ContentId};
use kopia_storage::server::Parameters;

/// The keys and algorithms of an open repository.
#[derive(Debug)]
pub(crate) struct Sealing {
    /// What opens contents; a server has opened them.
    cipher: Option<Cipher>,
    ecc: Option<Ecc>,
    /// What names contents; a server may keep the key of it to itself.
    hasher: Option<Hasher>,
    /// The length of content hashes in bytes.
    hash_length: usize,
}

impl Sealing {
    /// Takes algorithms and keys from the format.
    pub(crate) fn new(format: &RepositoryFormat) -> kopia_codec::Result<Self> {
        let hash = HashAlgorithm::from_name(&format.hash)?;
        let encryption = Encryption::from_name(&format.encryption)?;
        let ecc = match (&*format.ecc, format.ecc_overhead_percent) {
            ("", _) | (_, 0) => None,
            (name, percent) => Some(Ecc::new(name, percent)?),
        };
        Ok(Self {
            cipher: Some(Cipher::new(encryption, &format.master_key)),
            ecc,
            hasher: Some(Hasher::new(hash, &format.secret)?),
            hash_length: hash.output_len(),
        })
    }

    /// Takes what names the contents of a server, which has opened them.
    pub(crate) fn of_server(parameters: &Parameters) -> kopia_codec::Result<Self> {
        let Some(secret) = parameters.secret() else {
            return Ok(Self { cipher: None, ecc: None, hasher: None, hash_length: 0 });
        };
        let hash = HashAlgorithm::from_name(&parameters.hash)?;
        let hasher = Some(Hasher::new(hash, secret)?);
        Ok(Self { cipher: None, ecc: None, hasher, hash_length: hash.output_len() })
    }

    /// Returns the length of content hashes in bytes.
    pub(crate) fn hash_length(&self) -> usize {
        self.hash_length
    }

    /// Opens sealed bytes into `plain`; `scratch` holds them in between where they carry error correction.
    pub(crate) fn open(
        &self,
        iv: &[u8],
        stored: &[u8],
        scratch: &mut Vec<u8>,
        plain: &mut Vec<u8>,
    ) -> kopia_codec::Result<()> {
        let unsupported = kopia_codec::Error::Unsupported { what: "encryption", found: "none".into() };
        let cipher = self.cipher.as_ref().ok_or(unsupported)?;
        match &self.ecc {
            None => cipher.open(iv, stored, plain),
            Some(ecc) => {
                let repair = ecc.decode(stored, scratch)?;
                if repair.damaged_shards > 0 {
                    tracing::warn!(shards = repair.damaged_shards, "damage repaired by error correction");
                }
                cipher.open(iv, scratch, plain)
            }
        }
    }

    /// As [`Self::open`], in the memory of the sealed bytes.
    pub(crate) fn open_in_place(&self, iv: &[u8], mut bytes: Vec<u8>) -> kopia_codec::Result<Vec<u8>> {
        let Some(cipher) = self.cipher.as_ref().filter(|_| self.ecc.is_none()) else {
            let (mut scratch, mut plain) = (Vec::new(), Vec::new());
            return self.open(iv, &bytes, &mut scratch, &mut plain).map(|()| plain);
        };
        cipher.open_in_place(iv, &mut bytes).map(|()| bytes)
    }

    /// Returns whether bytes can be compared with an id.
    pub(crate) fn has_hash_key(&self) -> bool {
        self.hasher.is_some()
    }

    /// Returns whether `plain` is the content that `id` names; nothing where there is no key, and nobody knows.
    pub(crate) fn matches(&self, id: &ContentId, plain: &[u8]) -> Option<bool> {
        Some(self.hasher.as_ref()?.hash(plain).as_bytes() == id.hash())
    }

    /// Returns for each content whether its bytes are the ones its id names; nothing where nobody knows.
    ///
    /// Hashes of several contents are computed side by side where that is faster.
    pub(crate) fn match_all(&self, contents: &[(&ContentId, &[u8])]) -> Option<Vec<bool>> {
        let hasher = self.hasher.as_ref()?;
        let plain: Vec<&[u8]> = contents.iter().map(|(_, plain)| *plain).collect();
        let mut digests = Vec::new();
        hasher.hash_many(&plain, &mut digests);
        let pairs = std::iter::zip(contents, &digests);
        Some(pairs.map(|((id, _), digest)| digest.as_bytes() == id.hash()).collect())
    }
}

/// Returns the initialization vector of a content: the last 16 bytes of its hash.
pub(crate) fn content_iv(id: &ContentId) -> &[u8] {
    let hash = id.hash();
    &hash[hash.len().saturating_sub(16)..]
}

/// Returns the initialization vector of an index blob: the 32 hexadecimal digits before the first `-` of its
/// name, or its end.
pub(crate) fn blob_iv(id: &BlobId) -> Option<[u8; 16]> {
    let name = id.as_str();
    let name = name.split_once('-').map_or(name, |(name, _)| name);
    let digits = name.as_bytes().get(name.len().checked_sub(32)?..)?;
    let mut iv = [0; 16];
    for (byte, pair) in iv.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(iv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_key_of_the_hash_nobody_knows_what_bytes_are() {
        let hash = "BLAKE2B-256-128";
        let known = Sealing::of_server(&Parameters::new(hash, b"secret".to_vec().into())).unwrap();
        let unknown = Sealing::of_server(&Parameters::without_secret(hash)).unwrap();
        let hasher = Hasher::new(HashAlgorithm::from_name(hash).unwrap(), b"secret").unwrap();
        let id = ContentId::new(None, hasher.hash(b"right").as_bytes()).unwrap();
        let both: [(&ContentId, &[u8]); 2] = [(&id, b"right"), (&id, b"wrong")];
        assert_eq!(both.map(|(id, plain)| known.matches(id, plain)), [Some(true), Some(false)]);
        assert_eq!(known.match_all(&both), Some(vec![true, false]));
        assert_eq!(both.map(|(id, plain)| unknown.matches(id, plain)), [None, None]);
        assert_eq!(unknown.match_all(&both), None);
    }

    #[test]
    fn hashes_are_as_long_as_their_algorithm_says() {
        for (hash, length) in [("BLAKE2B-256", 32), ("BLAKE2B-256-128", 16)] {
            let sealing = Sealing::of_server(&Parameters::new(hash, b"secret".to_vec().into())).unwrap();
            assert_eq!(sealing.hash_length(), length, "{hash}");
        }
    }

    #[test]
    fn initialization_vectors() {
        let id: ContentId = format!("k{}", "0123456789abcdef".repeat(4)).parse().unwrap();
        assert_eq!(content_iv(&id), &id.hash()[16..]);
        let short: ContentId = "ab".parse().unwrap();
        assert_eq!(content_iv(&short), [0xab]);

        let blob = |name: &str| blob_iv(&BlobId::new(name).unwrap());
        let iv = Some([0x11; 16]);
        assert_eq!(blob(&format!("xn0_{}-s5ac8-c1", "1".repeat(32))), iv);
        assert_eq!(blob(&format!("n{}", "1".repeat(32))), iv);
        assert_eq!(blob("n123-s5"), None);
        assert_eq!(blob(&format!("n{}é", "z".repeat(32))), None);
    }
}
