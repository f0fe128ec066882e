//! Identifiers. A newtype each, so that one cannot be passed for another.

use std::fmt;
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

id! {
    /// A company that uses consentd.
    TenantId;
    /// What a person may consent to, for example "e-mail campaigns".
    PurposeId;
    /// A customer sheet, an address-book person or a supplier sheet of the CRM.
    RecordId;
    /// An exact address within a tenant: the subject of consent.
    AddressId;
    /// All addresses of a tenant that differ in case only: what a provider sees as one contact.
    MailboxId;
    /// A line of the history.
    StatementId;
    /// A tenant's account at a provider, bound to one list and one purpose.
    ConnectionId;
    /// An account at a provider, of whichever tenants: the keyed digest of its credentials.
    AccountId;
    /// One synchronisation of a connection.
    RunId;
    /// A stored webhook delivery.
    InboxId;
}
