//! A runbook as the drill sees it: the fenced blocks that say what they are for.
//!
//! ```text
//! ~~~sh stage       what must be there before the service starts, only in drills; status 77 skips the drill
//! ~~~sh inject      how the fault is made, only in drills
//! ~~~promql symptom expressions of which one must become true before anybody acts; none for a procedure
//! ~~~sh check       looking, in order; each must succeed
//! ~~~sh act
//! ~~~sh verify
//! ~~~promql recovered   expressions that must all become true
//! ~~~
//! ```
//!
//! (with three backticks instead of tildes). Blocks without a second word are read by people only.

use std::path::Path;

use super::symptom::Expression;

/// What a runbook tells a drill to do.
#[derive(Debug, Default)]
pub(super) struct Runbook {
    /// Its heading.
    pub title: String,
    /// Shell scripts, each a block.
    pub stage: Vec<String>,
    pub inject: Vec<String>,
    pub check: Vec<String>,
    pub act: Vec<String>,
    pub verify: Vec<String>,
    /// One of them shows the fault.
    pub symptom: Vec<Expression>,
    /// All of them hold when it is over.
    pub recovered: Vec<Expression>,
}

impl Runbook {
    /// Whether somebody wrote the drill.
    pub(super) fn has_drill(&self) -> bool {
        !self.inject.is_empty() && !self.verify.is_empty()
    }

    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut runbook = Self::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("# ")
                && runbook.title.is_empty()
            {
                title.clone_into(&mut runbook.title);
            }
            let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
            let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            runbook.take(info, &block)?;
        }
        Ok(runbook)
    }

    fn take(&mut self, info: &str, block: &[&str]) -> Result<(), String> {
        let expressions = || -> Result<Vec<Expression>, String> {
            block.iter().filter(|line| !line.is_empty()).map(|line| Expression::parse(line)).collect()
        };
        match info.split_once(' ') {
            Some(("sh", "stage")) => self.stage.push(block.join("\n")),
            Some(("sh", "inject")) => self.inject.push(block.join("\n")),
            Some(("sh", "check")) => self.check.push(block.join("\n")),
            Some(("sh", "act")) => self.act.push(block.join("\n")),
            Some(("sh", "verify")) => self.verify.push(block.join("\n")),
            Some(("promql", "symptom")) => self.symptom.extend(expressions()?),
            Some(("promql", "recovered")) => self.recovered.extend(expressions()?),
            Some((_, other)) => return Err(format!("a block says it is for {other:?}, which no drill knows")),
            None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn blocks_go_where_their_second_word_says() {
        let text = "# Title\n```sh inject\na\nb\n```\n```text\nignored\n```\n```promql symptom\nup == 0\n```\n```sh verify\nc\n```\n";
        let runbook = Runbook::parse(text).unwrap();
        assert_eq!(runbook.title, "Title");
        assert_eq!(runbook.inject, ["a\nb"]);
        assert_eq!(runbook.verify, ["c"]);
        assert_eq!(runbook.symptom.len(), 1);
        assert!(runbook.has_drill());
    }

    #[test]
    fn a_misspelt_word_is_not_passed_over() {
        assert!(Runbook::parse("```sh verfy\nc\n```\n").is_err());
        assert!(Runbook::parse("```promql symptom\nrate(x[5m]) > 1\n```\n").is_err());
    }
}
