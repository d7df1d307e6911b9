//! Keeps the index of words in step with the store: built when the process starts, then followed by polling. Whatever else
//! this process remembers of passages is forgotten on the way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use docket_domain::ids::TenantId;
use tokio_util::sync::CancellationToken;

use crate::application::models::PrefixCache;
use crate::application::ports::StoreError;
use crate::application::ports::keyword_index::{Followed, KeywordChange, KeywordFeed, KeywordIndex};

/// Passages read at a time.
const PAGE: u32 = 5_000;

/// The follower of one process.
pub struct FollowPassages {
    /// What is followed.
    pub feed: Arc<dyn KeywordFeed>,
    /// What follows.
    pub index: Arc<dyn KeywordIndex>,
    /// What is remembered of prompts, and must not outlive the passages in them.
    pub prefixes: PrefixCache,
    /// Time between two looks.
    pub poll: Duration,
    /// Whether the index has once been complete.
    pub ready: Arc<AtomicBool>,
}

impl FollowPassages {
    /// Follows until `stop`; a store that fails is asked again at the next look.
    pub async fn run(&self, stop: CancellationToken) {
        let mut position = Followed::default();
        let mut epoch = None;
        // The first build is one beside an empty index.
        self.index.start_over();
        loop {
            match self.catch_up(&mut position, &mut epoch).await {
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "the index of words cannot follow; it goes on where it stopped"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.poll) => {}
            }
        }
    }

    /// Takes everything there is at the moment.
    async fn catch_up(&self, position: &mut Followed, epoch: &mut Option<i64>) -> Result<(), StoreError> {
        loop {
            let page = self.feed.changes(*position, PAGE).await?;
            if epoch.replace(page.epoch).is_some_and(|known| known != page.epoch) {
                tracing::info!("the index of words is built anew");
                self.index.start_over();
                self.prefixes.forget_all();
                *position = Followed::default();
                continue;
            }
            for tenant in tenants(&page.changes) {
                self.prefixes.forget(tenant);
            }
            let index = self.index.clone();
            if !page.changes.is_empty() {
                let applied = tokio::task::spawn_blocking(move || index.apply(page.changes)).await;
                applied.map_err(StoreError::internal)??;
            }
            *position = page.next;
            if page.complete {
                self.index.publish();
                self.ready.store(true, Ordering::Release);
                return Ok(());
            }
        }
    }
}

/// Whose passages came or went.
fn tenants(changes: &[KeywordChange]) -> BTreeSet<TenantId> {
    let tenant = |change: &KeywordChange| match change {
        KeywordChange::Remove { tenant_id, .. } => *tenant_id,
        KeywordChange::Add(entry) => entry.tenant_id,
    };
    changes.iter().map(tenant).collect()
}
