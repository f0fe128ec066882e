//! What a command works with: the options, the configuration, and the store when it is needed.

use crate::app;
use crate::cli::{CliError, Exit, Global};
use crate::config::Config;
use crate::domain::consent::Language;
use crate::service::Core;
use crate::store::{Connection, Tenant, TenantKey};
use consentd_provider::EmailAddress;
use std::io::{BufRead, IsTerminal, Write};

/// What a command works with.
pub struct Context {
    /// The options given everywhere.
    pub global: Global,
}

impl Context {
    pub(super) const fn new(global: Global) -> Self {
        Self { global }
    }

    /// The configuration. Logs are switched on with it.
    ///
    /// # Errors
    /// [`crate::config::ConfigError`] as an error of the command.
    pub fn config(&self) -> Result<Config, CliError> {
        let mut config = Config::load(self.global.config.as_deref(), |name| std::env::var(name).ok())?;
        if self.global.verbose {
            config.log.filter = "consentd=debug,info".into();
        }
        Ok(config)
    }

    /// Everything that a use case needs, with log lines from warnings on unless more are wanted.
    ///
    /// # Errors
    /// When the configuration, the keys or the database cannot be used.
    pub async fn core(&self) -> Result<Core, CliError> {
        let mut config = self.config()?;
        if !self.global.verbose {
            config.log.filter = "warn".into();
        }
        crate::telemetry::logs(&config.log);
        Ok(app::open(&config).await?)
    }

    /// The tenant that was named, or the only one there is.
    ///
    /// # Errors
    /// When there is no such tenant, or several and none was named.
    pub async fn tenant(&self, core: &Core) -> Result<(Tenant, TenantKey), CliError> {
        if let Some(slug) = &self.global.tenant {
            return Ok(core.tenant(slug).await?);
        }
        let tenants = core.store.tenants().await?;
        match tenants.as_slice() {
            [only] => Ok(core.tenant(&only.slug).await?),
            [] => Err(CliError::new(
                Exit::NotFound,
                "not_found",
                "there is no tenant yet; create one with `consentd tenant create`",
            )),
            _ => Err(CliError::usage(
                "there are several tenants; name one with --tenant (`consentd tenant list` shows them)",
            )),
        }
    }

    /// The connection that was named, or the only one of the tenant.
    ///
    /// # Errors
    /// When there is no such connection, or several and none was named.
    pub async fn connection(&self, core: &Core, tenant: &Tenant, slug: Option<&str>) -> Result<Connection, CliError> {
        if let Some(slug) = slug {
            return Ok(core.find_connection(tenant, slug).await?);
        }
        let mut connections = core.store.connections(tenant.id).await?;
        match (connections.pop(), connections.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => Err(CliError::new(Exit::NotFound, "not_found", "the tenant has no connection yet")
                .hint("Nothing was changed. Next: consentd connection add")),
            _ => {
                Err(CliError::usage("there are several connections; name one (`consentd connection list` shows them)"))
            }
        }
    }

    /// An address as it was typed.
    ///
    /// # Errors
    /// When it is none. The error does not repeat it.
    pub fn email(text: &str) -> Result<EmailAddress, CliError> {
        EmailAddress::parse(text).map_err(|error| CliError::usage(format!("this is not an e-mail address: {error}")))
    }

    /// The language of names that people see.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.global.lang
    }

    /// Who acts, for the history.
    #[must_use]
    pub fn who(&self) -> String {
        let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
        self.global.who.clone().or_else(user).unwrap_or_else(|| "command line".to_owned())
    }

    /// Lets a person confirm something that cannot be undone, by typing `expected`.
    ///
    /// # Errors
    /// [`Exit::Usage`] when nobody is there to confirm, or something else was typed; nothing was changed then.
    pub fn confirm(&self, warning: &str, expected: &str) -> Result<(), CliError> {
        if self.global.yes {
            return Ok(());
        }
        if self.global.no_input || !std::io::stdin().is_terminal() {
            return Err(CliError::new(
                Exit::Usage,
                "confirmation_missing",
                format!("this must be confirmed. {warning}"),
            )
            .hint("Nothing was changed. Add --yes to confirm."));
        }
        eprintln!("{warning}");
        eprint!("Type `{expected}` to go on: ");
        let mut typed = String::new();
        let read = std::io::stderr().flush().and_then(|()| std::io::stdin().lock().read_line(&mut typed));
        if read.is_ok() && typed.trim() == expected {
            return Ok(());
        }
        Err(CliError::new(Exit::Usage, "confirmation_missing", "not confirmed").hint("Nothing was changed."))
    }
}
