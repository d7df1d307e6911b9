//! Requests that arrive while others are being answered share the next statement.
//!
//! A statement costs the database far more than the rows it touches, so under load many small ones of one tenant are
//! cheaper as one. Nobody waits for company: a request that finds no statement of its tenant on its way is answered at once
//! and alone; only those that come while [`Shared::OF_ONE`] are wait for one of them to return, and then go together. Each
//! statement begins after its requests arrived, so each request sees every commit that was acknowledged before it.
//!
//! Tenants share no statement and do not wait for each other, up to [`Shared::OF_ALL`] statements; beyond them whoever came
//! first goes first.
//!
//! A statement that takes longer than [`SLOW`] waits for something that others need not wait for: a lock, a lost connection.
//! It no longer counts, and those in the line go on without it.

use std::collections::{HashMap, VecDeque};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docket_domain::ids::TenantId;
use tokio::sync::oneshot;

/// Time after which a statement counts as held up: many times what one takes on a busy machine.
const SLOW: Duration = Duration::from_millis(50);

/// Requests in one statement; bounds how long the first of a group waits for the rows of the last.
const GROUP: usize = 32;

/// Time after which a group is given up, so that a database that went silent does not hold the runners for good. PostgreSQL
/// itself ends a statement sooner.
const PATIENCE: Duration = Duration::from_secs(20);

/// A statement that can serve several requests of one tenant.
pub(super) trait Shared: std::fmt::Debug + Clone + Send + Sync + 'static {
    /// What one request brings along.
    type Request: std::fmt::Debug + Send + Sync + 'static;
    /// What it gets.
    type Answer: std::fmt::Debug + Send + 'static;
    /// Statements of one tenant on their way at the same time; the fewer, the larger the groups.
    const OF_ONE: usize;
    /// Statements of all tenants on their way at the same time.
    const OF_ALL: usize;

    /// Whose request it is.
    fn tenant(request: &Self::Request) -> TenantId;
    /// Whether a request of the same tenant may go in one statement with those of a group, which is not empty.
    fn joins(_group: &[Self::Request], _request: &Self::Request) -> bool {
        true
    }
    /// Serves a group: an answer for each request, in their order.
    fn together(&self, group: &[Self::Request]) -> impl Future<Output = Vec<Self::Answer>> + Send;
    /// The answer of a request whose statement was given up.
    fn lost() -> Self::Answer;
}

/// Where requests wait for each other; clones are the same line.
#[derive(Debug, Clone)]
pub(super) struct Line<S: Shared> {
    statement: S,
    state: Arc<Mutex<State<S>>>,
}

#[derive(Debug)]
struct State<S: Shared> {
    waiting: VecDeque<Waiting<S>>,
    /// Statements on their way, of the tenants that have any.
    running: HashMap<TenantId, usize>,
    /// Their sum.
    total: usize,
}

#[derive(Debug)]
struct Waiting<S: Shared> {
    request: S::Request,
    answer: oneshot::Sender<S::Answer>,
}

/// Requests that go together, and who waits for their answers.
#[derive(Debug)]
struct Group<S: Shared> {
    tenant: TenantId,
    requests: Vec<S::Request>,
    listeners: Vec<oneshot::Sender<S::Answer>>,
}

/// The right to have one statement on its way; whoever drops it lets those who wait go on.
pub(super) struct Running<S: Shared> {
    line: Line<S>,
    /// Whose statement it is, while it is among those that others wait for.
    counts: Option<TenantId>,
}

impl<S: Shared> Line<S> {
    /// An empty line for a statement.
    pub(super) fn new(statement: S) -> Self {
        let state = State { waiting: VecDeque::new(), running: HashMap::new(), total: 0 };
        Self { statement, state: Arc::new(Mutex::new(state)) }
    }

    /// What the line waits for.
    pub(super) const fn statement(&self) -> &S {
        &self.statement
    }

    /// The right to send a statement of a tenant alone and now, unless enough are on their way.
    pub(super) fn begin(&self, tenant: TenantId) -> Option<Running<S>> {
        let mut state = self.state();
        state.has_room(tenant).then(|| self.take(&mut state, tenant))
    }

    /// Goes with others, and gets its own answer.
    pub(super) async fn join(&self, request: S::Request) -> S::Answer {
        let (answer, answered) = oneshot::channel();
        self.wait(Waiting { request, answer });
        answered.await.unwrap_or_else(|_| S::lost())
    }

    /// Joins the line. A statement may have ended since it was looked for; then this request starts one.
    fn wait(&self, waiting: Waiting<S>) {
        let mut state = self.state();
        state.waiting.push_back(waiting);
        self.go_on(&mut state);
    }

    /// Starts what there is room for.
    fn go_on(&self, state: &mut State<S>) {
        while let Some(group) = state.next_group() {
            tokio::spawn(self.take(state, group.tenant).serve(group));
        }
    }

    fn take(&self, state: &mut State<S>, tenant: TenantId) -> Running<S> {
        state.count(tenant);
        Running { line: self.clone(), counts: Some(tenant) }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Shared> State<S> {
    fn has_room(&self, tenant: TenantId) -> bool {
        self.total < S::OF_ALL && self.running.get(&tenant).is_none_or(|running| *running < S::OF_ONE)
    }

    fn count(&mut self, tenant: TenantId) {
        self.total += 1;
        *self.running.entry(tenant).or_default() += 1;
    }

    fn give_back(&mut self, tenant: TenantId) {
        self.total -= 1;
        if let Some(running) = self.running.get_mut(&tenant) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&tenant);
            }
        }
    }

    /// The first of the line whose tenant has room, and those behind it who may go with it.
    fn next_group(&mut self) -> Option<Group<S>> {
        if self.total >= S::OF_ALL {
            return None;
        }
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        let first = self.waiting.iter().position(|waiting| self.has_room(S::tenant(&waiting.request)))?;
        let expected = (self.waiting.len() - first).min(GROUP);
        let (mut requests, mut listeners) = (Vec::with_capacity(expected), Vec::with_capacity(expected));
        let Waiting { request, answer } = self.waiting.remove(first)?;
        let tenant = S::tenant(&request);
        requests.push(request);
        listeners.push(answer);
        let mut others = VecDeque::with_capacity(self.waiting.len());
        for (place, waiting) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            let goes = place >= first && requests.len() < GROUP && S::tenant(&waiting.request) == tenant;
            if goes && S::joins(&requests, &waiting.request) {
                requests.push(waiting.request);
                listeners.push(waiting.answer);
            } else {
                others.push_back(waiting);
            }
        }
        self.waiting = others;
        Some(Group { tenant, requests, listeners })
    }
}

impl<S: Shared> Running<S> {
    /// Carries out a statement, and lets those who wait go on if it is held up. Statements are kilobytes; where they are pinned, nobody
    /// moves them any more.
    pub(super) async fn during<T>(&mut self, mut statement: Pin<&mut impl Future<Output = T>>) -> T {
        tokio::select! {
            biased;
            done = &mut statement => return done,
            () = tokio::time::sleep(SLOW), if self.counts.is_some() => self.step_aside(),
        }
        statement.await
    }

    /// Answers groups until nobody waits, or a group was held up and others took over.
    async fn serve(mut self, first: Group<S>) {
        let mut next = Some(first);
        while let Some(Group { requests, listeners, .. }) = next {
            let line = self.line.clone();
            let together = pin!(line.statement.together(&requests));
            let answers = self.during(pin!(tokio::time::timeout(PATIENCE, together))).await;
            let answers = answers.unwrap_or_else(|_| listeners.iter().map(|_| S::lost()).collect());
            for (listener, answer) in listeners.into_iter().zip(answers) {
                // Who no longer listens was cancelled.
                let _ = listener.send(answer);
            }
            next = self.go_on();
        }
    }

    /// The next group for this runner, unless it was held up.
    fn go_on(&mut self) -> Option<Group<S>> {
        let tenant = self.counts.take()?;
        let mut state = self.line.state();
        state.give_back(tenant);
        let group = state.next_group()?;
        state.count(group.tenant);
        drop(state);
        self.counts = Some(group.tenant);
        Some(group)
    }

    /// No longer counts.
    fn step_aside(&mut self) {
        if let Some(tenant) = self.counts.take() {
            let mut state = self.line.state();
            state.give_back(tenant);
            self.line.go_on(&mut state);
        }
    }
}

impl<S: Shared> Drop for Running<S> {
    fn drop(&mut self) {
        self.step_aside();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::{Semaphore, mpsc};
    use uuid::Uuid;

    use super::*;

    /// A statement that says which requests it serves and ends when it is let.
    #[derive(Debug, Clone)]
    struct Slow {
        begun: mpsc::Sender<Vec<&'static str>>,
        ends: Arc<Semaphore>,
        at_once: Arc<AtomicUsize>,
    }

    impl Shared for Slow {
        type Request = (TenantId, &'static str);
        type Answer = &'static str;
        const OF_ONE: usize = 1;
        const OF_ALL: usize = 2;

        fn tenant(request: &Self::Request) -> TenantId {
            request.0
        }

        fn joins(group: &[Self::Request], request: &Self::Request) -> bool {
            group.iter().all(|(_, name)| *name != request.1)
        }

        async fn together(&self, group: &[Self::Request]) -> Vec<&'static str> {
            assert!(self.at_once.fetch_add(1, Ordering::SeqCst) < Self::OF_ALL);
            self.begun.try_send(group.iter().map(|(_, name)| *name).collect()).unwrap();
            self.ends.acquire().await.unwrap().forget();
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            group.iter().map(|(_, name)| *name).collect()
        }

        fn lost() -> &'static str {
            "lost"
        }
    }

    struct Site {
        line: Line<Slow>,
        begun: mpsc::Receiver<Vec<&'static str>>,
    }

    impl Site {
        fn new() -> Self {
            let (begun, receiver) = mpsc::channel(100);
            let slow = Slow { begun, ends: Arc::new(Semaphore::new(0)), at_once: Arc::default() };
            Self { line: Line::new(slow), begun: receiver }
        }

        /// Asks as the adapters do, and is in the line, or on its way, when this returns.
        async fn ask(&self, tenant: u128, name: &'static str) -> tokio::task::JoinHandle<&'static str> {
            let (line, request) = (self.line.clone(), (TenantId(Uuid::from_u128(tenant)), name));
            let asked = tokio::spawn(async move {
                let Some(mut running) = line.begin(request.0) else { return line.join(request).await };
                let group = [request];
                running.during(pin!(line.statement().together(&group))).await.remove(0)
            });
            tokio::task::yield_now().await;
            asked
        }

        fn end(&self, statements: usize) {
            self.line.statement.ends.add_permits(statements);
        }

        /// The statements that began since the last look.
        async fn began(&mut self) -> Vec<Vec<&'static str>> {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            std::iter::from_fn(|| self.begun.try_recv().ok()).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_come_while_one_of_their_tenant_is_on_its_way_go_together_with_the_next() {
        let mut site = Site::new();
        let asked = [site.ask(1, "a").await, site.ask(1, "b").await, site.ask(1, "c").await, site.ask(1, "b").await];
        assert_eq!(site.began().await, [vec!["a"]]);
        site.end(1);
        assert_eq!(site.began().await, [vec!["b", "c"]]);
        site.end(1);
        assert_eq!(site.began().await, [vec!["b"]], "what does not join waits for its turn");
        site.end(1);
        let answers: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, ["a", "b", "c", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_waits_for_no_other_until_all_of_them_have_enough_on_their_way() {
        let mut site = Site::new();
        let mut asked = vec![site.ask(1, "a").await, site.ask(1, "b").await, site.ask(2, "c").await];
        assert_eq!(site.began().await, [vec!["a"], vec!["c"]], "the second tenant did not wait for the first");
        asked.extend([site.ask(3, "d").await, site.ask(2, "e").await, site.ask(3, "f").await]);
        assert!(site.began().await.is_empty(), "two are enough");
        site.end(1);
        assert_eq!(site.began().await, [vec!["b"]], "who came first goes first");
        site.end(1);
        assert_eq!(site.began().await, [vec!["d", "f"]]);
        site.end(1);
        assert_eq!(site.began().await, [vec!["e"]]);
        site.end(2);
        let answers: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, ["a", "b", "c", "d", "e", "f"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_statement_that_is_held_up_no_longer_keeps_its_tenant_waiting() {
        let mut site = Site::new();
        let asked = [site.ask(1, "a").await, site.ask(1, "b").await];
        assert_eq!(site.began().await, [vec!["a"]]);
        site.line.statement.at_once.store(0, Ordering::SeqCst);
        tokio::time::sleep(SLOW * 2).await;
        assert_eq!(site.began().await, [vec!["b"]]);
        site.end(2);
        for asked in asked {
            asked.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_lets_the_others_go_on_and_leaves_no_trace() {
        let mut site = Site::new();
        let (first, second, third) = (site.ask(1, "a").await, site.ask(1, "b").await, site.ask(1, "c").await);
        assert_eq!(site.began().await, [vec!["a"]]);
        second.abort();
        first.abort();
        site.line.statement.at_once.store(0, Ordering::SeqCst);
        assert_eq!(
            site.began().await,
            [vec!["c"]],
            "the second is not asked for, the third does not wait for the first"
        );
        site.end(1);
        assert_eq!(third.await.unwrap(), "c");
        let state = site.line.state();
        assert!(state.waiting.is_empty() && state.running.is_empty() && state.total == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_given_up() {
        let mut site = Site::new();
        let (first, second) = (site.ask(1, "a").await, site.ask(1, "b").await);
        first.abort();
        assert_eq!(site.began().await.len(), 2);
        assert_eq!(second.await.unwrap(), "lost");
    }
}
