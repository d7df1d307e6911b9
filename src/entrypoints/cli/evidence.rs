//! `docket evidence sweep`: remove bytes that no case uses.

use clap::Subcommand;
use time::Duration;

use super::Failure;
use crate::application::evidence::sweep_orphans::{LEAST_AGE, sweep_orphans};
use crate::bootstrap::{self, Parts};
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket evidence sweep                     remove unused bytes older than a day
  docket evidence sweep --older-than 7d     older than a week
  docket evidence sweep --dry-run           only count them

Bytes that a case uses are never removed, nor bytes younger than an hour: an upload may be on its way.";

/// Arguments of `docket evidence`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be done with stored bytes.
#[derive(Debug, Subcommand)]
enum What {
    /// Remove stored bytes that no case uses
    Sweep(SweepArgs),
}

/// Arguments of `docket evidence sweep`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct SweepArgs {
    /// Least age, for instance 90m, 24h or 7d; never below an hour
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = age)]
    older_than: Duration,
    /// Count, remove nothing
    #[arg(long)]
    dry_run: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a whole number with m, h or d, at least 1h, for instance 24h".to_owned();
    let number: i64 =
        text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    let unit = match text.chars().last() {
        Some('m') => Duration::MINUTE,
        Some('h') => Duration::HOUR,
        Some('d') => Duration::DAY,
        _ => return Err(wrong()),
    };
    let seconds = unit.whole_seconds().checked_mul(number).filter(|seconds| *seconds <= i64::from(u32::MAX));
    seconds.map(Duration::seconds).filter(|age| *age >= LEAST_AGE).ok_or_else(wrong)
}

/// Sweeps, and tells how much.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let What::Sweep(args) = args.what;
    let config = loaded.config;
    let database = bootstrap::database(&config).await?;
    let parts = Parts::from_pool(database.pool.clone());
    let (blobs, index) = (parts.blobs(&config)?, parts.evidence());
    let now = parts.clock.now();
    let swept = sweep_orphans(blobs.as_ref(), index.as_ref(), now, args.older_than, args.dry_run).await;
    database.close().await.map_err(|error| Failure::new(error.to_string()))?;
    let swept = swept.map_err(anyhow::Error::new)?;
    let done = if args.dry_run { "would be removed" } else { "removed" };
    println!(
        "{} objects seen; {} unused contents and {} unfinished uploads {done}",
        swept.seen, swept.contents_removed, swept.uploads_removed
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_with_their_unit_and_never_below_an_hour() {
        assert_eq!(age("24h"), Ok(Duration::DAY));
        assert_eq!(age("7d"), Ok(Duration::WEEK));
        assert_eq!(age("90m"), Ok(Duration::minutes(90)));
        for bad in ["", "h", "59m", "0h", "-3h", "1y", "5", "ü", "99999999999999999999d", "9223372036854775807d"] {
            assert!(age(bad).is_err(), "{bad}");
        }
    }
}
