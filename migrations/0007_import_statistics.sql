-- Statistics during a bulk import. The planner believes that a tenant it has never counted has no cases, and that any index
-- is as good as another for reading none of them. An import looks references up batch by batch; with that belief each batch
-- reads all the cases imported before it, and the cost grows with the square of the file. Autovacuum would count within
-- minutes; the import cannot wait for it.
--
-- ANALYZE belongs to the owner of the table, so a function of the owner's does it, on the two columns that matter.
CREATE FUNCTION docket.refresh_case_statistics() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$ BEGIN ANALYZE docket.cases (tenant_id, reference); END $$;
REVOKE ALL ON FUNCTION docket.refresh_case_statistics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.refresh_case_statistics() TO docket_app;
