//! `docket drill NAME`: breaks a service of its own in the way a runbook is about, follows the runbook, and says how long it took.

mod runbook;
mod stage;
mod symptom;

use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use console::style;

use self::runbook::Runbook;
use self::stage::Stage;
use self::symptom::{Expression, Scrapes};
use super::Failure;

const EXAMPLES: &str = "\
Examples:
  docket drill --list                     the runbooks, and which have a drill
  docket drill database-down              one drill
  docket drill --all                      all of them, one after the other; names those that this machine cannot do
  docket drill --all --strict             the same, and fails if there is such a one
  docket drill poison-event --keep        leave the files of the stage for a look at them

A drill starts a service and a database of its own in a temporary directory, makes the fault, waits until a metric shows
it, runs the commands of the runbook (runbooks/NAME.md) as they stand there, and waits until the metrics are well again.
It needs sh and curl.";

/// How long a fault may take to show, and a recovery to be complete. A slow machine must not fail a drill.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at the metrics.
const EVERY: Duration = Duration::from_millis(250);

/// Arguments of `docket drill`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub struct Args {
    /// The runbook's name, without `.md`; several are drilled one after the other
    #[arg(required_unless_present_any = ["list", "all"])]
    names: Vec<String>,
    /// List the runbooks
    #[arg(long)]
    list: bool,
    /// Every runbook that has a drill
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Where the runbooks are
    #[arg(long, value_name = "DIRECTORY", default_value = "runbooks")]
    runbooks: PathBuf,
    /// Count a drill for which this machine lacks something as failed
    #[arg(long)]
    strict: bool,
    /// Leave the stage's files behind
    #[arg(long)]
    keep: bool,
}

/// Lists or drills.
pub fn run(args: &Args) -> Result<(), Failure> {
    let known = names(&args.runbooks)?;
    if args.list {
        for name in &known {
            let runbook = Runbook::read(&path(&args.runbooks, name)).map_err(Failure::new)?;
            println!("{} {name:<26} {}", if runbook.has_drill() { "drill" } else { "  -  " }, runbook.title);
        }
        return Ok(());
    }
    let (mut failed, mut skipped, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for name in if args.all { &known } else { &args.names } {
        let runbook = Runbook::read(&path(&args.runbooks, name)).map_err(Failure::new)?;
        if !runbook.has_drill() {
            if args.all {
                continue;
            }
            return Err(
                Failure::usage(format!("{name} has no drill")).with_hint("`docket drill --list` shows which have one")
            );
        }
        println!("{} {name}: {}", style("drill").bold(), runbook.title);
        match drill(name, &runbook, args.keep) {
            Ok(Ended::Skipped) if args.strict => failed.push(name.as_str()),
            Ok(ended) => {
                if matches!(ended, Ended::Skipped) {
                    skipped.push(name.as_str());
                }
                times.push((name, ended));
            }
            Err(error) => {
                println!("  {} {error}", style("✗").red());
                failed.push(name.as_str());
            }
        }
    }
    if times.len() > 1 {
        println!("\n{:<28} {:>10} {:>10}", "drill", "detected", "recovered");
        for (name, ended) in &times {
            println!("{name:<28} {ended}");
        }
    }
    if !skipped.is_empty() {
        println!("\nNot drilled, because this machine lacks something: {}", skipped.join(", "));
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(format!("failed: {}", failed.join(", ")))) }
}

fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.md"))
}

fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    let entries = std::fs::read_dir(directory).map_err(|error| {
        Failure::usage(format!("{}: {error}", directory.display()))
            .with_hint("run it in the project's directory, or name the runbooks with --runbooks")
    })?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| name != "README")
        .collect();
    names.sort();
    Ok(names)
}

/// How a drill ended that did not fail.
enum Ended {
    /// The stage lacks something; says what.
    Skipped,
    /// Seconds to the symptom, where there is one to wait for, and from the first act to the end.
    Recovered { detected: Option<f64>, recovered: f64 },
}

impl Display for Ended {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Skipped => f.write_str("   skipped"),
            Self::Recovered { detected: None, recovered } => write!(f, "{:>10} {recovered:>8.1} s", "-"),
            Self::Recovered { detected: Some(detected), recovered } => {
                write!(f, "{detected:>8.1} s {recovered:>8.1} s")
            }
        }
    }
}

/// The status by which a block `stage` says that this machine lacks something.
const SKIP: i32 = 77;

/// One drill from a healthy service to a healthy service.
fn drill(name: &str, runbook: &Runbook, keep: bool) -> Result<Ended, String> {
    let stage = Stage::prepare(name, keep).map_err(|error| format!("the stage cannot be set: {error}"))?;
    for script in &runbook.stage {
        let output = stage.run(script).map_err(|error| format!("stage: sh: {error}"))?;
        if output.status.code() == Some(SKIP) {
            println!("  skipped: {}", said(&output).trim());
            return Ok(Ended::Skipped);
        } else if !output.status.success() {
            return Err(format!("stage: {} of\n{script}\n{}", output.status, said(&output)));
        }
    }
    step(&stage, "start", "docket-service start")?;
    let healthy = [Expression::parse("docket_dependency_up{dependency=\"database\"} == 1")?];
    wait_for(&stage, &healthy, true)
        .map_err(|error| format!("the service does not start: {error}\n{}", stage.last_words()))?;
    stage.find_tools().map_err(|error| format!("PostgreSQL's tools cannot be found: {error}"))?;

    let (broken, mut detected) = (Instant::now(), None);
    for script in &runbook.inject {
        step(&stage, "inject", script)?;
    }
    if !runbook.symptom.is_empty() {
        let shown = wait_for(&stage, &runbook.symptom, false)?;
        let seconds = broken.elapsed().as_secs_f64();
        println!("  {} detected after {seconds:.1} s: {shown}", style("✓").green());
        detected = Some(seconds);
    }
    for script in &runbook.check {
        step(&stage, "check", script)?;
    }
    let acting = Instant::now();
    for script in &runbook.act {
        step(&stage, "act", script)?;
    }
    if !runbook.recovered.is_empty() {
        wait_for(&stage, &runbook.recovered, true)?;
    }
    for script in &runbook.verify {
        step(&stage, "verify", script)?;
    }
    let recovered = acting.elapsed().as_secs_f64();
    println!("  {} recovered {recovered:.1} s after the first act", style("✓").green());
    Ok(Ended::Recovered { detected, recovered })
}

/// Runs one block and shows what it says.
fn step(stage: &Stage, kind: &str, script: &str) -> Result<(), String> {
    let output = stage.run(script).map_err(|error| format!("{kind}: sh: {error}"))?;
    if kind != "start" {
        for line in script.lines() {
            println!("  {} {line}", style(format!("{kind} $")).dim());
        }
        for line in said(&output).lines().take(12) {
            println!("      {line}");
        }
    }
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{kind}: {} of\n{script}\n{}", output.status, said(&output)))
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// Looks at the metrics until one (or all) of the expressions hold; the first one that did.
fn wait_for<'a>(stage: &Stage, expressions: &'a [Expression], all: bool) -> Result<&'a str, String> {
    let (began, mut past) = (Instant::now(), Scrapes::new());
    loop {
        let scrape = stage.scrape();
        let mut holding = expressions.iter().filter(|expression| expression.holds(scrape.as_deref(), &past));
        let count = if all { expressions.len() } else { 1 };
        if let Some(last) = holding.nth(count.saturating_sub(1)) {
            return Ok(last.text());
        }
        if began.elapsed() > PATIENCE {
            let wanted: Vec<_> = expressions.iter().map(Expression::text).collect();
            return Err(format!("not within {} s: {}", PATIENCE.as_secs(), wanted.join(", ")));
        }
        past.extend(scrape.map(|scrape| (Instant::now(), scrape)));
        std::thread::sleep(EVERY);
    }
}
