//! What can be wrong with the bytes of a repository.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with bytes or text.
///
/// Which blob or object they came from is not known here; `kopia-repository` adds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not what they should be.
    #[error("{what}: {why}")]
    Corrupt {
        /// The thing being read, such as `index`.
        what: &'static str,
        /// What is wrong with it, with the offset where one is known.
        why: String,
    },
    /// The bytes are well formed and ask for something that this crate does not know.
    #[error("unsupported {what}: {found}")]
    Unsupported {
        /// The kind of thing, such as `index version`.
        what: &'static str,
        /// What was found.
        found: String,
    },
}

/// The longest explanation, in bytes. Explanations quote hostile input, which may be hundreds of megabytes,
/// and reports keep thousands of them.
const LONGEST: usize = 1000;

impl Error {
    pub(crate) fn corrupt(what: &'static str, why: impl Into<String>) -> Self {
        Self::Corrupt { what, why: cut(why.into()) }
    }

    pub(crate) fn unsupported(what: &'static str, found: impl ToString) -> Self {
        Self::Unsupported { what, found: cut(found.to_string()) }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        // The end often says where.
        let end = text.split_off(boundary(&text, text.len().saturating_sub(LONGEST / 4)));
        text.truncate(boundary(&text, LONGEST * 3 / 4));
        text.push_str(" … ");
        text.push_str(&end);
        text.shrink_to_fit();
    }
    text
}

/// Returns the last character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_explanations_keep_their_ends() {
        let text = format!("invalid type: string {:?} at line 7", "é".repeat(1 << 20));
        let Error::Corrupt { why, .. } = Error::corrupt("test", text) else { panic!("it is corrupt") };
        assert!(why.starts_with("invalid type: string \"éé") && why.ends_with("éé\" at line 7"), "{why}");
        assert!((LONGEST..LONGEST + 8).contains(&why.len()) && why.contains("é … é"), "{why}");
        let just = "a".repeat(LONGEST);
        assert_eq!(Error::corrupt("test", &*just).to_string(), format!("test: {just}"));
        assert_eq!(Error::corrupt("test", "short").to_string(), "test: short");
    }
}
