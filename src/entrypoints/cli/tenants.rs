//! `docket tenants`: list, show, create, suspend and resume the regulators that share this installation.

use clap::Subcommand;
use docket_domain::ids::TenantId;
use docket_domain::tenancy::{Tenant, is_tenant_name};
use serde_json::{Value, json};

use super::Failure;
use super::administration::{Desk, JsonAnswer, answer, at_desk, failed, label, minute, print_json, show_secret, table};
use crate::application::tenancy::create_tenant::{NewTenant, create_tenant};
use crate::application::tenancy::directory::{PageRequest, list_tenants};
use crate::application::tenancy::suspend_tenant::suspend_tenant;
use crate::config::Loaded;

/// Tenants read at a time.
const PAGE: u32 = 200;

const EXAMPLES: &str = "\
Examples:
  docket tenants list                                    every tenant
  docket tenants create rail-oversight --display-name 'Rail Oversight Board' --admin 'Ada Quill'
                                                         with a first administrator, whose key is shown once
  docket tenants create rail-oversight --display-name 'Rail Oversight Board' --admin 'Ada Quill' --secret-only
                                                         nothing but the key on standard output
  docket tenants suspend rail-oversight                  refuse every credential of the tenant
  docket tenants resume rail-oversight                   accept them again
  docket tenants show rail-oversight --json              for scripts

Every act stands in the tenant's audit trail. A running node accepts a credential of a suspended tenant for a few
seconds more at most (security.api_key_cache_seconds).";

/// Arguments of `docket tenants`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
enum What {
    /// List the tenants
    List(ListArgs),
    /// Show one tenant
    Show(OneArgs),
    /// Create a tenant, with its first administrator if wanted
    Create(CreateArgs),
    /// Refuse every credential of a tenant from now on
    Suspend(OneArgs),
    /// Accept the credentials of a suspended tenant again
    Resume(OneArgs),
}

/// Arguments of `docket tenants list`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct ListArgs {
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// Arguments of the commands on one tenant.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct OneArgs {
    /// The tenant's short name
    #[arg(value_name = "NAME")]
    name: String,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// Arguments of `docket tenants create`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct CreateArgs {
    /// Its short name for ever: 1 to 63 lower-case letters, digits and hyphens
    #[arg(value_name = "NAME", value_parser = short_name)]
    name: String,
    /// The name that people read
    #[arg(long, value_name = "TEXT", value_parser = label)]
    display_name: String,
    /// Create a first administrator of this name, with a key
    #[arg(long, value_name = "TEXT", value_parser = label)]
    admin: Option<String>,
    /// Print JSON for scripts, the new key included
    #[arg(long)]
    json: bool,
    /// Print nothing but the new key on standard output
    #[arg(long, conflicts_with = "json", requires = "admin")]
    secret_only: bool,
}

fn short_name(text: &str) -> Result<String, String> {
    let fits = is_tenant_name(text) && text != "platform";
    let wrong =
        "must be 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen, and not `platform`";
    if fits { Ok(text.to_owned()) } else { Err(wrong.to_owned()) }
}

/// Does what was asked.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    at_desk(loaded, |desk| async move {
        match args.what {
            What::List(args) => list(&desk, &args).await,
            What::Show(args) => {
                let tenant = desk.tenant(&args.name).await?;
                show(&tenant, args.json);
                Ok(())
            }
            What::Create(args) => create(&desk, args).await,
            What::Suspend(args) => suspend(&desk, &args, true).await,
            What::Resume(args) => suspend(&desk, &args, false).await,
        }
    })
    .await
}

async fn list(desk: &Desk, args: &ListArgs) -> Result<(), Failure> {
    let caller = desk.caller(TenantId::PLATFORM);
    let mut tenants: Vec<Tenant> = Vec::new();
    loop {
        let page = PageRequest { after: tenants.last().map(|tenant| tenant.id.0), limit: PAGE };
        let rows = list_tenants(desk.tenancy.store.as_ref(), &caller, page).await.map_err(failed)?;
        if rows.is_empty() {
            break;
        }
        tenants.extend(rows);
    }
    if args.json {
        print_json(&json!({"items": tenants}));
    } else if tenants.is_empty() {
        println!("There is no tenant yet: `docket tenants create NAME --display-name TEXT` makes one.");
    } else {
        print!("{}", rows(&tenants));
    }
    Ok(())
}

async fn create(desk: &Desk, args: CreateArgs) -> Result<(), Failure> {
    let new = NewTenant { name: args.name.clone(), display_name: args.display_name, admin: args.admin };
    let caller = desk.caller(TenantId::PLATFORM);
    let made = answer(create_tenant(&desk.tenancy, &caller, None, Ok(new), &JsonAnswer).await)
        .map_err(|failure| failure.with_hint("`docket tenants list` shows the names that are taken"))?;
    if args.json {
        print_json(&made);
        return Ok(());
    }
    if !args.secret_only {
        let name = &args.name;
        println!("created tenant {name} ({})", text(&made["tenant"]["id"]));
        match made["principal"]["id"].as_str() {
            Some(admin) => println!("created its administrator {} ({admin})", text(&made["principal"]["display_name"])),
            None => println!("next: docket keys create --tenant {name} --role admin --name 'Ada Quill'"),
        }
    }
    show_secret(&made, args.secret_only);
    Ok(())
}

async fn suspend(desk: &Desk, args: &OneArgs, suspended: bool) -> Result<(), Failure> {
    let tenant = desk.tenant(&args.name).await?;
    let caller = desk.caller(TenantId::PLATFORM);
    let done = suspend_tenant(&desk.tenancy, &caller, None, tenant.id, Ok(suspended), &JsonAnswer).await;
    let done = answer(done)?;
    if args.json {
        print_json(&done);
    } else {
        println!("{} {}", if suspended { "suspended" } else { "resumed" }, tenant.name);
    }
    Ok(())
}

fn show(tenant: &Tenant, json: bool) {
    if json {
        print_json(&json!({"tenant": tenant}));
    } else {
        print!("{}", rows(std::slice::from_ref(tenant)));
    }
}

fn rows(tenants: &[Tenant]) -> String {
    let mut rows = vec![["NAME", "DISPLAY NAME", "STATUS", "CREATED", "ID"].map(str::to_owned).to_vec()];
    rows.extend(tenants.iter().map(|tenant| {
        let status = if tenant.suspended { "suspended" } else { "active" };
        vec![
            tenant.name.clone(),
            tenant.display_name.clone(),
            status.to_owned(),
            minute(Some(tenant.created_at)),
            tenant.id.to_string(),
        ]
    }));
    table(&rows)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
