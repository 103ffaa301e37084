//! Arithmetic in GF(2^8) with the polynomial 0x11D, and interpolation over it.
//!
//! Addition is XOR. Products come from one table of 64 KiB: a row of it (256 bytes) stays in the first-level
//! cache while a shard is multiplied by one coefficient.

use std::array;
use std::sync::LazyLock;

/// Powers of the generator 2; `EXP[i]` is 2^i for i in 0..255.
static EXP: [u8; 255] = exp();
/// Discrete logarithms to base 2; `LOG[0]` has no meaning and is never read.
static LOG: [u8; 256] = log();
/// Made at the first use: few repositories have error correction, and every command would carry it.
static PRODUCT: LazyLock<Vec<[u8; 256]>> = LazyLock::new(products);

const fn exp() -> [u8; 255] {
    let mut table = [0; 255];
    let (mut i, mut power) = (0, 1_u16);
    while i < 255 {
        table[i] = power as u8;
        power <<= 1;
        if power & 0x100 != 0 {
            power ^= 0x11D;
        }
        i += 1;
    }
    table
}

const fn log() -> [u8; 256] {
    let exp = exp();
    let (mut table, mut i) = ([0; 256], 0);
    while i < 255 {
        table[exp[i] as usize] = i as u8;
        i += 1;
    }
    table
}

fn products() -> Vec<[u8; 256]> {
    let product = |a: usize, b: usize| match (a, b) {
        (0, _) | (_, 0) => 0,
        _ => EXP[(usize::from(LOG[a]) + usize::from(LOG[b])) % EXP.len()],
    };
    (0..256).map(|a| array::from_fn(|b| product(a, b))).collect()
}

/// Adds `coefficient` × `source` to `target`, byte by byte; a shorter source is padded with zeros.
pub(super) fn add_product(target: &mut [u8], source: &[u8], coefficient: u8) {
    let row = &PRODUCT[usize::from(coefficient)];
    for (to, &from) in target.iter_mut().zip(source) {
        *to ^= row[usize::from(from)];
    }
}

/// The Lagrange basis over some points of the field.
///
/// Kopia's code (klauspost/reedsolomon) is written with matrices: parity = V·T⁻¹·data, where V is the
/// Vandermonde matrix `V[r][c] = r^c` and T its top square. V·T⁻¹ takes the values of a polynomial at 0..d to
/// its values at any row r, so shard number r of a block *is* the value at r of the one polynomial of degree
/// < d through the data shards. Any d shards give it back by interpolation: no matrix, nothing to invert or
/// cache, and never a singular case. For 128 points the weights cost 16,256 look-ups, some 20 µs, and only in
/// damaged blocks.
pub(super) struct Basis<'a> {
    points: &'a [u8],
    /// log of ∏ (point − other point), for each point.
    weights: Vec<u8>,
}

impl<'a> Basis<'a> {
    /// Prepares interpolation through `points`, which must differ.
    pub(super) fn new(points: &'a [u8]) -> Self {
        let weights = points.iter().map(|&point| log_of_distances(points, point)).collect();
        Self { points, weights }
    }

    /// Returns how much each point's value contributes to the value at `at`, which is not one of the points.
    pub(super) fn coefficients(&self, at: u8) -> impl Iterator<Item = u8> {
        let all = u16::from(log_of_distances(self.points, at));
        self.points.iter().zip(&self.weights).map(move |(&point, &weight)| {
            // all − distance − weight in the exponent, kept positive by 2 · 255.
            let log = all + 510 - u16::from(LOG[usize::from(at ^ point)]) - u16::from(weight);
            EXP[usize::from(log % 255)]
        })
    }
}

/// Returns the logarithm of the product of the distances from `at` to all other `points`.
fn log_of_distances(points: &[u8], at: u8) -> u8 {
    let sum: u32 = points.iter().filter(|&&p| p != at).map(|&p| u32::from(LOG[usize::from(p ^ at)])).sum();
    // Below 255, so the cast is exact.
    (sum % 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiplies bit by bit: the definition of the field, sharing nothing with the tables.
    fn slow_product(mut a: u16, b: u16) -> u8 {
        let mut result = 0;
        for bit in 0..8 {
            if b >> bit & 1 == 1 {
                result ^= a;
            }
            a = if a & 0x80 == 0 { a << 1 } else { a << 1 ^ 0x11D };
        }
        result as u8
    }

    #[test]
    fn products_fit_the_definition() {
        for a in 0..=255_u8 {
            for b in 0..=255_u8 {
                let mut target = [0];
                add_product(&mut target, &[b], a);
                assert_eq!(target[0], slow_product(a.into(), b.into()), "{a} × {b}");
            }
        }
    }

    #[test]
    fn parity_rows_are_those_of_klauspost() {
        let row = |data: u8, at: u8| -> Vec<u8> {
            let points: Vec<u8> = (0..data).collect();
            Basis::new(&points).coefficients(at).collect()
        };
        assert_eq!(row(6, 6), [7, 6, 5, 4, 3, 2]);
        assert_eq!(row(6, 7), [6, 7, 4, 5, 2, 3]);
        assert_eq!(row(128, 128)[..8], [0x6c, 0x4d, 0xbe, 0x74, 0xed, 0x17, 0xb7, 0xfa]);
        assert_eq!(row(254, 254)[..4], [0xff, 0xfe, 0xfd, 0xfc]);
    }
}
