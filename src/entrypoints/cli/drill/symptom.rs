//! What shows a fault: comparisons with what one scrape of /metrics says, in the part of `PromQL` that needs no history.

/// `name{label="value",...} OPERATOR NUMBER`; `up` is 1 when the scrape succeeded and 0 when not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expression {
    text: String,
    metric: String,
    labels: Vec<String>,
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
        let (metric, labels) = match left.trim().split_once('{') {
            Some((metric, labels)) => (metric, labels.strip_suffix('}').ok_or_else(wrong)?),
            None => (left.trim(), ""),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if metric.is_empty() || !metric.chars().all(is_name) {
            return Err(wrong());
        }
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| label.trim().to_owned()).collect();
        Ok(Self { text: line.trim().to_owned(), metric: metric.to_owned(), labels, operator, bound })
    }

    /// The line as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a sample satisfies it. `scrape` is none when the service did not answer.
    pub(super) fn holds(&self, scrape: Option<&str>) -> bool {
        if self.metric == "up" {
            return self.satisfied(if scrape.is_some() { 1.0 } else { 0.0 });
        }
        scrape.unwrap_or_default().lines().any(|line| self.value_of(line).is_some_and(|value| self.satisfied(value)))
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
        Expression::parse(line).unwrap().holds(Some(SCRAPE))
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
        assert!(down.holds(None) && !down.holds(Some("")));
    }
}
