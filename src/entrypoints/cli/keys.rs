//! `docket keys`: list, create, rotate and revoke API keys, and create the operators of the platform.

use clap::Subcommand;
use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::principal::{PrincipalKind, Role, Roles, Scope};
use docket_domain::tenancy::{ApiKey, OVERLAP_MAX_SECONDS, Principal, scopes_for};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::Failure;
use super::administration::{
    Desk, Expiry, JsonAnswer, answer, at_desk, expiry, failed, label, minute, print_json, show_secret, span, table,
};
use crate::application::tenancy::create_key::{NewApiKey, create_key};
use crate::application::tenancy::create_principal::{NewPrincipal, create_principal};
use crate::application::tenancy::create_tenant::create_operator;
use crate::application::tenancy::directory::{PageRequest, list_keys, list_principals};
use crate::application::tenancy::revoke_key::revoke_key;
use crate::application::tenancy::rotate_key::rotate_key;
use crate::config::Loaded;

/// Rows read at a time.
const PAGE: u32 = 200;

const EXAMPLES: &str = "\
Examples:
  docket keys list --tenant rail-oversight               who has which key, and when it was last used
  docket keys create --tenant rail-oversight --role caseworker --name 'Intake robot' --kind service --expires 90d
                                                         a new principal with a key, shown once
  docket keys create --tenant rail-oversight --principal 0190f3c2-... --scopes cases:read
                                                         another key for somebody who is there already
  docket keys rotate --tenant rail-oversight Zk3Qw81LmNop --overlap 1h
                                                         a successor; the old one ends after an hour
  docket keys revoke --tenant rail-oversight Zk3Qw81LmNop
                                                         refused from now on
  docket keys operator --name 'Ada Quill'                somebody who may create tenants through the API

A key is named by its id or by its prefix (dk_PREFIX_...). Every act stands in the tenant's audit trail. A running node
accepts a revoked key for a few seconds more at most (security.api_key_cache_seconds).";

/// Arguments of `docket keys`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
enum What {
    /// List the keys of a tenant
    List(ListArgs),
    /// Create a key, for a new principal or for one that is there
    Create(CreateArgs),
    /// Replace a key; the old one ends after an overlap
    Rotate(RotateArgs),
    /// Refuse a key from now on
    Revoke(RevokeArgs),
    /// Create an operator of the platform, with a key
    Operator(OperatorArgs),
}

/// Arguments of `docket keys list`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct ListArgs {
    /// The tenant's short name; `platform` for the operators
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Only the keys of this principal
    #[arg(long, value_name = "ID")]
    principal: Option<PrincipalId>,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// Arguments of `docket keys create`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("for").required(true).args(["principal", "role"]))]
struct CreateArgs {
    /// The tenant's short name
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Make the key for this principal
    #[arg(long, value_name = "ID")]
    principal: Option<PrincipalId>,
    /// Make a new principal with this role: reporter, caseworker, supervisor, auditor or admin; may be given several times
    #[arg(long, value_name = "ROLE", requires = "name")]
    role: Vec<Role>,
    /// The new principal's name
    #[arg(long, value_name = "TEXT", value_parser = label, requires = "role")]
    name: Option<String>,
    /// user or service: what the new principal is
    #[arg(long, value_name = "KIND", default_value = "user")]
    kind: PrincipalKind,
    /// What the key is used for
    #[arg(long, value_name = "TEXT", value_parser = label, default_value = "made at the command line")]
    label: String,
    /// cases:read, cases:write, audit:read, knowledge:read, knowledge:write, admin, separated by commas; without it all
    /// that suit the roles
    #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
    scopes: Option<Vec<Scope>>,
    /// When it ends: a length like 90d or 12h, or an instant like 2027-01-31T00:00:00Z; without it never
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<Expiry>,
    #[command(flatten)]
    out: Out,
}

/// Arguments of `docket keys rotate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct RotateArgs {
    /// The tenant's short name
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// The key's id or prefix
    #[arg(value_name = "KEY")]
    key: String,
    /// How long the old key is still accepted, at most 7d
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = overlap)]
    overlap: Duration,
    #[command(flatten)]
    out: Out,
}

/// Arguments of `docket keys revoke`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct RevokeArgs {
    /// The tenant's short name
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// The key's id or prefix
    #[arg(value_name = "KEY")]
    key: String,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// Arguments of `docket keys operator`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct OperatorArgs {
    /// The operator's name
    #[arg(long, value_name = "TEXT", value_parser = label)]
    name: String,
    #[command(flatten)]
    out: Out,
}

/// How a new key is shown.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Out {
    /// Print JSON for scripts, the new key included
    #[arg(long)]
    json: bool,
    /// Print nothing but the new key on standard output
    #[arg(long, conflicts_with = "json")]
    secret_only: bool,
}

fn overlap(text: &str) -> Result<Duration, String> {
    let longest = Duration::seconds(i64::try_from(OVERLAP_MAX_SECONDS).unwrap_or(i64::MAX));
    span(text).and_then(|span| if span <= longest { Ok(span) } else { Err("must be 7d at most".to_owned()) })
}

/// Does what was asked.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    at_desk(loaded, |desk| async move {
        match args.what {
            What::List(args) => list(&desk, &args).await,
            What::Create(args) => create(&desk, args).await,
            What::Rotate(args) => rotate(&desk, &args).await,
            What::Revoke(args) => revoke(&desk, &args).await,
            What::Operator(args) => operator(&desk, args).await,
        }
    })
    .await
}

async fn list(desk: &Desk, args: &ListArgs) -> Result<(), Failure> {
    let tenant = desk.tenant(&args.tenant).await?.id;
    let keys = all_keys(desk, tenant, args.principal).await?;
    let principals = all_principals(desk, tenant).await?;
    let owner = |key: &ApiKey| principals.iter().find(|principal| principal.id == key.principal_id);
    let now = desk.parts.clock.now();
    if args.json {
        let items: Vec<Value> =
            keys.iter().map(|key| json!({"api_key": key, "principal": owner(key), "live": key.is_live(now)})).collect();
        print_json(&json!({"items": items}));
        return Ok(());
    }
    if keys.is_empty() {
        println!("There is no key: `docket keys create --tenant {} --role admin --name TEXT` makes one.", args.tenant);
        return Ok(());
    }
    let heading = ["PREFIX", "PRINCIPAL", "ROLES", "LABEL", "SCOPES", "STATUS", "EXPIRES", "LAST USED", "ID"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(keys.iter().map(|key| key_row(key, owner(key), now)));
    print!("{}", table(&rows));
    Ok(())
}

fn key_row(key: &ApiKey, owner: Option<&Principal>, now: OffsetDateTime) -> Vec<String> {
    let roles = owner.map_or_else(String::new, |owner| joined(owner.roles.iter().map(Role::as_str)));
    let status = match key.revoked_at {
        Some(_) => "revoked",
        None if !key.is_live(now) => "expired",
        None if owner.is_some_and(|owner| owner.disabled) => "disabled",
        None => "live",
    };
    vec![
        key.prefix.clone(),
        owner.map_or_else(|| key.principal_id.to_string(), |owner| owner.display_name.clone()),
        roles,
        key.label.clone(),
        joined(key.scopes.iter().map(|scope| scope.as_str())),
        status.to_owned(),
        minute(key.expires_at),
        minute(key.last_used_at),
        key.id.to_string(),
    ]
}

async fn create(desk: &Desk, args: CreateArgs) -> Result<(), Failure> {
    let tenant = desk.tenant(&args.tenant).await?.id;
    let expires_at = args.expires.map(|expiry| expiry.from(desk.parts.clock.now())).transpose()?;
    let caller = desk.caller(tenant);
    let mut principal = Value::Null;
    let principal_id = match (args.principal, args.name) {
        (Some(id), _) => id,
        (None, name) => {
            let roles = Roles::of(&args.role);
            // Judged before the principal is made, or a mistake here would leave one without a key.
            check_key(roles, args.scopes.as_deref(), expires_at, desk.parts.clock.now())?;
            let new = NewPrincipal { display_name: name.unwrap_or_default(), kind: args.kind, roles };
            let made = answer(create_principal(&desk.tenancy, &caller, None, Ok(new), &JsonAnswer).await)?;
            principal = made["principal"].clone();
            id_of(&principal)?
        }
    };
    let new = NewApiKey { principal_id, label: args.label, scopes: args.scopes, expires_at };
    let mut made = answer(create_key(&desk.tenancy, &caller, None, Ok(new), &JsonAnswer).await)?;
    if !principal.is_null() {
        made["principal"] = principal;
    }
    tell_new_key("created", &made, args.out);
    Ok(())
}

async fn rotate(desk: &Desk, args: &RotateArgs) -> Result<(), Failure> {
    let tenant = desk.tenant(&args.tenant).await?.id;
    let old = find_key(desk, tenant, &args.key).await?;
    let caller = desk.caller(tenant);
    let made = rotate_key(&desk.tenancy, &caller, None, old.id, Ok(args.overlap), &JsonAnswer).await;
    tell_new_key("created its successor:", &answer(made)?, args.out);
    Ok(())
}

async fn revoke(desk: &Desk, args: &RevokeArgs) -> Result<(), Failure> {
    let tenant = desk.tenant(&args.tenant).await?.id;
    let key = find_key(desk, tenant, &args.key).await?;
    let done = answer(revoke_key(&desk.tenancy, &desk.caller(tenant), None, key.id, &JsonAnswer).await)?;
    if args.json {
        print_json(&done);
    } else {
        println!("revoked key dk_{}_... ({})", key.prefix, key.label);
    }
    Ok(())
}

async fn operator(desk: &Desk, args: OperatorArgs) -> Result<(), Failure> {
    let caller = desk.caller(TenantId::PLATFORM);
    let made = answer(create_operator(&desk.tenancy, &caller, args.name, &JsonAnswer).await)?;
    tell_new_key("created operator with", &made, args.out);
    Ok(())
}

fn tell_new_key(what: &str, made: &Value, out: Out) {
    if out.json {
        print_json(made);
        return;
    }
    let part = |pointer: &str| made.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    if !out.secret_only {
        println!("{what} key dk_{}_... ({})", part("/api_key/prefix"), part("/api_key/id"));
        println!("for principal {} until {}", part("/api_key/principal_id"), ends(&made["api_key"]["expires_at"]));
    }
    show_secret(made, out.secret_only);
}

fn ends(expires_at: &Value) -> &str {
    expires_at.as_str().unwrap_or("it is revoked")
}

fn check_key(
    roles: Roles,
    scopes: Option<&[Scope]>,
    expires_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), Failure> {
    let suitable = scopes_for(roles);
    if let Some(unsuitable) = scopes.unwrap_or_default().iter().find(|scope| !suitable.contains(scope)) {
        let suitable = joined(suitable.iter().map(|scope| scope.as_str()));
        return Err(Failure::usage(format!("the scope `{unsuitable}` does not suit these roles"))
            .with_hint(format!("--scopes may hold: {suitable}")));
    }
    if expires_at.is_some_and(|at| at <= now) {
        return Err(Failure::usage("--expires must lie in the future"));
    }
    Ok(())
}

/// The key of this id or prefix.
async fn find_key(desk: &Desk, tenant: TenantId, name: &str) -> Result<ApiKey, Failure> {
    let prefix = name.strip_prefix("dk_").unwrap_or(name);
    let id = name.parse::<ApiKeyId>().ok();
    let keys = all_keys(desk, tenant, None).await?;
    let found = keys.into_iter().find(|key| Some(key.id) == id || key.prefix == prefix);
    found.ok_or_else(|| {
        Failure::new(format!("this tenant has no key {name:?}"))
            .with_hint("`docket keys list --tenant NAME` shows ids and prefixes")
    })
}

async fn all_keys(desk: &Desk, tenant: TenantId, of: Option<PrincipalId>) -> Result<Vec<ApiKey>, Failure> {
    let (store, caller) = (desk.tenancy.store.as_ref(), desk.caller(tenant));
    let mut keys: Vec<ApiKey> = Vec::new();
    loop {
        let page = PageRequest { after: keys.last().map(|key| key.id.0), limit: PAGE };
        let rows = list_keys(store, &caller, of, page).await.map_err(failed)?;
        if rows.is_empty() {
            return Ok(keys);
        }
        keys.extend(rows);
    }
}

async fn all_principals(desk: &Desk, tenant: TenantId) -> Result<Vec<Principal>, Failure> {
    let (store, caller) = (desk.tenancy.store.as_ref(), desk.caller(tenant));
    let mut principals: Vec<Principal> = Vec::new();
    loop {
        let page = PageRequest { after: principals.last().map(|principal| principal.id.0), limit: PAGE };
        let rows = list_principals(store, &caller, page).await.map_err(failed)?;
        if rows.is_empty() {
            return Ok(principals);
        }
        principals.extend(rows);
    }
}

fn id_of(principal: &Value) -> Result<PrincipalId, Failure> {
    let id = principal["id"].as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| Failure::new("the new principal has no id"))
}

fn joined(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(",")
}
