//! The last line: one sentence that says what happened and what to change.
//!
//! The controller keeps only lines of the log that match its filter, cuts what is left to the last 1,024
//! bytes and shows that in the status of the ReplicationDestination. So the sentence is the last line, alone,
//! short, and of a form that the filter keeps.

use std::fmt;

use kopia_rs::Source;
use kopia_rs::diagnosis::text::{escape, identities as has};
use kopia_rs::diagnosis::{Audience, Class, Finding, Identity};

use crate::wording::source_identity::SourceIdentity;

/// The longest sentence, in bytes.
pub(crate) const LONGEST: usize = 250;

/// The longest line that says all of a sentence that was cut, in bytes. Names of any length fit in it more
/// than once, and the controller reads lines of 64 KiB at most.
const LONGEST_WHOLE: usize = 16 << 10;

/// What sentences begin with.
const UNABLE: &str = "ERROR: unable to ";
const NOTHING: &str = "No eligible snapshots found for ";

/// How many bytes of a name a line keeps that is too long, or that says what failed.
const NAMES: usize = 100;

/// What stands for what was cut.
const CUT: &str = "…";

/// A line of at most [`LONGEST`] bytes that the controller's filter keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusLine {
    text: String,
    /// All that it says, where it was cut.
    whole: Option<String>,
    /// What it tells of, for programs; nothing where all is well.
    class: Option<Class>,
}

impl StatusLine {
    /// Something could not be done, and why; `advice` says what to change and is the last thing to be cut.
    pub(crate) fn unable(what: &str, why: &str, advice: &str) -> Self {
        let line = Self::fit(&format!("{UNABLE}{}: ", cut(&escape(what), NAMES)), why, advice);
        line.with_class(Class::Other)
    }

    /// Sets what it tells of, for programs.
    pub(crate) fn with_class(self, class: Class) -> Self {
        Self { class: Some(class), ..self }
    }

    /// Returns what it tells of, for programs; nothing where all is well.
    pub(crate) fn class(&self) -> Option<Class> {
        self.class
    }

    /// There is nothing to restore; `why` says so of what, `advice` what to change.
    pub(crate) fn nothing(identity: &str, why: &str, advice: &str) -> Self {
        let identity = escape(identity);
        let whole = Self::fit(NOTHING, &format!("{identity}; {why}"), advice);
        let line = if whole.text.contains(CUT) {
            let shorter = Self::fit(NOTHING, &format!("{}; {why}", cut(&identity, NAMES)), advice);
            Self { whole: whole.whole, ..shorter }
        } else {
            whole
        };
        line.with_class(Class::NotFound)
    }

    /// Everything is restored.
    pub(crate) fn restored(what: &str) -> Self {
        Self::fit("Snapshot restore completed successfully: ", what, "")
    }

    /// Returns it with something at its end that is not cut.
    pub(crate) fn and(&self, what: &str) -> Self {
        let what = escape(what);
        let text = format!("{}{what}", cut(&self.text, LONGEST.saturating_sub(what.len())));
        let whole = format!("{}{what}", self.whole.as_ref().unwrap_or(&self.text));
        let whole = Some(whole).filter(|whole| *whole != text);
        Self { text, whole, class: self.class }
    }

    /// Returns what was found, and what to change.
    pub(crate) fn of(finding: &Finding) -> Self {
        let what = match finding {
            Finding::NoSnapshot { wanted, nearest, probable, identities } => {
                return Self::no_snapshot(wanted, nearest, *probable, *identities);
            }
            Finding::NoSpace { .. }
            | Finding::NoFiles { .. }
            | Finding::ReadOnlyTarget { .. }
            | Finding::TargetRefused(_) => "restore",
            _ => "open the repository",
        };
        Self::unable(what, &finding.fact(), &finding.change(Audience::VolSync)).with_class(finding.class())
    }

    /// Names the identity that is probably meant, and how to ask for it. Numbers and times give way to long
    /// names.
    fn no_snapshot(wanted: &Source, nearest: &[Identity], probable: bool, identities: usize) -> Self {
        let wanted = wanted.to_string();
        let all = has(nearest, probable, identities);
        let Some(first) = nearest.first().filter(|_| probable) else {
            return Self::nothing(&wanted, &all, "");
        };
        let set = format!("set {}", SourceIdentity::of(&first.source));
        let whole = Self::fit(NOTHING, &format!("{wanted}; {all}"), &set).with_class(Class::NotFound);
        if whole.text.contains(CUT) {
            let shorter = Self::nothing(&wanted, &format!("the repository has {}", first.source), &set);
            Self { whole: whole.whole, ..shorter }
        } else {
            whole
        }
    }

    /// Returns all that it says, without calling it an error, where it was cut.
    pub(crate) fn whole(&self) -> Option<String> {
        let whole = self.whole.as_deref()?;
        Some(cut(whole.strip_prefix("ERROR: ").unwrap_or(whole), LONGEST_WHOLE))
    }

    /// Returns what it says without calling it an error.
    pub(crate) fn cause(&self) -> &str {
        self.text.strip_prefix("ERROR: ").unwrap_or(&self.text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Joins the parts. What is too long loses the end of the cause first: the advice is what helps.
    fn fit(lead: &str, cause: &str, advice: &str) -> Self {
        let [lead, cause, advice] = [lead, cause, advice].map(escape);
        let advice = if advice.is_empty() { String::new() } else { format!(": {advice}") };
        if lead.len() + cause.len() + advice.len() <= LONGEST {
            return Self { text: format!("{lead}{cause}{advice}"), whole: None, class: None };
        }
        let whole = Some(format!("{lead}{cause}{advice}"));
        // Advice that leaves no room for a cause is no advice.
        let advice = cut(&advice, LONGEST.saturating_sub(lead.len() + 40));
        let cause = cut(&cause, LONGEST.saturating_sub(lead.len() + advice.len()));
        Self { text: cut(&format!("{lead}{cause}{advice}"), LONGEST), whole, class: None }
    }
}

impl fmt::Display for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Cuts a text to so many bytes, and says so by an ellipsis.
fn cut(text: &str, length: usize) -> String {
    if text.len() <= length {
        return text.into();
    }
    let end = (0..=length.saturating_sub(CUT.len())).rev().find(|&end| text.is_char_boundary(end));
    format!("{}{CUT}", &text[..end.unwrap_or_default()])
}

/// Why a restore could not even begin: a cause, and what to change about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetupError {
    cause: String,
    advice: String,
    class: Class,
}

impl SetupError {
    /// Settings are the cause, unless another class is set.
    pub(crate) fn new(cause: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { cause: cause.into(), advice: advice.into(), class: Class::Usage }
    }

    /// Sets what it is for programs.
    pub(crate) fn with_class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// A variable has a value that makes no sense.
    pub(crate) fn setting(name: &str, why: impl fmt::Display) -> Self {
        Self::new(format!("{name} {why}"), "")
    }

    /// A variable is missing.
    pub(crate) fn unset(name: &str) -> Self {
        Self::new(format!("{name} must be defined"), "")
    }

    /// Also advises to take out a variable that may have been left over.
    pub(crate) fn or_remove(mut self, variable: &str) -> Self {
        let or = if self.advice.is_empty() { String::new() } else { format!(", or {}", self.advice) };
        self.advice = format!("remove {variable}{or}");
        self
    }

    /// Returns the line of what could not be done because of it.
    pub(crate) fn unable(&self, what: &str) -> StatusLine {
        StatusLine::unable(what, &self.cause, &self.advice).with_class(self.class)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, ": {}", self.advice) }
    }
}

#[cfg(test)]
mod tests;
