//! How a run ended.

use std::process::ExitCode;

/// How a run ended, as the exit code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// All that was asked for was done. A closed pipe is this too: whoever
    /// reads the output had enough.
    Complete,
    /// Some of it was done, some could not be.
    Partial,
    /// Nothing was done: a wrong argument, a wrong setting, no access.
    Failed,
    /// The user stopped it.
    Interrupted,
}

impl ExitStatus {
    /// Returns the exit code.
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Complete => 0,
            ExitStatus::Partial => 1,
            ExitStatus::Failed => 2,
            ExitStatus::Interrupted => 130,
        }
    }

    /// Returns `Partial` if something failed, else `Complete`.
    pub fn partial_if(failed: bool) -> ExitStatus {
        if failed { ExitStatus::Partial } else { ExitStatus::Complete }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(status.code())
    }
}
