//! What is read, and so must not be written to.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use codex_rollout::FileId;

use crate::failure::Failure;
use crate::whole::directory_of;

/// The files that are read, and the directories that are searched for them.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    files: Vec<PathBuf>,
    trees: Vec<PathBuf>,
}

impl Inputs {
    /// Adds a file that is read.
    pub fn add_file(&mut self, path: &Path) {
        self.files.push(path.to_path_buf());
    }

    /// Adds a directory that is searched.
    pub fn add_tree(&mut self, dir: &Path) {
        self.trees.push(dir.to_path_buf());
    }

    /// Adds those of another place.
    pub fn extend(&mut self, other: Inputs) {
        self.files.extend(other.files);
        self.trees.extend(other.trees);
    }

    /// Refuses a path to write to that would change what is read: by whatever
    /// links it leads there.
    ///
    /// # Errors
    ///
    /// If it is one of the files, or lies in one of the directories.
    pub fn spare(&self, output: &Path) -> Result<(), Failure> {
        let place = real(output);
        let within = |tree: &&PathBuf| fs::canonicalize(tree).is_ok_and(|it| place.starts_with(it));
        if let Some(tree) = self.trees.iter().find(within) {
            return Err(Failure::new(format!(
                "`{}` is inside `{}`, which is searched for rollouts",
                output.display(),
                tree.display()
            ))
            .hint("name a place outside of it"));
        }
        self.spare_files([output])
    }

    /// As [`spare`](Self::spare), of files alone, for any number of paths.
    ///
    /// # Errors
    ///
    /// If one of them is one of the files.
    pub fn spare_files<'o>(
        &self,
        outputs: impl IntoIterator<Item = &'o Path>,
    ) -> Result<(), Failure> {
        let there = outputs.into_iter().filter_map(|path| Some((path, file_id(path)?)));
        let there: Vec<(&Path, FileId)> = there.collect();
        if there.is_empty() {
            return Ok(());
        }
        for file in &self.files {
            let Some(identity) = file_id(file) else { continue };
            if let Some((output, _)) = there.iter().find(|(_, it)| *it == identity) {
                return Err(Failure::new(format!(
                    "`{}` is a rollout that is read, and would be lost",
                    output.display()
                ))
                .hint("name another place with `--output`"));
            }
        }
        Ok(())
    }
}

/// Returns where a path leads that may not be there yet.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    // A file's own name is replaced, never what it leads to.
    let (mut there, mut missing) = match path.metadata() {
        Ok(it) if it.is_dir() => (&*absolute, Vec::new()),
        _ => (directory_of(&absolute), absolute.file_name().into_iter().collect()),
    };
    loop {
        match (fs::canonicalize(there), there.parent(), there.file_name()) {
            (Ok(mut real), ..) => {
                real.extend(missing.iter().rev());
                return real;
            }
            (Err(_), Some(parent), Some(name)) => {
                missing.push(name);
                there = parent;
            }
            _ => return absolute,
        }
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    let metadata = path.metadata().ok().filter(Metadata::is_file)?;
    FileId::with(path, &metadata)
}
