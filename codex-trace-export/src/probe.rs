use crate::request::Response;

/// What an answer to a question of `doctor` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It is there and lets us in; perhaps with something to note.
    Good(Option<String>),
    /// It is there and does not let us in.
    KeyRefused,
    /// Something is there, but not what was looked for.
    WrongPath,
    /// Something else is wrong.
    Failed,
}

impl Probed {
    /// Reads an answer by its status alone.
    pub fn from_status(answer: &Response) -> Probed {
        match answer.status {
            200..300 => Probed::Good(None),
            401 | 403 | 407 => Probed::KeyRefused,
            300..=399 | 404 | 405 | 410 | 501 => Probed::WrongPath,
            _ => Probed::Failed,
        }
    }
}
