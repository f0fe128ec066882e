//! `consentd import …`

use crate::cli::{CliError, Context, Exit, output};
use crate::domain::contact::RecordKind;
use crate::domain::triage::{Field, Verdict};
use crate::service::import::{ImportMode, ImportOptions, ImportReport};
use clap::{Args, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Take in files: the CRM's export, a mailing list, refusals and acceptances from before.
///
/// Example: consentd import check customers.csv
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Tell what an import would do, row by row under one verdict. Stores nothing.
    ///
    /// Example: consentd import check customers.csv --result rejected.csv
    Check(Import),
    /// Import a file. A repetition changes nothing.
    ///
    /// An import never makes anybody consent. Ends with code 7 when rows were invalid or the rest of the file could not
    /// be read.
    ///
    /// Example: consentd import run customers.csv --kind records --map crm_id="Kunden-Nr."
    Run(Import),
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file: CSV with `;`, `,` or tab, UTF-8 or Windows-1252; - for standard input.
    file: PathBuf,
    /// What the file is.
    #[arg(long, value_enum, default_value_t = Kind::Records)]
    kind: Kind,
    /// The kind of records whose row does not say.
    #[arg(long, value_enum, default_value_t = Holder::Customer)]
    records_are: Holder,
    /// A field and the heading of its column, where the usual ones do not fit; may be repeated.
    #[arg(long, value_name = "FIELD=HEADING", value_parser = mapped)]
    map: Vec<(Field, String)>,
    /// The purpose that refusals and acceptances are about; refusals are about every purpose when left out.
    #[arg(long, value_name = "SLUG")]
    purpose: Option<String>,
    /// Where to write the rejected lines, each with its reason. Must not exist yet.
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// The second person who vouches for acceptances from before.
    #[arg(long, value_name = "NAME", default_value = "")]
    with: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The CRM's export: creates and updates records.
    Records,
    /// A mailing list: creates nothing, tells who of it is known.
    List,
    /// Refusals from before.
    OptOuts,
    /// Acceptances from before, each row with its evidence; needs the tenant's policy and two people.
    Proofs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Holder {
    Customer,
    AddressBook,
    Supplier,
}

/// `field=heading`
fn mapped(text: &str) -> Result<(Field, String), String> {
    let (field, heading) = text.split_once('=').ok_or("write it as FIELD=HEADING")?;
    let field = Field::parse(field.trim()).ok_or_else(|| format!("there is no field `{}`", field.trim()))?;
    Ok((field, heading.trim().to_owned()))
}

impl ImportCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Check(import) => import.run(context, true).await,
            Self::Run(import) => import.run(context, false).await,
        }
    }
}

impl Import {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let (tenant, key) = context.tenant(&core).await?;
        let who = context.who();
        let name = self.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut options = ImportOptions::new(self.kind.mode(), &name, &who);
        options.kind = self.records_are.kind();
        options.mapping =
            self.map.iter().fold(BTreeMap::new(), |mut mapping: BTreeMap<_, Vec<_>>, (field, heading)| {
                mapping.entry(*field).or_default().push(heading.clone());
                mapping
            });
        if let Some(slug) = &self.purpose {
            options.purpose = Some(core.purpose(&tenant, Some(slug)).await?.id);
        }
        if self.kind == Kind::Proofs {
            options.approvers = [who, self.with.clone()];
            if !dry {
                context.confirm(
                    "Acceptances from before are recorded as the recipients' own, on the evidence in this file.",
                    &name,
                )?;
            }
        }
        let (file, bytes) = self.open()?;
        let mut rejects = self.result.as_deref().map(create).transpose()?;
        let stop = interrupted();
        let progress = Mutex::new(output::Progress::new(context));
        let tell = |report: &ImportReport| {
            let share = bytes
                .filter(|bytes| *bytes > 0)
                .map_or_else(String::new, |bytes| format!(", {} %", report.bytes.saturating_mul(100) / bytes));
            let words = format!("{} rows{share}", report.rows);
            progress.lock().unwrap_or_else(PoisonError::into_inner).tick(core.now(), &words);
            if stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let out = rejects.as_mut().map(|file| file as &mut (dyn Write + Send));
        let report = if dry {
            core.check_import(&tenant, &key, file, out, &options, &tell).await?
        } else {
            core.run_import(&tenant, &key, file, out, &options, &tell).await?
        };
        if let Some(mut file) = rejects {
            file.flush().map_err(|error| cannot_write(self.result.as_deref(), &error))?;
        }
        progress.lock().unwrap_or_else(PoisonError::into_inner).end();
        output::data(context, &report, || text(&report));
        self.hints(context, dry, &report);
        Ok(if stop.load(Ordering::SeqCst) {
            Exit::Interrupted
        } else if report.stopped.is_some() || report.verdicts.contains_key(&Verdict::Invalid) {
            Exit::SomeErrors
        } else {
            Exit::Done
        })
    }

    fn open(&self) -> Result<(Box<dyn Read + Send>, Option<u64>), CliError> {
        if self.file == Path::new("-") {
            return Ok((Box::new(std::io::stdin()), None));
        }
        let file = File::open(&self.file).map_err(|error| {
            CliError::usage(format!("{} cannot be read: {error}", self.file.display())).hint("Nothing was changed.")
        })?;
        let bytes = file.metadata().ok().map(|facts| facts.len());
        Ok((Box::new(file), bytes))
    }

    fn hints(&self, context: &Context, dry: bool, report: &ImportReport) {
        match (&self.result, report.rejected) {
            (Some(path), 1..) => output::hint(context, &format!("The rejected lines are in {}.", path.display())),
            (None, 1..) => output::hint(context, "Add --result FILE to get the rejected lines with their reasons."),
            _ => {}
        }
        if dry {
            let file = self.file.display();
            output::hint(
                context,
                &format!("Nothing was stored. Next: consentd import run {file} with the same options"),
            );
        }
    }
}

impl Kind {
    const fn mode(self) -> ImportMode {
        match self {
            Self::Records => ImportMode::Records,
            Self::List => ImportMode::List,
            Self::OptOuts => ImportMode::OptOuts,
            Self::Proofs => ImportMode::Proofs,
        }
    }
}

impl Holder {
    const fn kind(self) -> RecordKind {
        match self {
            Self::Customer => RecordKind::Customer,
            Self::AddressBook => RecordKind::AddressBook,
            Self::Supplier => RecordKind::Supplier,
        }
    }
}

/// A new file that only its owner can read: it will hold addresses.
pub(super) fn create(path: &Path) -> Result<BufWriter<File>, CliError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(BufWriter::new(options.open(path).map_err(|error| cannot_write(Some(path), &error))?))
}

/// A result that cannot be written.
pub(super) fn cannot_write(path: Option<&Path>, error: &std::io::Error) -> CliError {
    let path = path.map_or_else(String::new, |path| path.display().to_string());
    CliError::usage(format!("{path} cannot be written: {error}")).hint("Name a file that does not exist yet.")
}

/// Becomes true when the user presses Ctrl-C: the batch under way is finished first.
pub(super) fn interrupted() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.store(true, Ordering::SeqCst);
        }
    });
    stop
}

fn text(report: &ImportReport) -> String {
    let mut table = output::table(&["VERDICT", "ROWS", "WHAT IT MEANS"]);
    for (verdict, rows) in &report.verdicts {
        table.add_row([verdict.word().replace('_', " "), rows.to_string(), verdict.sentence().to_owned()]);
    }
    let columns: Vec<String> =
        report.columns.iter().map(|column| format!("{} = {}", column.heading, column.field.word())).collect();
    let counts = [
        ("records created", report.records_created),
        ("records changed", report.records_updated),
        ("records unchanged", report.records_unchanged),
        ("addresses that became known", report.addresses_created),
        ("of them on the suppression list", report.suppressed),
        ("refusals recorded", report.refusals),
        ("unknown addresses suppressed", report.suppressions),
        ("acceptances recorded", report.acceptances),
        ("addresses that cannot be read", report.unreadable),
        ("ordering addresses left out", report.ordering),
        ("lines rejected", report.rejected),
    ];
    let mut facts = vec![("rows", report.rows.to_string()), ("columns", columns.join(", "))];
    facts.extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count.to_string())));
    if let Some(why) = &report.stopped {
        facts.push(("stopped", why.clone()));
    }
    let head = if report.dry { "nothing was stored; an import would do this\n\n" } else { "" };
    format!("{head}{}\n{}", output::lines(&table), output::facts(&facts))
}
