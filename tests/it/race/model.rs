//! What the model remembers: one mailbox in the store, at the provider, and in the hands of two workers.
//!
//! Every rule of the race is a rule about one mailbox, so one is enough: a bulk call is seen from one of its rows, and
//! a job that does half of its rows is a job that does this row or does not.

/// What a call does to the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    Add,
    Remove,
}

/// Which protections are built in. All but `Built` must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// As the product is.
    Built,
    /// A withdrawal counts although an addition may still land.
    WithoutSettle,
    /// An answer counts as the effect.
    WithoutReadBack,
    /// Who lost the account to another daemon goes on writing and calling.
    WithoutFencing,
    /// Consent is looked up when the plan is made, and what was planned is sent, without a ledger.
    CheckThenSend,
    /// A call without an answer may land for so long after the ledger line; its own start is not asked after.
    SettleFromTheLedger,
}

/// What we believe the provider holds; see `Held` in `src/domain/plan.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    Never,
    Subscribed,
    Withdrawn,
    Unknown,
}

/// The row of the table `holding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holding {
    pub held: Held,
    /// The acceptance that was pushed last.
    pub basis: u8,
    /// `unsettled_until` lies ahead.
    pub unsettled: bool,
    /// `add_unknown_at`: an addition had no answer.
    pub doubt: Doubt,
}

/// How long ago an addition had no answer. A withdrawal is read again later while there is a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    None,
    /// For less than the settle time.
    Young,
    Old,
}

/// The phase of a withdrawal; see `Phase` in `src/store/withdrawal.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Send,
    /// To be sent again once no addition can land any more.
    Again,
    Confirm,
    Watch,
    Done,
}

/// The row of the table `withdrawal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Withdrawal {
    pub phase: Phase,
    pub basis: u8,
    pub settled: bool,
    pub in_effect: bool,
}

/// The mailbox in the open run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    None,
    Open,
    Sending,
    /// Written, to be read back; after a first look that did not show it.
    Pending {
        looked: bool,
    },
}

/// What a worker has in hand: everything that a crash forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hand {
    Empty,
    /// The ledger line is committed, nothing has left yet.
    Issued(Call, Checked),
    /// The request is on its way.
    Asked(Call),
    /// Answered or given up, not yet written down.
    Told(Call, Told),
    /// A read was answered and is not yet weighed.
    Looked(Why, bool, u8),
}

/// Whether the check behind a call is less than a second old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checked {
    JustNow,
    LongAgo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    Applied,
    /// Taken as a job.
    Later,
    /// Not sent.
    Untouched,
    /// No answer.
    Unknown,
}

/// A call and what it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub op: Op,
    /// How much had been said when it was checked.
    pub said: u8,
    /// Issued while no addition could land.
    pub settled: bool,
    /// The holding as the ledger's transaction saw it.
    pub before: Holding,
}

/// Why a worker reads a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    Confirm,
    Watch,
    Settle,
    ReadBack,
    Walk,
}

/// Whose turn it is at the account; see `Claim` in `src/service/claim.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Turn {
    /// The one that counts.
    Own,
    /// Over, and the worker does not know.
    Over,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Worker {
    pub turn: Turn,
    pub hand: Hand,
}

/// A bulk job at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    pub op: Op,
    pub applied: bool,
    /// How it ended, if it has.
    pub ended: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "a state is made of facts")]
pub struct State {
    /// The history: whether the person consents, and how much was said.
    pub consents: bool,
    pub said: u8,
    // The rest of the store.
    pub holding: Holding,
    pub dirty: bool,
    pub item: Item,
    pub withdrawal: Option<Withdrawal>,
    /// A ledger line of an addition has neither answer nor heir.
    pub sent: bool,
    /// The job that the store follows.
    pub following: Option<Op>,
    /// In the order of their turns: they have no names.
    pub workers: [Worker; 2],
    // The provider.
    pub mailable: bool,
    pub job: Option<Job>,
    /// Calls whose sender gave up, and which may still land.
    pub strays: Vec<Op>,
    // What may still go wrong.
    pub faults: u8,
    pub takeovers: u8,
    pub imports: u8,
    /// Bulk jobs that may still be made.
    pub jobs: u8,
    // What was seen to happen.
    pub seen: Seen,
}

/// What no state shows afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// An addition was written to the ledger, or left on an old check, without consent.
    pub unchecked: bool,
    /// Somebody wrote whose turn was over.
    pub usurped: bool,
    /// A removal landed so late that the person had said yes again.
    pub late_removal: bool,
}

impl State {
    pub fn withdrawing(&self) -> bool {
        self.withdrawal.is_some_and(|row| matches!(row.phase, Phase::Send | Phase::Again | Phase::Confirm))
    }

    /// An addition could still reach the provider.
    pub fn can_land(&self) -> bool {
        let on_its_way = |worker: &Worker| matches!(worker.hand, Hand::Asked(Call { op: Op::Add, .. }));
        self.strays.contains(&Op::Add)
            || self.job.is_some_and(|job| job.op == Op::Add && !job.applied && job.ended.is_none())
            || self.workers.iter().any(on_its_way)
    }

    /// Somebody has the account.
    pub fn is_owned(&self) -> bool {
        self.workers.iter().any(|worker| worker.turn == Turn::Own)
    }

    /// Queues the withdrawal if the provider may know the mailbox; see `queue` in `src/store/sql/withdrawal/`.
    pub fn queue(&mut self) {
        if self.holding.held != Held::Never || self.holding.doubt != Doubt::None || self.holding.basis > 0 {
            let row = Withdrawal { phase: Phase::Send, basis: self.said, settled: false, in_effect: false };
            self.withdrawal = Some(row);
        }
    }
}
