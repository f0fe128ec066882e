//! The emergency area: space set aside beside a SQLite database, and given up when the disk is full, so that people can
//! still say no and providers can still be told.
//!
//! While it is given up, nothing is taken in, imported or added; see [`Reserve::is_spent`]. PostgreSQL's disk is its
//! server's own business.

use crate::store::{Store, StoreError};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The area's file; none for a database that is not a file of ours.
#[derive(Debug, Clone, Default)]
pub struct Reserve(Option<Area>);

#[derive(Debug, Clone)]
struct Area {
    file: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The area of the database at `url`, of that many MiB. It is set aside by [`Reserve::fill`].
    #[must_use]
    pub fn beside(url: &str, mib: u64) -> Self {
        let path = url.strip_prefix("sqlite://").filter(|_| mib > 0);
        let file = path.map(|path| format!("{}-reserve", path.split('?').next().unwrap_or(path)).into());
        Self(file.map(|file| Area { file, bytes: mib * 1024 * 1024 }))
    }

    /// Whether the disk was full and the area has not been set aside again.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        // An area that nobody has set aside yet is not spent; one that was given up is an empty file.
        self.0.as_ref().is_some_and(|area| area.file.metadata().is_ok_and(|held| held.len() < area.bytes))
    }

    /// Sets the area aside, as soon as as much again is free beside it. False while there is not.
    ///
    /// # Errors
    /// What the file system says.
    pub fn fill(&self) -> io::Result<bool> {
        let Some(area) = &self.0 else { return Ok(true) };
        let held = area.file.metadata().map_or(0, |held| held.len());
        if held >= area.bytes {
            return Ok(true);
        }
        let folder = area.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let room = statvfs(folder)?;
        if room.f_bavail.saturating_mul(room.f_frsize) < area.bytes.saturating_mul(2) {
            return Ok(false);
        }
        let file = File::options().create(true).write(true).truncate(false).open(&area.file)?;
        fallocate(&file, FallocateFlags::empty(), 0, area.bytes)?;
        file.sync_all()?;
        Ok(true)
    }

    /// Gives the area up.
    fn spend(&self) {
        let Some(area) = self.0.as_ref().filter(|area| area.file.exists()) else { return };
        if self.is_spent() {
            return;
        }
        match File::options().write(true).open(&area.file).and_then(|file| file.set_len(0)) {
            Ok(()) => tracing::error!(
                "the disk is full: the emergency area is given up for withdrawals; free space, everything else waits for it"
            ),
            Err(error) => {
                tracing::error!(error = %error, "the disk is full, and the emergency area cannot be given up");
            }
        }
    }
}

impl Store {
    /// After a failure of what must not wait: when the disk is full, gives up the emergency area and says that it is worth
    /// trying once more.
    pub(crate) fn make_room(&self, error: &StoreError) -> bool {
        if !error.is_full() || self.reserve.0.is_none() {
            return false;
        }
        self.reserve.spend();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_set_aside_given_up_and_set_aside_again() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/consentd.db?mode=rwc", folder.path().display());
        let reserve = Reserve::beside(&url, 1);
        let blocks = || {
            use std::os::unix::fs::MetadataExt;
            folder.path().join("consentd.db-reserve").metadata().unwrap().blocks() * 512
        };
        assert!(!reserve.is_spent(), "nobody has set it aside yet");
        reserve.spend();
        assert!(!reserve.is_spent());
        for _ in 0..2 {
            assert!(reserve.fill().unwrap() && reserve.fill().unwrap());
            assert!(!reserve.is_spent() && blocks() >= 1024 * 1024, "it really holds space");
            reserve.spend();
            assert!(reserve.is_spent() && blocks() == 0);
        }
    }

    #[test]
    fn nothing_is_set_aside_where_there_is_no_room_and_where_none_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/consentd.db", folder.path().display());
        assert!(!Reserve::beside(&url, 1 << 40).fill().unwrap(), "no disk is that large");
        for none in [Reserve::beside(&url, 0), Reserve::beside("postgres://db/consentd", 16), Reserve::default()] {
            assert!(none.fill().unwrap() && !none.is_spent());
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
