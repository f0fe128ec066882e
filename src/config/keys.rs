use super::{Unusable, need};
use secrecy::SecretString;
use serde::Deserialize;
use std::path::PathBuf;

/// Where the master keys are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The file with the current key.
    pub file: PathBuf,
    /// Files with earlier keys, which only open.
    pub old_files: Vec<PathBuf>,
    /// The current key from the environment, which goes before the file.
    #[serde(skip)]
    pub from_environment: Option<SecretString>,
}

impl Keys {
    pub(super) fn validate(&self) -> Result<(), Unusable> {
        need(!self.file.as_os_str().is_empty(), "keys.file", "write the path of the key file; `consentd init` makes it")
    }
}
