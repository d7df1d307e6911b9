//! Reading from memory: the visibility predicate of the domain instead of its SQL form.

use async_trait::async_trait;
use docket::application::ports::StoreError;
use docket::application::ports::case_reader::{
    CaseFilter, CaseReader, CaseSort, EvidenceItem, LinkItem, Note, Position, Viewer,
};
use docket::application::ports::case_store::{Attachment, StoredCase};
use docket_domain::audit::AuditRecord;
use docket_domain::case::Case;
use docket_domain::ids::{CaseId, EvidenceId, LinkId, NoteId, TenantId};
use time::OffsetDateTime;

use super::MemoryStore;

fn visible(viewer: Viewer, case: &Case) -> bool {
    let takes_part = case.reporter_id == viewer.principal_id || case.assignee_id == Some(viewer.principal_id);
    let seen = viewer.sight.covers(case.confidentiality) || (viewer.sight.public && takes_part);
    case.tenant_id == viewer.tenant_id && seen
}

fn matches(filter: &CaseFilter, case: &Case) -> bool {
    let among = |empty: bool, found: bool| empty || found;
    let text = format!("{} {} {} {}", case.title, case.respondent, case.narrative, case.reference).to_lowercase();
    among(filter.states.is_empty(), filter.states.contains(&case.state))
        && among(filter.severities.is_empty(), filter.severities.contains(&case.severity))
        && among(filter.confidentialities.is_empty(), filter.confidentialities.contains(&case.confidentiality))
        && (filter.assignee_id.is_none() || filter.assignee_id == case.assignee_id)
        && filter.reporter_id.is_none_or(|reporter| reporter == case.reporter_id)
        && filter.case_type.as_ref().is_none_or(|name| *name == case.case_type)
        && filter.reference.as_ref().is_none_or(|name| *name == case.reference)
        && filter.opened_from.is_none_or(|from| case.opened_at >= from)
        && filter.opened_before.is_none_or(|before| case.opened_at < before)
        && filter
            .due_before
            .is_none_or(|before| case.closed_at.is_none() && case.due_at.is_some_and(|due| due < before))
        && filter.overdue_at.is_none_or(|now| docket_domain::case::deadline::is_overdue(case, now))
        && filter
            .text
            .as_ref()
            .is_none_or(|words| words.to_lowercase().split_whitespace().all(|word| text.contains(word)))
}

fn listed(sort: CaseSort, case: &Case) -> bool {
    sort != CaseSort::DueAscending || (case.due_at.is_some() && case.closed_at.is_none())
}

impl MemoryStore {
    fn rows<T>(&self, tenant: TenantId, case: CaseId, read: impl Fn(&AuditRecord, &Attachment) -> Option<T>) -> Vec<T> {
        let contents = self.contents();
        let of_case = contents.attachments.iter();
        let of_case = of_case.filter(|(record, _)| (record.tenant_id, record.case_id) == (tenant, Some(case)));
        of_case.filter_map(|(record, row)| read(record, row)).collect()
    }
}

#[async_trait]
impl CaseReader for MemoryStore {
    async fn get(&self, tenant: TenantId, case: CaseId) -> Result<Option<StoredCase>, StoreError> {
        Ok(self.contents().cases.get(&(tenant, case)).cloned())
    }

    async fn list(
        &self,
        viewer: Viewer,
        filter: &CaseFilter,
        sort: CaseSort,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Case>, StoreError> {
        let key = |case: &Case| match sort {
            CaseSort::DueAscending => case.due_at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            _ => case.opened_at,
        };
        let contents = self.contents();
        let mut cases: Vec<Case> = contents.cases.values().map(|stored| stored.case.clone()).collect();
        cases.retain(|case| visible(viewer, case) && matches(filter, case));
        cases.retain(|case| listed(sort, case));
        cases.sort_by_key(|case| (key(case), case.id));
        if sort == CaseSort::OpenedDescending {
            cases.reverse();
        }
        let from = after.map_or(0, |position| {
            let passed = |case: &Case| match sort {
                CaseSort::OpenedDescending => (key(case), case.id) >= (position.at, position.id),
                _ => (key(case), case.id) <= (position.at, position.id),
            };
            cases.iter().take_while(|case| passed(case)).count()
        });
        Ok(cases.into_iter().skip(from).take(limit as usize).collect())
    }

    async fn count(&self, viewer: Viewer, filter: &CaseFilter, sort: CaseSort) -> Result<u64, StoreError> {
        let contents = self.contents();
        let cases = contents.cases.values().map(|stored| &stored.case);
        let found = cases.filter(|case| visible(viewer, case) && matches(filter, case) && listed(sort, case));
        Ok(found.count() as u64)
    }

    async fn notes(
        &self,
        tenant: TenantId,
        case: CaseId,
        after: Option<NoteId>,
        limit: u32,
    ) -> Result<Vec<Note>, StoreError> {
        let mut notes = self.rows(tenant, case, |record, row| match row {
            Attachment::Note { id, kind, body } if after.is_none_or(|after| *id > after) => Some(Note {
                id: *id,
                kind: *kind,
                author_id: record.actor_id,
                body: body.clone(),
                created_at: record.occurred_at,
            }),
            _ => None,
        });
        notes.truncate(limit as usize);
        Ok(notes)
    }

    async fn evidence(
        &self,
        tenant: TenantId,
        case: CaseId,
        after: Option<EvidenceId>,
        limit: u32,
    ) -> Result<Vec<EvidenceItem>, StoreError> {
        let mut items = self.rows(tenant, case, |record, row| match row {
            Attachment::Evidence { id, sha256, size_bytes, media_type, file_name, description, .. } => {
                after.is_none_or(|after| *id > after).then(|| EvidenceItem {
                    id: *id,
                    sha256: *sha256,
                    size_bytes: *size_bytes,
                    media_type: media_type.clone(),
                    file_name: file_name.clone(),
                    description: description.clone(),
                    added_by: record.actor_id,
                    created_at: record.occurred_at,
                })
            }
            _ => None,
        });
        items.truncate(limit as usize);
        Ok(items)
    }

    async fn links(
        &self,
        viewer: Viewer,
        case: CaseId,
        after: Option<LinkId>,
        limit: u32,
    ) -> Result<Vec<LinkItem>, StoreError> {
        let contents = self.contents();
        let sees = |id: CaseId| {
            contents.cases.get(&(viewer.tenant_id, id)).is_some_and(|stored| visible(viewer, &stored.case))
        };
        let links = contents.attachments.iter().filter_map(|(record, row)| match row {
            Attachment::Link { id, target, kind, reason } => Some(LinkItem {
                id: *id,
                case_id: record.case_id?,
                target_case_id: *target,
                kind: *kind,
                reason: reason.clone(),
                created_by: record.actor_id,
                created_at: record.occurred_at,
            }),
            _ => None,
        });
        Ok(links
            .filter(|link| link.case_id == case || link.target_case_id == case)
            .filter(|link| sees(link.case_id) && sees(link.target_case_id))
            .filter(|link| after.is_none_or(|after| link.id > after))
            .take(limit as usize)
            .collect())
    }
}
