-- Lists that a filter or the viewer's sight cuts down to a small part of a large tenant.
--
-- Each index is in the order of a list, so that a page is read off it and reading stops there. The columns at the end do
-- not order anything: filters on them are judged in the index, without a visit to the row. None is a column
-- that a transition changes as a rule (due_at is in an index of its own anyway), so transitions stay HOT updates.
CREATE INDEX cases_by_type
    ON docket.cases (tenant_id, case_type, opened_at DESC, id DESC, severity, confidentiality);
-- Who sees only public cases reads them here, however few they are.
CREATE INDEX cases_by_confidentiality
    ON docket.cases (tenant_id, confidentiality, opened_at DESC, id DESC, severity);
-- The working list: the same order as before, now with what it is filtered by.
DROP INDEX docket.cases_open_by_opened;
CREATE INDEX cases_open_by_opened
    ON docket.cases (tenant_id, opened_at DESC, id DESC, severity, confidentiality, case_type, due_at)
    WHERE closed_at IS NULL;
