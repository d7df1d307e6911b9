//! Tenants, principals and API keys on the wire: representations, forms and the words of administrative answers.

use docket_domain::principal::{PrincipalKind, Roles, Scope};
use docket_domain::tenancy::{ApiKey, LABEL_MAX, OVERLAP_MAX_SECONDS, Principal, Tenant, is_tenant_name};
use serde::Serialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::calendar;
use super::form::Form;
use super::job_body::{JobBody, Redriven};
use super::webhook_body;
use crate::application::error::Invalid;
use crate::application::request::Rendered;
use crate::application::tenancy::TenancyPresenter;
use crate::application::tenancy::create_key::NewApiKey;
use crate::application::tenancy::create_principal::NewPrincipal;
use crate::application::tenancy::create_tenant::NewTenant;
use crate::application::tenancy::unit_of_work::Subject;
use crate::application::tenancy::update_principal::PrincipalChanges;

/// Overlap of a rotation when the client names none, in seconds: an hour to roll the new key out.
const OVERLAP_DEFAULT_SECONDS: u64 = 3_600;

/// A tenant as operators see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantBody {
    /// Identifier.
    pub id: Uuid,
    /// Short name: lower-case letters, digits, hyphens.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    pub name: String,
    /// The name that people read.
    pub display_name: String,
    /// While true, no credential of the tenant is accepted.
    pub suspended: bool,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<&Tenant> for TenantBody {
    fn from(tenant: &Tenant) -> Self {
        let Tenant { id, name, display_name, suspended, created_at } = tenant.clone();
        Self { id: id.0, name, display_name, suspended, created_at }
    }
}

/// A tenant that was just created.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedTenant)]
pub struct CreatedTenantBody {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: TenantBody,
    /// Its first administrator, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<PrincipalBody>,
    /// That one's key, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<CreatedKeyBody>,
}

/// A principal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Principal)]
pub struct PrincipalBody {
    /// Identifier.
    pub id: Uuid,
    /// `user` or `service`.
    #[schema(value_type = String)]
    pub kind: PrincipalKind,
    /// The name that people read.
    pub display_name: String,
    /// Issuer and subject of an OIDC identity.
    pub external_id: Option<String>,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    pub roles: Roles,
    /// While true, none of its credentials is accepted.
    pub disabled: bool,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<&Principal> for PrincipalBody {
    fn from(principal: &Principal) -> Self {
        let Principal { id, kind, display_name, external_id, roles, disabled, created_at } = principal.clone();
        Self { id: id.0, kind, display_name, external_id, roles, disabled, created_at }
    }
}

/// An API key, never with its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct KeyBody {
    /// Identifier.
    pub id: Uuid,
    /// For whom it speaks.
    pub principal_id: Uuid,
    /// The part of the key that may be shown: `dk_<prefix>_...`.
    pub prefix: String,
    /// What it is used for.
    pub label: String,
    /// What it may be used for.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// From when on it is refused.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
    /// When it was last used, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// The key that this one replaced.
    pub rotated_from: Option<Uuid>,
}

impl From<&ApiKey> for KeyBody {
    fn from(key: &ApiKey) -> Self {
        let key = key.clone();
        Self {
            id: key.id.0,
            principal_id: key.principal_id.0,
            prefix: key.prefix,
            label: key.label,
            scopes: key.scopes,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            rotated_from: key.rotated_from.map(|id| id.0),
        }
    }
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
pub struct CreatedKeyBody {
    /// The key.
    #[serde(flatten)]
    pub key_record: KeyBody,
    /// The whole key. Only in the first answer: it is stored nowhere, and a replay of the request does not hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Always true: whoever lost the key revokes it and makes another.
    pub secret_shown_once: bool,
}

/// What a client sends to create a tenant.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct CreateTenant {
    /// Short name, unique, never changes.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    name: String,
    /// The name that people read.
    #[schema(min_length = 1, max_length = 200)]
    display_name: String,
    /// Display name of the first administrator, who gets a key; without it the tenant begins without one.
    #[schema(min_length = 1, max_length = 200)]
    admin_display_name: Option<String>,
}

/// What a client sends to suspend or resume a tenant.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct PatchTenant {
    /// True refuses all the tenant's credentials from now on.
    suspended: bool,
}

/// What a client sends to create a principal.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct CreatePrincipal {
    /// The name that people read.
    #[schema(min_length = 1, max_length = 200)]
    display_name: String,
    /// `user` (default) or `service`.
    kind: Option<String>,
    /// At least one of reporter, caseworker, supervisor, auditor, admin.
    #[schema(min_items = 1)]
    roles: Vec<String>,
}

/// What a client sends to change a principal; what is absent stays.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct PatchPrincipal {
    /// The name that people read.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// All its roles from now on.
    #[schema(min_items = 1)]
    roles: Option<Vec<String>>,
    /// True refuses its credentials from now on.
    disabled: Option<bool>,
}

/// What a client sends to create an API key.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct CreateApiKey {
    /// For whom it speaks.
    principal_id: Uuid,
    /// What it is used for.
    #[schema(min_length = 1, max_length = 200)]
    label: String,
    /// What it may be used for, of what suits the principal's roles; absent means all of that.
    scopes: Option<Vec<String>>,
    /// From when on it is refused (RFC 3339); absent means never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// What a client sends to rotate an API key.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct RotateApiKey {
    /// How long the old key stays valid, in seconds; 3600 by default.
    #[schema(maximum = 604_800)]
    overlap_seconds: Option<u64>,
}

/// Reads the form of a new tenant.
pub fn new_tenant(body: Value) -> Result<NewTenant, Vec<Invalid>> {
    let mut form = Form::new(body);
    let name = form.required_line("name", 200).unwrap_or_default();
    if !name.is_empty() && !is_tenant_name(&name) {
        form.error("name", "must be 1 to 63 lower-case letters, digits and hyphens, and not begin with a hyphen");
    }
    let display_name = form.required_line("display_name", LABEL_MAX).unwrap_or_default();
    let admin = form.filled_line("admin_display_name", LABEL_MAX);
    form.finish("name, display_name, admin_display_name")?;
    Ok(NewTenant { name, display_name, admin })
}

/// Reads the form that suspends or resumes.
pub fn suspension(body: Value) -> Result<bool, Vec<Invalid>> {
    let mut form = Form::new(body);
    let suspended = read_required(&mut form, "suspended", Form::boolean);
    form.finish("suspended")?;
    Ok(suspended.unwrap_or_default())
}

/// Reads the form of a new principal. Which roles may be granted is for the use case to say.
pub fn new_principal(body: Value) -> Result<NewPrincipal, Vec<Invalid>> {
    let mut form = Form::new(body);
    let display_name = form.required_line("display_name", LABEL_MAX).unwrap_or_default();
    let kind = form.name("kind").unwrap_or(PrincipalKind::User);
    if kind == PrincipalKind::System {
        form.error("kind", "must be `user` or `service`");
    }
    let roles = read_required(&mut form, "roles", read_roles).unwrap_or_default();
    form.finish("display_name, kind, roles")?;
    Ok(NewPrincipal { display_name, kind, roles })
}

/// Reads the changes of a principal.
pub fn principal_changes(body: Value) -> Result<PrincipalChanges, Vec<Invalid>> {
    let mut form = Form::new(body);
    let changes = PrincipalChanges {
        display_name: form.filled_line("display_name", LABEL_MAX),
        roles: read_roles(&mut form, "roles"),
        disabled: form.boolean("disabled"),
    };
    form.finish("display_name, roles, disabled")?;
    Ok(changes)
}

/// Reads the form of a new key.
pub fn new_key(body: Value) -> Result<NewApiKey, Vec<Invalid>> {
    let mut form = Form::new(body);
    let principal_id = form.required_uuid("principal_id").unwrap_or_default().into();
    let label = form.required_line("label", LABEL_MAX).unwrap_or_default();
    let scopes = form.names("scopes").map(|names| {
        let parsed = names.iter().map(|name| name.parse()).collect::<Result<Vec<Scope>, _>>();
        parsed.unwrap_or_else(|error| {
            form.error("scopes", error.to_string());
            Vec::new()
        })
    });
    let expires_at = form.instant("expires_at");
    form.finish("principal_id, label, scopes, expires_at")?;
    Ok(NewApiKey { principal_id, label, scopes, expires_at })
}

/// Reads the form of a rotation.
pub fn overlap(body: Value) -> Result<Duration, Vec<Invalid>> {
    let mut form = Form::new(body);
    let seconds = form.whole_number("overlap_seconds", 0, OVERLAP_MAX_SECONDS).unwrap_or(OVERLAP_DEFAULT_SECONDS);
    form.finish("overlap_seconds")?;
    Ok(Duration::seconds(i64::try_from(seconds).unwrap_or(0)))
}

fn read_roles(form: &mut Form, name: &str) -> Option<Roles> {
    let names = form.names(name)?;
    match Roles::parse(names.iter().map(String::as_str)) {
        Ok(roles) => Some(roles),
        Err(error) => {
            form.error(name, error.to_string());
            None
        }
    }
}

/// A member that must be there, read by `read`; null counts as absent.
fn read_required<T>(form: &mut Form, name: &str, read: impl Fn(&mut Form, &str) -> Option<T>) -> Option<T> {
    if !form.has_value(name) {
        form.take(name);
        form.error(name, "is required");
        return None;
    }
    read(form, name)
}

/// Words administrative answers for HTTP.
pub struct HttpTenancyPresenter;

impl TenancyPresenter for HttpTenancyPresenter {
    fn done(&self, subject: &Subject, created: bool, key: Option<&str>) -> Rendered {
        let created_key = |record: &ApiKey| CreatedKeyBody {
            key_record: record.into(),
            key: key.map(str::to_owned),
            secret_shown_once: true,
        };
        let (path, body) = match subject {
            Subject::Tenant(tenant, admin) => {
                let body = CreatedTenantBody {
                    tenant: tenant.into(),
                    admin: admin.as_ref().map(|(principal, _)| principal.into()),
                    api_key: admin.as_ref().map(|(_, record)| created_key(record)),
                };
                (format!("/v1/tenants/{}", tenant.id), serde_json::to_string(&body))
            }
            Subject::Principal(principal) => {
                (format!("/v1/principals/{}", principal.id), serde_json::to_string(&PrincipalBody::from(principal)))
            }
            Subject::Calendar(calendar) => return calendar::rendered(calendar),
            Subject::Budget(budget) => return super::budget::rendered(budget),
            Subject::Delivery(subject) => return webhook_body::rendered(subject, created, key),
            Subject::Key(record) if created => {
                (format!("/v1/api-keys/{}", record.id), serde_json::to_string(&created_key(record)))
            }
            Subject::Document(document) => {
                let body = super::document_body::DocumentBody::from(document.as_ref());
                (format!("/v1/documents/{}", document.id), serde_json::to_string(&body))
            }
            Subject::Job(job) => (format!("/v1/jobs/{}", job.id), serde_json::to_string(&JobBody::from(job.as_ref()))),
            Subject::DeadLetters { kind, dead } => {
                let body = Redriven { kind: kind.to_string(), dead: *dead };
                (String::new(), serde_json::to_string(&body))
            }
            Subject::Key(record) => {
                (format!("/v1/api-keys/{}", record.id), serde_json::to_string(&KeyBody::from(record)))
            }
        };
        let status = if created { 201 } else { 200 };
        Rendered { status, etag: None, location: created.then_some(path), body: body.unwrap_or_default() }
    }
}
