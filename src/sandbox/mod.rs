//! Emulated providers on real HTTP: the same state machines that the tests hold in memory, at the provider's own paths,
//! so that the real way out, the vendors' own clients and a newcomer's first sync can be tried without any account.
//!
//! Every credential that is shown is an account of its own. Under `/_sandbox/` on the same port stands what a provider
//! does not offer: making people act, causing faults, and asking for the truth; see [`CONTROL`].

mod accounts;
mod control;
mod line;
mod post;
mod serve;

pub use accounts::{Account, Accounts, Clockwork};
pub use control::CONTROL;
pub use post::Post;
pub use serve::Sandbox;
