//! For whom advice is written.

/// Who reads advice, and with what they act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// A person at a terminal, who gives options and runs commands. Knows nothing of pods.
    Person,
    /// Whoever reads the log of a pod, and changes manifests. Has no terminal.
    Pod,
}

impl Voice {
    /// Returns who reads what this process says: kubelet sets a variable in every container.
    pub(crate) fn here() -> Self {
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() { Self::Pod } else { Self::Person }
    }

    /// Returns the words for whoever reads them.
    pub(crate) fn choose<T>(self, person: T, pod: T) -> T {
        match self {
            Self::Person => person,
            Self::Pod => pod,
        }
    }
}
