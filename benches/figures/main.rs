//! The figures this product is held to, each beside a bare limit measured in the same run (`docs/PERFORMANCE.md`).
//!
//! `cargo bench` measures everything and ends with the table; `cargo bench -- import --rows 200000` one section at a size of
//! its own. Every section runs in a process of its own, so that its memory is its own.

#![expect(unreachable_pub, reason = "a bench has no outside")]

mod audience;
mod figure;
mod house;
mod idle;
mod import;
mod intake;
mod plan;
mod schedules;
mod stage;
mod sync;
mod verify;

use figure::Figure;
use std::process::{Command, Stdio};

/// Sections in the order of the table.
const SECTIONS: [&str; 8] = ["intake", "import", "audience", "plan", "verify", "sync", "schedules", "idle"];

/// Says in the environment that this process is to measure one section itself.
const CHILD: &str = "CONSENTD_BENCH_SECTION";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::read()?;
    match std::env::var(CHILD) {
        Ok(section) => measure(&section, &options).await,
        Err(_) => run_all(&options),
    }
}

/// Measures one section; its figures go to standard output as one JSON line each, anything else to standard error.
async fn measure(section: &str, options: &Options) -> anyhow::Result<()> {
    let figures = match section {
        "import" => import::measure(options).await?,
        "intake" => intake::measure(options).await?,
        "schedules" => schedules::measure(options).await?,
        "idle" => idle::measure()?,
        "sync" => sync::measure(options).await?,
        "audience" => audience::measure(options).await?,
        "plan" => plan::measure(options).await?,
        "verify" => verify::measure(options).await?,
        other => anyhow::bail!("no section {other}: {}", SECTIONS.join(", ")),
    };
    for figure in figures {
        println!("{}", serde_json::to_string(&figure)?);
    }
    Ok(())
}

fn run_all(options: &Options) -> anyhow::Result<()> {
    let mut figures = Vec::new();
    for section in SECTIONS.iter().filter(|name| options.wants(name)) {
        eprintln!("== {section}");
        let child = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .env(CHILD, section)
            .stdout(Stdio::piped())
            .output()?;
        eprint!("{}", String::from_utf8_lossy(&child.stderr));
        anyhow::ensure!(child.status.success(), "{section} ended with {}", child.status);
        for line in String::from_utf8(child.stdout)?.lines() {
            figures.push(serde_json::from_str::<Figure>(line)?);
        }
    }
    figure::print(&figures);
    Ok(())
}

/// What the command line asks for.
pub struct Options {
    sections: Vec<String>,
    /// Rows, addresses or events of the big measurements.
    pub rows: Option<u64>,
    /// A PostgreSQL server instead of SQLite in a temporary folder.
    pub database: Option<String>,
}

impl Options {
    fn read() -> anyhow::Result<Self> {
        let mut options = Self { sections: Vec::new(), rows: None, database: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo says it to every bench.
                "--bench" => {}
                "--rows" => options.rows = arguments.next().map(|text| text.parse()).transpose()?,
                "--database" => options.database = arguments.next(),
                name if SECTIONS.contains(&name) => options.sections.push(argument),
                other => {
                    anyhow::bail!("{other} is no section ({}) and no option (--rows, --database)", SECTIONS.join(", "))
                }
            }
        }
        Ok(options)
    }

    fn wants(&self, section: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|name| name == section)
    }
}
