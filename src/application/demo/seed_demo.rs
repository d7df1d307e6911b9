//! Seed the demo: what is missing of two tenants, their principals, keys and cases; what is there stays.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::sync::Arc;

use docket_domain::ids::{PrincipalId, TenantId};
use docket_domain::principal::{Actor, PrincipalKind, Role, Roles};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::application::bulk::format::{Encoding, Format};
use crate::application::bulk::mapping_file;
use crate::application::bulk::record::Reject;
use crate::application::cases::import_cases::{ImportCases, ImportPlan, ImportReport, OnConflict};
use crate::application::error::UseCaseError;
use crate::application::ports::StoreError;
use crate::application::ports::bulk_store::Progress;
use crate::application::request::{Caller, Rendered};
use crate::application::tenancy::Authenticator;
use crate::application::tenancy::create_key::{NewApiKey, create_key};
use crate::application::tenancy::create_principal::{NewPrincipal, create_principal};
use crate::application::tenancy::create_tenant::{NewTenant, create_tenant};
use crate::application::tenancy::unit_of_work::{Subject, TenancyPresenter, TenancyWriting};

/// A tenant of the demo, and its cases as JSON Lines.
struct DemoTenant {
    name: &'static str,
    display_name: &'static str,
    cases: &'static str,
}

const TENANTS: [DemoTenant; 2] = [
    DemoTenant {
        name: "harbour-safety",
        display_name: "Harbour Safety Authority",
        cases: include_str!("../../../demo/harbour-safety.jsonl"),
    },
    DemoTenant {
        name: "rail-oversight",
        display_name: "Rail Oversight Board",
        cases: include_str!("../../../demo/rail-oversight.jsonl"),
    },
];

/// The roles that get a principal and a key in each tenant.
const ROLES: [Role; 5] = [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin];

/// A demo tenant with its keys by role.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SeededTenant {
    /// The tenant's name.
    pub name: String,
    /// The key for each role.
    pub keys: BTreeMap<Role, String>,
}

/// Why the demo could not be seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// An administrative act failed.
    #[error(transparent)]
    UseCase(#[from] UseCaseError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cases could not be imported.
    #[error("the demo cases of `{0}` could not be imported: {1}")]
    Cases(&'static str, String),
}

/// Creates what is missing. `known` are the keys handed out before: a tenant that still accepts them keeps them; for one
/// without keys, or where one was revoked, expired or is another database's, new keys are made for its principals. Calls `told` with each step, for people who wait.
pub async fn seed_demo(
    tenancy: &TenancyWriting,
    import: &ImportCases,
    authenticator: &Authenticator,
    known: &[SeededTenant],
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<Vec<SeededTenant>, SeedError> {
    let mut seeded = Vec::new();
    for demo in &TENANTS {
        let existing = tenancy.store.tenant_named(demo.name).await?.map(|tenant| tenant.id);
        let tenant = match existing {
            Some(tenant) => tenant,
            None => new_tenant(tenancy, demo).await?,
        };
        let keys = match known.iter().find(|known| known.name == demo.name) {
            Some(known) if all_accepted(authenticator, tenant, &known.keys).await? => known.keys.clone(),
            _ => make_keys(tenancy, tenant).await?,
        };
        let count = import_cases(import, tenant, demo).await?;
        told(&format!("{}: {count} cases", demo.display_name));
        seeded.push(SeededTenant { name: demo.name.to_owned(), keys });
    }
    Ok(seeded)
}

async fn new_tenant(tenancy: &TenancyWriting, demo: &DemoTenant) -> Result<TenantId, SeedError> {
    let new = NewTenant { name: demo.name.to_owned(), display_name: demo.display_name.to_owned(), admin: None };
    create_tenant(tenancy, &system(TenantId::PLATFORM), None, Ok(new), &Capture).await?;
    let tenant = tenancy.store.tenant_named(demo.name).await?;
    Ok(tenant.ok_or(UseCaseError::NotFound("tenant"))?.id)
}

/// Whether the tenant still lets every one of these keys in, with its role.
async fn all_accepted(
    authenticator: &Authenticator,
    tenant: TenantId,
    keys: &BTreeMap<Role, String>,
) -> Result<bool, SeedError> {
    for role in ROLES {
        let Some(key) = keys.get(&role) else { return Ok(false) };
        match authenticator.authenticate(key).await {
            Ok(actor) if actor.tenant_id == tenant && actor.roles.has(role) => {}
            Ok(_) | Err(UseCaseError::Unauthenticated(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// A principal and a key for each role; principals that are there from before are used again.
async fn make_keys(tenancy: &TenancyWriting, tenant: TenantId) -> Result<BTreeMap<Role, String>, SeedError> {
    let caller = system(tenant);
    let present = tenancy.store.principals(tenant, None, 200).await?;
    let mut keys = BTreeMap::new();
    for role in ROLES {
        let display_name = format!("Demo {role}");
        let known = present.iter().find(|principal| principal.display_name == display_name);
        let id = if let Some(principal) = known {
            principal.id
        } else {
            let new = NewPrincipal { display_name, kind: PrincipalKind::User, roles: Roles::of(&[role]) };
            let written = create_principal(tenancy, &caller, None, Ok(new), &Capture).await?;
            parse_id(&written.rendered)?
        };
        let new = NewApiKey { principal_id: id, label: "demo".to_owned(), scopes: None, expires_at: None };
        let written = create_key(tenancy, &caller, None, Ok(new), &Capture).await?;
        keys.insert(role, written.rendered.body);
    }
    Ok(keys)
}

async fn import_cases(import: &ImportCases, tenant: TenantId, demo: &DemoTenant) -> Result<u64, SeedError> {
    let failed = |error: &dyn std::fmt::Display| SeedError::Cases(demo.name, error.to_string());
    let mapping = mapping_file::parse("the built-in mapping", mapping_file::DOCKET).map_err(|error| failed(&error))?;
    let plan = ImportPlan {
        mapping: Arc::new(mapping),
        format: Format::Jsonl,
        encoding: Encoding::Utf8,
        batch: 500,
        on_conflict: OnConflict::Skip,
        dry_run: false,
        resume: true,
        file_name: format!("{}.jsonl", demo.name),
        file_sha256: Sha256::digest(demo.cases.as_bytes()).into(),
    };
    let source = Cursor::new(demo.cases.as_bytes());
    let progress = import.run(&system(tenant), &plan, source, &mut Quiet).await.map_err(|error| failed(&error))?;
    if progress.rejected > 0 {
        return Err(failed(&format!("{} rows were rejected", progress.rejected)));
    }
    Ok(progress.imported + progress.updated + progress.unchanged + progress.skipped)
}

pub(super) fn system(tenant: TenantId) -> Caller {
    Caller { actor: Actor::system(tenant), request_id: "demo".to_owned(), trace_id: String::new(), traceparent: None }
}

fn parse_id(rendered: &Rendered) -> Result<PrincipalId, SeedError> {
    rendered.body.parse().map_err(|_| UseCaseError::NotFound("principal").into())
}

/// Takes down what is needed next: the id of a principal, the text of a key.
struct Capture;

impl TenancyPresenter for Capture {
    fn done(&self, subject: &Subject, _: bool, key: Option<&str>) -> Rendered {
        let body = match (subject, key) {
            (_, Some(key)) => key.to_owned(),
            (Subject::Principal(principal), None) => principal.id.to_string(),
            _ => json!({}).to_string(),
        };
        Rendered { status: 201, etag: None, location: None, body }
    }
}

/// Reports nothing: the demo's cases are known to be well formed.
struct Quiet;

impl ImportReport for Quiet {
    fn begin(&mut self, _: &Progress) -> io::Result<()> {
        Ok(())
    }

    fn rejected(&mut self, rejects: &[Reject]) -> io::Result<u64> {
        for reject in rejects {
            tracing::warn!(?reject, "a demo case was rejected");
        }
        Ok(0)
    }

    fn progressed(&mut self, _: &Progress) {}
}
