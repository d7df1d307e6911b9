//! What the process and its runtime use, read from /proc when somebody asks, in Prometheus' text format.

use std::fmt::Write as _;

use metrics::Unit;

use super::metrics::{Kind, Metric};

const fn metric(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Metric {
    Metric { name, kind, unit, help, labels: &[] }
}

/// Every metric of the process.
pub(super) const METRICS: &[Metric] = &[
    metric("process_resident_memory_bytes", Kind::Gauge, Unit::Bytes, "Resident memory in bytes."),
    metric("process_cpu_seconds_total", Kind::Counter, Unit::Seconds, "User and system CPU time in seconds."),
    metric("process_open_fds", Kind::Gauge, Unit::Count, "Open file descriptors."),
    metric("tokio_workers", Kind::Gauge, Unit::Count, "Worker threads of the runtime."),
    metric("tokio_alive_tasks", Kind::Gauge, Unit::Count, "Tasks that have not finished."),
    metric("tokio_global_queue_depth", Kind::Gauge, Unit::Count, "Tasks that wait for a worker."),
    Metric {
        name: "docket_build_info",
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Which build this is.",
        labels: &["version"],
    },
];

/// Kernel clock ticks a second as user space sees them: always 100 on Linux (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// The lines about this process; what cannot be read is left out.
pub(super) fn text() -> String {
    let mut text = String::new();
    let runtime = tokio::runtime::Handle::try_current().ok().map(|runtime| runtime.metrics());
    for Metric { name, kind, help, .. } in METRICS {
        let mut labels = String::new();
        let value = match *name {
            "process_resident_memory_bytes" => resident_bytes(),
            "process_cpu_seconds_total" => cpu_seconds(),
            "process_open_fds" => open_descriptors(),
            "tokio_workers" => runtime.as_ref().map(|known| small(known.num_workers())),
            "tokio_alive_tasks" => runtime.as_ref().map(|known| small(known.num_alive_tasks())),
            "tokio_global_queue_depth" => runtime.as_ref().map(|known| small(known.global_queue_depth())),
            _ => {
                labels = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
                Some(1.0)
            }
        };
        if let Some(value) = value {
            let kind = kind.word();
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}");
        }
    }
    text
}

fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The process name stands in parentheses and may hold spaces; the fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

fn open_descriptors() -> Option<f64> {
    // The listing itself holds one more open.
    Some(small(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_knows_what_it_uses() {
        assert!(resident_bytes() > Some(1e6), "{:?}", resident_bytes());
        assert!(cpu_seconds().is_some());
        assert!(open_descriptors() >= Some(3.0));
        assert!(text().contains("docket_build_info{version="));
    }
}
