//! Where converted sessions go: stdout, a file, or a directory of files.

mod directory;
mod target;
mod writer;

pub use directory::{Directory, SessionFile};
pub use target::Target;
pub use writer::Writer;
