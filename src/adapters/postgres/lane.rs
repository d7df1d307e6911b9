//! The fast lane: connections that the hot path keeps between statements.
//!
//! The driver's pool tests a connection each time it comes back, by a round trip of its own and a task to make it. For a
//! request of one or two statements that is a third of what the database and the service do. The lane keeps its
//! connections instead: one that ended a statement well goes to the next request as it is. A connection whose statement
//! failed or was abandoned goes back to the pool, which tests it; so does each one now and then, so that the pool's rules
//! about age reach it. The lane's connections are its own, which is also a bulkhead: lists and searches never take the
//! connections that writes need.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pool;

/// Statements after which a connection visits the pool: rare enough to cost nothing.
const USES: u32 = 1_000;

/// Kept connections; see the top of this file.
#[derive(Debug, Clone)]
pub struct Lane {
    pool: PgPool,
    permits: Arc<Semaphore>,
    kept: Arc<Mutex<Vec<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    uses: u32,
}

/// A connection of the lane, for one statement or transaction. Dropped without [`Leased::keep`] it goes back to the pool.
#[derive(Debug)]
pub struct Leased {
    kept: Kept,
    lane: Arc<Mutex<Vec<Kept>>>,
    // After the connection, so that it is dropped later: who gets the permit finds a connection, or room for one.
    _permit: OwnedSemaphorePermit,
}

impl Lane {
    /// A lane beside a pool: to the same place, with the same settings and as many connections, opened when needed.
    pub fn beside(pool: &PgPool) -> Self {
        let size = pool.options().get_max_connections();
        Self { pool: pool::beside(pool, size), permits: Arc::new(Semaphore::new(size as usize)), kept: Arc::default() }
    }

    /// Closes the connections; requests that come later fail as they do on a closed pool.
    pub async fn close(&self) {
        self.permits.close();
        self.idle().clear();
        self.pool.close().await;
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection, as soon as one is free; an error like the pool's when none is within its time to wait.
    pub async fn acquire(&self) -> Result<Leased, sqlx::Error> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => within(self.pool.options().get_acquire_timeout(), Arc::clone(&self.permits)).await?,
        };
        let waiting = self.idle().pop();
        let kept = match waiting {
            Some(kept) => kept,
            None => Kept { connection: self.pool.acquire().await?, uses: 0 },
        };
        Ok(Leased { kept, lane: Arc::clone(&self.kept), _permit: permit })
    }

    /// Ends a statement: keeps the connection if it went well. After a failure of the connection itself the others are
    /// suspected too and go back to the pool, so that a restarted server is not found out by one request after another.
    pub fn settle<T>(&self, leased: Leased, outcome: &Result<T, sqlx::Error>) {
        match outcome {
            Ok(_) => leased.keep(),
            Err(sqlx::Error::Database(error)) if !error.code().is_some_and(|code| code.starts_with("57P")) => {}
            Err(_) => self.idle().clear(),
        }
    }
}

impl Leased {
    /// Keeps the connection for the next request.
    fn keep(mut self) {
        self.kept.uses += 1;
        if self.kept.uses < USES {
            self.lane.lock().unwrap_or_else(PoisonError::into_inner).push(self.kept);
        }
    }

    /// The connection itself.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.kept.connection
    }
}

async fn within(patience: Duration, permits: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, sqlx::Error> {
    match tokio::time::timeout(patience, permits.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) => Err(sqlx::Error::PoolClosed),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
