-- When the token was issued whose roles a principal has: an older token that is still valid must not bring older roles back.
-- Empty until a token with `iat` sets them. A column without a default: the table is locked for a moment and not rewritten.
ALTER TABLE docket.principals ADD COLUMN roles_issued_at timestamptz;
