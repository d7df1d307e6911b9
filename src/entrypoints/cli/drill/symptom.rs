//! What shows a fault: comparisons with what the last scrapes of /metrics say, in a small part of `PromQL`.

use std::time::{Duration, Instant};

/// Scrapes that were answered, in order, each with its time.
pub(super) type Scrapes = Vec<(Instant, String)>;

/// `name{label="value",...} OPERATOR NUMBER`; `up` is 1 when the scrape succeeded and 0 when not.
/// `increase(name{...}[SECONDSs]) OPERATOR NUMBER` compares the sum of what matches with the sum that long ago.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expression {
    text: String,
    metric: String,
    labels: Vec<String>,
    /// Of `increase`.
    window: Option<Duration>,
    operator: Operator,
    bound: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Above,
    AtLeast,
    Below,
}

const OPERATORS: &[(&str, Operator)] =
    &[(" == ", Operator::Equal), (" >= ", Operator::AtLeast), (" > ", Operator::Above), (" < ", Operator::Below)];

impl Expression {
    /// Reads one line.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let wrong = || format!("{line:?} is not `metric{{labels}} OPERATOR NUMBER`");
        let found = OPERATORS.iter().find_map(|(text, operator)| Some((line.split_once(text)?, *operator)));
        let ((left, right), operator) = found.ok_or_else(wrong)?;
        let bound = right.trim().parse().map_err(|_| wrong())?;
        let (left, window) = match left.trim().strip_prefix("increase(") {
            Some(inside) => {
                let (selector, seconds) =
                    inside.strip_suffix("s])").and_then(|rest| rest.rsplit_once('[')).ok_or_else(wrong)?;
                (selector, Some(Duration::from_secs(seconds.parse().map_err(|_| wrong())?)))
            }
            None => (left.trim(), None),
        };
        let (metric, labels) = match left.split_once('{') {
            Some((metric, labels)) => (metric, labels.strip_suffix('}').ok_or_else(wrong)?),
            None => (left, ""),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if metric.is_empty() || !metric.chars().all(is_name) {
            return Err(wrong());
        }
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| label.trim().to_owned()).collect();
        Ok(Self { text: line.trim().to_owned(), metric: metric.to_owned(), labels, window, operator, bound })
    }

    /// The line as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a sample satisfies it. `scrape` is none when the service did not answer; `past` is what it answered before.
    pub(super) fn holds(&self, scrape: Option<&str>, past: &Scrapes) -> bool {
        if let Some(window) = self.window {
            let earlier = past.iter().rev().find(|(taken, _)| taken.elapsed() >= window);
            let (Some(scrape), Some((_, earlier))) = (scrape, earlier) else { return false };
            let (now, before) = (self.sum(scrape), self.sum(earlier));
            // A counter that fell began anew with its process.
            return self.satisfied(if now < before { now } else { now - before });
        }
        if self.metric == "up" {
            return self.satisfied(if scrape.is_some() { 1.0 } else { 0.0 });
        }
        scrape.unwrap_or_default().lines().any(|line| self.value_of(line).is_some_and(|value| self.satisfied(value)))
    }

    fn sum(&self, scrape: &str) -> f64 {
        scrape.lines().filter_map(|line| self.value_of(line)).sum()
    }

    fn value_of(&self, line: &str) -> Option<f64> {
        let rest = line.strip_prefix(&self.metric)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let there: Vec<&str> = labels.split(',').collect();
        self.labels.iter().all(|label| there.contains(&label.as_str())).then(|| value.trim().parse().ok())?
    }

    fn satisfied(&self, value: f64) -> bool {
        match self.operator {
            Operator::Equal => (value - self.bound).abs() < 1e-9,
            Operator::Above => value > self.bound,
            Operator::AtLeast => value >= self.bound,
            Operator::Below => value < self.bound,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SCRAPE: &str =
        "# HELP a_total x\na_total 3\njobs_dead{kind=\"probe\",zone=\"1\"} 2\njobs_dead{kind=\"other\"} 0\n";

    fn holds(line: &str) -> bool {
        Expression::parse(line).unwrap().holds(Some(SCRAPE), &Scrapes::new())
    }

    #[test]
    fn a_sample_with_these_labels_and_this_value_is_found() {
        assert!(holds("a_total == 3") && holds("a_total >= 3") && !holds("a_total > 3") && holds("a_total < 4"));
        assert!(holds("jobs_dead{kind=\"probe\"} > 1") && !holds("jobs_dead{kind=\"other\"} > 1"));
        assert!(!holds("missing == 0") && !holds("a == 3"));
    }

    #[test]
    fn up_says_whether_there_was_an_answer() {
        let down = Expression::parse("up == 0").unwrap();
        assert!(down.holds(None, &Scrapes::new()) && !down.holds(Some(""), &Scrapes::new()));
    }

    #[test]
    fn an_increase_compares_the_sum_with_the_sum_that_long_ago_and_survives_a_restart() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let holds = |line: &str, before: &str| {
            Expression::parse(line)
                .unwrap()
                .holds(Some(SCRAPE), &vec![(ago(9), before.to_owned()), (ago(1), SCRAPE.to_owned())])
        };
        assert!(holds("increase(jobs_dead[5s]) == 1", "jobs_dead{kind=\"probe\",zone=\"1\"} 1\n"));
        assert!(holds("increase(jobs_dead[5s]) == 2", "") && holds("increase(a_total[5s]) == 3", "a_total 7\n"));
        assert!(holds("increase(missing[5s]) == 0", "") && !holds("increase(missing[10s]) == 0", ""));
    }
}
