//! The one failure that reaches the person: what went wrong, how the host stands, and what to run next.

use std::fmt;

/// Why seaworthy stopped; fixes the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something went wrong and the host is as it was.
    Failed,
    /// Something is needed first: root, `--yes`, the lock, a new plan.
    Refused,
    /// An apply failed and the host was rolled back.
    RolledBack,
    /// A rollback could not be completed: a person has to look at the host.
    Incomplete,
    /// The command line cannot be read.
    Usage,
}

impl Kind {
    /// The exit code, as tabled in `--help`.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Refused => 3,
            Self::RolledBack => 4,
            Self::Incomplete => 5,
            Self::Usage => 64,
        }
    }

    /// The word for this kind in JSON errors.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Incomplete => "incomplete",
            Self::Usage => "usage",
        }
    }
}

/// A failure in the form in which it is printed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Fixes the exit code.
    pub kind: Kind,
    /// The object first, then what is wrong; no full stop.
    pub message: String,
    /// What led to it, outermost first.
    pub causes: Vec<String>,
    /// How the host stands: `unchanged`, or what was rolled back.
    pub host: Option<String>,
    /// One command to run next, or one thing to do.
    pub hint: Option<String>,
}

/// What every stage returns.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that left the host as it was.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(Kind::Failed, message)
    }

    /// A refusal: something is needed first.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::of(Kind::Refused, message)
    }

    /// A failure of the given kind.
    pub fn of(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), host: None, hint: None }
    }

    /// Adds what led to the failure.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Says how the host stands.
    #[must_use]
    pub fn host(mut self, state: impl Into<String>) -> Self {
        self.host = Some(state.into());
        self
    }

    /// Names the one thing to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
