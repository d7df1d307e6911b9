//! `docket outbox`: what waits to be delivered, and what was given up: list, show, redrive, skip.

use clap::Subcommand;
use docket_domain::ids::{CaseId, DestinationId, EventId, TenantId};
use serde_json::json;
use uuid::Uuid;

use super::Failure;
use super::administration::{Desk, JsonAnswer, answer, at_desk, failed, minute, print_json, reason, table};
use crate::application::ports::delivery_log::{LaneFilter, WaitingLane};
use crate::application::webhooks::outbox::OutboxAct;
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket outbox list --tenant harbour-safety                what waits, also for its next attempt
  docket outbox list --tenant harbour-safety --dead         only what was given up
  docket outbox show --tenant harbour-safety DESTINATION CASE
  docket outbox redrive --tenant harbour-safety             try everything again that was given up
  docket outbox redrive --tenant harbour-safety --destination 0190f3c2-...
  docket outbox redrive --tenant harbour-safety --sink nats what the broker refused
  docket outbox skip --tenant harbour-safety DESTINATION CASE --event 0190f3c4-... --reason 'receiver agreed'

Redriving and skipping are recorded in the tenant's audit trail, as acts of docket itself.";

/// Arguments of `docket outbox`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be done with events that wait.
#[derive(Debug, Subcommand)]
enum What {
    /// List what waits, one line a destination and case
    #[command(after_help = EXAMPLES)]
    List {
        #[command(flatten)]
        of: Of,
        /// Only what was given up
        #[arg(long)]
        dead: bool,
        /// Only of this endpoint or sink
        #[arg(long, value_name = "ID")]
        destination: Option<Uuid>,
        /// Only of the sink of this name
        #[arg(long, value_name = "NAME", conflicts_with = "destination")]
        sink: Option<String>,
        /// At most this many lines
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: u32,
    },
    /// Show what waits for one destination in one case
    #[command(after_help = EXAMPLES)]
    Show {
        #[command(flatten)]
        of: Of,
        /// The endpoint or sink
        destination: Uuid,
        /// The case
        case: Uuid,
    },
    /// Try again what was given up
    #[command(after_help = EXAMPLES)]
    Redrive {
        #[command(flatten)]
        of: Of,
        /// Only of this endpoint or sink
        #[arg(long, value_name = "ID")]
        destination: Option<Uuid>,
        /// Only of the sink of this name
        #[arg(long, value_name = "NAME", conflicts_with = "destination")]
        sink: Option<String>,
        /// Only of this case
        #[arg(long, value_name = "ID")]
        case: Option<Uuid>,
    },
    /// Give up the event at the head of a case for good
    #[command(after_help = EXAMPLES)]
    Skip {
        #[command(flatten)]
        of: Of,
        /// The endpoint or sink
        destination: Uuid,
        /// The case
        case: Uuid,
        /// The event; it must be the head still
        #[arg(long, value_name = "ID")]
        event: Uuid,
        /// Why; kept in the audit trail
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
}

/// Whose events, and how they are shown.
#[derive(Debug, clap::Args)]
struct Of {
    /// The tenant's name
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists, shows, redrives or skips.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    at_desk(loaded, |desk| work(desk, args.what)).await
}

async fn work(desk: Desk, what: What) -> Result<(), Failure> {
    let (What::List { of, .. } | What::Show { of, .. } | What::Redrive { of, .. } | What::Skip { of, .. }) = &what;
    let (tenant, as_json) = (desk.tenant(&of.tenant).await?, of.json);
    let caller = desk.caller(tenant.id);
    let deliveries = desk.parts.delivery_desk(&desk.config, desk.tenancy.clone())?;
    match what {
        What::List { dead, destination, sink, limit, .. } => {
            let destination = chosen(destination, sink);
            let filter = LaneFilter { dead: dead.then_some(true), destination, case_id: None };
            let lanes = deliveries.waiting(&caller, &filter, None, limit).await.map_err(failed)?;
            if as_json {
                print_json(&json!(lanes));
            } else if lanes.is_empty() {
                println!("nothing waits");
            } else {
                print!("{}", lines(&lanes));
            }
        }
        What::Show { destination, case, .. } => {
            let lane = deliveries.lane(&caller, DestinationId(destination), CaseId(case)).await.map_err(failed)?;
            print_json(&json!(lane));
        }
        What::Redrive { destination, sink, case, .. } => {
            let (destination, case_id) = (chosen(destination, sink), case.map(CaseId));
            let act = OutboxAct::Redrive(Ok(LaneFilter { dead: Some(true), destination, case_id }));
            let done = answer(deliveries.move_on(&caller, None, act, &JsonAnswer).await)?;
            announce(&desk, tenant.id).await;
            if as_json { print_json(&done) } else { println!("{} redriven", done["redriven"]) }
        }
        What::Skip { destination, case, event, reason, .. } => {
            let (destination, case_id) = (DestinationId(destination), CaseId(case));
            let act = OutboxAct::Skip { destination, case_id, input: Ok((EventId(event), reason)) };
            let done = answer(deliveries.move_on(&caller, None, act, &JsonAnswer).await)?;
            announce(&desk, tenant.id).await;
            if as_json { print_json(&done) } else { println!("{event} skipped") }
        }
    }
    Ok(())
}

/// The destination that was named, by its id or as a sink.
fn chosen(destination: Option<Uuid>, sink: Option<String>) -> Option<DestinationId> {
    destination.map(DestinationId).or_else(|| sink.map(|name| DestinationId::of_sink(&name)))
}

/// Tells the relays, which would otherwise find it at their next poll.
async fn announce(desk: &Desk, tenant: TenantId) {
    if desk.config.relay.hints
        && let Err(error) = desk.parts.wakeup_channel().announce(&[tenant], false).await
    {
        tracing::debug!(%error, "cannot hint at what may be sent again; polling finds it");
    }
}

fn lines(lanes: &[WaitingLane]) -> String {
    let heading = ["SINK", "DESTINATION", "CASE", "STATE", "EVENTS", "ATTEMPTS", "DUE", "EVENT", "ERROR"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(lanes.iter().map(|lane| {
        vec![
            lane.sink.clone(),
            lane.destination_id.to_string(),
            lane.case_id.to_string(),
            lane.state.clone(),
            lane.pending.to_string(),
            lane.attempts.to_string(),
            minute(Some(lane.due_at)),
            lane.event_id.to_string(),
            lane.last_error.clone().unwrap_or_default().chars().take(60).collect(),
        ]
    }));
    table(&rows)
}
