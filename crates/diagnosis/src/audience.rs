//! For whom advice is worded.

/// Who reads advice, and by what they act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience {
    /// A person at a terminal, who gives options and runs commands. Never reads of Kubernetes.
    Terminal,
    /// Whoever reads the log of a command in a pod, which may be VolSync's or any other.
    Pod,
    /// Whoever reads the log of VolSync's mover, and changes a ReplicationDestination.
    VolSync,
}

impl Audience {
    /// Chooses between the words for a terminal and those for a pod, whoever started it.
    pub fn choose<T>(self, terminal: T, pod: T) -> T {
        if self == Self::Terminal { terminal } else { pod }
    }

    /// Spells an option of the command in the way that it can be given.
    pub fn option(self, option: &str) -> String {
        match self {
            Self::Terminal => option.into(),
            Self::Pod => format!("{option} (with VolSync: additionalArgs: [{option}])"),
            Self::VolSync => format!("additionalArgs: [{option}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_spelled_for_its_readers() {
        let spelled = [Audience::Terminal, Audience::Pod, Audience::VolSync]
            .map(|audience| audience.option("--degraded"));
        assert_eq!(
            spelled,
            [
                "--degraded",
                "--degraded (with VolSync: additionalArgs: [--degraded])",
                "additionalArgs: [--degraded]"
            ]
        );
    }
}
