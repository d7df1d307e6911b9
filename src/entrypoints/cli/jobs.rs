//! `docket jobs`: list, show, run, cancel and redrive background jobs, as docket itself.

use clap::Subcommand;
use docket_domain::ids::{JobId, TenantId};
use docket_domain::job::{JobKind, JobState, Priority};
use serde_json::{Value, json};

use super::Failure;
use super::administration::{Desk, JsonAnswer, answer, at_desk, failed, minute, print_json, table};
use crate::application::jobs::Registry;
use crate::application::jobs::administer::{JobAct, JobOrder, Jobs, administer, list_jobs, read_job};
use crate::application::ports::JobStore;
use crate::application::ports::job_store::{Job, JobFilter};
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket jobs list                                    the platform's jobs, newest first
  docket jobs list --tenant rail-oversight --state dead
                                                      a tenant's dead letters
  docket jobs show 0190f3c2-...                       one job with payload, result and last error
  docket jobs run-now purge_idempotency_keys          enqueue a job now; a running worker takes it
  docket jobs run-now probe --payload '{\"sleep_ms\": 100}' --tenant rail-oversight
  docket jobs cancel 0190f3c2-...                     end a job that waits, ask a running one to end
  docket jobs redrive 0190f3c2-...                    try a dead letter again
  docket jobs redrive --kind sign_checkpoint --tenant rail-oversight
                                                      all dead letters of a kind
  docket jobs kinds                                   what there is to run

Without --tenant the jobs of the platform are meant. Every act stands in the tenant's audit trail.";

/// Arguments of `docket jobs`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// The tenant's short name; the platform's jobs without
    #[arg(long, global = true, value_name = "NAME", default_value = "platform")]
    tenant: String,
    /// Print JSON for scripts
    #[arg(long, global = true)]
    json: bool,
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
enum What {
    /// List jobs, newest first
    List(ListArgs),
    /// Show one job
    Show(OneJob),
    /// Enqueue a job of a kind
    RunNow(RunArgs),
    /// Cancel a job
    Cancel(OneJob),
    /// Put a dead letter back into the queue, or all of a kind
    Redrive(RedriveArgs),
    /// List the kinds of jobs
    Kinds(KindsArgs),
}

/// Arguments of `docket jobs list`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct ListArgs {
    /// Only these states: queued, running, succeeded, dead, cancelled
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<JobState>,
    /// Only this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<JobKind>,
    /// Jobs at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: u32,
}

/// A job by its id.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct OneJob {
    /// The job
    id: JobId,
}

/// Arguments of `docket jobs run-now`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct RunArgs {
    /// The kind; `docket jobs kinds` lists them
    kind: String,
    /// What the job is to know, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    payload: String,
    /// urgent, high, normal or low
    #[arg(long, default_value = "high")]
    priority: Priority,
}

/// Arguments of `docket jobs redrive`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct RedriveArgs {
    /// The job
    #[arg(required_unless_present = "kind", conflicts_with = "kind")]
    id: Option<JobId>,
    /// All dead letters of this kind, up to 1,000
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
}

/// Arguments of `docket jobs kinds`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct KindsArgs {}

/// Does what was asked.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let config = loaded.config.clone();
    at_desk(loaded, async move |desk: Desk| {
        let (registry, store) = (desk.parts.job_kinds(&config)?, desk.parts.jobs());
        let tenant = desk.tenant(&args.tenant).await?.id;
        Box::pin(act(&desk, &registry, store.as_ref(), tenant, args)).await
    })
    .await
}

async fn act(
    desk: &Desk,
    registry: &Registry,
    store: &dyn JobStore,
    tenant: TenantId,
    args: Args,
) -> Result<(), Failure> {
    let caller = desk.caller(tenant);
    let jobs = Jobs { writing: &desk.tenancy, store, registry, presenter: &JsonAnswer };
    let what = match args.what {
        What::Kinds(KindsArgs {}) => {
            show_kinds(registry, args.json);
            return Ok(());
        }
        What::List(list) => {
            let filter = JobFilter { states: list.state, kind: list.kind };
            let found = list_jobs(store, &caller, &filter, None, list.limit).await.map_err(failed)?;
            show_list(&found, args.json);
            return Ok(());
        }
        What::Show(OneJob { id }) => {
            let job = read_job(store, &caller, id).await.map_err(failed)?;
            show_job(&serde_json::to_value(&job).map_err(|error| Failure::new(error.to_string()))?, args.json);
            return Ok(());
        }
        What::RunNow(run) => {
            let payload = serde_json::from_str(&run.payload)
                .map_err(|error| Failure::usage(format!("--payload is not JSON: {error}")))?;
            let (kind, priority) = (run.kind, run.priority);
            JobAct::Enqueue(Ok(JobOrder { kind, payload, priority, run_at: None, unique_key: None }))
        }
        What::Cancel(OneJob { id }) => JobAct::Cancel(id),
        What::Redrive(RedriveArgs { id: Some(id), .. }) => JobAct::Redrive(id),
        What::Redrive(RedriveArgs { kind, .. }) => JobAct::RedriveKind(Ok(kind.unwrap_or_default())),
    };
    let done = answer(administer(jobs, &caller, None, what).await)?;
    match done.get("job") {
        Some(job) => show_job(job, args.json),
        None if args.json => print_json(&done),
        None => println!(
            "{} dead letters of {} put back, up to 1,000 at a time",
            done["dead"],
            done["kind"].as_str().unwrap_or_default()
        ),
    }
    Ok(())
}

fn show_kinds(registry: &Registry, as_json: bool) {
    let specs = registry.specs();
    if as_json {
        print_json(&json!(
            specs.iter().map(|spec| json!({"kind": spec.kind, "about": spec.about})).collect::<Vec<_>>()
        ));
        return;
    }
    for spec in specs {
        println!("{:<24} {}", spec.kind, spec.about);
    }
}

fn show_list(jobs: &[Job], as_json: bool) {
    if as_json {
        print_json(&json!(jobs));
        return;
    }
    let heading = ["ID", "KIND", "STATE", "ATTEMPT", "CREATED", "ERROR"].map(str::to_owned).to_vec();
    let row = |job: &Job| {
        let error = job.error.as_deref().unwrap_or_default().chars().take(60).collect();
        let (state, attempt) = (job.state.to_string(), job.attempt.to_string());
        vec![job.id.to_string(), job.kind.to_string(), state, attempt, minute(Some(job.created_at)), error]
    };
    let rows: Vec<_> = std::iter::once(heading).chain(jobs.iter().map(row)).collect();
    print!("{}", table(&rows));
}

fn show_job(job: &Value, as_json: bool) {
    if as_json {
        print_json(job);
        return;
    }
    for (name, value) in job.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        println!("{name:<17} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
}
