//! The `consentd` program: parse, run, exit code.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    consentd::cli::main(std::env::args_os()).await
}
