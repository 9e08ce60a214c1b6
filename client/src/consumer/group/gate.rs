//! Between the program and its group: partitions are taken from the program only while it polls, as only then is it done with
//! what it was given before.
//!
//! The member asks for quiet; the next poll, or one that waits, grants it and returns nothing until the member is done.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    /// Wakes the member: quiet was granted, or the poll that it waits for came.
    granted: Notify,
}

#[derive(Debug)]
struct State {
    polled_at: Instant,
    /// The member waits for the next poll, whatever it finds.
    awaits_poll: bool,
    wanted: bool,
    granted: bool,
    /// The program waits for its group in a call other than poll.
    waiting: u32,
}

/// Quiet, until it is dropped.
pub(super) struct Quiet<'a> {
    gate: &'a Gate,
    polls: &'a Notify,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        (state.wanted, state.granted) = (false, false);
        // The program's time begins anew.
        state.polled_at = Instant::now();
        drop(state);
        self.polls.notify_one();
    }
}

/// A call in which the program waits for its group, until it is dropped.
pub(super) struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().waiting -= 1;
    }
}

impl Gate {
    pub(super) fn new(now: Instant) -> Self {
        let state = State { polled_at: now, awaits_poll: false, wanted: false, granted: false, waiting: 0 };
        Self { state: Mutex::new(state), granted: Notify::new() }
    }

    /// The program polls. `None`: its partitions are being changed; `Some`: it may have records.
    pub(super) fn enter(&self, now: Instant) -> Option<()> {
        let mut state = self.state.lock();
        state.polled_at = now;
        if state.awaits_poll {
            state.awaits_poll = false;
            self.granted.notify_one();
        }
        if state.wanted && !state.granted {
            state.granted = true;
            self.granted.notify_one();
        }
        (!state.granted).then_some(())
    }

    /// When the program polled last: now, while its partitions are being changed.
    pub(super) fn polled_at(&self, now: Instant) -> Instant {
        let state = self.state.lock();
        if state.granted { now } else { state.polled_at }
    }

    /// Waits for the next poll.
    pub(super) fn await_poll(&self) {
        self.state.lock().awaits_poll = true;
    }

    /// Wakes when [`Gate::await_poll`] has been answered.
    pub(super) async fn poll_came(&self) {
        self.granted.notified().await;
    }

    pub(super) fn program_waits(&self) -> Waiting<'_> {
        let mut state = self.state.lock();
        state.waiting += 1;
        if state.wanted && !state.granted {
            state.granted = true;
            self.granted.notify_one();
        }
        Waiting(self)
    }

    /// Waits until the program is done with all that it was given; `polls` wakes one that waits for records.
    pub(super) async fn quiet<'a>(&'a self, polls: &'a Notify) -> Quiet<'a> {
        let quiet = Quiet { gate: self, polls };
        {
            let mut state = self.state.lock();
            state.wanted = true;
            state.granted = state.waiting > 0;
        }
        polls.notify_one();
        while !self.state.lock().granted {
            self.granted.notified().await;
        }
        quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn quiet_is_granted_by_a_poll_and_keeps_records_back_until_it_ends() {
        let (gate, polls) = (Gate::new(Instant::now()), Notify::new());
        assert!(gate.enter(Instant::now()).is_some());
        let mut asked = Box::pin(gate.quiet(&polls));
        assert!(asked.as_mut().now_or_never().is_none(), "the program has not polled since");
        assert!(polls.notified().now_or_never().is_some(), "a poll that waits looks again");
        assert!(gate.enter(Instant::now()).is_none());
        let quiet = asked.now_or_never().expect("granted");
        assert!(gate.enter(Instant::now()).is_none());
        drop(quiet);
        assert!(gate.enter(Instant::now()).is_some());
    }

    #[test]
    fn a_program_that_waits_for_its_group_has_granted_it() {
        let (gate, polls) = (Gate::new(Instant::now()), Notify::new());
        let waiting = gate.program_waits();
        assert!(gate.quiet(&polls).now_or_never().is_some());
        drop(waiting);
        let mut asked = Box::pin(gate.quiet(&polls));
        assert!(asked.as_mut().now_or_never().is_none());
        let _waiting = gate.program_waits();
        assert!(asked.now_or_never().is_some());
    }

    #[test]
    fn who_gives_up_asking_leaves_the_gate_open() {
        let (gate, polls) = (Gate::new(Instant::now()), Notify::new());
        let mut asked = Box::pin(gate.quiet(&polls));
        assert!(asked.as_mut().now_or_never().is_none());
        assert!(gate.enter(Instant::now()).is_none());
        drop(asked);
        assert!(gate.enter(Instant::now()).is_some());
    }
}
