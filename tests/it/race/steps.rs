//! What can happen, and what follows. Each step names the code that it stands for; the code names the step.

use super::model::{Call, Checked, Doubt, Hand, Held, Holding, Item, Job, Op, Phase, Protocol, Seen, State, Told};
use super::model::{Turn, Why, Worker};
use stateright::{Model, Property};

/// The race with its bounds.
#[derive(Clone)]
pub struct Race {
    pub protocol: Protocol,
    /// Statements in a history.
    pub words: u8,
    /// Time-outs, crashes, standstills and lying jobs.
    pub faults: u8,
    /// Leases that run out under a worker which does not know.
    pub takeovers: u8,
    /// Imports in the provider's console.
    pub imports: u8,
    /// Calls that the provider takes as jobs.
    pub jobs: u8,
    /// Nothing lands later than the settle time allows. Where that is not so, the daily walk has to find it.
    pub bound_holds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// People: `Core::say`.
    Consent,
    Withdraw,
    /// Somebody at the provider puts the person on the list.
    Import,
    /// A daemon takes the account and adopts what another left: `Core::adopt`.
    Take(usize),
    /// A daemon dies.
    Die(usize),
    /// A daemon stands still for longer than a check is fresh.
    Stall(usize),
    /// A page of a plan: `Session::plan_page`, `Session::queue_some`.
    Plan(usize),
    /// The transaction before an addition: `Session::push_chunk`.
    IssueAdd(usize),
    /// The transaction before a removal: `Session::send_withdrawals`.
    IssueRemoval(usize),
    /// The first byte leaves, or the check is made again: `Fresh::until`.
    Send(usize),
    /// The provider applies the call and answers, takes it as a job, or is not heard of: it applied the call already, or
    /// may still do.
    Answer(usize),
    TakeAsJob(usize),
    TimeOut(usize, bool),
    /// The transaction after a call: `Session::note`, and the second one of `Session::send_withdrawals`.
    Note(usize),
    /// A read, and the transaction after it: `confirm_withdrawals`, `settle_unknown`, `read_back`, `reconcile`.
    Look(usize, Why),
    Weigh(usize),
    /// Asking after a job that ended: `Session::follow_jobs`.
    Follow(usize),
    /// A job does the row, ends, or ends without having done it.
    JobApplies,
    JobEnds,
    JobLies(bool),
    /// A call that was given up lands, or never does.
    Lands(usize),
    IsLost(usize),
    /// The settle time is over.
    Settles,
}

impl Race {
    /// Whether this worker may write: its turn is the one that counts.
    fn is_owner(&self, worker: &Worker) -> bool {
        worker.turn == Turn::Own || worker.turn == Turn::Over && self.protocol == Protocol::WithoutFencing
    }

    /// What the product and the provider still do by themselves; nothing is left of it at rest.
    pub fn work(&self, s: &State) -> Vec<Action> {
        let mut out = Vec::new();
        if !s.is_owned() {
            let free = s.workers.iter().enumerate().filter(|(_, worker)| worker.hand == Hand::Empty);
            out.extend(free.map(|(w, _)| Action::Take(w)));
        }
        for (w, worker) in s.workers.iter().enumerate() {
            match worker.hand {
                Hand::Empty if self.is_owner(worker) => self.due(s, w, &mut out),
                Hand::Empty => {}
                Hand::Issued(..) => out.push(Action::Send(w)),
                Hand::Asked(_) => {
                    out.push(Action::Answer(w));
                    if s.jobs > 0 && s.job.is_none() && s.following.is_none() {
                        out.push(Action::TakeAsJob(w));
                    }
                }
                Hand::Told(..) => out.push(Action::Note(w)),
                Hand::Looked(..) => out.push(Action::Weigh(w)),
            }
        }
        if let Some(job) = s.job.filter(|job| job.ended.is_none()) {
            out.push(if job.applied { Action::JobEnds } else { Action::JobApplies });
        }
        for stray in 0..s.strays.len() {
            out.extend([Action::Lands(stray), Action::IsLost(stray)]);
        }
        if s.holding.unsettled && !(self.bound_holds && s.can_land()) && !s.sent_by_the_living(self) {
            out.push(Action::Settles);
        }
        out
    }

    /// What is due for a worker with empty hands; see `Session::round`.
    fn due(&self, s: &State, w: usize, out: &mut Vec<Action>) {
        match s.withdrawal.map(|row| row.phase) {
            Some(Phase::Send) => out.push(Action::IssueRemoval(w)),
            Some(Phase::Again) if !s.holding.unsettled && s.following != Some(Op::Add) => {
                out.push(Action::IssueRemoval(w));
            }
            Some(Phase::Confirm) => out.push(Action::Look(w, Why::Confirm)),
            Some(Phase::Watch) => out.push(Action::Look(w, Why::Watch)),
            _ => {}
        }
        if s.following.is_some() && s.job.is_none_or(|job| job.ended.is_some()) {
            out.push(Action::Follow(w));
        }
        if s.holding.held == Held::Unknown && !s.holding.unsettled {
            out.push(Action::Look(w, Why::Settle));
        }
        match s.item {
            Item::None if s.dirty => out.push(Action::Plan(w)),
            Item::Open => out.push(Action::IssueAdd(w)),
            Item::Pending { .. } if s.following.is_none() => out.push(Action::Look(w, Why::ReadBack)),
            _ => {}
        }
        let believed = s.holding.held == Held::Subscribed && s.consents;
        let differs = s.mailable && !believed && !s.holding.unsettled && !s.withdrawing();
        if !self.bound_holds && differs {
            out.push(Action::Look(w, Why::Walk));
        }
    }
}

impl State {
    /// A ledger line is still in somebody's hands who has not stood still: the settle time has hardly begun.
    fn sent_by_the_living(&self, race: &Race) -> bool {
        let fresh = |worker: &Worker| {
            matches!(worker.hand, Hand::Issued(Call { op: Op::Add, .. }, Checked::JustNow)) && race.is_owner(worker)
        };
        self.workers.iter().any(fresh)
    }
}

impl Model for Race {
    type State = State;
    type Action = Action;

    fn properties(&self) -> Vec<Property<Self>> {
        self.promises()
    }

    fn init_states(&self) -> Vec<State> {
        let nobody = Worker { turn: Turn::None, hand: Hand::Empty };
        vec![State {
            consents: true,
            said: 1,
            holding: Holding { held: Held::Never, basis: 0, unsettled: false, doubt: Doubt::None },
            dirty: true,
            item: Item::None,
            withdrawal: None,
            sent: false,
            following: None,
            workers: [nobody; 2],
            mailable: false,
            job: None,
            strays: Vec::new(),
            faults: self.faults,
            takeovers: self.takeovers,
            imports: self.imports,
            jobs: self.jobs,
            seen: Seen::default(),
        }]
    }

    fn actions(&self, s: &State, out: &mut Vec<Action>) {
        *out = self.work(s);
        if s.said < self.words {
            out.push(if s.consents { Action::Withdraw } else { Action::Consent });
        }
        if s.imports > 0 {
            out.push(Action::Import);
        }
        for (w, worker) in s.workers.iter().enumerate() {
            if s.takeovers > 0 && s.is_owned() && worker.hand == Hand::Empty && worker.turn != Turn::Own {
                out.push(Action::Take(w));
            }
            if s.faults == 0 {
                continue;
            }
            if worker.turn != Turn::None {
                out.push(Action::Die(w));
            }
            match worker.hand {
                Hand::Issued(_, Checked::JustNow) => out.push(Action::Stall(w)),
                Hand::Asked(_) => out.extend([Action::TimeOut(w, true), Action::TimeOut(w, false)]),
                _ => {}
            }
        }
        if s.faults > 0 && s.job.is_some_and(|job| job.ended.is_none()) {
            out.extend([Action::JobLies(true), Action::JobLies(false)]);
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm a step, in the order of the list")]
    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Consent => {
                (s.consents, s.said, s.dirty) = (true, s.said + 1, true);
            }
            Action::Withdraw => {
                (s.consents, s.said) = (false, s.said + 1);
                s.queue();
            }
            Action::Import => (s.imports, s.mailable) = (s.imports - 1, true),
            Action::Take(w) => self.take(&mut s, w),
            Action::Die(w) => {
                Self::fault(&mut s);
                if let Hand::Asked(call) = s.workers[w].hand {
                    Self::stray(&mut s, call.op);
                }
                s.workers[w] = Worker { turn: Turn::None, hand: Hand::Empty };
            }
            Action::Stall(w) => {
                Self::fault(&mut s);
                let Hand::Issued(call, _) = s.workers[w].hand else { return None };
                s.workers[w].hand = Hand::Issued(call, Checked::LongAgo);
            }
            Action::Plan(_) => Self::plan(&mut s),
            Action::IssueAdd(w) => self.issue_add(&mut s, w),
            Action::IssueRemoval(w) => self.issue_removal(&mut s, w),
            Action::Send(w) => {
                let Hand::Issued(call, checked) = s.workers[w].hand else { return None };
                self.send(&mut s, w, call, checked);
            }
            Action::Answer(w) => {
                let Hand::Asked(call) = s.workers[w].hand else { return None };
                Self::applies(&mut s, w, call.op);
                s.workers[w].hand = Hand::Told(call, Told::Applied);
            }
            Action::TakeAsJob(w) => {
                let Hand::Asked(call) = s.workers[w].hand else { return None };
                s.jobs -= 1;
                s.job = Some(Job { op: call.op, applied: false, ended: None });
                s.workers[w].hand = Hand::Told(call, Told::Later);
            }
            Action::TimeOut(w, applied) => {
                Self::fault(&mut s);
                let Hand::Asked(call) = s.workers[w].hand else { return None };
                if applied {
                    Self::applies(&mut s, w, call.op);
                } else {
                    Self::stray(&mut s, call.op);
                }
                s.workers[w].hand = Hand::Told(call, Told::Unknown);
            }
            Action::Note(w) => {
                let Hand::Told(call, told) = s.workers[w].hand else { return None };
                s.workers[w].hand = Hand::Empty;
                self.note(&mut s, w, call, told);
            }
            Action::Look(w, why) => {
                let basis = s.withdrawal.map_or(0, |row| row.basis);
                s.workers[w].hand = Hand::Looked(why, s.mailable, basis);
            }
            Action::Weigh(w) => {
                let Hand::Looked(why, on, basis) = s.workers[w].hand else { return None };
                s.workers[w].hand = Hand::Empty;
                if self.writes(&mut s, w) {
                    Self::weigh(&mut s, why, on, basis);
                }
            }
            Action::Follow(_) => {
                let honest = s.job.take().and_then(|job| job.ended).unwrap_or(false);
                if s.following.take() == Some(Op::Add) && !honest && s.holding.held == Held::Unknown {
                    (s.holding.unsettled, s.holding.doubt) = (true, Doubt::Young);
                }
            }
            Action::JobApplies => {
                let job = s.job.as_mut()?;
                job.applied = true;
                let op = job.op;
                Self::lands(&mut s, op);
            }
            Action::JobEnds => s.job.as_mut()?.ended = Some(true),
            Action::JobLies(success) => {
                Self::fault(&mut s);
                let job = s.job.as_mut()?;
                job.ended = Some(success);
                let (op, applied) = (job.op, job.applied);
                // What a job leaves undone and calls done it does not do later, or nothing but a walk can find it.
                let over = applied || success && self.bound_holds;
                if !over {
                    Self::stray(&mut s, op);
                }
            }
            Action::Lands(stray) => {
                let op = s.strays.remove(stray);
                Self::lands(&mut s, op);
            }
            Action::IsLost(stray) => {
                s.strays.remove(stray);
            }
            Action::Settles => {
                s.holding.unsettled = false;
                if s.holding.doubt == Doubt::Young {
                    s.holding.doubt = Doubt::Old;
                }
            }
        }
        s.workers.sort_by_key(|worker| worker.turn);
        Some(s)
    }
}
