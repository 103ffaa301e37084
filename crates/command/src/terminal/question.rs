//! A question that a person answers with yes or no.

use std::io::{self, BufRead, IsTerminal, Write};

/// Returns whether somebody is there to answer.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on standard error; anything but `y` and `yes` is a no.
pub(crate) fn ask(question: &str) -> io::Result<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer)? == 0 {
        writeln!(err)?;
    }
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_yes_is_one() {
        assert!(["y", "Y\n", " yes\n"].into_iter().all(super::is_yes));
        assert!(!["", "\n", "n", "no", "yy", "ja"].into_iter().any(super::is_yes));
    }
}
