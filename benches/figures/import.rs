//! Taking in a CRM's export, beside the bare limit of reading the same file.

use crate::Options;
use crate::figure::{Figure, rate, resident_peak};
use crate::house::{House, write_export};
use consentd::service::import::{ImportMode, ImportOptions, ImportReport};
use consentd::source::csv::Sheet;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

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
    figures.push(beside_writers(options, rows.min(100_000), &limit).await?);
    Ok(figures)
}

/// Imports while somebody else comes for the writer all the time, as deliveries do.
async fn beside_writers(options: &Options, rows: u64, limit: &str) -> anyhow::Result<Figure> {
    let house = House::build(options).await?;
    let file = house.folder.path().join("export.csv");
    write_export(&file, rows)?;
    let store = &house.core.store;
    let writers = async {
        let (mut count, mut longest) = (0, Duration::ZERO);
        loop {
            house.core.clock.sleep(Duration::from_millis(20)).await;
            let start = Instant::now();
            let mut tx = store.begin().await?;
            tx.lock_head(house.tenant.id).await?;
            tx.commit().await?;
            (count, longest) = (count + 1, longest.max(start.elapsed()));
            if store.head(house.tenant.id).await?.seq >= i64::try_from(rows)? {
                return anyhow::Ok((count, longest));
            }
        }
    };
    let (seconds, (count, longest)) = tokio::try_join!(import(&house, &file, ImportMode::Records, false), writers)?;
    let measured = rate(rows, seconds);
    Ok(Figure {
        work: format!("import, {rows} rows, beside a writer every 20 ms"),
        bar: "–".into(),
        measured: format!(
            "{measured:.0} rows/s; {count} writers waited {:.0} ms at the most",
            longest.as_secs_f64() * 1e3
        ),
        limit: limit.to_owned(),
        ratio: None,
        met: None,
    })
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
