//! Where the live plugin puts the root of a turn, as its own files have it.

use serde::{Deserialize, Serialize};

/// Where the plugin put the root of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Topology {
    pub(super) parent_run_id: Option<String>,
    pub(super) trace_id: String,
    pub(super) dotted_order: String,
    pub(super) execution_order: u32,
    pub(super) child_execution_order: u32,
}

#[derive(Deserialize, Serialize)]
struct Checkpoint {
    topology: Topology,
}

impl Topology {
    /// Reads a file of the plugin's: the first line that the plugin would take.
    pub(super) fn read(text: &str) -> Option<Topology> {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Checkpoint>(line).ok());
        lines.map(|line| line.topology).find(Topology::is_good)
    }

    /// Returns what a file of the plugin's is to hold.
    pub(super) fn write(self) -> String {
        serde_json::to_string(&Checkpoint { topology: self }).expect("strings and numbers")
    }

    fn is_good(&self) -> bool {
        self.parent_run_id.as_ref().is_none_or(|id| id.len() <= 64)
            && self.trace_id.len() <= 64
            && self.dotted_order.len() <= 2048
            && self.execution_order > 0
            && self.child_execution_order > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topology_is_spelled_as_the_plugin_spells_it() {
        let text = r#"{"topology":{"parentRunId":null,"traceId":"t","dottedOrder":"d","executionOrder":1,"childExecutionOrder":1}}"#;
        let topology = Topology::read(text).unwrap();
        assert_eq!(topology.dotted_order, "d");
        assert_eq!(topology.write(), text);
        let bad = text.replace(":1}}", ":0}}");
        assert_eq!(Topology::read(&bad), None);
        assert_eq!(Topology::read(&format!("x\n{bad}\n{text}")).unwrap().trace_id, "t");
    }
}
