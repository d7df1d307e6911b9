//! Turns on a hot case. Writes are optimistic: whoever finds that the case moved begins again. Of many at once on one case each
//! round lets one through and turns all others back, so that some never come through. So who lost twice takes a turn, in the
//! order in which they lost; after the first loss most learn that their version is stale and need none. If the one whose turn
//! it is loses as well, who comes new waits for a turn, too, until it is through.
//!
//! Turns order the writes of one process. Those of others are still kept apart by the version alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use docket_domain::ids::{CaseId, TenantId};
use parking_lot::Mutex;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// The tenant belongs to it: nobody waits for a case that he must not know of.
type Place = (TenantId, CaseId);

/// Who writes next, for the cases on which writes collide; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<Place, Arc<HotCase>>>>);

#[derive(Debug, Default)]
struct HotCase {
    queue: Arc<Queue<()>>,
    /// The one whose turn it is lost against somebody who came new.
    is_closed: AtomicBool,
}

impl Turns {
    /// Begins to write a case; waits for a turn if the one whose turn it is could not get through.
    pub(super) async fn come(&self, tenant: TenantId, case: CaseId) -> Writer<'_> {
        let mut writer = Writer { turns: self, place: (tenant, case), losses: 0, hot: None, turn: None };
        let hot = self.0.lock().get(&writer.place).cloned();
        if let Some(hot) = hot.filter(|hot| hot.is_closed.load(Ordering::Relaxed)) {
            writer.take_turn(hot).await;
        }
        writer
    }
}

/// One who writes, with a turn or without.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    turns: &'a Turns,
    place: Place,
    losses: u32,
    hot: Option<Arc<HotCase>>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Writer<'_> {
    /// Says that the case moved meanwhile; waits for a turn if it is not the first time.
    pub(super) async fn lost(&mut self) {
        self.losses += 1;
        if let Some(hot) = &self.hot {
            hot.is_closed.store(true, Ordering::Relaxed);
        } else if self.losses > 1 {
            let hot = self.turns.0.lock().entry(self.place).or_default().clone();
            self.take_turn(hot).await;
        }
    }

    async fn take_turn(&mut self, hot: Arc<HotCase>) {
        let queue = hot.queue.clone();
        self.hot = Some(hot);
        self.turn = Some(queue.lock_owned().await);
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        let Some(hot) = self.hot.take() else { return };
        let mut cases = self.turns.0.lock();
        if self.turn.take().is_some() {
            hot.is_closed.store(false, Ordering::Relaxed);
        }
        // The map's and this one; whoever else waits has taken hold of it under this lock.
        if Arc::strong_count(&hot) == 2 {
            cases.remove(&self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use docket_domain::ids::{CaseId, TenantId};
    use futures::FutureExt;
    use uuid::Uuid;

    use super::Turns;

    const fn place(tenant: u128, case: u128) -> (TenantId, CaseId) {
        (TenantId(Uuid::from_u128(tenant)), CaseId(Uuid::from_u128(case)))
    }

    #[tokio::test]
    async fn nobody_waits_who_lost_once_and_then_turns_go_in_the_order_of_losing() {
        let (turns, (tenant, case)) = (Turns::default(), place(1, 1));
        let mut first = turns.come(tenant, case).await;
        let mut second = turns.come(tenant, case).now_or_never().expect("nobody lost yet");
        for writer in [&mut first, &mut second] {
            writer.lost().now_or_never().expect("perhaps its version is stale");
        }
        first.lost().now_or_never().expect("nobody has a turn");
        let mut lost = Box::pin(second.lost());
        assert!(lost.as_mut().now_or_never().is_none(), "the first has its turn");
        drop(turns.come(tenant, case).now_or_never().expect("who comes new may try"));
        first.lost().now_or_never().expect("whose turn it is keeps it");
        let mut new = Box::pin(turns.come(tenant, case));
        assert!(new.as_mut().now_or_never().is_none(), "who comes new would win again");
        drop(first);
        assert!(new.as_mut().now_or_never().is_none(), "the second came before");
        turns.come(tenant, case).now_or_never().expect("the second has not lost in its turn");
        lost.now_or_never().expect("the second's turn");
        drop(second);
        new.now_or_never().expect("the last");
    }

    #[tokio::test]
    async fn other_cases_and_other_tenants_do_not_wait_and_nothing_is_kept_of_a_case_that_cooled_down() {
        let (turns, (tenant, case)) = (Turns::default(), place(1, 1));
        let mut writer = turns.come(tenant, case).await;
        for _ in 0..3 {
            writer.lost().await;
        }
        for (tenant, case) in [place(1, 2), place(2, 1)] {
            turns.come(tenant, case).now_or_never().expect("another place");
        }
        let mut waiting = Box::pin(turns.come(tenant, case));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(writer);
        assert_eq!(turns.0.lock().len(), 1, "somebody waits");
        // Who waited was cancelled.
        drop(waiting);
        turns.come(tenant, case).now_or_never().expect("nobody has a turn");
        assert!(turns.0.lock().is_empty());
    }
}
