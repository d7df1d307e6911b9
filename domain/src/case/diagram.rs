//! The life cycle as a Mermaid state diagram, drawn from the transition table.

use std::fmt::Write;

use super::names::State;
use super::transitions::TRANSITIONS;

/// The diagram's source. Commands that stay in their state are left out: they would only add loops.
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> draft\n");
    for row in TRANSITIONS.iter().filter(|row| row.from != row.to) {
        let _ = writeln!(text, "    {} --> {}: {}", row.from, row.to, row.command);
    }
    for state in State::ALL.iter().filter(|state| state.is_terminal()) {
        let _ = writeln!(text, "    {state} --> [*]");
    }
    text
}

/// The table as Markdown: one row per transition with roles and guards.
pub fn markdown_table() -> String {
    let mut text = String::from("| state | command | next state | roles | guards |\n|---|---|---|---|---|\n");
    for row in TRANSITIONS {
        let roles: Vec<_> = row.roles.iter().map(super::super::principal::Role::as_str).collect();
        let guards: Vec<_> = row.guards.iter().map(|guard| guard.as_str()).collect();
        let (from, command, to) = (row.from, row.command, row.to);
        let _ = writeln!(text, "| {from} | {command} | {to} | {} | {} |", roles.join(", "), guards.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_names_every_state_and_every_change_of_state() {
        let diagram = mermaid();
        assert!(State::ALL.iter().all(|state| diagram.contains(state.as_str())));
        assert!(diagram.contains("decision_proposed --> decided: approve_decision"));
        assert_eq!(markdown_table().lines().count(), TRANSITIONS.len() + 2);
    }
}
