//! Reading contacts by name: those that somebody else changed, and any others, without one bad contact costing the rest.

use crate::service::ServiceError;
use crate::service::sync::Session;
use consentd_provider::{EmailAddress, Look, ProviderError};

impl Session<'_> {
    /// What the provider says of each address now; `None` for one that it cannot or will not tell about.
    pub(super) async fn looks_of(&self, emails: &[EmailAddress]) -> Result<Vec<Option<Look>>, ServiceError> {
        let (provider, out, list) = (&self.account.provider, &*self.account.gateway, &self.account.audience);
        match provider.look(out, list, emails).await {
            Ok(looks) => return Ok(looks.into_iter().map(Some).collect()),
            Err(error) if about_the_contact(&error) && emails.len() > 1 => {}
            Err(error) if about_the_contact(&error) => return Ok(vec![None; emails.len()]),
            Err(error) => return Err(error.into()),
        }
        let mut looks = Vec::with_capacity(emails.len());
        for email in emails {
            match provider.look(out, list, std::slice::from_ref(email)).await {
                Ok(found) => looks.push(found.first().copied()),
                Err(error) if about_the_contact(&error) => {
                    tracing::warn!(connection.id = %self.connection.id, error.kind = error.kind(), "one contact cannot be read");
                    looks.push(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(looks)
    }

    /// Looks at mailboxes that somebody else changed at the provider, and says what follows.
    pub(super) async fn look_at_touched(&self) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let limit = i64::try_from(self.account.descriptor.look).unwrap_or(1);
        let mailboxes = self.core.store.touched(tenant, connection, limit).await?;
        if mailboxes.is_empty() {
            return Ok(false);
        }
        let mut named = Vec::with_capacity(mailboxes.len());
        for mailbox in &mailboxes {
            named.extend(self.core.store.addresses_of(tenant, *mailbox).await?.into_iter().next());
        }
        let emails: Vec<EmailAddress> = named.iter().map(|address| address.email.clone()).collect();
        let looks = self.looks_of(&emails).await?;
        let mut tx = self.begin().await?;
        for (address, look) in named.iter().zip(looks) {
            if let Some(look) = look {
                self.weigh(&mut tx, address.mailbox, look).await?;
            }
        }
        for mailbox in mailboxes {
            tx.untouch(tenant, connection, mailbox).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Whether a failure says something about what was asked rather than about the provider.
const fn about_the_contact(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Rejected { .. } | ProviderError::Protocol(_))
}
