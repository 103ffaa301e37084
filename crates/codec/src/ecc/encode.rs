//! The writing side, for programs that make test repositories.

use super::Ecc;
use super::galois::{Basis, add_product};
use super::geometry::LENGTH;
use crate::{Error, Result};

impl Ecc {
    /// Adds error correction to `payload`, exactly as Kopia does.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if the payload's length does not fit the four bytes that are written for it.
    pub fn encode(&self, payload: &[u8]) -> Result<Vec<u8>> {
        let length = u32::try_from(payload.len())
            .map_err(|_| Error::corrupt(super::WHAT, "the payload is longer than 4 GiB"))?;
        let used = LENGTH + payload.len();
        let geometry = self.parameters.geometry_of_payload(used);

        let mut plain = Vec::with_capacity(geometry.capacity());
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(payload);
        plain.resize(geometry.capacity(), 0);

        // Shard numbers are below 256: Geometry allows no more shards in a block.
        let points: Vec<u8> = (0..geometry.data).map(|number| number as u8).collect();
        let basis = Basis::new(&points);
        let rows: Vec<Vec<u8>> = (geometry.data..geometry.shards())
            .map(|number| basis.coefficients(number as u8).collect())
            .collect();

        let mut stored = Vec::new();
        let mut parity = vec![0; geometry.shard];
        for block in plain.chunks_exact(geometry.block()) {
            for row in &rows {
                parity.fill(0);
                for (shard, &coefficient) in block.chunks_exact(geometry.shard).zip(row) {
                    add_product(&mut parity, shard, coefficient);
                }
                stored.extend_from_slice(&crc32fast::hash(&parity).to_be_bytes());
                stored.extend_from_slice(&parity);
            }
        }
        let end = if geometry.padded { plain.len() } else { used };
        for (index, shard) in plain.chunks_exact(geometry.shard).enumerate() {
            let left = end.saturating_sub(index * geometry.shard).min(geometry.shard);
            if left == 0 {
                break;
            }
            stored.extend_from_slice(&crc32fast::hash(shard).to_be_bytes());
            stored.extend_from_slice(&shard[..left]);
        }
        Ok(stored)
    }
}
