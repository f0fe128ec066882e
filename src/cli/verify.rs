//! `consentd verify`

use crate::cli::import::interrupted;
use crate::cli::{CliError, Context, Exit, output};
use clap::Args;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// Check the history: every link, every payload, every standing.
///
/// Without --tenant the histories of all tenants are checked. Ends with code 8 when one does not verify.
///
/// Example: consentd verify --json
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Fold the standings anew from the history first.
    #[arg(long)]
    rebuild: bool,
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let tenants = match &context.global.tenant {
            Some(slug) => vec![core.tenant(slug).await?.0],
            None => core.store.tenants().await?,
        };
        let stop = interrupted();
        let progress = Mutex::new(output::Progress::new(context));
        let mut found = Vec::new();
        for tenant in &tenants {
            let lines = core.store.head(tenant.id).await?.seq;
            let watch = |line: i64| {
                let words = format!("{}: {line} of {lines} lines", tenant.slug);
                progress.lock().unwrap_or_else(PoisonError::into_inner).tick(core.now(), &words);
                if stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let key = core.store.key_of(tenant)?;
            let rebuilt = if self.rebuild { Some(core.rebuild(tenant).await?) } else { None };
            let verified = core.verify_watched(tenant, &key, &watch).await?;
            let stopped = verified.stopped;
            found.push((tenant, rebuilt, verified));
            if stopped {
                break;
            }
        }
        progress.lock().unwrap_or_else(PoisonError::into_inner).end();
        let data: Vec<Value> = found
            .iter()
            .map(|(tenant, rebuilt, verified)| {
                json!({ "tenant": tenant.slug, "sound": verified.is_sound(), "rebuilt": rebuilt, "found": verified })
            })
            .collect();
        output::data(context, &data, || {
            let heads = ["TENANT", "VERDICT", "LINES", "PAYLOADS", "ERASED", "STANDINGS WRONG", "HEAD"];
            let mut table = output::table(&heads);
            for (tenant, _, v) in &found {
                let verdict = match (&v.fault, v.broken_at) {
                    (Some(fault), Some(line)) => format!("broken at line {line}: {fault}"),
                    _ if v.standings_wrong > 0 => "standings differ; rebuild them with --rebuild".to_owned(),
                    _ if v.stopped => "stopped; nothing was wrong so far".to_owned(),
                    _ => "sound".to_owned(),
                };
                table.add_row([
                    tenant.slug.clone(),
                    verdict,
                    v.lines.to_string(),
                    v.payloads.to_string(),
                    v.erased.to_string(),
                    v.standings_wrong.to_string(),
                    v.head.chars().take(16).collect(),
                ]);
            }
            output::lines(&table)
        });
        let broken = found.iter().any(|(_, _, v)| v.broken_at.is_some() || v.standings_wrong > 0);
        Ok(if broken {
            Exit::Broken
        } else if found.iter().any(|(_, _, verified)| verified.stopped) {
            Exit::Interrupted
        } else {
            Exit::Done
        })
    }
}
