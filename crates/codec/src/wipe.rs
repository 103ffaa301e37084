//! Wipes the working memory of code that used keys and does not wipe its own.
//!
//! Without `unsafe` this can only overwrite the places where such memory lay. A test searches the memory of
//! the running command for keys (`memory` among the tests of kopia-rs-cli).

use zeroize::Zeroize;

/// How much of the stack below a function is wiped, in bytes: more than derivations and ciphers use.
pub(crate) const STACK: usize = 32 << 10;

/// Wipes blocks of `SIZE` bytes that were just freed: allocators reuse the latest freed block first.
pub(crate) fn freed<const SIZE: usize>() {
    // All held at once, or each allocation would return the same block.
    let mut blocks: [Vec<u8>; 4] = std::array::from_fn(|_| vec![0xff; SIZE]);
    blocks.iter_mut().for_each(Zeroize::zeroize);
}
