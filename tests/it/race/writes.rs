//! What the worker's transactions write, and what calls do at the provider.

use super::model::Withdrawal;
use super::model::{Call, Checked, Doubt, Hand, Held, Holding, Item, Op, Phase, Protocol, State, Told, Turn, Why};
use super::steps::Race;

impl Race {
    /// Writes that a worker makes after a call or a read. Refused when its turn is over: `Core::begin_for`.
    pub fn writes(&self, s: &mut State, w: usize) -> bool {
        let stale = s.workers[w].turn != Turn::Own;
        if stale && self.protocol == Protocol::WithoutFencing {
            s.seen.usurped = true;
            return true;
        }
        if stale {
            s.workers[w].turn = Turn::None;
        }
        !stale
    }

    pub fn plan(s: &mut State) {
        s.dirty = false;
        if Self::wants(s) {
            s.item = Item::Open;
        } else if !s.consents && !s.withdrawing() && matches!(s.holding.held, Held::Subscribed | Held::Unknown) {
            s.queue();
        }
    }

    /// `plan::decide` says that the mailbox is to be added or brought up to date.
    pub fn wants(s: &State) -> bool {
        s.consents
            && !s.withdrawing()
            && match s.holding.held {
                Held::Unknown => !s.holding.unsettled,
                Held::Subscribed => s.holding.basis < s.said,
                Held::Never | Held::Withdrawn => true,
            }
    }

    pub fn issue_add(&self, s: &mut State, w: usize) {
        let call = Call { op: Op::Add, said: s.said, settled: true, before: s.holding };
        if self.protocol == Protocol::CheckThenSend {
            s.item = Item::Sending;
            s.workers[w].hand = Hand::Issued(call, Checked::JustNow);
            return;
        }
        if !Self::wants(s) {
            s.item = Item::None;
            return;
        }
        s.seen.unchecked |= !s.consents;
        s.item = Item::Sending;
        s.sent = true;
        s.holding = Holding { held: Held::Unknown, basis: s.said, unsettled: true, doubt: Doubt::Young };
        s.workers[w].hand = Hand::Issued(call, Checked::JustNow);
    }

    pub fn issue_removal(&self, s: &mut State, w: usize) {
        let Some(row) = &mut s.withdrawal else { return };
        let adding = s.sent || s.following == Some(Op::Add);
        let settled = self.protocol == Protocol::WithoutSettle || !adding && !s.holding.unsettled;
        row.settled = settled;
        let call = Call { op: Op::Remove, said: row.basis, settled, before: s.holding };
        s.workers[w].hand = Hand::Issued(call, Checked::JustNow);
    }

    pub fn send(&self, s: &mut State, w: usize, call: Call, checked: Checked) {
        let worker = s.workers[w];
        let add = call.op == Op::Add && self.protocol != Protocol::CheckThenSend;
        // No call starts in the last part of a lease (`Claimed`), so none starts after somebody took over.
        let expired = worker.turn != Turn::Own && self.protocol != Protocol::WithoutFencing;
        let spoken = add && checked == Checked::LongAgo && s.said != call.said;
        s.workers[w].hand = if expired || spoken {
            Hand::Told(call, Told::Untouched)
        } else {
            s.seen.unchecked |= call.op == Op::Add && checked == Checked::LongAgo && !s.consents;
            Hand::Asked(call)
        };
    }

    pub fn note(&self, s: &mut State, w: usize, call: Call, told: Told) {
        if !self.writes(s, w) {
            return;
        }
        if told == Told::Later {
            s.following = Some(call.op);
        }
        match call.op {
            Op::Add => self.note_addition(s, call, told),
            Op::Remove => self.note_removal(s, call, told),
        }
    }

    pub fn note_addition(&self, s: &mut State, call: Call, told: Told) {
        s.sent = false;
        // The settle time counts from here: the call may have left long after its ledger line.
        let unsettled = self.protocol != Protocol::SettleFromTheLedger || s.holding.unsettled;
        let during = Holding { basis: call.said, ..s.holding };
        (s.holding, s.item) = match told {
            Told::Applied => {
                let Holding { unsettled, doubt, .. } = call.before;
                let known = Holding { held: Held::Subscribed, unsettled, doubt, ..during };
                (known, Item::Pending { looked: false })
            }
            Told::Later => (Holding { unsettled, doubt: call.before.doubt, ..during }, Item::Pending { looked: false }),
            Told::Untouched => (call.before, Item::Open),
            Told::Unknown => (Holding { unsettled, doubt: Doubt::Young, ..during }, Item::None),
        };
    }

    pub fn note_removal(&self, s: &mut State, call: Call, told: Told) {
        let Some(row) = &mut s.withdrawal else { return };
        let newer = row.basis != call.said;
        if told == Told::Applied {
            let held = if call.settled { Held::Withdrawn } else { call.before.held };
            s.holding = Holding { held, ..call.before };
        }
        if newer || matches!(told, Told::Untouched | Told::Unknown) {
            return;
        }
        row.phase = Phase::Confirm;
        if self.protocol == Protocol::WithoutReadBack {
            row.phase = Phase::Done;
            row.in_effect = true;
            s.holding.held = Held::Withdrawn;
        }
    }

    pub fn weigh(s: &mut State, why: Why, on: bool, basis: u8) {
        match why {
            Why::Confirm | Why::Watch => Self::judge(s, why, on, basis),
            Why::Settle => {
                let held = if on { Held::Subscribed } else { Held::Never };
                s.holding = Holding { held, basis: 0, unsettled: false, ..s.holding };
                s.dirty = true;
            }
            Why::ReadBack => Self::read_back(s, on),
            Why::Walk => {
                s.holding = Holding { held: Held::Subscribed, unsettled: false, ..s.holding };
                if !s.consents && !s.withdrawing() {
                    s.queue();
                }
            }
        }
    }

    /// `Session::judge` in `src/service/sync/withdraw.rs`.
    pub fn judge(s: &mut State, why: Why, on: bool, basis: u8) {
        let Some(row) = s.withdrawal.filter(|row| row.basis == basis) else { return };
        let phase = match (why, on) {
            (Why::Watch, _) if s.consents => Phase::Done,
            (_, true) => Phase::Send,
            (Why::Confirm, false) if !row.settled => Phase::Again,
            (Why::Confirm, false) if s.holding.doubt != Doubt::None => Phase::Watch,
            (_, false) => Phase::Done,
        };
        let over = why == Why::Watch && s.consents;
        let off = !on && !over && matches!(phase, Phase::Watch | Phase::Done);
        let in_effect = off || (row.in_effect && over);
        s.withdrawal = Some(Withdrawal { phase, in_effect, ..row });
        if off {
            s.holding.held = Held::Withdrawn;
            s.dirty |= s.consents;
        }
    }

    /// `Session::judge_item` in `src/service/sync/read_back.rs`.
    pub fn read_back(s: &mut State, on: bool) {
        let looked = matches!(s.item, Item::Pending { looked: true });
        if on {
            let held = if s.holding.held == Held::Withdrawn { Held::Withdrawn } else { Held::Subscribed };
            // That the person is on the list does not say that a call without an answer has landed.
            let unsettled = s.holding.unsettled && s.holding.doubt == Doubt::Young;
            s.holding = Holding { held, unsettled, ..s.holding };
        } else if s.holding.held != Held::Withdrawn {
            if !looked {
                s.item = Item::Pending { looked: true };
                return;
            }
            s.holding = Holding { held: Held::Unknown, unsettled: true, doubt: Doubt::Young, ..s.holding };
        }
        s.item = Item::None;
    }

    pub fn take(&self, s: &mut State, w: usize) {
        if s.is_owned() {
            s.takeovers -= 1;
            for worker in &mut s.workers {
                worker.turn = worker.turn.max(Turn::Over);
            }
        }
        s.workers[w].turn = Turn::Own;
        if s.item == Item::Sending {
            s.item = Item::Open;
        }
        if std::mem::take(&mut s.sent) && self.protocol != Protocol::SettleFromTheLedger {
            (s.holding.unsettled, s.holding.doubt) = (true, Doubt::Young);
        }
    }

    /// The provider does what a call says.
    pub fn applies(s: &mut State, w: usize, op: Op) {
        s.mailable = op == Op::Add;
        s.seen.late_removal |= op == Op::Remove && s.consents && s.workers[w].turn == Turn::Over;
    }

    pub fn lands(s: &mut State, op: Op) {
        s.mailable = op == Op::Add;
        s.seen.late_removal |= op == Op::Remove && s.consents;
    }

    pub fn fault(s: &mut State) {
        s.faults -= 1;
    }

    pub fn stray(s: &mut State, op: Op) {
        s.strays.push(op);
        s.strays.sort_unstable();
    }
}
