//! The subcommands: glue between what was asked and what does it.

pub mod bench;
pub mod completions;
pub mod convert;
pub mod doctor;
pub mod hook;
pub mod init;
pub mod list;
pub mod man;
pub mod report;
pub mod show;
pub mod status;
pub mod upload;
pub mod usage;
