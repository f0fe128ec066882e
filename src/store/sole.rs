//! One daemon a SQLite file.

use crate::store::StoreError;
use sqlx::sqlite::SqliteConnectOptions;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The right to be the daemon of a database. Gone with the process, however that ends.
#[derive(Debug)]
pub struct Sole {
    _lock: Option<File>,
}

/// Why this cannot be the daemon of a database.
#[derive(Debug, thiserror::Error)]
pub enum NotSole {
    /// Another daemon has the file.
    #[error("another daemon serves the database {file} already; several need PostgreSQL")]
    Served {
        /// The database.
        file: PathBuf,
    },
    /// The file that marks it cannot be used.
    #[error("{file}, which marks the database as served, cannot be written")]
    Unmarked {
        /// The mark.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The address of the database cannot be used.
    #[error(transparent)]
    Url(#[from] StoreError),
}

impl Sole {
    /// Claims a database for one daemon. On PostgreSQL any number may serve it.
    ///
    /// # Errors
    /// [`NotSole`].
    pub fn claim(url: &str) -> Result<Self, NotSole> {
        if !url.starts_with("sqlite:") {
            return Ok(Self { _lock: None });
        }
        let options = SqliteConnectOptions::from_str(url).map_err(StoreError::from)?;
        let file = options.get_filename();
        // The same file by another way is the same database.
        let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let mark = mark(&real);
        let unmarked = |source| NotSole::Unmarked { file: mark.clone(), source };
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&mark).map_err(unmarked)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(NotSole::Served { file: real }),
            Err(TryLockError::Error(source)) => Err(unmarked(source)),
        }
    }
}

/// `consentd.db` is marked by `consentd.db-daemon`, beside the engine's own `consentd.db-wal`.
fn mark(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-daemon");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_daemon_by_whatever_way_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("consentd.db");
        File::create(&file).unwrap();
        std::os::unix::fs::symlink(&file, folder.path().join("other.db")).unwrap();
        let claim = |name: &str| Sole::claim(&format!("sqlite://{}/{name}", folder.path().display()));
        let first = claim("consentd.db").unwrap();
        for name in ["consentd.db", "./consentd.db", "other.db"] {
            assert!(matches!(claim(name), Err(NotSole::Served { .. })), "{name}");
        }
        claim("third.db").unwrap();
        drop(first);
        claim("other.db").unwrap();
    }

    #[test]
    fn a_server_has_as_many_as_there_are() {
        let claim = || Sole::claim("postgres://127.0.0.1/consentd").unwrap();
        let (_first, _second) = (claim(), claim());
    }
}
