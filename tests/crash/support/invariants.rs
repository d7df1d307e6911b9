//! The oracle: the ledger held against the database, and the database against itself. Nothing here asks the service.

use std::collections::{HashMap, HashSet};

use docket_domain::audit::{AuditRecord, ChainHead, Outcome, chain};
use sqlx::PgPool;
use uuid::Uuid;

use super::ledger::{Entry, Ledger};
use super::report::{Figures, Findings, bounded, count};
use super::surroundings::{Settled, Surroundings};

/// What was looked at, for the report.
#[derive(Debug, Default)]
pub struct Checked {
    pub acknowledged: usize,
    pub lost: usize,
    pub doubled: usize,
    pub records: usize,
    pub cases: usize,
    pub settled: Settled,
}

impl Checked {
    /// The part of a report that every battery with a ledger has.
    pub fn words(&self) -> String {
        let Settled { events, missed, reordered, jobs } = &self.settled;
        let trials = usize::try_from(*events).unwrap();
        format!(
            "{}; {}; {} cases, {} audit records verified; {}, {reordered} reordered; {jobs} jobs ended",
            bounded(self.lost, "lost", self.acknowledged),
            bounded(self.doubled, "doubled", self.acknowledged),
            self.cases,
            self.records,
            bounded(*missed, "events lost", trials),
        )
    }

    /// What of it is summed over all batteries.
    pub fn figures(&self) -> Figures {
        let Settled { events, missed, reordered, jobs } = self.settled;
        let (writes, doubled) = (count(self.acknowledged), count(self.doubled));
        Figures { kills: 0, writes, jobs, events, lost: count(self.lost) + missed, doubled, reordered }
    }
}

/// Holds every invariant against the database, after what is on its way has arrived: acknowledged writes exist once; a case's
/// version is the number of its allowed changes; the audit chains verify; each change has one event, and each event arrived in
/// the order of its case; each key has one effect and its answer is stored to the byte; nothing is past its time; what was
/// spent is the sum of what was used.
pub async fn check(owner: &PgPool, ledger: &Ledger, around: &Surroundings, findings: &Findings) -> Checked {
    let settled = around.settle(owner, findings).await;
    let records = audit_records(owner, findings).await;
    let mut checked = Checked { records: records.len(), settled, ..Checked::default() };
    spending(owner, findings).await;
    versions_and_events(owner, findings, &mut checked).await;
    ledger_against_audit(ledger, &records, findings, &mut checked);
    stored_answers(owner, ledger, findings, &mut checked).await;
    notes(owner, ledger, findings, &mut checked).await;
    checked
}

type AuditRow = (Uuid, Uuid, String, Vec<u8>, Vec<u8>);

/// Reads the whole trail and verifies every chain up to the head that its case names.
pub async fn audit_records(owner: &PgPool, findings: &Findings) -> Vec<AuditRecord> {
    let rows: Vec<AuditRow> = sqlx::query_as(
        "SELECT tenant_id, chain_id, record::text, prev_hash, hash FROM docket.audit_events
         ORDER BY tenant_id, chain_id, seq",
    )
    .fetch_all(owner)
    .await
    .unwrap();
    let mut heads: HashMap<Uuid, ChainHead> = HashMap::new();
    let mut records = Vec::new();
    for (_, chain_id, text, previous, hash) in rows {
        let record: AuditRecord = serde_json::from_str(&text).unwrap();
        let head = heads.get(&chain_id).copied().unwrap_or(ChainHead::EMPTY);
        match chain::verify_link(&head, &record, bytes32(&previous), bytes32(&hash)) {
            Ok(next) => {
                heads.insert(chain_id, next);
            }
            Err(fault) => {
                findings.add(format!("the audit chain of {chain_id} is broken: {fault}"));
                heads.insert(chain_id, ChainHead { seq: record.seq, hash: bytes32(&hash) });
            }
        }
        records.push(record);
    }
    let cases: Vec<(Uuid, i64, Vec<u8>)> =
        sqlx::query_as("SELECT id, audit_seq, audit_head FROM docket.cases").fetch_all(owner).await.unwrap();
    for (id, seq, hash) in cases {
        let said = ChainHead { seq: seq.try_into().unwrap(), hash: bytes32(&hash) };
        let found = heads.get(&id).copied().unwrap_or(ChainHead::EMPTY);
        findings.expect(said == found, || {
            format!(
                "case {id} says its chain ends at record {}, it ends at {} (or with another hash)",
                said.seq, found.seq
            )
        });
    }
    records
}

/// The version of a case is the number of its allowed changes, and each version has exactly one event.
async fn versions_and_events(owner: &PgPool, findings: &Findings, checked: &mut Checked) {
    let rows: Vec<(Uuid, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT c.id, c.version,
                (SELECT count(*) FROM docket.audit_events a WHERE a.tenant_id = c.tenant_id AND a.chain_id = c.id
                    AND a.outcome = 'allowed' AND a.record ->> 'after' IS NOT NULL),
                (SELECT count(*) FROM docket.outbox_events o WHERE o.tenant_id = c.tenant_id AND o.case_id = c.id),
                (SELECT coalesce(max(sequence), 0) FROM docket.outbox_events o
                 WHERE o.tenant_id = c.tenant_id AND o.case_id = c.id)
         FROM docket.cases c",
    )
    .fetch_all(owner)
    .await
    .unwrap();
    checked.cases = rows.len();
    for (id, version, changes, events, last) in rows {
        findings.expect(version == changes, || format!("case {id} is at version {version} after {changes} changes"));
        findings.expect(version == events && version == last, || {
            format!("case {id} is at version {version} but has {events} events, the last of version {last}")
        });
    }
}

/// Every acknowledged write is on the trail once, with its version; nothing is there that nobody was told of.
fn ledger_against_audit(ledger: &Ledger, records: &[AuditRecord], findings: &Findings, checked: &mut Checked) {
    let mut effects: HashMap<(Uuid, String), Vec<&AuditRecord>> = HashMap::new();
    // What has no version is an act on the tenant, the registration of the endpoint.
    let changes = records.iter().filter(|record| record.outcome == Outcome::Allowed && record.after.is_some());
    let changes = changes.filter(|record| record.case_version.is_some());
    for record in changes {
        if let Some(hash) = &record.idempotency_key_hash {
            effects.entry((record.actor_id.0, hash.clone())).or_default().push(record);
        }
    }
    let mut told = HashSet::new();
    for entry in ledger.entries() {
        let name = (entry.principal_id, entry.key_hash());
        let found = effects.get(&name).map(Vec::as_slice).unwrap_or_default();
        if !entry.is_acknowledged() {
            findings.expect(found.is_empty(), || {
                format!("{} was refused with {} and took effect all the same", words(&entry), entry.answer.status)
            });
            continue;
        }
        checked.acknowledged += 1;
        let (case, version) = entry.case_and_version();
        match found {
            [] => {
                checked.lost += 1;
                findings.add(format!("{} was acknowledged and is lost", words(&entry)));
            }
            [one] if one.chain_id == case && one.case_version.map(u64::cast_signed) == Some(version) => {}
            [one] => findings.add(format!(
                "{} was told version {version} of {case}, the trail says {:?} of {}",
                words(&entry),
                one.case_version,
                one.chain_id
            )),
            more => {
                checked.doubled += more.len() - 1;
                findings.add(format!("{} took effect {} times", words(&entry), more.len()));
            }
        }
        told.insert(name);
    }
    for (name, found) in effects.iter().filter(|(name, _)| !told.contains(*name)) {
        findings.add(format!(
            "an effect that nobody was told of: {} on {} under {name:?}",
            found[0].action, found[0].chain_id
        ));
    }
}

/// The answer stored under each acknowledged key is the one that the client read, to the byte.
async fn stored_answers(owner: &PgPool, ledger: &Ledger, findings: &Findings, checked: &mut Checked) {
    let rows: Vec<(Uuid, String, i16, String)> =
        sqlx::query_as("SELECT principal_id, key, status, body FROM docket.idempotency_keys")
            .fetch_all(owner)
            .await
            .unwrap();
    let stored: HashMap<(Uuid, String), (i16, String)> =
        rows.into_iter().map(|(principal, key, status, body)| ((principal, key), (status, body))).collect();
    for entry in ledger.entries().iter().filter(|entry| entry.is_acknowledged()) {
        let key = entry.request.key.clone().unwrap_or_default();
        match stored.get(&(entry.principal_id, key)) {
            None => {
                checked.lost += 1;
                findings.add(format!("the answer to {} is not stored under its key", words(entry)));
            }
            Some((status, body)) => {
                findings
                    .expect(u16::try_from(*status) == Ok(entry.answer.status) && *body == entry.answer.text, || {
                        format!("another answer is stored for {} than the client read", words(entry))
                    });
            }
        }
    }
}

/// What a tenant spent and reserved in a month is the sum over its calls of models, and within its limit.
async fn spending(owner: &PgPool, findings: &Findings) {
    let rows: Vec<(Uuid, i64, i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT tenant_id, coalesce(s.spent_nanos, 0), coalesce(s.reserved_nanos, 0), coalesce(c.cost, 0),
                coalesce(c.reserved, 0), b.monthly_nanos
         FROM docket.spending s
         FULL JOIN (SELECT tenant_id, month, sum(cost_nanos)::bigint AS cost,
                           (sum(reserved_nanos) FILTER (WHERE state = 'reserved'))::bigint AS reserved
                    FROM docket.model_calls GROUP BY tenant_id, month) c USING (tenant_id, month)
         LEFT JOIN docket.budgets b USING (tenant_id)",
    )
    .fetch_all(owner)
    .await
    .unwrap();
    for (tenant, spent, reserved, cost, open, limit) in rows {
        findings.expect(spent == cost && reserved == open, || {
            format!("{tenant} spent {spent} and reserved {reserved} nanodollars, its calls {cost} and {open}")
        });
        findings.expect(limit.is_none_or(|limit| spent + reserved <= limit), || format!("{tenant} is over its limit"));
    }
}

/// Each acknowledged note, question or answer is one row.
async fn notes(owner: &PgPool, ledger: &Ledger, findings: &Findings, checked: &mut Checked) {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT body, count(*) FROM docket.case_notes GROUP BY body").fetch_all(owner).await.unwrap();
    let mut counts: HashMap<String, i64> = rows.into_iter().collect();
    for entry in ledger.entries() {
        let Some(text) = &entry.note else { continue };
        let (found, expected) = (counts.remove(text).unwrap_or(0), i64::from(entry.is_acknowledged()));
        if found < expected {
            checked.lost += 1;
        }
        findings.expect(found == expected, || format!("the note of {} is stored {found} times", words(&entry)));
    }
    findings.expect(counts.is_empty(), || format!("{} notes that nobody was told of", counts.len()));
}

fn words(entry: &Entry) -> String {
    format!("{} {} (key {})", entry.request.method, entry.request.path, entry.request.key.as_deref().unwrap_or("none"))
}

fn bytes32(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap()
}
