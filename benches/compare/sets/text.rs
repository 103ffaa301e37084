//! Text that compresses as logs and configuration do: to about a third.

use std::io::Write;

use kopia_rs_benches::noise::Noise;

const WORDS: usize = 4096;

/// Letters in the order of how often they are used.
const LETTERS: &[u8] = b"etaoinshrdlucmfwypvbgkqjxz";

/// Words to make text of.
pub(super) struct Text {
    words: Vec<String>,
}

impl Text {
    pub(super) fn new(noise: &mut Noise) -> Self {
        let letter = |noise: &mut Noise| {
            let often = noise.fraction() * noise.fraction();
            char::from(LETTERS[(often * LETTERS.len() as f64) as usize])
        };
        let word = |_| (0..2 + noise.below(10)).map(|_| letter(noise)).collect();
        Self { words: (0..WORDS).map(word).collect() }
    }

    /// Appends lines that repeat a few phrases, as the lines of one log do; even some hundred bytes of it
    /// compress.
    pub(super) fn log(&self, noise: &mut Noise, length: usize, to: &mut Vec<u8>) {
        let word = |noise: &mut Noise| &*self.words[noise.below(WORDS as u64) as usize];
        let vocabulary: Vec<&str> = (0..24).map(|_| word(noise)).collect();
        let pick = |noise: &mut Noise| vocabulary[noise.below(24) as usize];
        let mut phrase = |_| {
            let words: Vec<&str> = (0..3 + noise.below(5)).map(|_| pick(noise)).collect();
            words.join(" ")
        };
        let phrases: Vec<String> = (0..4).map(&mut phrase).collect();
        let end = to.len() + length;
        while to.len() < end {
            let phrase = &phrases[noise.below(4) as usize];
            let (key, value, last) = (pick(noise), noise.next() as u32, pick(noise));
            writeln!(to, "{phrase}: {key}={value:08x} {last}").expect("memory takes everything");
        }
        to.truncate(end);
    }
}
