-- The foundation: who may connect, who the tenants are, and how one tenant is kept from another.
--
-- Two roles share the work. Whoever runs migrations owns the tables. The service itself connects as (or switches to)
-- `docket_app`, which owns nothing and cannot bypass row-level security; what it may do is granted table by table.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'docket_app') THEN
        CREATE ROLE docket_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of the same server created the role at the same moment
END
$$;

CREATE SCHEMA docket;
GRANT USAGE ON SCHEMA docket TO docket_app;

-- The tenant of the present transaction. Every policy below asks this function; unset means NULL, and NULL means no rows.
-- (`nullif`, because a custom setting that was set in an earlier transaction of the same connection reads as '' afterwards.)
CREATE FUNCTION docket.current_tenant() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('docket.tenant', true), '')::uuid $$;

-- One row per regulator. The platform itself is the nil UUID: operators belong to it, and it owns no cases.
CREATE TABLE docket.tenants (
    id           uuid PRIMARY KEY,
    name         text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    display_name text NOT NULL,
    suspended    boolean NOT NULL DEFAULT false,
    -- The head of the tenant's own audit chain (administrative acts); see audit_events.
    audit_seq    bigint NOT NULL DEFAULT 0,
    audit_head   bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    created_at   timestamptz NOT NULL
);
ALTER TABLE docket.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.tenants FORCE ROW LEVEL SECURITY;
-- A tenant sees itself; the platform sees them all, because operators create tenants.
CREATE POLICY tenant_isolation ON docket.tenants
    USING (id = docket.current_tenant() OR docket.current_tenant() = '00000000-0000-0000-0000-000000000000')
    WITH CHECK (id = docket.current_tenant() OR docket.current_tenant() = '00000000-0000-0000-0000-000000000000');
GRANT SELECT, INSERT, UPDATE ON docket.tenants TO docket_app;

-- People and programs. The nil UUID is docket itself and stands in no row.
CREATE TABLE docket.principals (
    tenant_id    uuid NOT NULL REFERENCES docket.tenants (id),
    id           uuid NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('user', 'service')),
    display_name text NOT NULL,
    -- Issuer and subject of an OIDC identity, joined by a space; none for principals that only use keys.
    external_id  text,
    roles        text[] NOT NULL,
    disabled     boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, external_id)
);
ALTER TABLE docket.principals ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.principals FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.principals
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT, UPDATE ON docket.principals TO docket_app;

-- API keys: `dk_<prefix>_<secret>`. Only SHA-256 of the secret (256 random bits, so no slow hash is needed) is stored.
CREATE TABLE docket.api_keys (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    principal_id uuid NOT NULL,
    prefix       text NOT NULL UNIQUE,
    secret_hash  bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    label        text NOT NULL,
    scopes       text[] NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    -- The key this one replaces; the old one stays valid for an overlap and then expires.
    rotated_from uuid,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, principal_id) REFERENCES docket.principals (tenant_id, id)
);
ALTER TABLE docket.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.api_keys
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
-- Authentication happens before the tenant is known. Whoever names a full key prefix may read exactly that row.
CREATE POLICY lookup_by_prefix ON docket.api_keys FOR SELECT
    USING (prefix = nullif(current_setting('docket.api_key_prefix', true), ''));
GRANT SELECT, INSERT, UPDATE ON docket.api_keys TO docket_app;
