//! What is left to wipe when keys have been used: working memory of code that does not wipe its own.
//!
//! Without `unsafe` this can only write over where such memory lay. That the command really leaves nothing is tested by
//! looking through its memory (`memory` among the tests of kopia-rs-cli).

use zeroize::Zeroize;

/// How much of the stack is wiped below a function that handles keys, in bytes: more than derivations and ciphers use.
pub(crate) const STACK: usize = 32 << 10;

/// Wipes blocks of `SIZE` bytes that were just freed: an allocator gives out first what came back last.
pub(crate) fn freed<const SIZE: usize>() {
    // All at once, or it would be the same block again and again.
    let mut blocks: [Vec<u8>; 4] = std::array::from_fn(|_| vec![0xff; SIZE]);
    blocks.iter_mut().for_each(Zeroize::zeroize);
}
