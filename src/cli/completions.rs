//! `consentd completions`

use crate::cli::{Exit, command, output};
use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell.
///
/// Example: consentd completions bash > /etc/bash_completion.d/consentd
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "consentd", &mut script);
        output::text(&String::from_utf8_lossy(&script));
        Exit::Done
    }
}
