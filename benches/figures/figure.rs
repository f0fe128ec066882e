//! One line of the table.

use serde::{Deserialize, Serialize};

/// One measured figure.
#[derive(Serialize, Deserialize)]
pub struct Figure {
    /// What was done.
    pub work: String,
    /// What it is held to, in words.
    pub bar: String,
    /// What was measured, with its unit.
    pub measured: String,
    /// The bare limit of the same run, with its unit and what it is.
    pub limit: String,
    /// Measured through limit; absent where the bar is a count or a time.
    pub ratio: Option<f64>,
    /// Whether the bar holds; absent for a figure without one.
    pub met: Option<bool>,
}

/// The table, as it stands in `docs/PERFORMANCE.md`.
pub fn print(figures: &[Figure]) {
    println!("| work | bar | measured | bare limit, same run | ratio | met |");
    println!("|---|---|---|---|---|---|");
    for figure in figures {
        let ratio = figure.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}"));
        let met = figure.met.map_or("–", |met| if met { "yes" } else { "**no**" });
        println!("| {} | {} | {} | {} | {ratio} | {met} |", figure.work, figure.bar, figure.measured, figure.limit);
    }
    let missed = figures.iter().filter(|figure| figure.met == Some(false)).count();
    eprintln!("{} figures, {missed} bars missed", figures.len());
}

/// Work through seconds, for people.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
pub fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// The most memory this process ever held resident, in MiB, from the kernel's own account.
pub fn resident_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next())
        .and_then(|text| text.parse().ok())
        .map_or(0, |kb: u64| kb / 1024)
}

/// Begins [`resident_peak`] anew; where the kernel does not allow that, the peak is that of the whole process.
pub fn forget_peak() {
    if let Err(error) = std::fs::write("/proc/self/clear_refs", "5") {
        eprintln!("the peak of memory includes what was before: {error}");
    }
}
