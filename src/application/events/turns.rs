//! Whose turn it is: a queue of keys in which each key stands at most once and is worked on by at most one worker.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Keys that wait, keys that are being worked on, and among those the ones that must come again.
#[derive(Debug)]
struct State<K> {
    waiting: VecDeque<K>,
    queued: HashSet<K>,
    working: HashSet<K>,
    again: HashSet<K>,
}

/// The queue. Bounded by the number of different keys, however many hints come.
#[derive(Debug)]
pub struct Turns<K> {
    state: Mutex<State<K>>,
    arrived: Notify,
}

impl<K: Copy + Eq + Hash> Default for Turns<K> {
    fn default() -> Self {
        let state =
            State { waiting: VecDeque::new(), queued: HashSet::new(), working: HashSet::new(), again: HashSet::new() };
        Self { state: Mutex::new(state), arrived: Notify::new() }
    }
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// Asks for a turn. During a turn of the same key it means: another one afterwards.
    pub fn ask(&self, key: K) {
        let mut state = self.state.lock();
        if state.working.contains(&key) {
            state.again.insert(key);
        } else if state.queued.insert(key) {
            state.waiting.push_back(key);
            drop(state);
            self.arrived.notify_one();
        }
    }

    /// Forgets the turns under way and asks for each again: whoever had them is gone.
    pub fn abandon(&self) {
        let mut state = self.state.lock();
        let State { waiting, queued, working, again } = &mut *state;
        again.clear();
        waiting.extend(working.drain().filter(|key| queued.insert(*key)));
        drop(state);
        self.arrived.notify_one();
    }

    /// Takes the next turn, waiting for one.
    pub async fn take(&self) -> K {
        loop {
            if let Some(key) = self.pop() {
                return key;
            }
            self.arrived.notified().await;
        }
    }

    fn pop(&self) -> Option<K> {
        let mut state = self.state.lock();
        let key = state.waiting.pop_front()?;
        state.queued.remove(&key);
        state.working.insert(key);
        if !state.waiting.is_empty() {
            // A stored permit wakes only one worker; pass the news on.
            self.arrived.notify_one();
        }
        Some(key)
    }

    /// Ends a turn. If another was asked for meanwhile, it begins after `pause`, so that a stream of hints becomes batches.
    pub async fn done(&self, key: K, pause: Duration) {
        let again = self.state.lock().again.contains(&key);
        if again {
            tokio::time::sleep(pause).await;
        }
        let again = {
            let mut state = self.state.lock();
            state.working.remove(&key);
            state.again.remove(&key)
        };
        if again {
            self.ask(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_worked_on_once_at_a_time_and_again_if_it_was_asked_for_meanwhile() {
        let turns = Turns::default();
        for key in [1, 2, 1] {
            turns.ask(key);
        }
        assert_eq!((turns.take().await, turns.take().await), (1, 2));
        turns.ask(1);
        turns.ask(1);
        assert!(turns.pop().is_none(), "1 is being worked on");
        turns.done(2, Duration::ZERO).await;
        turns.done(1, Duration::from_millis(1)).await;
        assert_eq!(turns.take().await, 1);
        turns.done(1, Duration::ZERO).await;
        assert!(turns.pop().is_none());
    }

    #[tokio::test]
    async fn turns_of_those_who_are_gone_come_again_once() {
        let turns = Turns::default();
        turns.ask(1);
        turns.take().await;
        turns.ask(1);
        turns.abandon();
        assert_eq!(turns.take().await, 1);
        turns.done(1, Duration::ZERO).await;
        assert!(turns.pop().is_none());
    }
}
