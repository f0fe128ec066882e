//! `consentd doctor`: one file for each place where something can be wrong.

mod connections;
mod database;
mod machine;
mod reach;
mod tenants;

use crate::app;
use crate::cli::{CliError, Context, Exit, output};
use clap::Args;
use serde::Serialize;
use std::path::Path;

/// Look whether everything is in order, and say what to do where it is not.
///
/// Calls the providers; changes nothing there. Ends with code 7 when something is wrong.
///
/// Example: consentd doctor --json
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Look at this machine only; call no provider.
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Wrong,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    verdict: Verdict,
    detail: String,
    remedy: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, check: &str, detail: impl Into<String>) {
        self.add(check, Verdict::Ok, detail, "");
    }

    fn warn(&mut self, check: &str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, Verdict::Warning, detail, remedy);
    }

    fn wrong(&mut self, check: &str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, Verdict::Wrong, detail, remedy);
    }

    fn add(&mut self, check: &str, verdict: Verdict, detail: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding { check: check.to_owned(), verdict, detail: detail.into(), remedy: remedy.into() });
    }
}

impl Doctor {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let mut found = Findings::default();
        self.examine(context, &mut found).await;
        let wrong = found.0.iter().any(|finding| finding.verdict == Verdict::Wrong);
        output::data(context, &found.0, || {
            let mut text = String::new();
            for finding in &found.0 {
                let word = match finding.verdict {
                    Verdict::Ok => "ok     ",
                    Verdict::Warning => "warning",
                    Verdict::Wrong => "WRONG  ",
                };
                let more = format!("{word}  {}: {}\n", finding.check, finding.detail);
                text += &more;
                if !finding.remedy.is_empty() {
                    let more = format!("         → {}\n", finding.remedy);
                    text += &more;
                }
            }
            text
        });
        Ok(if wrong { Exit::SomeErrors } else { Exit::Done })
    }

    async fn examine(&self, context: &Context, found: &mut Findings) {
        let config = match context.config() {
            Ok(config) => config,
            Err(error) => return found.wrong("configuration", error.message, error.hint),
        };
        machine::configuration(context, found);
        match app::vault(&config.keys) {
            Ok(_) => found.ok("master key", "read"),
            Err(error) => {
                let error = CliError::from(error);
                let remedy = "put the key file back, or run `consentd init` for a first one";
                found.wrong("master key", error.message, remedy);
            }
        }
        machine::examine(context, &config, found);
        let sqlite = machine::sqlite_file(&config);
        if sqlite.is_some_and(|path| !Path::new(path).exists()) {
            return found.warn("database", "not set up yet", "run `consentd migrate`, or create a tenant");
        }
        if !database::examine(&config, found).await {
            return;
        }
        let core = match context.core().await {
            Ok(core) => core,
            Err(error) => return found.wrong("start", error.message, error.hint),
        };
        reach::examine(&core, &config, self.offline, found).await;
        if let Err(error) = tenants::examine(context, &core, self.offline, found).await {
            found.wrong("store", error.message, error.hint);
        }
    }
}
