//! One transactional mail to one person.

use crate::EmailAddress;

/// A mail to be sent through the provider's transactional API.
#[derive(Debug, Clone)]
pub struct OutgoingMail {
    /// Repeating a mail with the same key within the provider's window sends nothing.
    pub idempotency_key: uuid::Uuid,
    /// The sender's address, which the account must own.
    pub from: EmailAddress,
    /// The sender's name.
    pub from_name: String,
    /// The one recipient.
    pub to: EmailAddress,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// Further headers such as `List-Unsubscribe`.
    pub headers: Vec<(String, String)>,
}

/// The provider's acknowledgement of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id of the message.
    pub message_id: String,
}
