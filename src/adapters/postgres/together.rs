//! Requests that arrive while others are being answered share the next statement.
//!
//! A statement costs the database far more than the rows it touches, so under load many small ones of one tenant are
//! cheaper as one. Nobody waits for company: a request that finds the line idle is answered at once and alone; only those
//! that come while [`Shared::RUNNERS`] statements are on their way wait for one of them to return, and then go together. Each
//! statement begins after its requests arrived, so each request sees every commit that was acknowledged before it.
//!
//! A statement that takes longer than [`SLOW`] waits for something that others need not wait for: a lock, a lost connection.
//! It no longer counts, and those in the line go on without it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Time after which a statement counts as held up: many times what one takes on a busy machine.
const SLOW: Duration = Duration::from_millis(50);

/// Requests in one statement; bounds how long the first of a group waits for the rows of the last.
const GROUP: usize = 32;

/// Time after which a group is given up, so that a database that went silent does not hold the runners for good. PostgreSQL
/// itself ends a statement sooner.
const PATIENCE: Duration = Duration::from_secs(20);

/// A statement that can serve several requests.
pub(super) trait Shared: std::fmt::Debug + Clone + Send + Sync + 'static {
    /// What one request brings along.
    type Request: std::fmt::Debug + Send + Sync + 'static;
    /// What it gets.
    type Answer: std::fmt::Debug + Send + 'static;
    /// Statements on their way at the same time; the fewer, the larger the groups.
    const RUNNERS: usize;

    /// Whether a request may go in one statement with those of a group, which is not empty.
    fn joins(group: &[Self::Request], request: &Self::Request) -> bool;
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
    running: usize,
}

#[derive(Debug)]
struct Waiting<S: Shared> {
    request: S::Request,
    answer: oneshot::Sender<S::Answer>,
}

/// The right to have one statement on its way; whoever drops it lets those who wait go on.
pub(super) struct Running<S: Shared> {
    line: Line<S>,
    /// Whether it is among those that others wait for.
    counts: bool,
}

impl<S: Shared> Line<S> {
    /// An empty line for a statement.
    pub(super) fn new(statement: S) -> Self {
        Self { statement, state: Arc::new(Mutex::new(State { waiting: VecDeque::new(), running: 0 })) }
    }

    /// What the line waits for.
    pub(super) const fn statement(&self) -> &S {
        &self.statement
    }

    /// The right to send a statement alone and now, unless enough are on their way.
    pub(super) fn begin(&self) -> Option<Running<S>> {
        let mut state = self.state();
        (state.running < S::RUNNERS).then(|| {
            state.running += 1;
            Running { line: self.clone(), counts: true }
        })
    }

    /// Goes with others, and gets its own answer.
    pub(super) async fn join(&self, request: S::Request) -> S::Answer {
        let (answer, answered) = oneshot::channel();
        self.wait(Waiting { request, answer });
        answered.await.unwrap_or_else(|_| S::lost())
    }

    /// Joins the line. A runner may have ended since it was looked for; then this request starts one.
    fn wait(&self, waiting: Waiting<S>) {
        let mut state = self.state();
        state.waiting.push_back(waiting);
        self.start_runner(&mut state);
    }

    fn start_runner(&self, state: &mut State<S>) {
        if !state.waiting.is_empty() && state.running < S::RUNNERS {
            state.running += 1;
            tokio::spawn(Running { line: self.clone(), counts: true }.serve());
        }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Shared> Running<S> {
    /// Carries out a statement, and lets those who wait go on if it is held up.
    pub(super) async fn during<T>(&mut self, statement: impl Future<Output = T>) -> T {
        let mut statement = pin!(statement);
        tokio::select! {
            biased;
            done = &mut statement => return done,
            () = tokio::time::sleep(SLOW), if self.counts => self.step_aside(),
        }
        statement.await
    }

    /// Answers groups until nobody waits, or a group was held up and others took over.
    async fn serve(mut self) {
        while self.counts
            && let Some((requests, listeners)) = self.next_group()
        {
            let line = self.line.clone();
            let together = tokio::time::timeout(PATIENCE, line.statement.together(&requests));
            let answers = self.during(together).await;
            let answers = answers.unwrap_or_else(|_| listeners.iter().map(|_| S::lost()).collect());
            for (listener, answer) in listeners.into_iter().zip(answers) {
                // Who no longer listens was cancelled.
                let _ = listener.send(answer);
            }
        }
    }

    /// No longer counts.
    fn step_aside(&mut self) {
        if std::mem::take(&mut self.counts) {
            let mut state = self.line.state();
            state.running -= 1;
            self.line.start_runner(&mut state);
        }
    }

    /// The first of the line and those behind it who may go with it.
    #[allow(clippy::type_complexity, reason = "two columns of the same rows")]
    fn next_group(&self) -> Option<(Vec<S::Request>, Vec<oneshot::Sender<S::Answer>>)> {
        let mut state = self.line.state();
        let expected = state.waiting.len().min(GROUP);
        let (mut requests, mut listeners) = (Vec::with_capacity(expected), Vec::with_capacity(expected));
        let mut others = VecDeque::new();
        while let Some(waiting) = state.waiting.pop_front() {
            if waiting.answer.is_closed() {
                continue;
            }
            let first = requests.is_empty();
            if first || (requests.len() < GROUP && S::joins(&requests, &waiting.request)) {
                requests.push(waiting.request);
                listeners.push(waiting.answer);
            } else {
                others.push_back(waiting);
            }
        }
        state.waiting = others;
        (!requests.is_empty()).then_some((requests, listeners))
    }
}

impl<S: Shared> Drop for Running<S> {
    fn drop(&mut self) {
        self.step_aside();
    }
}
