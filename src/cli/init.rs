//! `consentd init`

use crate::cli::{CliError, Context, Exit, output};
use crate::config::DEFAULTS;
use crate::random::SystemRandom;
use crate::store::MasterKey;
use clap::Args;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Write a configuration and a master key to begin with.
///
/// Writes consentd.toml (every option with its default) and consentd.key (only its owner can read it) into a folder.
/// Files that are there already are left alone.
///
/// Example: consentd init /etc/consentd
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where to write.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CliError> {
        std::fs::create_dir_all(&self.folder).map_err(|error| cannot(&self.folder, &error))?;
        let key = self.folder.join("consentd.key");
        let config = self.folder.join("consentd.toml");
        let folder = std::path::absolute(&self.folder).map_err(|error| cannot(&self.folder, &error))?;
        let text =
            DEFAULTS.replace("\"consentd.key\"", &quoted(&folder.join("consentd.key").display().to_string())).replace(
                "\"sqlite://consentd.db\"",
                &quoted(&format!("sqlite://{}", folder.join("consentd.db").display())),
            );
        let written = [
            (&key, write(&key, &format!("{}\n", MasterKey::generate(&SystemRandom).to_hex()))?),
            (&config, write(&config, &text)?),
        ];
        output::data(context, &serde_json::json!({ "config": config, "key": key }), || {
            let line =
                |(path, new): (&PathBuf, bool)| format!("{} {}\n", if new { "wrote" } else { "kept " }, path.display());
            written.into_iter().map(line).collect()
        });
        let next = format!(
            "Next: consentd --config {} tenant create NAME --legal-name \"…\" …\nKeep a copy of {} elsewhere: without it nothing can be opened.",
            config.display(),
            key.display()
        );
        output::hint(context, &next);
        Ok(Exit::Done)
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Writes a new file that only its owner can read. False when it was there already.
fn write(path: &Path, text: &str) -> Result<bool, CliError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot(path, &error)),
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(Exit::NotAuthorised, "file", format!("{} cannot be written: {error}", path.display()))
}
