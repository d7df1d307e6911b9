//! Counts what an answer used, also when the provider did not say, or not to the end.

use docket_domain::budget::{Usage, estimate_tokens};

use crate::application::ports::language_model::ModelEvent;

/// What an answer used, and whether the provider said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metered {
    /// The tokens.
    pub usage: Usage,
    /// At least one count is an estimate of the service: the provider reported none, or the answer went on after its last
    /// report. Estimates err to the side of more.
    pub estimated: bool,
}

/// Follows one answer, event by event. What it says is right at any moment, so that a call which is cut short can be settled,
/// too.
#[derive(Debug, Clone)]
pub struct UsageMeter {
    input_at_most: u64,
    reported: Option<Usage>,
    /// Estimated tokens of text since the last report.
    since: u64,
    ended: bool,
}

impl UsageMeter {
    /// A meter for a request that takes `input_at_most` tokens of input.
    pub fn new(input_at_most: u64) -> Self {
        Self { input_at_most, reported: None, since: 0, ended: false }
    }

    /// Takes the next event.
    pub fn observe(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::Text(text) => self.since += estimate_tokens(text),
            ModelEvent::Usage(usage) => {
                self.reported = Some(self.reported.unwrap_or_default().at_least(*usage));
                self.since = 0;
            }
            ModelEvent::End(_) => self.ended = true,
        }
    }

    /// Whether the provider reported anything.
    pub const fn has_report(&self) -> bool {
        self.reported.is_some()
    }

    /// What was used until now.
    pub fn read(&self) -> Metered {
        let reported = self.reported.unwrap_or_default();
        // A report of output alone says nothing about the input.
        let unknown_input = reported.total() == reported.output_tokens;
        let usage = Usage {
            input_tokens: if unknown_input { self.input_at_most } else { reported.input_tokens },
            output_tokens: reported.output_tokens.saturating_add(self.since),
            ..reported
        };
        Metered { usage, estimated: unknown_input || self.since > 0 || !self.ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::ports::language_model::StopReason;

    fn read(events: &[ModelEvent]) -> Metered {
        let mut meter = UsageMeter::new(100);
        for event in events {
            meter.observe(event);
        }
        meter.read()
    }

    fn text(text: &str) -> ModelEvent {
        ModelEvent::Text(text.to_owned())
    }

    const END: ModelEvent = ModelEvent::End(StopReason::Complete);

    #[test]
    fn what_the_provider_reported_at_the_end_is_taken_as_it_is() {
        let usage = Usage { input_tokens: 7, cache_read_tokens: 40, output_tokens: 3, ..Usage::default() };
        let metered = read(&[text("some text"), ModelEvent::Usage(usage), END]);
        assert_eq!(metered, Metered { usage, estimated: false });
    }

    #[test]
    fn without_a_report_everything_is_estimated_and_marked_so() {
        let metered = read(&[text("123456"), text("789"), END]);
        let usage = Usage { input_tokens: 100, output_tokens: 3, ..Usage::default() };
        assert_eq!(metered, Metered { usage, estimated: true });
    }

    #[test]
    fn an_answer_that_is_cut_is_charged_for_what_came_after_the_last_report() {
        let early = Usage { input_tokens: 50, output_tokens: 1, ..Usage::default() };
        let metered = read(&[ModelEvent::Usage(early), text("123456")]);
        assert_eq!((metered.usage.input_tokens, metered.usage.output_tokens, metered.estimated), (50, 3, true));
        let late = Usage { input_tokens: 50, output_tokens: 5, ..Usage::default() };
        let metered = read(&[ModelEvent::Usage(early), text("123456"), ModelEvent::Usage(late)]);
        assert_eq!((metered.usage, metered.estimated), (late, true), "more may have been on its way");
    }
}
