//! How a run ended.

use std::process::ExitCode;

use codex_trace_deliver::delivery::Account;

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

/// Returns the exit code of a run.
pub fn of_upload(accounts: &[Account], interrupted: bool, strict: bool) -> ExitStatus {
    if interrupted {
        return ExitStatus::Interrupted;
    }
    let strictly = strict && accounts.iter().any(|account| account.bad_lines > 0);
    if accounts.iter().all(Account::is_complete) {
        return ExitStatus::partial_if(strictly);
    }
    // To hold something back is no failure, if that is all.
    let only_holds = |it: &Account| it.held > 0 && Account { held: 0, ..it.clone() }.is_complete();
    let partial = accounts.iter().any(|it| it.is_useful() || only_holds(it));
    if partial { ExitStatus::Partial } else { ExitStatus::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { name: "langsmith".to_owned(), sent: 900, ..Account::default() }
    }

    #[test]
    fn exit_codes() {
        let down = || Some("no".to_owned());
        #[rustfmt::skip]
        let cases = [
            ("all done",                    vec![account()],                                      false, false, 0),
            ("nothing to do",               vec![Account::default()],                             false, false, 0),
            ("some rejected",               vec![Account { rejected: 1, ..account() }],           false, false, 1),
            ("down half way",               vec![Account { down: down(), ..account() }],          false, false, 1),
            ("down with turns still open",  vec![Account { down: down(), open: 1, unsent: 3, ..Account::default() }], false, false, 2),
            ("down from the start",         vec![Account { down: down(), ..Account::default() }], false, false, 2),
            ("one still being written",     vec![Account { open: 1, ..Account::default() }],      false, false, 0),
            ("one held back",               vec![Account { held: 1, ..Account::default() }],      false, false, 1),
            ("one there as it was first",   vec![Account { kept: 1, ..Account::default() }],      false, false, 1),
            ("one of two down",             vec![account(), Account { down: down(), ..Account::default() }], false, false, 1),
            ("interrupted",                 vec![account()],                                      true,  false, 130),
            ("bad lines",                   vec![Account { bad_lines: 1, ..account() }],          false, false, 0),
            ("bad lines, and that matters", vec![Account { bad_lines: 1, ..account() }],          false, true,  1),
        ];
        for (why, accounts, interrupted, strict, code) in cases {
            assert_eq!(of_upload(&accounts, interrupted, strict).code(), code, "{why}");
        }
    }
}
