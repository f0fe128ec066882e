//! The port that every adapter implements. The rules are in `SPEC.md`.

use crate::{
    AccountFacts, AudienceRef, Change, Cursor, Delivery, EmailAddress, Gateway, HookMode, HookSpec, HookState, Intake,
    JobState, Look, Outcome, OutgoingMail, Page, ProviderError, ProviderEvent, Push, Receipt, RemoteField, RemoteJob,
    RemoteList, Verified, WebhookError,
};
use async_trait::async_trait;

/// An e-mail service provider's account.
///
/// Every method may be called again after a crash. None of them waits, repeats or remembers.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Proves that the credentials work, with a call that changes nothing.
    ///
    /// # Errors
    /// Any [`ProviderError`]; [`ProviderError::Credentials`] is believed only from here.
    async fn check(&self, out: &dyn Gateway) -> Result<AccountFacts, ProviderError>;

    /// All lists of the account.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn lists(&self, out: &dyn Gateway) -> Result<Vec<RemoteList>, ProviderError>;

    /// Creates a list; when one of that name exists, that one is returned.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn create_list(&self, out: &dyn Gateway, name: &str) -> Result<RemoteList, ProviderError>;

    /// The contact fields that the account has.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn schema(&self, out: &dyn Gateway) -> Result<Vec<RemoteField>, ProviderError>;

    /// Creates a contact field; an existing one of that name is left alone.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn create_field(&self, out: &dyn Gateway, field: &RemoteField) -> Result<(), ProviderError>;

    /// Carries out changes with as few calls as the provider allows.
    ///
    /// Never fails as a whole: each change gets its outcome, and [`Push::stopped_by`] says why the rest were not tried.
    async fn push(&self, out: &dyn Gateway, to: &AudienceRef, changes: &[Change]) -> Push;

    /// How many changes like this one go out with one call, where that is more than [`crate::Descriptor::chunk`]. Who
    /// pushes so many of them saves calls, and no call that takes off waits behind more than a chunk of others.
    fn together(&self, _change: &Change) -> Option<usize> {
        None
    }

    /// Asks how far a bulk job is.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn follow(&self, out: &dyn Gateway, of: &AudienceRef, job: &RemoteJob) -> Result<JobState, ProviderError>;

    /// Reads what the provider holds about these addresses now: one answer an address, in the same order.
    ///
    /// # Errors
    /// Any [`ProviderError`]; an unknown contact is an answer, not an error.
    async fn look(
        &self,
        out: &dyn Gateway,
        at: &AudienceRef,
        emails: &[EmailAddress],
    ) -> Result<Vec<Look>, ProviderError>;

    /// Reads one page of what the provider holds, enough to know list membership, unsubscriptions and blocks.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn list(&self, out: &dyn Gateway, of: &AudienceRef, from: &Cursor) -> Result<Page, ProviderError>;

    /// Erases a contact for good. The caller has made sure that it is blocked and suppressed first.
    ///
    /// # Errors
    /// Any [`ProviderError`]; an unknown contact counts as erased.
    async fn erase(&self, out: &dyn Gateway, email: &EmailAddress) -> Result<Outcome, ProviderError>;

    /// Sends one transactional mail.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn send(&self, out: &dyn Gateway, mail: &OutgoingMail) -> Result<Receipt, ProviderError>;

    /// Inspects the webhook registrations, and in [`HookMode::Repair`] puts them right.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn hooks(&self, out: &dyn Gateway, wanted: &HookSpec, mode: HookMode) -> Result<HookState, ProviderError>;

    /// Compares the delivery's credentials in constant time. Without a configured secret nothing is trusted.
    ///
    /// # Errors
    /// [`WebhookError::Unconfigured`] or [`WebhookError::Credentials`].
    fn verify<'a>(&self, delivery: Delivery<'a>) -> Result<Verified<'a>, WebhookError>;

    /// Reads the events of a body. Pure. An event that is not known is a value; one that is broken beside good ones
    /// becomes [`crate::EventKind::Unknown`], so that no good one is lost.
    ///
    /// # Errors
    /// [`WebhookError::Unreadable`] when nothing of the body can be read.
    fn read(&self, delivery: &Verified<'_>) -> Result<Vec<ProviderEvent>, WebhookError>;

    /// The status this provider must hear so that it neither loses the event nor switches the webhook off.
    fn answer(&self, intake: Intake) -> u16;
}
