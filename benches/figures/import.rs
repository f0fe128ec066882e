//! Taking in a CRM's export, beside the bare limit of reading the same file.

use crate::Options;
use crate::figure::{Figure, rate, resident_peak};
use crate::house::{House, write_export};
use consentd::service::import::{ImportMode, ImportOptions, ImportReport};
use consentd::source::csv::Sheet;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// Rows unless told otherwise.
const ROWS: u64 = 1_000_000;

/// Measures the section.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let rows = options.rows.unwrap_or(ROWS);
    let house = House::build(options).await?;
    let file = house.folder.path().join("export.csv");
    write_export(&file, rows)?;

    let bare = Instant::now();
    let mut sheet = Sheet::open(Box::new(File::open(&file)?))?;
    let mut cells = 0;
    while let Some(row) = sheet.next_row()? {
        cells += row.cells.map_or(0, |cells| cells.len());
    }
    let bare = rate(rows, bare.elapsed().as_secs_f64());
    let limit = format!("{bare:.0} rows/s read ({cells} cells)");

    let mut figures = Vec::new();
    for (name, mode, dry, bar) in [
        ("dry run, empty store", ImportMode::Records, true, Some(40_000.0)),
        ("import, empty store", ImportMode::Records, false, Some(40_000.0)),
        ("import, nothing new", ImportMode::Records, false, None),
        ("mailing list, triage only", ImportMode::List, true, None),
    ] {
        let measured = rate(rows, import(&house, &file, mode, dry).await?);
        figures.push(Figure {
            work: format!("{name}, {rows} rows"),
            bar: bar.map_or_else(|| "–".into(), |bar| format!("{bar:.0} rows/s")),
            measured: format!("{measured:.0} rows/s"),
            limit: limit.clone(),
            ratio: Some(measured / bare),
            met: bar.map(|bar| measured >= bar),
        });
    }
    let peak = resident_peak();
    figures.push(Figure {
        work: "memory of all imports, resident at the most".into(),
        bar: "150 MiB".into(),
        measured: format!("{peak} MiB"),
        limit: "–".into(),
        ratio: None,
        met: Some(peak <= 150),
    });
    Ok(figures)
}

async fn import(house: &House, file: &Path, mode: ImportMode, dry: bool) -> anyhow::Result<f64> {
    let options = ImportOptions::new(mode, "export.csv", "bench");
    let go_on = |_: &ImportReport| ControlFlow::Continue(());
    let start = Instant::now();
    let source = Box::new(File::open(file)?);
    let (core, tenant, key) = (&house.core, &house.tenant, &house.key);
    let report = if dry {
        core.check_import(tenant, key, source, None, &options, &go_on).await?
    } else {
        core.run_import(tenant, key, source, None, &options, &go_on).await?
    };
    anyhow::ensure!(report.verdicts.values().sum::<u64>() == report.rows, "the numbers add up");
    Ok(start.elapsed().as_secs_f64())
}
