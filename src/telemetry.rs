//! Logs and metrics of the process. No line holds a person: ids, counts and digests only.

use crate::config::{Format, Log};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Sends log lines to the standard error stream. Later calls in the same process change nothing.
pub fn logs(log: &Log) {
    let filter = log.filter.parse::<EnvFilter>().unwrap_or_default();
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second subscriber is refused, which is what the documentation of this function promises.
    drop(match log.format {
        Format::Human => lines.try_init(),
        Format::Json => lines.json().try_init(),
    });
}

/// Collects metrics from now on and hands out what renders them.
///
/// # Errors
/// When the process collects them already.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new().install_recorder()?)
}
