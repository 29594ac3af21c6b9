//! The bytes of a large file: mapped where a mapping can be guarded against
//! files that get shorter, read into memory elsewhere.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use other::MappedFile;
#[cfg(not(unix))]
pub use other::map_large_files;
#[cfg(unix)]
pub(crate) use unix::MappedFile;
#[cfg(unix)]
pub use unix::map_large_files;
